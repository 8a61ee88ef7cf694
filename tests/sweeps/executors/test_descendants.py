"""A process in a session of its own, without a parent, ends with the worker that started it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sweeps.executors.conftest import WAIT_SECONDS, eventually, is_alive, pids

pytestmark = pytest.mark.usefixtures("measure_children")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "pids"


@pytest.fixture(params=["experiment", "with_threads"], ids=["forked", "spawned"])
def name(request):
    return request.param


def has_ended(file):
    estranged, *_ = pids(file)
    return eventually(lambda: not is_alive(estranged), 10)


def test_it_ends_when_its_worker_dies_and_not_when_another_one_does(make_bench, file, name):
    bench = make_bench(2, name)
    other = file.with_name("other")
    for one in (file, other):
        bench.submit("estrange, sleep", str(one))
    estranged, worker, _ = pids(file)
    os.kill(pids(other)[1], signal.SIGKILL)
    assert has_ended(other)
    assert is_alive(estranged)
    os.kill(worker, signal.SIGKILL)
    assert has_ended(file)


def test_it_ends_when_its_attempt_takes_too_long(make_bench, file, name):
    bench = make_bench(1, name, trial_timeout_seconds=1)
    assert bench.result("estrange, sleep", str(file)).reason == "timeout"
    assert has_ended(file)


def test_it_ends_when_its_attempt_crashes(make_bench, file, name):
    assert make_bench(1, name).result("estrange, die", str(file)).reason == "killed"
    assert has_ended(file)


def test_it_ends_when_its_worker_has_done_its_tasks(make_bench, file, name):
    bench = make_bench(1, name, tasks_per_worker=2)
    bench.result("estrange", str(file))
    assert is_alive(pids(file)[0])
    bench.result("fine")
    assert has_ended(file)


def test_it_ends_when_the_executor_is_closed(make_bench, file, name):
    bench = make_bench(1, name)
    bench.submit("estrange, sleep", str(file))
    pids(file)
    bench.executor.close()
    assert has_ended(file)


def test_it_ends_when_the_fork_server_is_killed(make_bench, file, name):
    bench = make_bench(1, name)
    future = bench.submit("estrange, sleep", str(file))
    _, _, server = pids(file)
    os.kill(server, signal.SIGKILL)
    assert "the fork server was killed" in future.result(WAIT_SECONDS).error
    assert has_ended(file)


COORDINATOR = """
import sys, threading
sys.path.insert(0, {root!r})
from sweeps.executors.preloading import make_preload
from sweeps.executors.local.executor import WorkersExecutor
from sweeps.experiment import TrialSpec
from tests.sweeps.executors import misbehaving
from tests.sweeps.executors.conftest import Listener
data = misbehaving.experiment.prepare(None, 0)
preload = make_preload(misbehaving.__name__ + ":{name}", None, data)
executor = WorkersExecutor(1, preload, Listener())
executor.submit(TrialSpec("s", 0, 1, 0, {{"act": "estrange, sleep", "argument": {file!r}}}))
threading.Event().wait()
"""


def test_it_ends_when_the_coordinator_is_killed(file, name):
    code = COORDINATOR.format(root=str(Path.cwd()), name=name, file=str(file))
    with subprocess.Popen([sys.executable, "-c", code]) as coordinator:
        pids(file)
        coordinator.kill()
    assert has_ended(file)


def test_what_the_experiment_itself_started_lives_as_long_as_its_fork_server(make_bench):
    bench = make_bench(1, "with_helper")
    helper = int(bench.result("helper").result.stop_reason)
    assert bench.result("kill").reason == "killed"
    assert bench.result("fine").result
    assert is_alive(helper)
    bench.executor.close()
    assert eventually(lambda: not is_alive(helper), 10)
