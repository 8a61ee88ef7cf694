"""How the fork server makes an experiment ready, and what is said when it cannot."""

import pytest

from sweeps.errors import WorkersError
from sweeps.executors.local.executor import WorkersExecutor
from sweeps.executors.preloading import make_preload, read_preload
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
    assert bench.result("kill").reason == "crash"
    future = bench.submit("sleep", str(tmp_path / "pids"))
    started = pids(tmp_path / "pids")
    bench.executor.close()
    assert future.exception(WAIT_SECONDS)
    assert eventually(lambda: not any(is_alive(pid) for pid in started), 5)


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
        from sweeps.experiment import TrialSpec

        spec = TrialSpec("s", 0, 1, 0, {"act": "fine"})
        assert executor.submit(spec).result(WAIT_SECONDS).result
    finally:
        executor.close()
