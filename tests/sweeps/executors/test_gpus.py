"""Which GPUs a worker sees. No GPU is needed: what is tested is the variable that CUDA reads."""

import pytest

from sweeps.executors.local import gpus
from sweeps.executors.local.gpus import VARIABLE, dealt, visible_gpus
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
def test_the_variable_says_which_gpus_there_are(monkeypatch, listed, found):
    monkeypatch.setenv(VARIABLE, listed)
    assert visible_gpus() == found


def test_without_the_variable_their_device_files_are_counted(monkeypatch, tmp_path):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(gpus, "DEVICES", tmp_path)
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
    monkeypatch.setenv(VARIABLE, "3,GPU-5")
    assert all_seen(make_bench(2, name), {"3 3", "GPU-5 GPU-5"})


def test_the_worker_that_follows_another_sees_the_same_gpu(make_bench, monkeypatch):
    monkeypatch.setenv(VARIABLE, "3,4")
    assert all_seen(make_bench(2, tasks_per_worker=1), {"3 3", "4 4"})


def test_a_single_worker_sees_them_all(make_bench, monkeypatch):
    monkeypatch.setenv(VARIABLE, "3,4")
    assert make_bench(1).result("gpus").result.stop_reason == "3,4 3,4"


@pytest.mark.parametrize(
    ("own", "expected"), [({}, "true false"), ({"PREALLOCATE": "true"}, "true true")]
)
def test_workers_take_the_memory_of_a_gpu_as_they_need_it_unless_the_user_says_otherwise(
    make_bench, monkeypatch, own, expected
):
    monkeypatch.delenv("TF_FORCE_GPU_ALLOW_GROWTH", raising=False)
    monkeypatch.delenv("XLA_PYTHON_CLIENT_PREALLOCATE", raising=False)
    for name, value in own.items():
        monkeypatch.setenv(f"XLA_PYTHON_CLIENT_{name}", value)
    assert make_bench(1).result("memory of gpus").result.stop_reason == expected
