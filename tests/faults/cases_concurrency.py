"""Cases 22, 23, 24, 26, 27 and 30: many at once, readers beside the writer, long sweeps."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import sweeps
from tests.faults.evidence import read_home, unasked
from tests.faults.lab import Lab


def start_twice(lab: Lab, rounds: int = 10) -> None:
    """Two starts of one name at one moment, ten times (100 scaled): one sweep, one is refused.

    Each round asks for one trial more. The second is refused with the first's process id and exit
    code 2, or finds the sweep finished.
    """
    for number in range(1, rounds + 1):
        pair = [lab.start(number, seconds=0.1) for _ in range(2)]
        codes = sorted(process.wait(60) for process in pair)
        lab.expect(codes in ([0, 2], [0, 0]), f"I8: round {number}: {codes}\n{lab.stderr()}")
        lab.exit_code = 0
        lab.check(number)
    if not lab.is_ours:
        return
    refused = [line for line in lab.stderr().splitlines() if "is being run by process" in line]
    assert refused, "no round had two at once"
    lab.check(rounds, undisturbed=lab.table(rounds))


def many_workers(lab: Lab, trials: int = 120) -> None:
    """2, 8, then 16 workers on one sweep of trivial trials: dense, exact, no race at the start.

    1000 trials scaled to 120 a number of workers; their rate is noted.
    """
    done, rates = 0, []
    for workers in (2, 8, 16):
        done += trials
        start = time.monotonic()
        lab.run(done, "--workers", str(workers), "--ask-ahead", "16")
        rates.append(f"{workers} workers {trials / (time.monotonic() - start):.0f}/s")
        lab.check(done)
    lab.score.note = "trials a second, start and MLflow included: " + ", ".join(rates)


def many_points(lab: Lab) -> None:
    """A grid of 108 points given to 8 workers: each is evaluated exactly once."""
    space = lab.folder / "grid.yaml"
    space.write_text(GRID)
    lab.space = space
    lab.run(1000, "--workers", "8", "--sampler", "grid")
    found = lab.check(108)
    points = {tuple(trial.params.items()) for trial in found.trials}
    assert len(points) == 108
    assert set(found.trainings.values()) == {1}


GRID = """
experiment: tests.faults.experiment:experiment
objective: {metric: score, direction: maximize}
parameters:
  x: {type: float, low: 0, high: 1, step: 0.125}
  layers: {type: int, low: 0, high: 2}
  epochs: {type: int, low: 1, high: 4}
defaults: {trials: 6, sampler: tpe, pruner: none, ask_ahead: 16}
"""


def read_while_writing(lab: Lab, trials: int = 40) -> None:
    """Tables, records, journal and database are read all the time: consistent, nobody is locked."""
    process = lab.start(trials, seconds=0.1)
    lab.until_recorded(process, 1)
    looks, seen, known = 0, 0, 0
    while process.poll() is None:
        rows = sweeps.load("faults", lab.home).rows()
        assert len(rows) >= seen, "a row has vanished"
        seen, looks = len(rows), looks + 1
        assert all(row.objective is not None for row in rows if row.state == "COMPLETE")
        with closing(sqlite3.connect(lab.home / "mlflow.db", timeout=0.5)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        found = read_home(lab.home)
        events = found.events
        assert events == list(range(1, len(events) + 1)), f"the journal is torn: {events}"
        assert len(events) >= known, "an event has vanished"
        known = len(events)
        assert not found.damaged_events
        assert not unasked(lab.home), "recorded before they were asked for"
    lab.wait_for(process)
    assert looks > 20
    assert "locked" not in lab.stderr()
    lab.check(trials, undisturbed=lab.table(trials))
    lab.score.note = f"read {looks} times"


def long_sweep(lab: Lab, trials: int = 500) -> None:
    """500 trials in one process: memory and descriptors of the coordinator stay bounded."""
    process = lab.start(trials)
    looks = []
    for part in (0.25, 0.5, 0.95):
        assert lab.until(lambda part=part: lab.records() >= part * trials, process), lab.stderr()
        looks.append(_uses(process))
    lab.wait_for(process)
    lab.check(trials)
    (memory, descriptors), (last_memory, last_descriptors) = looks[0], looks[-1]
    lab.score.note = f"{memory:.0f} -> {last_memory:.0f} MB, {descriptors} -> {last_descriptors}"
    assert last_memory < 1.5 * memory + 20, lab.score.note
    assert last_descriptors <= descriptors + 8, lab.score.note


def _uses(process: subprocess.Popen[bytes]) -> tuple[float, int]:
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    descriptors = len(list(Path(f"/proc/{process.pid}/fd").iterdir()))
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6, descriptors


def same_everywhere(lab: Lab, trials: int = 24) -> None:
    """0, 1 and 4 workers, in one go or in steps and interrupted: the same trials to the bit."""
    table = lab.table(trials)
    for workers in (0, 1, 4):
        other = lab.sibling(f"workers-{workers}")
        with other.cleaned():
            other.run(trials // 3, "--workers", str(workers))
            process = other.start(trials, "--workers", str(workers), seconds=0.2)
            other.until_recorded(process, 3)
            other.workers = max(1, workers)
            other.kill_all(process)
            other.run(trials, "--workers", str(workers))
            other.check(trials, undisturbed=table)
    lab.run(trials)
    lab.check(trials, undisturbed=table)
