"""A clock that is set in the midst of a sweep: nothing is decided by it, no duration is wrong."""

import itertools
import time

import pytest

from sweeps.tracking.store import open_client
from sweeps.workspace.clock import Stopwatch, now_ms, seconds_of
from tests.sweeps.conftest import table

HOUR = 3600


@pytest.fixture
def jump(monkeypatch):
    """Let the wall clock of this process jump an hour back and forth, whenever it is asked."""

    def start():
        real, offsets = time.time_ns, itertools.cycle([0, -HOUR, HOUR])
        monkeypatch.setattr(time, "time_ns", lambda: real() + next(offsets) * 10**9)
        monkeypatch.setattr(time, "time", lambda: time.time_ns() / 1e9)

    return start


def runs_of(sweep):
    client = open_client(f"sqlite:///{sweep.home.path / 'mlflow.db'}")
    experiments = [e.experiment_id for e in client.search_experiments()]
    return client.search_runs(experiments, f"tags.sweep_id = '{sweep.info.id}'")


def test_a_stopwatch_goes_on_when_the_clock_is_set(jump):
    jump()
    watch = Stopwatch()
    began = time.monotonic()
    readings = [watch.now_ms() for _ in range(5)]
    assert readings == sorted(readings)
    assert 0 <= readings[-1] - watch.started_at <= 1000 * (time.monotonic() - began) + 1


@pytest.mark.slow
@pytest.mark.parametrize("workers", [pytest.param(0, marks=pytest.mark.nightly), 1])
def test_a_jumping_clock_changes_no_trial_and_no_duration(run_toy, jump, tmp_path, workers):
    def options(name):
        crash = ("mode=sigkill", f"signal_file={tmp_path / name}") if workers else ()
        # Half an hour is less than the clock jumps: no deadline may be of the wall clock's.
        return {"trials": 12, "workers": workers, "timeout": HOUR / 2, "overrides": crash}

    undisturbed = run_toy("undisturbed", **options("one"))
    jump()
    began = time.monotonic()
    sweep = run_toy("jumping", **options("two"))
    seconds = time.monotonic() - began
    assert [row[:6] for row in table(sweep)] == [row[:6] for row in table(undisturbed)]
    assert all(0 <= row.seconds <= seconds for row in sweep.rows())
    runs = runs_of(sweep)
    assert len(runs) == 1 + sum(row.attempts for row in sweep.rows())
    children = [run.info for run in runs if run.data.tags["kind"] == "trial"]
    assert all(0 <= run.end_time - run.start_time <= 1000 * seconds for run in children)
    assert all(run.info.end_time >= run.info.start_time for run in runs)


def test_a_clock_that_is_set_back_after_the_start_leaves_no_run_that_ends_before_it_began(
    run_toy, monkeypatch
):
    later = now_ms() + 1000 * HOUR
    monkeypatch.setattr("sweeps.runner.opening.now_ms", lambda: later)
    sweep = run_toy(trials=2, workers=0)
    (parent,) = [run.info for run in runs_of(sweep) if run.data.tags["kind"] == "sweep"]
    assert parent.start_time == later
    assert parent.end_time >= parent.start_time


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("3m", 180), ("1h30m", 5400), ("1.5h", 5400), ("0.5", 0.5)],
)
def test_a_duration_is_written_as_people_do(text, seconds):
    assert seconds_of(text) == seconds
