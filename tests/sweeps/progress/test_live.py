import os
import pty
import re
import select
import subprocess
import sys
import threading
import time

import pytest

from sweeps.progress.live import LiveDisplay
from sweeps.progress.tally import Tally
from tests.sweeps.progress.events import DONE, play
from tests.sweeps.render.builders import record, sweep_info

HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"


class Terminal:
    """A pseudo terminal; what is written to `stream` collects in `text()`."""

    def __init__(self):
        self._leader, follower = pty.openpty()
        self.stream = os.fdopen(follower, "w", encoding="utf-8")
        self._parts = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._stop = threading.Event()
        self._reader.start()

    def _read(self):
        while not self._stop.is_set():
            if select.select([self._leader], [], [], 0.05)[0]:
                try:
                    self._parts.append(os.read(self._leader, 65536))
                except OSError:
                    return

    def text(self):
        time.sleep(0.15)
        return b"".join(self._parts).decode("utf-8", "replace")

    def hang_up(self):
        self._stop.set()
        self._reader.join()
        os.close(self._leader)


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("LINES", "30")
    opened = Terminal()
    yield opened
    if not opened._stop.is_set():
        opened.hang_up()
    opened.stream.close()


def plain(text):
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def test_a_sweep_is_shown_and_the_terminal_given_back(terminal):
    before = sys.stdout, sys.stderr
    play(LiveDisplay(terminal.stream))
    text = terminal.text()
    assert "importing" in plain(text)
    assert "mlp: 1 of 5 trials done, going on" in plain(text)
    assert "5 of 5 trials" in plain(text)
    assert "2 COMPLETE, 1 PRUNED, 2 FAILED (this start: 9.0 s)" in plain(text)
    assert text.rindex(SHOW_CURSOR) > text.rindex(HIDE_CURSOR)
    assert (sys.stdout, sys.stderr) == before


def test_the_current_epoch_appears_while_a_trial_runs(terminal):
    display = LiveDisplay(terminal.stream)
    display.started(Tally(sweep_info(), 5, []))
    spec = record(3).spec("mlp-1a2b3c")
    display.trial_started(spec, {"units_1": 25})
    display.epoch(spec, 6, {"val_accuracy": 0.8})
    time.sleep(0.5)
    assert "trial 3, epoch 7, val_accuracy 0.8000" in plain(terminal.text())
    display.close()


def test_closing_without_a_finish_gives_the_terminal_back(terminal):
    play(LiveDisplay(terminal.stream), finish=False)
    text = terminal.text()
    assert text.rindex(SHOW_CURSOR) > text.rindex(HIDE_CURSOR)


def test_it_redraws_at_most_eight_times_a_second_however_many_epochs_come(terminal):
    display = LiveDisplay(terminal.stream)
    display.started(Tally(sweep_info(), 5, DONE))
    spec = record(3).spec("mlp-1a2b3c")
    display.trial_started(spec, {})
    start = time.monotonic()
    epoch = 0
    while time.monotonic() < start + 1.0:
        display.epoch(spec, epoch, {"val_accuracy": 0.8})
        epoch += 1
        time.sleep(0.002)
    drawn = plain(terminal.text()).count("1 of 5 trials")
    seconds = time.monotonic() - start
    display.close()
    assert epoch > 50
    assert 2 <= drawn <= 8 * seconds + 1


def test_a_note_from_another_thread_stands_above_the_display(terminal):
    display = LiveDisplay(terminal.stream)
    display.started(Tally(sweep_info(), 5, []))
    other = threading.Thread(target=display.note, args=("MLflow [cannot] be reached",))
    other.start()
    other.join()
    display.close()
    assert "MLflow [cannot] be reached" in plain(terminal.text())


def test_a_metric_is_named_as_it_is_whatever_its_brackets_mean_elsewhere(terminal):
    display = LiveDisplay(terminal.stream)
    display.started(Tally(sweep_info(metric="acc[/n]"), 5, [record(0, 0.9, metric="acc[/n]")]))
    time.sleep(0.3)
    display.close()
    assert "acc[/n]" in plain(terminal.text())


def test_a_terminal_that_hangs_up_does_not_end_the_sweep(terminal):
    before, tally = (sys.stdout, sys.stderr), Tally(sweep_info(), 5, DONE)
    display = LiveDisplay(terminal.stream)
    display.started(tally)
    terminal.hang_up()
    time.sleep(0.4)  # the drawing thread meets the lost terminal first
    display.note("nobody reads this")
    display.trial_finished(record(1, 0.95))
    display.close()
    assert tally.done == len(DONE) + 1
    assert tally.best.trial == 1
    assert (sys.stdout, sys.stderr) == before


def test_events_before_the_start_are_not_an_error(terminal):
    display = LiveDisplay(terminal.stream)
    ended = record(0, 0.9)
    display.trial_started(ended.spec("mlp-1a2b3c"), {})
    display.epoch(ended.spec("mlp-1a2b3c"), 0, {})
    display.trial_finished(ended)
    display.close()
    assert terminal.text() == ""


def test_a_process_that_exits_in_the_middle_leaves_the_cursor_visible(terminal):
    code = (
        "import sys\n"
        "from sweeps.progress.live import LiveDisplay\n"
        "from sweeps.progress.tally import Tally\n"
        "from tests.sweeps.render.builders import sweep_info\n"
        "LiveDisplay(sys.stderr).started(Tally(sweep_info(), 5, []))\n"
        "sys.exit(7)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        stderr=terminal.stream,
        stdout=subprocess.DEVNULL,
        check=False,
        timeout=60,
    )
    text = terminal.text()
    assert done.returncode == 7
    assert "0 of 5 trials" in plain(text)
    assert text.rindex(SHOW_CURSOR) > text.rindex(HIDE_CURSOR)
