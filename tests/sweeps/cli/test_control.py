"""Controlling a sweep that runs in another process: real processes, real requests."""

from __future__ import annotations

import json
import re
import shutil
import signal
import threading
import time

import pytest
from typer.testing import CliRunner

import sweeps
from sweeps.cli import app
from sweeps.home import Home
from sweeps.journal.events import Started
from sweeps.records import RecordStore
from sweeps.runner.control import STOP, asked_of
from sweeps.runner.ownership import SweepLock
from sweeps.workspace.clock import now_ms
from tests.sweeps import journals
from tests.sweeps.conftest import TOY, table
from tests.sweeps.launching import Launched
from tests.sweeps.soundness import assert_sound

TRIALS = 12


class Steered:
    """A sweep in a process of its own, and the commands of somebody else."""

    def __init__(self, home, space):
        self.home, self.space = home, space
        self.running = None

    def start(self, seconds=0.3, epochs=6, workers=2, trials=TRIALS):
        overrides = ["--set", f"longest_seconds={seconds}", "--set", f"epochs={epochs}"]
        words = ["run", str(self.space), "--trials", str(trials), "--workers", str(workers)]
        self.running = Launched([*words, *overrides, "--home", str(self.home)])
        return self.running

    def call(self, *words):
        return CliRunner().invoke(app, [*words, "--home", str(self.home)])

    def recorded(self):
        return len(journals.ended(self.home))

    def recorded_when_quiet(self):
        """Wait until a second and a half brings no more; a busy machine is slow."""
        before = -1
        while before != self.recorded():
            before = self.recorded()
            time.sleep(1.5)
        return before

    def until(self, condition):
        end = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < end, self.running.stderr()
            time.sleep(0.02)

    def is_running(self):
        infos = Home(self.home).sweeps()
        return bool(infos) and Home(self.home).is_running(infos[0].id)


@pytest.fixture
def steered(make_home, migrated_database, tmp_path):
    space = tmp_path / "toy.yaml"
    space.write_text(TOY)
    home = make_home()
    shutil.copy(migrated_database, home / "mlflow.db")
    made = Steered(home, space)
    yield made
    if made.running is not None and made.running.is_alive():
        made.running.kill()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("workers", "words"),
    [
        (2, []),
        (0, ["--now"]),
        *(pytest.param(*other, marks=pytest.mark.nightly) for other in ((0, []), (2, ["--now"]))),
    ],
)
def test_stop_ends_it_as_ctrl_c_does_and_the_same_command_goes_on(steered, workers, words):
    steered.start(workers=workers, trials=500)  # more than end while the command begins
    steered.until(lambda: steered.recorded() >= 2)
    result = steered.call("stop", "toy", *words)
    assert result.exit_code == 0, result.output
    (again,) = re.findall("has stopped; `(.*)` goes on", result.stdout)
    assert f"sweeps run {steered.space} " in again
    assert " --trials 500" in again
    assert steered.running.wait() == 130, steered.running.stderr()
    assert "Traceback" not in steered.running.stderr()
    assert steered.start(workers=workers, trials=steered.recorded() + 2).wait() == 0


def test_a_sweep_that_ends_while_it_is_to_stop_is_said_to_have_ended(finished_toy, call):
    sweep = finished_toy(trials=2)
    folder = sweep.home.store(sweep.info.id).folder
    taken = threading.Event()

    def run_and_end():
        with SweepLock(folder / "lock", "toy"):
            taken.set()
            while STOP not in asked_of(RecordStore(folder)):
                time.sleep(0.02)

    running = threading.Thread(target=run_and_end)
    running.start()
    taken.wait()
    result = call("stop", "toy")
    running.join()
    assert (result.exit_code, result.stdout) == (
        0, "sweep 'toy' has ended by itself: 2 of 2 trials are done\n",
    )  # fmt: skip
    assert not asked_of(RecordStore(folder))


@pytest.mark.slow
def test_a_stopped_sweep_ends_as_if_left_alone(steered, run_toy, make_home):
    options = {"trials": TRIALS, "workers": 0}
    expected = table(run_toy("alone", **options, overrides=("longest_seconds=0.2", "epochs=6")))
    steered.start(seconds=0.2)
    steered.until(lambda: steered.recorded() >= 3)
    assert steered.call("stop", "toy").exit_code == 0
    assert steered.start(seconds=0.2).wait() == 0
    assert table(sweeps.load("toy", steered.home)) == expected


@pytest.mark.slow
def test_paused_it_begins_no_trial_and_resumed_it_finishes(steered):
    steered.start(seconds=0.6)
    steered.until(lambda: steered.recorded() >= 2)
    assert steered.call("pause", "toy").exit_code == 0
    steered.running.until_said("paused; `sweeps resume` goes on")
    (row,) = json.loads(steered.call("status", "--json").stdout)
    assert (row["name"], row["paused"], row["asked"]) == ("toy", True, TRIALS)
    before = steered.recorded_when_quiet()  # what ran ends
    time.sleep(1.5)
    assert steered.recorded() == before < TRIALS
    assert steered.call("resume", "toy").stdout == "sweep 'toy' goes on\n"
    assert steered.running.wait() == 0, steered.running.stderr()
    assert steered.recorded() == TRIALS
    assert_sound(steered.home, table(sweeps.load("toy", steered.home)))


@pytest.mark.slow
def test_a_paused_sweep_can_be_stopped(steered):
    steered.start(seconds=0.6)
    steered.until(lambda: steered.recorded() >= 1)
    steered.call("pause", "toy")
    steered.running.until_said("paused")
    assert steered.call("stop", "toy").exit_code == 0
    assert steered.running.wait() == 130


@pytest.mark.slow
@pytest.mark.parametrize("workers", [2, 0])
def test_a_cancelled_trial_counts_as_pruned_and_the_others_go_on(steered, workers):
    steered.start(seconds=3.0, epochs=30, workers=workers, trials=3)
    steered.until(steered.is_running)
    steered.until(lambda: steered.call("stop", "toy", "0").exit_code == 0)
    assert steered.running.wait() == 0, steered.running.stderr()
    rows = {row.trial: row for row in sweeps.load("toy", steered.home).rows()}
    assert (rows[0].state, rows[0].reason) == ("PRUNED", "cancelled")
    assert {rows[1].state, rows[2].state} == {"COMPLETE"}
    assert steered.call("doctor").exit_code == 0


@pytest.mark.slow
def test_watch_follows_until_the_end(steered):
    steered.start(seconds=0.1)
    steered.until(lambda: steered.recorded() >= 1)
    result = steered.call("status", "toy", "--json")
    assert result.exit_code == 0, result.output
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert events[-1]["event"] == "finished"
    known = len([e for e in events if e["event"] == "trial_finished"])
    assert 0 < known <= TRIALS
    (info,) = Home(steered.home).sweeps()
    took = Home(steered.home).store(info.id).state().finished.seconds
    assert events[-1]["summary"]["seconds"] == took, "of the start, not of the watching"
    assert steered.running.wait() == 0


def test_watch_says_how_long_the_last_start_of_a_killed_sweep_is_ago(finished_toy):
    sweep = finished_toy(trials=2)
    store, day = sweep.home.store(sweep.info.id), 86_400
    lost = {"finished 1", "returned 1", "started 1"}
    journals.rewrite(store, lambda one: None if one["kind"] in lost else one)
    store.append(*(Started(began_at=now_ms() - 1000 * seconds) for seconds in (3 * day, day)))
    words = ["status", "toy", "--json", "--home", str(sweep.home.path)]
    *_, last = CliRunner().invoke(app, words).stdout.splitlines()
    assert day <= json.loads(last)["summary"]["seconds"] < 2 * day


@pytest.mark.slow
def test_what_was_asked_of_a_killed_sweep_does_not_bind_the_next_start(steered):
    steered.start(seconds=1.5)  # long enough that it is paused before it is done, on any machine
    steered.until(lambda: steered.recorded() >= 1)
    steered.call("pause", "toy")
    steered.running.until_said("paused")
    steered.running.kill()
    assert list(steered.home.glob("sweeps/*/asked-to-*"))
    assert steered.start(seconds=1.5).wait() == 0
    assert not list(steered.home.glob("sweeps/*/asked-to-*"))


def test_who_does_not_run_cannot_be_steered(finished_toy, make_home):
    finished_toy(trials=2)

    def call(*words):
        return CliRunner().invoke(app, [*words, "--home", str(make_home())])

    for words in (["pause", "toy"], ["resume", "toy"], ["stop", "toy", "0"]):
        result = call(*words)
        assert result.exit_code == 2, words
        assert f"is not running; `sweeps status --home {make_home()}` lists what" in result.stderr
    result = call("stop", "toy")
    assert (result.exit_code, result.stdout) == (0, "sweep 'toy' is not running\n")
    assert call("status").stdout.startswith("nothing runs in ")
    assert call("status", "toy", "--quiet").exit_code == 0
    assert call("stop", "nothing").exit_code == 2
    for words, said in (
        (["stop", "toy", "0", "--now"], "--now: trial 0 ends at its next epoch; leave --now out"),
        (["status", "toy", "--csv", "-"], "--csv: a sweep that is followed is no table"),
        (["best", "toy", "--data", "x"], "--data: only --ensemble reads data; give that too"),
        (["watch", "toy"], "'sweeps watch' is gone; in its place: sweeps status NAME"),
    ):
        result = call(*words)
        assert (result.exit_code, result.stdout, said in result.stderr) == (2, "", True), result


@pytest.mark.slow
def test_a_sweep_that_is_stopped_by_the_kernel_is_named(steered, monkeypatch):
    monkeypatch.setattr("sweeps.cli.control.LONGEST_STOP_SECONDS", 1.0)
    running = steered.start()
    steered.until(lambda: steered.recorded() >= 1)
    running.signal(signal.SIGSTOP)
    result = steered.call("stop", "toy")
    running.signal(signal.SIGCONT)
    assert result.exit_code == 1
    assert "does not end: it is run by process" in result.stdout
    assert running.wait() == 130


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "step"),
    [
        *(("stop", "renamed"), ("pause", "done")),
        *(pytest.param("stop", s, marks=pytest.mark.nightly) for s in ("begun", "done")),
        *(pytest.param("pause", s, marks=pytest.mark.nightly) for s in ("begun", "renamed")),
    ],
)
def test_a_request_that_is_killed_was_made_or_not(steered, command, step):
    steered.start(seconds=0.6)
    steered.until(lambda: steered.recorded() >= 1)
    words = [command, "toy", "--home", str(steered.home)]
    asking = Launched(words, {"SWEEPS_FAILPOINT": f"control.{step}"})
    assert asking.wait() == -signal.SIGKILL
    if step == "begun":
        assert steered.running.wait() == 0
    elif command == "stop":
        assert steered.running.wait() == 130
    else:
        steered.running.until_said("paused")
        assert steered.call("resume", "toy").exit_code == 0
        assert steered.running.wait() == 0
    assert steered.start(seconds=0.6).wait() == 0
    assert_sound(steered.home, table(sweeps.load("toy", steered.home)))


@pytest.mark.slow
@pytest.mark.parametrize("step", ["begun", pytest.param("done", marks=pytest.mark.nightly)])
def test_a_resume_that_is_killed_goes_on_or_can_be_repeated(steered, step):
    steered.start(seconds=0.6)
    steered.until(lambda: steered.recorded() >= 1)
    steered.call("pause", "toy")
    steered.running.until_said("paused")
    words = ["resume", "toy", "--home", str(steered.home)]
    resuming = Launched(words, {"SWEEPS_FAILPOINT": f"withdraw.{step}"})
    assert resuming.wait() == -signal.SIGKILL
    (row,) = json.loads(steered.call("status", "--json").stdout)
    assert row["paused"] == (step == "begun")
    if step == "begun":
        assert steered.call("resume", "toy").exit_code == 0
    assert steered.running.wait() == 0
    assert_sound(steered.home, table(sweeps.load("toy", steered.home)))


@pytest.mark.slow
@pytest.mark.parametrize(
    "step", ["renamed", *(pytest.param(s, marks=pytest.mark.nightly) for s in ("begun", "done"))]
)
def test_a_cancel_that_is_killed_has_ended_that_trial_or_none(steered, step):
    steered.start(seconds=3.0, epochs=30, trials=3)
    steered.until(steered.is_running)
    words = ["stop", "toy", "0", "--home", str(steered.home)]
    ended = {"SWEEPS_FAILPOINT": f"control.{step}"}
    steered.until(lambda: Launched(words, ended).wait() == -signal.SIGKILL)  # 2: not begun yet
    assert steered.running.wait() == 0, steered.running.stderr()
    rows = {row.trial: row for row in sweeps.load("toy", steered.home).rows()}
    assert rows[0].state == ("COMPLETE" if step == "begun" else "PRUNED")
    assert {rows[1].state, rows[2].state} == {"COMPLETE"}
    assert_sound(steered.home, table(sweeps.load("toy", steered.home)))
