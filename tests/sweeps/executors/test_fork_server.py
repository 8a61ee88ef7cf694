"""How the fork server makes an experiment ready, and what is said when it cannot."""

import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sweeps.errors import WorkersError
from sweeps.executors import InProcessExecutor
from sweeps.executors.local import executor
from sweeps.executors.local.executor import WorkersExecutor
from sweeps.executors.local.fork_server import ServerProcess, one_fork_server
from sweeps.executors.messages import Ended, Preloaded, Started
from sweeps.executors.preloading import make_preload, read_preload
from sweeps.experiment import TrialSpec
from tests.sweeps.executors import misbehaving
from tests.sweeps.executors.conftest import WAIT_SECONDS, Listener, eventually, is_alive, pids

pytestmark = pytest.mark.usefixtures("measure_children")


def test_workers_are_forked_from_a_process_without_threads(bench, tmp_path):
    assert bench.result("fine").result
    assert bench.listener.notes == []


@pytest.mark.parametrize("name", ["experiment", "with_threads"])
def test_a_worker_holds_no_socket_but_its_own(make_bench, name):
    bench = make_bench(3, name)
    for _ in range(6):
        # Its listing may hold one more descriptor, of the folder it lists: no socket.
        assert bench.result("sockets").result.stop_reason == "1"


def test_an_experiment_with_threads_has_its_workers_spawned_and_says_so(make_bench, tmp_path):
    bench = make_bench(2, "with_threads")
    assert bench.result("fine").result
    (note,) = bench.listener.notes
    assert note == "workers are spawned, not forked: warm_up left 1 threads running"
    assert bench.result("kill").reason == "killed"
    future = bench.submit("sleep", str(tmp_path / "pids"))
    started = pids(tmp_path / "pids")
    bench.executor.close()
    assert future.exception(WAIT_SECONDS)
    assert eventually(lambda: not any(is_alive(pid) for pid in started), 5)


@pytest.mark.parametrize("name", ["warms_up_for", "warms_up_for_with_threads"])
def test_an_experiment_warms_up_for_configurations_and_what_it_says_is_shown_once(make_bench, name):
    configs = [{"act": "fine"}, {"act": "sleep"}]
    bench = make_bench(2, name, configs)
    for _ in range(3):
        assert bench.result("fine").result.stop_reason == str(configs)
    assert [note for note in bench.listener.notes if "spawned" not in note] == ["warming up for 2"]


def test_the_calling_process_warms_up_for_configurations_too():
    notes, data = [], misbehaving.experiment.prepare(None, 0)
    own = InProcessExecutor(
        misbehaving.WarmsUpFor(), data, Listener(), lambda spec: None,
        configs=[{"act": "fine"}], note=notes.append,
    )  # fmt: skip
    attempt = own.submit(TrialSpec("s", 0, 1, 0, {"act": "fine"})).result()
    assert attempt.result.stop_reason == "[{'act': 'fine'}]"
    assert notes == ["warming up for 1"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("unprepared", r"cannot be made ready in a worker process: RuntimeError: no device"),
        ("dies_warming_up", r"(?s)the fork server was killed by SIGKILL.*the last words"),
        ("missing", r"has no 'missing'.*--workers 0 trains in the calling one"),
    ],
)
def test_an_experiment_that_cannot_be_made_ready_fails_every_attempt_once(
    make_bench, name, expected
):
    bench = make_bench(2, name)
    futures = [bench.submit("fine") for _ in range(3)]
    for future in futures:
        with pytest.raises(WorkersError, match=expected):
            future.result(WAIT_SECONDS)
    with pytest.raises(WorkersError, match=expected):
        bench.result("fine")


def test_an_experiment_beside_its_space_file_is_found(tmp_path):
    (tmp_path / "beside.py").write_text(
        "from tests.sweeps.executors.misbehaving import experiment\n"
    )
    preload = make_preload("beside:experiment", tmp_path, misbehaving.experiment.prepare(None, 0))
    with preload.to_file() as file:
        assert read_preload(file.fileno()) == preload
    executor = WorkersExecutor(1, preload, Listener())
    try:
        spec = TrialSpec("s", 0, 1, 0, {"act": "fine"})
        assert executor.submit(spec).result(WAIT_SECONDS).result
    finally:
        executor.close()


# Several executors of one command.


def server_of(bench):
    return bench.executor._pool._server._process.pid


def parent_of(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def rested(bench):
    """Use and close an executor; return its server, which stays."""
    assert bench.result("fine").result
    bench.executor.close()
    assert is_alive(server_of(bench))
    return server_of(bench)


def test_the_servers_of_one_command_are_forked_from_the_first_and_end_with_their_executors(
    make_bench, tmp_path
):
    with one_fork_server():
        first = make_bench()
        sleeping = first.submit("sleep", str(tmp_path / "first"))
        left = pids(tmp_path / "first")
        parent = rested(first)
        assert sleeping.exception(WAIT_SECONDS)
        assert not any(is_alive(pid) for pid in left if pid != parent)
        for number in range(2):
            second = make_bench(3)
            assert second.result("fine").result
            assert parent_of(server_of(second)) == parent
            second.submit("sleep", str(tmp_path / f"{number}"))
            started = pids(tmp_path / f"{number}")
            second.executor.close()
            gone = [*started, server_of(second)]
            assert eventually(lambda gone=gone: not any(is_alive(pid) for pid in gone), 5)
        assert is_alive(parent)
    assert eventually(lambda: not is_alive(parent), 5)
    assert parent_of(server_of_a_new(make_bench)) == os.getpid()


def server_of_a_new(make_bench):
    bench = make_bench()
    assert bench.result("fine").result
    return server_of(bench)


def test_a_server_that_was_killed_while_it_rested_is_replaced(make_bench):
    with one_fork_server():
        os.kill(rested(make_bench()), signal.SIGKILL)
        assert parent_of(server_of_a_new(make_bench)) == os.getpid()


@pytest.mark.parametrize("killed", ["the server", "the one that forked it"])
def test_a_killed_server_costs_its_running_attempts_and_is_replaced(make_bench, tmp_path, killed):
    with one_fork_server():
        parent = rested(make_bench())
        bench = make_bench()
        running = bench.submit("sleep", str(tmp_path / "pids"))
        started = pids(tmp_path / "pids")
        os.kill(server_of(bench) if killed == "the server" else parent, signal.SIGKILL)
        assert running.result(WAIT_SECONDS).reason == "killed"
        assert bench.result("fine").result
        assert parent_of(server_of(bench)) == os.getpid()
        assert not any(is_alive(pid) for pid in started)


@pytest.fixture
def _impatient(monkeypatch):
    monkeypatch.setattr(executor, "ANSWER_SECONDS", 1.0)
    monkeypatch.setattr(executor, "GONE_SECONDS", 0.1)


@pytest.mark.usefixtures("_impatient")
def test_a_server_that_does_not_answer_is_replaced(make_bench, tmp_path):
    # Its experiment needs longer to be made ready than the server may be silent.
    bench = make_bench(2, "warms_up_slowly", tasks_per_worker=1)
    running = bench.submit("sleep", str(tmp_path / "pids"))
    _, server, child = pids(tmp_path / "pids")
    os.kill(server, signal.SIGSTOP)
    assert bench.result("fine").result, "its worker was there before; the next one is not"
    assert bench.result("fine").result
    lost = running.result(WAIT_SECONDS)
    assert (lost.reason, lost.error) == ("killed", "the fork server did not answer for 1 s")
    assert not is_alive(server)
    assert eventually(lambda: not is_alive(child), 5)


@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize("stopped", ["the server", "it and the one that forked it"])
def test_a_worker_that_dies_under_a_stopped_server_is_replaced_with_it(
    make_bench, tmp_path, stopped
):
    with one_fork_server():
        parent = rested(make_bench())
        bench = make_bench(1)
        running = bench.submit("sleep", str(tmp_path / "pids"))
        worker, server, child = pids(tmp_path / "pids")
        for pid in [server] if stopped == "the server" else [parent, server]:
            os.kill(pid, signal.SIGSTOP)
        os.kill(worker, signal.SIGKILL)
        assert running.result(WAIT_SECONDS).result is None
        assert bench.result("fine").result
    assert eventually(lambda: not any(map(is_alive, (parent, server, child))), 5)


def test_an_experiment_with_threads_leaves_no_server_to_fork_from(make_bench):
    with one_fork_server():
        bench = make_bench(1, "with_threads")
        assert bench.result("fine").result
        bench.executor.close()
        assert not is_alive(server_of(bench))


def test_an_experiment_that_is_made_ready_once_only_gets_a_new_process(make_bench):
    with one_fork_server():
        parent = rested(make_bench(1, "warms_up_once"))
        bench = make_bench(1, "warms_up_once")
        assert bench.result("fine").result
        assert parent_of(server_of(bench)) == os.getpid()
        assert is_alive(parent)


def test_a_thread_has_a_server_of_its_own(make_bench):
    with one_fork_server(), ThreadPoolExecutor(1) as pool:
        rested(make_bench())
        bench = pool.submit(make_bench).result()
        assert bench.result("fine").result
        assert parent_of(server_of(bench)) == os.getpid()
        pool.submit(bench.executor.close).result()


def test_ctrl_c_while_a_server_comes_to_rest_leaves_none(make_bench, monkeypatch):
    def interrupted(self, wanted, seconds=None):
        raise KeyboardInterrupt

    bench = make_bench()
    assert bench.result("fine").result
    with monkeypatch.context() as patched, one_fork_server():
        patched.setattr(ServerProcess, "answer", interrupted)
        with pytest.raises(KeyboardInterrupt):
            bench.executor.close()
    assert eventually(lambda: not is_alive(server_of(bench)), 5)


def test_what_a_resting_server_has_said_meanwhile_is_not_lost(make_bench):
    with one_fork_server():
        first = make_bench()
        rested(first)
        parent = first.executor._pool._server
        second = make_bench()
        assert second.result("fine").result
        forked = second.executor._pool._server
        forked.control.close()
        assert eventually(lambda: not is_alive(server_of(second)), 5)
        parent._heard += [Started(1), Ended(1, 3)]
        assert parent.answer(lambda one: isinstance(one, Started), 1).pid == 1
        assert forked._process.wait(5) == 0
        assert parent.answer(lambda one: isinstance(one, Ended), 1) == Ended(1, 3)


def test_a_worker_that_began_as_its_server_came_to_rest_is_not_taken_for_the_next_server():
    preload = make_preload(
        f"{misbehaving.__name__}:experiment", None, misbehaving.experiment.prepare(None, 0)
    )
    parent = ServerProcess(preload)
    try:
        assert parent.answer(lambda one: isinstance(one, Preloaded), WAIT_SECONDS)
        channel, theirs = socket.socketpair()
        with channel, theirs, Path(os.devnull).open("wb") as printed:
            parent.ask_for_worker(theirs, printed, {})  # nobody reads that it has started
            assert parent.rest()
        forked = ServerProcess(preload, parent)
        pid = forked._process.pid
        assert is_alive(pid)
        assert parent_of(pid) == parent._process.pid
        forked.end(at_once=True)
        assert not is_alive(pid)
    finally:
        parent.end(at_once=False)


def test_a_forked_server_says_why_an_experiment_cannot_be_made_ready(make_bench):
    with one_fork_server():
        rested(make_bench())
        with pytest.raises(WorkersError, match="RuntimeError: no device"):
            make_bench(1, "unprepared").result("fine")
        assert make_bench().result("fine").result
