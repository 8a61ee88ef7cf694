"""What comes back from worker processes, however their trainings end."""

import os
import signal
import time
from concurrent.futures import wait

import pytest

from sweeps.errors import WorkersError
from sweeps.executors.local import executor
from sweeps.experiment import Stop
from tests.sweeps.executors.conftest import (
    WAIT_SECONDS,
    eventually,
    is_alive,
    open_descriptors,
    pids,
)

pytestmark = pytest.mark.usefixtures("measure_children")


def test_every_attempt_comes_back_and_every_epoch_is_heard_of(bench):
    futures = [bench.submit("fine") for _ in range(10)]
    attempts = [future.result(WAIT_SECONDS) for future in futures]
    assert [a.spec.trial for a in attempts] == list(range(10))
    assert {a.result.stop_reason for a in attempts} == {"fine"}
    assert sorted(bench.listener.begun) == list(range(10))


@pytest.mark.parametrize(
    ("act", "argument", "reason", "expected"),
    [
        ("kill", None, "killed", "was killed by SIGKILL (out of memory?)"),
        ("kill", signal.SIGTERM, "killed", "was killed by SIGTERM"),
        ("kill", signal.SIGHUP, "killed", "was killed by SIGHUP"),
        ("kill", signal.SIGABRT, "crash", "was killed by SIGABRT"),
        ("segfault", None, "crash", "was killed by SIGSEGV"),
        ("leave", 3, "crash", "ended with exit code 3"),
        ("leave", 0, "crash", "ended with exit code 0"),
    ],
)
def test_a_worker_that_dies_ends_its_attempt_only(bench, act, argument, reason, expected):
    others = [bench.submit("fine") for _ in range(3)]
    died = bench.result(act, argument)
    assert (died.result, died.reason) == (None, reason)
    assert died.error.startswith(f"the worker process {expected}")
    assert died.finished_at >= died.started_at > 0
    assert all(future.result(WAIT_SECONDS).result for future in [*others, bench.submit("fine")])


def test_the_message_of_a_crash_ends_with_what_the_worker_printed_last(bench):
    error = bench.result("segfault").error
    assert "the last words" in error
    assert "ctypes" in error  # Python's own word on where it was


def test_an_exception_is_the_attempts_and_leaves_the_worker(make_bench):
    bench = make_bench(1)
    before = bench.result("pid").result.stop_reason
    raised = bench.result("raise")
    assert (raised.reason, raised.error.splitlines()[0]) == ("error", "RuntimeError: told to raise")
    assert bench.result("pid").result.stop_reason == before


def test_a_running_attempt_ends_when_it_is_stopped_and_says_what_it_was_told(bench):
    future = bench.submit("epochs")
    assert eventually(lambda: bench.listener.epochs)
    bench.stop(0, "interrupt")
    attempt = future.result(WAIT_SECONDS)
    assert (attempt.result.outcome, attempt.verdict) == ("stopped", Stop("interrupt"))
    epochs = len(attempt.result.history["val_score"])
    assert bench.listener.epochs == [(0, epoch) for epoch in range(epochs)]


class AtEpoch:
    """Stops at one epoch and notes how often it was asked."""

    def __init__(self, epoch):
        self._epoch, self.notes = epoch, {"asked": 0}

    def __call__(self, epoch, metrics):
        self.notes["asked"] += 1
        return Stop("pruned") if epoch == self._epoch else None


def test_a_judge_is_asked_at_every_epoch_where_the_attempt_runs(bench):
    judge = AtEpoch(7)
    attempt = bench.submit("epochs", judge=judge).result(WAIT_SECONDS)
    assert attempt.verdict == Stop("pruned")
    assert len(attempt.result.history["val_score"]) == attempt.notes["asked"] == 8
    assert judge.notes == {"asked": 0}  # a copy of it has travelled


def test_a_waiting_attempt_can_be_withdrawn(make_bench):
    bench = make_bench(1)
    running, waiting = bench.submit("epochs"), bench.submit("fine")
    assert eventually(running.running)
    assert waiting.cancel()
    assert not running.cancel()
    bench.stop(0, "interrupt")
    assert running.result(WAIT_SECONDS).result
    assert bench.result("fine").spec.trial == 2
    assert bench.listener.begun == [0, 2]


def test_a_worker_whose_limits_a_failed_attempt_has_changed_is_replaced(make_bench):
    bench = make_bench(1)
    before = bench.result("pid").result.stop_reason
    assert bench.result("lower its limits").error.startswith("RuntimeError: lowered")
    assert bench.result("fine").result.stop_reason == "fine"
    after = bench.result("pid").result.stop_reason
    assert after != before
    assert bench.result("raise").error
    assert bench.result("pid").result.stop_reason == after


def test_a_worker_is_replaced_after_its_number_of_tasks(make_bench):
    bench = make_bench(1, tasks_per_worker=3)
    workers = [int(bench.result("pid").result.stop_reason) for _ in range(9)]
    assert [workers.count(pid) for pid in dict.fromkeys(workers)] == [3, 3, 3]
    assert eventually(lambda: not any(is_alive(pid) for pid in workers[:6]))


def test_closing_ends_workers_with_everything_they_started(make_bench, tmp_path):
    bench = make_bench(2)
    futures = [bench.submit("sleep", str(tmp_path / name)) for name in "ab"]
    started = pids(tmp_path / "a") + pids(tmp_path / "b")
    bench.executor.close()
    assert all(isinstance(f.exception(WAIT_SECONDS), WorkersError) for f in futures)
    assert eventually(lambda: not any(is_alive(pid) for pid in started), 5)


def test_what_a_dead_worker_had_started_ends_and_does_not_hide_its_death(bench, tmp_path):
    died = bench.result("grandchild", str(tmp_path / "pids"))
    assert died.reason == "killed"
    assert eventually(lambda: not any(is_alive(pid) for pid in pids(tmp_path / "pids")), 5)


@pytest.mark.parametrize(
    "written",
    [
        b"what a training printed to the wrong place",
        (5).to_bytes(8) + b"words",
        b"\xffmsg" + (5).to_bytes(8) + bytes(4) + b"words",
    ],
    ids=["text", "length", "header"],
)
def test_bytes_on_a_workers_socket_end_its_attempt_only(bench, written):
    died = bench.result("written", written)
    assert (died.result, died.reason) == (None, "crash")
    assert "sent what is no message" in died.error
    assert bench.result("fine").result


def test_a_worker_that_closed_its_socket_and_goes_on_is_ended(make_bench, monkeypatch):
    monkeypatch.setattr(executor, "GONE_SECONDS", 0.1)
    bench = make_bench(1)
    died = bench.result("deaf")
    assert (died.result, died.reason) == (None, "crash"), "we have ended it: no kill from outside"
    assert "closed its socket" in died.error
    assert bench.result("fine").result


def test_a_crashed_fork_server_is_replaced(bench, tmp_path):
    future = bench.submit("sleep", str(tmp_path / "pids"))
    _, server, _ = pids(tmp_path / "pids")
    os.kill(server, signal.SIGKILL)
    attempt = future.result(WAIT_SECONDS)
    assert attempt.reason == "killed"
    assert "the fork server was killed by SIGKILL" in attempt.error
    assert bench.result("fine").result


def test_no_descriptor_is_left_open_after_fifty_attempts_and_ten_workers(make_bench):
    before = open_descriptors()
    bench = make_bench(2, tasks_per_worker=10)
    bench.result("fine")
    while_running = len(open_descriptors())
    for _ in range(50):
        bench.result("fine")
    bench.result("kill")
    assert bench.result("fine").result
    assert eventually(lambda: len(open_descriptors()) == while_running)
    bench.executor.close()
    assert open_descriptors() == before


@pytest.mark.slow
def test_a_worker_killed_inside_a_send_never_makes_the_others_wait(make_bench, monkeypatch):
    # The hundreds that are killed run the same lines as those of the tests above.
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
    bench = make_bench(2, tasks_per_worker=1)  # so that a kill that comes late hits nobody
    batch, size = 20, 24 << 20
    bench.result("large", size)
    ended, torn = [], []
    while len(torn) <= 50 and len(ended) < 600:  # how many kills hit depends on the machine
        began = time.monotonic()  # each time: how fast it is changes
        bench.result("large", size)
        took = time.monotonic() - began
        doomed, fine = [], []
        for number in range(batch):
            # From before the send, which takes more than half of that time, until after its end.
            moment = took * (0.4 + 0.7 * number / batch)
            doomed.append(bench.submit("doomed large", (size, moment)))
            fine.append(bench.submit("large", 100_000))
        assert not wait([*doomed, *fine], timeout=200).not_done
        assert all(len(f.result().result.arrays["validation_logits"]) == 100_000 for f in fine)
        ended += [future.result() for future in doomed]
        torn = [attempt for attempt in ended if attempt.reason == "killed"]
    assert 50 < len(torn) < len(ended)
    assert all(attempt.result for attempt in ended if attempt not in torn)


def test_workers_that_never_live_to_train_end_every_attempt_with_one_message(make_bench):
    bench = make_bench(2, "all_stillborn")
    futures = [bench.submit("fine") for _ in range(3)]
    for future in futures:
        with pytest.raises(WorkersError, match=r"before they have trained .* exit code 7"):
            future.result(WAIT_SECONDS)


def test_a_seat_that_gets_no_worker_does_not_end_the_others(make_bench):
    bench = make_bench(2, "one_survivor")
    workers = {bench.result("pid").result.stop_reason for _ in range(20)}
    assert len(workers) == 1
    assert sorted(bench.listener.begun) == list(range(20))
