import io
import os
import re
import resource

import pytest

from sweeps.progress import lines
from sweeps.progress.lines import JsonLines, Logged, PlainLines, Quiet
from sweeps.progress.tally import Tally
from sweeps.workspace.clock import now_ms
from tests.sweeps.factories import altered
from tests.sweeps.progress.events import play
from tests.sweeps.render.builders import record, sweep_info


def lines_in(folder):
    logged = (folder / "sweep.log").read_text(encoding="utf-8").splitlines()
    return [re.sub(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", "", line) for line in logged]


@pytest.mark.parametrize("display", [Quiet, PlainLines, JsonLines])
def test_a_log_has_all_of_a_sweep_whatever_is_shown(tmp_path, display):
    shown, alone = io.StringIO(), io.StringIO()
    logged = Logged(display(shown))
    logged.note("said before the sweep had a folder")
    assert logged.keep_in(tmp_path) == tmp_path / "sweep.log"
    play(logged)
    play(display(alone))
    written = lines_in(tmp_path)
    assert written[:4] == [
        "said before the sweep had a folder",
        "importing",
        "mlp (mlp-1a2b3c): 1 of 5 trials done; maximize best_val_accuracy",
        "trial 1 COMPLETE best_val_accuracy 0.9230, 3 epochs, 4.0 s, "
        "learning_rate=1.00e-03 units_1=25",
    ]
    at = written.index("    ValueError: boom")
    assert written[at - 1].startswith("trial 2 FAILED error: ValueError: boom, ")
    assert written[at + 1] == "      at x", "the whole error, as it was indented"
    assert "5 of 5 trials: 2 COMPLETE, 1 PRUNED, 2 FAILED (this start: 9.0 s)" in written
    assert "best observed, not confirmed: best_val_accuracy 0.9230 (trial 1)" in "\n".join(written)
    if display is not JsonLines:  # its events have times
        assert shown.getvalue().endswith(alone.getvalue())


def test_a_next_start_goes_on_in_the_same_file(tmp_path):
    for _ in range(2):
        logged = Logged(Quiet(io.StringIO()))
        logged.keep_in(tmp_path)
        play(logged)
    assert lines_in(tmp_path).count("importing") == 2


def test_a_next_start_logs_what_was_recorded_and_killed_before_its_line(tmp_path):
    now = now_ms()
    ended = [
        altered(record(trial, 0.9), started_at=now - 2000, finished_at=now + 1000)
        for trial in range(3)
    ]
    before_the_log = record(3, 0.9)
    for known, logs in ((ended[:0], ended[:2]), (ended, ()), ([*ended, before_the_log], ())):
        logged = Logged(Quiet(io.StringIO()))
        logged.keep_in(tmp_path)
        logged.started(Tally(sweep_info(), 5, known))
        for one in logs:
            logged.trial_finished(one)
        logged.close()
    trials = [line.split()[1] for line in lines_in(tmp_path) if line.startswith("trial ")]
    assert trials == ["0", "1", "2"]


def test_secrets_in_addresses_and_moves_of_the_cursor_are_left_out(tmp_path):
    logged = Logged(Quiet(io.StringIO()))
    logged.keep_in(tmp_path)
    logged.started(Tally(sweep_info(), 1, []))
    logged.note("postgresql://me:secret@host/db is away\x1b[2J")
    error = "OSError: no answer\n    of https://me:secret@host/x?token=secret"
    logged.trial_finished(record(0, outcome="failed", error=error))
    logged.close()
    text = "\n".join(lines_in(tmp_path))
    assert "secret" not in text
    assert "\x1b" not in text
    assert "me:***@host/db is away" in text
    assert "\n        of https://me:***@host/x?token=***" in text


def test_a_full_log_is_put_aside_and_only_one_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "MOST_BYTES", 1000)
    logged = Logged(Quiet(io.StringIO()))
    logged.keep_in(tmp_path)
    for number in range(100):
        logged.note(f"{number} {'x' * 100}")
    logged.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sweep.log", "sweep.log.1"]
    assert all(path.stat().st_size < 1300 for path in tmp_path.iterdir())
    assert lines_in(tmp_path)[-1].startswith("99 ")


def test_a_log_that_cannot_be_written_is_given_up(tmp_path):
    gone = tmp_path / "gone"
    logged = Logged(Quiet(io.StringIO()))
    logged.keep_in(gone)
    play(logged)
    assert not gone.exists(), "a folder that was deleted stays deleted"


def test_a_full_disk_does_not_end_the_sweep(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    shown = io.StringIO()
    logged = Logged(Quiet(shown))
    logged.keep_in(tmp_path)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, before[1]))
    try:
        play(logged)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "2 trials failed" in shown.getvalue()
    assert (tmp_path / "sweep.log").stat().st_size == 200


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_what_is_no_file_is_not_written_to(tmp_path, kind):
    other = tmp_path / "other"
    other.touch()
    if kind == "link":
        (tmp_path / "sweep.log").symlink_to(other)
    else:
        os.mkfifo(tmp_path / "sweep.log")
    logged = Logged(Quiet(io.StringIO()))
    logged.keep_in(tmp_path)
    play(logged)
    assert other.read_bytes() == b""


def test_a_display_without_a_sweep_keeps_no_log(tmp_path):
    logged = Logged(Quiet(io.StringIO()))
    logged.note("refused before anything was created")
    logged.close()
    assert list(tmp_path.iterdir()) == []
