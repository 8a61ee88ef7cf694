"""Processes that are stopped and come back: they find their place taken, or still theirs."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import sweeps
from sweeps.journal import Journal, Record
from sweeps.journal.events import to_line
from sweeps.tracking.store import open_client
from tests.sweeps.conftest import table
from tests.sweeps.executors.conftest import eventually, is_alive, pids


@pytest.fixture
def failing_space(toy_space):
    text = toy_space.read_text()
    toy_space.write_text(text.replace("toy_experiment:", "failing_experiment:"))
    return toy_space


def start(space, home, *words, trials=6):
    line = ["run", str(space), "--home", str(home), "--trials", str(trials), "--workers", "2"]
    return subprocess.Popen(
        [sys.executable, "-m", "sweeps", *line, *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
    )


def parent_of(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.mark.slow
def test_an_attempt_that_comes_back_finds_the_next_one_recorded(failing_space, make_home, tmp_path):
    words = ("--set", "acts=1-1=stop", "--set", f"pid_file={tmp_path / 'pid'}")
    with start(failing_space, make_home("undisturbed"), *words[2:]) as process:
        assert process.wait(60) == 0, process.stderr.read()
    with start(failing_space, make_home(), *words, "--trial-timeout", "1") as process:
        (worker,) = pids(tmp_path / "pid")
        server = parent_of(worker)
        os.kill(server, signal.SIGSTOP)  # so that the stopped worker is not killed
        try:
            before = wait_for_line(make_home(), "0001-1")
            os.kill(worker, signal.SIGCONT)  # goes on with its training, and would report
            assert eventually(lambda: not is_alive(worker), 5)
        finally:
            os.kill(server, signal.SIGCONT)
        stderr = process.stderr.read()
        assert process.wait(60) == 0, stderr
    assert line_of(make_home(), "0001-1") == before
    sweep = sweeps.load("toy", make_home())
    assert [row.attempts for row in sweep.rows()] == [1, 2, 1, 1, 1, 1]
    attempts = [r for r in sweep.home.store(sweep.info.id).read_all() if r.trial == 1]
    assert [(r.reason, r.ends_trial) for r in attempts] == [
        ("timeout", False),
        ("max_epochs", True),
    ]
    undisturbed = table(sweeps.load("toy", make_home("undisturbed")))
    assert [row[6] for row in table(sweep)] == [row[6] for row in undisturbed]
    client = open_client(f"sqlite:///{make_home() / 'mlflow.db'}")
    experiments = [e.experiment_id for e in client.search_experiments()]
    runs = client.search_runs(experiments, "tags.trial_number = '1'")
    assert sorted(run.info.status for run in runs) == ["FAILED", "FINISHED"]


def line_of(home, key):
    """Return the line of an attempt that has ended; None before, an error if there are two."""
    journals = [Journal(path.parent) for path in home.glob("sweeps/*/journal.jsonl")]
    events = [event for journal in journals for event in journal.read(pytest.fail)]
    lines = [to_line(event) for event in events if isinstance(event, Record) and event.key == key]
    assert len(lines) < 2
    return lines[0] if lines else None


def wait_for_line(home, key):
    assert eventually(lambda: line_of(home, key) is not None)
    return line_of(home, key)


@pytest.mark.slow
def test_a_coordinator_that_is_stopped_keeps_its_sweep(toy_space, make_home):
    with start(toy_space, make_home(), "--set", "longest_seconds=1") as process:
        for line in process.stderr:
            if line.startswith("[1/6]"):
                break
        process.send_signal(signal.SIGSTOP)
        time.sleep(2)
        with start(toy_space, make_home(), "--set", "longest_seconds=1") as second:
            stderr = second.stderr.read()
            assert second.wait(60) == 2
        assert f"is being run by process {process.pid} on " in stderr
        assert " since 20" in stderr
        assert stderr.count("\n") == 1
        process.send_signal(signal.SIGCONT)
        stderr = process.stderr.read()
        assert process.wait(60) == 0, stderr
    rows = sweeps.load("toy", make_home()).rows()
    assert [(row.state, row.attempts) for row in rows] == [("COMPLETE", 1)] * 6
