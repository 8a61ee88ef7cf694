"""A host that is late: stopped in mid-sweep, it wakes when another one has taken the sweep over.

What both write to is one MLflow server, which knows no leases.
"""

import signal
import time
from collections import Counter

import pytest

import sweeps
from sweeps.errors import LeaseLost
from sweeps.manage.doctor import examine_sweep
from sweeps.runner import ownership
from sweeps.shared import lease
from sweeps.tracking.projector import ProjectionReport, Projector
from sweeps.tracking.reading import read_runs
from tests.faults.proxy import Proxy
from tests.sweeps.launching import Launched
from tests.sweeps.shared.postgres import wait_until
from tests.sweeps.soundness import problems

TRIALS = 6


def short_leases():
    lease.LEASE_SECONDS, ownership.RENEW_SECONDS = 4.0, 0.7


@pytest.fixture
def proxy(mlflow_server):
    with Proxy(mlflow_server.port) as proxy:
        yield proxy


@pytest.fixture
def launch(toy_space, make_home, storage):
    """Run the sweep on a host of that name, which reaches MLflow at that address."""

    started = []

    def launch(host, address, seconds="0.5", trials=TRIALS):
        words = ["run", str(toy_space), "--trials", str(trials)]
        words += ["--workers", "2", "--set", f"longest_seconds={seconds}", "--verbose"]
        words += ["--home", str(make_home(host)), "--storage", storage, "--tracking-uri", address]
        started.append(Launched(words, before=[short_leases]))
        return started[-1]

    yield launch
    for one in started:
        one.kill()


@pytest.fixture
def assert_agrees(make_home, storage, mlflow_server):
    """Assert that MLflow has a run of each record and of the sweep, once, and ended."""

    def check():
        sweep = sweeps.load("toy", make_home("b"), storage)
        keys = [r.key for r in sweep.home.store(sweep.info.id).read_all()]
        runs = [r for r in read_runs(mlflow_server.address, sweep.info) if not r.is_deleted]
        assert Counter(run.key for run in runs) == Counter(["", *keys])
        assert {run.status for run in runs} == {"FINISHED"}
        assert problems(examine_sweep(sweep.home, sweep.info, mlflow_server.address)) == []

    return check


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "number"),
    [
        pytest.param("runs/create", 1, marks=pytest.mark.nightly),
        pytest.param("runs/create", 3, marks=pytest.mark.nightly),
        pytest.param("runs/update", 1, marks=pytest.mark.nightly),
        ("runs/log-batch", 4),
    ],
    ids=["of the sweep", "of an attempt", "running", "values"],
)
def test_a_request_that_arrives_after_the_sweep_ended_elsewhere_leaves_nothing(
    launch, proxy, mlflow_server, assert_agrees, kind, number
):
    proxy.hold_back(kind, number)
    late = launch("a", proxy.address)
    assert proxy.caught.wait(60), late.stderr()
    overtake(late, launch, proxy, mlflow_server)
    assert_agrees()


def overtake(late, launch, proxy, mlflow_server, **options):
    """Stop a host in the middle of a request, finish its sweep on another, and let it go on."""
    late.signal(signal.SIGSTOP)
    other = launch("b", mlflow_server.address, **options)
    assert other.wait() == 0, other.stderr()
    before = len(proxy.replies)
    proxy.let_go.set()
    wait_until(lambda: len(proxy.replies) > before)
    late.signal(signal.SIGCONT)
    assert late.wait() == 1, late.stderr()
    assert "was taken over by another process" in late.stderr()


@pytest.mark.slow
def test_a_host_whose_trials_have_ended_hears_of_it_too_while_it_sends_the_last(
    launch, proxy, mlflow_server, assert_agrees
):
    proxy.hold_back("runs/log-batch", 4)
    late = launch("a", proxy.address, seconds="0")
    assert proxy.caught.wait(60), late.stderr()
    wait_until(lambda: f"[{TRIALS}/{TRIALS}]" in late.stderr())
    overtake(late, launch, proxy, mlflow_server, seconds="0")
    assert_agrees()


@pytest.mark.slow
def test_who_wakes_while_another_host_runs_the_sweep_asks_mlflow_for_nothing_more(
    launch, proxy, mlflow_server, make_home, assert_agrees
):
    proxy.delay_seconds = 0.3  # so that many runs wait to be written
    late = launch("a", proxy.address, "1.5")
    wait_until(lambda: late.stderr().count("] trial ") >= 3)
    late.signal(signal.SIGSTOP)
    other = launch("b", mlflow_server.address, "1.5", trials=24)
    other.until_said("] trial ")
    time.sleep(1)  # what was under way when it was stopped has arrived by then
    before = list(proxy.replies)
    late.signal(signal.SIGCONT)
    assert late.wait() == 1, late.stderr()
    assert other.is_alive()
    assert proxy.replies[len(before) :] == []
    assert other.wait() == 0, other.stderr()
    assert_agrees()


def test_whoever_loses_the_sweep_while_its_last_runs_are_sent_ends_with_that_error(
    run_toy, monkeypatch
):
    close = Projector.close  # else its thread would go on in later tests

    def taken_over(projector, *arguments, **options):
        close(projector, *arguments, **options)
        return ProjectionReport(0, ["0000-1"], "taken over", LeaseLost("taken over"))

    monkeypatch.setattr(Projector, "close", taken_over)
    with pytest.raises(LeaseLost, match="taken over"):
        run_toy(trials=1)
