"""Which GPUs a worker sees. No GPU is needed: what is tested is the variable that CUDA reads."""

import pytest

from sweeps.executors import preloading
from sweeps.executors.local.executor import WorkerHandle
from sweeps.executors.preloading import SHARING, VISIBLE_GPUS, dealt, environments, visible_gpus
from tests.sweeps.executors.conftest import WAIT_SECONDS, eventually

pytestmark = pytest.mark.usefixtures("measure_children")


@pytest.mark.parametrize(
    ("listed", "found"),
    [
        ("0,1", ["0", "1"]),
        ("2", ["2"]),
        (" GPU-8932f937 , MIG-1 ", ["GPU-8932f937", "MIG-1"]),
        ("1,-1,2", ["1"]),
        ("-1", []),
        ("", []),
    ],
)
def test_the_variable_says_which_gpus_there_are(monkeypatch, tmp_path, listed, found):
    monkeypatch.setattr(preloading, "DEVICES", tmp_path)
    monkeypatch.setenv(VISIBLE_GPUS, listed)
    assert visible_gpus() == found


def test_a_number_that_no_gpu_has_ends_the_list_as_it_does_for_cuda(monkeypatch, tmp_path):
    monkeypatch.setattr(preloading, "DEVICES", tmp_path)
    monkeypatch.setenv(VISIBLE_GPUS, "1,GPU-5,2,0")
    for name in ("nvidia0", "nvidia1", "nvidiactl"):
        (tmp_path / name).touch()
    assert visible_gpus() == ["1", "GPU-5"]


def test_without_the_variable_their_device_files_are_counted(monkeypatch, tmp_path):
    monkeypatch.delenv(VISIBLE_GPUS, raising=False)
    monkeypatch.setattr(preloading, "DEVICES", tmp_path)
    assert visible_gpus() == []
    for name in ("nvidia0", "nvidia3", "nvidiactl", "nvidia-uvm", "null"):
        (tmp_path / name).touch()
    assert visible_gpus() == ["0", "1"], "CUDA counts those that it finds"


@pytest.mark.parametrize(
    ("workers", "seen"),
    [
        (1, [None]),
        (2, ["0,2", "1"]),
        (3, ["0", "1", "2"]),
        (5, ["0", "1", "2", "0", "1"]),
    ],
)
def test_gpus_are_dealt_out_evenly(workers, seen):
    assert dealt(["0", "1", "2"], workers) == seen
    assert dealt(["0"], workers) == dealt([], workers) == [None] * workers


def all_seen(bench, expected):
    """Whether the workers see this, and nothing else; the first may be busy before the others."""
    seen = set()

    def is_seen():
        attempts = [bench.submit("gpus") for _ in range(8)]
        seen.update(one.result(WAIT_SECONDS).result.stop_reason for one in attempts)
        return seen >= expected

    return eventually(is_seen) and seen == expected


@pytest.mark.parametrize("name", ["experiment", "with_threads"], ids=["forked", "spawned"])
def test_each_worker_and_what_it_starts_see_a_gpu_of_their_own(make_bench, monkeypatch, name):
    monkeypatch.setenv(VISIBLE_GPUS, "3,GPU-5")
    assert all_seen(make_bench(2, name), {"3 3", "GPU-5 GPU-5"})


def test_the_workers_of_one_handle_see_the_same_gpu(monkeypatch):
    asked = []

    class Server:
        def ask_for_worker(self, channel, printed, environment):
            asked.append(environment[VISIBLE_GPUS])

    monkeypatch.setenv(VISIBLE_GPUS, "3,4")
    handles = [WorkerHandle(own) for own in environments(3)]
    for _ in range(3):
        for handle in handles:
            handle.ask(Server())
            handle.clear()
    assert asked == ["3", "4", "3"] * 3


def test_a_single_worker_sees_them_all(make_bench, monkeypatch):
    monkeypatch.setenv(VISIBLE_GPUS, "3,4")
    assert make_bench(1).result("gpus").result.stop_reason == "3,4 3,4"


def test_bytes_that_are_no_text_are_handed_on(make_bench, monkeypatch):
    monkeypatch.setenv(VISIBLE_GPUS, "3\udcff,4")
    assert make_bench(2).result("fine").result


@pytest.mark.parametrize(
    ("workers", "gpus", "own", "told"),
    [
        (3, "0,1", {}, "true false"),
        (2, "0", {}, "true false"),
        (2, "", {}, "true false"),  # there may be some that only PyTorch or JAX knows of
        (2, "0", {"XLA_PYTHON_CLIENT_PREALLOCATE": "true"}, "true true"),
        (2, "0,1", {}, "- -"),
        (1, "", {}, "- -"),
    ],
)
def test_workers_that_may_share_a_gpu_take_its_memory_as_they_need_it(
    make_bench, monkeypatch, workers, gpus, own, told
):
    for name in SHARING:
        monkeypatch.delenv(name, raising=False)
    for name, value in {VISIBLE_GPUS: gpus, **own}.items():
        monkeypatch.setenv(name, value)
    assert make_bench(workers).result("memory of gpus").result.stop_reason == told
