"""Attempts that take too long are ended, whatever they do, and have no say any more."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sweeps.workspace import processes
from tests.sweeps.executors.conftest import WAIT_SECONDS, eventually, is_alive, pids


@pytest.mark.parametrize("act", ["sleep", pytest.param("busy", marks=pytest.mark.slow), "stop"])
def test_an_attempt_that_takes_too_long_is_ended_and_its_worker_replaced(make_bench, tmp_path, act):
    bench = make_bench(1, trial_timeout_seconds=0.5)
    began = time.monotonic()
    attempt = bench.submit(act, str(tmp_path / "pids")).result(WAIT_SECONDS)
    assert (attempt.result, attempt.reason) == (None, "timeout")
    assert attempt.error.startswith("it took longer than --trial-timeout 0.5 s")
    assert time.monotonic() - began >= 0.5
    assert attempt.finished_at - attempt.started_at >= 500
    assert bench.result("fine").result
    ended = pids(tmp_path / "pids")
    assert eventually(lambda: not is_alive(ended[0]), 5)
    if act != "stop":  # a process that is stopped prints nothing
        assert "misbehaving.py" in attempt.error  # where it was


def test_an_attempt_in_time_is_left_alone(make_bench):
    bench = make_bench(1, trial_timeout_seconds=5)
    workers = {bench.result("pid").result.stop_reason for _ in range(5)}
    assert len(workers) == 1


def test_a_worker_that_comes_back_after_its_time_has_no_say(make_bench, tmp_path):
    bench = make_bench(1, trial_timeout_seconds=0.5)
    future = bench.submit("stop", str(tmp_path / "pids"))
    worker, server = pids(tmp_path / "pids")
    os.kill(server, signal.SIGSTOP)  # so that it is not killed, and goes on with its training
    try:
        late = future.result(WAIT_SECONDS)
        next_one = bench.submit("fine")
        os.kill(worker, signal.SIGCONT)
        assert eventually(lambda: not is_alive(worker), 5)  # it finds its socket closed
    finally:
        os.kill(server, signal.SIGCONT)
    assert next_one.result(WAIT_SECONDS).result.stop_reason == "fine"
    assert future.result() is late
    assert (late.result, late.reason) == (None, "timeout")


PAUSED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from sweeps.executors.preloading import make_preload
from sweeps.executors.local.executor import WorkersExecutor
from sweeps.experiment import TrialSpec
from tests.sweeps.executors import misbehaving
from tests.sweeps.executors.conftest import Listener
data = misbehaving.experiment.prepare(None, 0)
preload = make_preload(misbehaving.__name__ + ":experiment", None, data)
executor = WorkersExecutor(1, preload, Listener(), trial_timeout_seconds=2)
spec = TrialSpec("s", 0, 1, 0, {{"act": "slow large", "argument": {file!r}}})
attempt = executor.submit(spec).result(60)
print(attempt.reason if attempt.result is None else "result")
executor.close()
"""


@pytest.mark.slow
def test_the_time_in_which_nobody_could_listen_is_not_the_attempts(tmp_path):
    # Stopped as by Ctrl-Z: meanwhile the attempt ends, with more to send than a socket takes.
    code = PAUSED.format(root=str(Path.cwd()), file=str(tmp_path / "begun"))
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as process:
        assert eventually((tmp_path / "begun").exists)
        process.send_signal(signal.SIGSTOP)
        time.sleep(5)
        process.send_signal(signal.SIGCONT)
        assert process.stdout.read() == "result\n"


def test_no_memory_is_a_reason_of_its_own(make_bench, tmp_path, monkeypatch):
    bench = make_bench(1)
    raised = bench.result("memory")
    assert (raised.reason, raised.error.splitlines()[0]) == ("oom", "MemoryError: none left")
    counters = tmp_path / "vmstat"
    counters.write_text("nr_free_pages 7\noom_kill 3\n")
    monkeypatch.setattr(processes, "GROUPS", tmp_path / "not there")
    monkeypatch.setattr(processes, "MACHINE", counters)
    assert bench.result("kill").reason == "killed"
    future = bench.submit("killed once told", str(tmp_path / "pids"))
    pids(tmp_path / "pids")
    counters.write_text("oom_kill 4\n")  # as the kernel counts when it kills for want of memory
    (tmp_path / "go").touch()
    assert future.result(WAIT_SECONDS).reason == "oom"
    monkeypatch.setattr(processes, "MACHINE", tmp_path / "not there")
    assert bench.result("kill").reason == "killed"
