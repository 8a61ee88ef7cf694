"""The observer of a long sweep, and what counts as growth."""

from __future__ import annotations

import os

import pytest

from benchmarks import __main__ as program
from benchmarks import memory
from benchmarks.memory import Observer
from sweeps.journal import Asked, Journal
from tests.sweeps.factories import make_record


def test_the_observer_looks_once_a_quarter_and_last_before_the_end(tmp_path):
    observer = Observer(tmp_path / "sweeps", 100)
    journal = Journal(tmp_path / "sweeps" / "20260101-00000000")
    journal.path.parent.mkdir(parents=True)
    for trial in range(100):
        observer(os.getpid())
        asked = Asked(trial=trial, attempt=1, params={}, origin="sampled")
        journal.append(asked, make_record(trial))
    observer(os.getpid())
    assert {moment: seen["trials"] for moment, seen in observer.moments.items()} == {
        "start": 1,
        "quarter": 25,
        "half": 50,
        "end": 99,
    }
    coordinator = observer.moments["half"]["processes"][0]
    assert coordinator["pid"] == os.getpid()
    assert coordinator["resident_mb"] > 10
    assert coordinator["descriptors"] >= 3


@pytest.mark.parametrize(
    ("megabytes", "descriptors", "verdict"),
    [(140.0, 28, "bounded"), (160.0, 20, "GROWS"), (100.0, 29, "GROWS")],
)
def test_growth_is_judged_by_the_largest_process_of_a_role(megabytes, descriptors, verdict):
    def moment(*rows: tuple[float, int]) -> dict:
        keys = ("resident_mb", "descriptors")
        return {
            "trials": 1,
            "processes": [
                {"role": "coordinator", "pid": 1, **dict(zip(keys, r, strict=True))} for r in rows
            ],
        }

    moments = {
        "quarter": moment((100.0, 20), (50.0, 9)),
        "end": moment((megabytes, descriptors), (50.0, 9)),
    }
    result = {"trials": 1, "epochs": 1, "wall_seconds": 1.0, "moments": moments}
    lines = memory.table(result).splitlines()
    assert verdict in lines[-3]
    assert lines[-1] == "worker: none at a quarter or at the end"


@pytest.mark.nightly
@pytest.mark.tensorflow
def test_memory_sees_the_processes_of_a_real_sweep():
    options = program._parser().parse_args(["memory", "--trials", "8", "--epochs", "1"])
    moments = memory.run(options)["moments"]
    assert next(iter(moments)) == "start"
    for seen in moments.values():
        assert seen["processes"][0]["role"] == "coordinator"
        assert seen["processes"][0]["resident_mb"] > 50
