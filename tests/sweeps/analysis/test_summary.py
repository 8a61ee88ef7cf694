import json
import subprocess
import sys
from dataclasses import replace

from sweeps.analysis.summary import summarize
from tests.sweeps.render.builders import record, sweep_info

RECORDS = [
    record(0, 0.91, origin="baseline tutorial"),
    record(1, outcome="failed", origin="baseline wide", error="\nMemoryError: no\n  at y"),
    record(2, 0.94),
    record(3, outcome="diverged"),
    record(4, outcome="diverged"),
    record(5, outcome="pruned"),
    record(6, outcome="interrupted"),
]


def summary_of(records=RECORDS, **changes):
    values = {"asked": 10, "seconds": 12.5, "stopped_by": "timeout"} | changes
    pending = values.pop("pending", 0)
    return replace(summarize(sweep_info(), records, **values), tracking_pending=pending)


def test_trials_are_counted_by_state():
    summary = summary_of()
    assert summary.counts == {"COMPLETE": 2, "PRUNED": 1, "FAILED": 3, "WAITING": 1}
    assert (summary.done, summary.asked) == (6, 10)


def test_failures_are_counted_by_reason_with_the_first_error():
    summary = summary_of()
    assert list(summary.failures.items()) == [("diverged", 2), ("error", 1)]
    assert summary.first_error == "MemoryError: no"


def test_the_best_trial_is_compared_with_the_best_complete_baseline():
    summary = summary_of([*RECORDS, record(7, 0.92, origin="baseline deep")])
    assert summary.best is not None
    assert summary.reference is not None
    assert (summary.best.trial, summary.reference.trial) == (2, 7)
    assert [row.baseline for row in summary.baselines] == ["tutorial", "wide", "deep"]


def test_a_sweep_without_records_has_neither_best_nor_failures():
    summary = summary_of([], stopped_by=None)
    assert (summary.best, summary.reference, summary.done) == (None, None, 0)
    assert (dict(summary.failures), summary.first_error) == ({}, None)
    assert json.loads(json.dumps(summary.to_dict()))["best"] is None


def test_the_dictionary_is_json_and_says_that_nothing_is_confirmed():
    values = json.loads(
        json.dumps(summary_of(pending=2, time_split={"training": 9.0}).to_dict(), allow_nan=False)
    )
    assert values["status"] == "best observed, not confirmed"
    assert values["best"]["params"] == {"learning_rate": 0.001, "units_1": 25}
    assert [row["trial"] for row in values["baselines"]] == [0, 1]
    assert (values["done"], values["tracking_pending"]) == (6, 2)
    assert (values["stopped_by"], values["time_split"]) == ("timeout", {"training": 9.0})


def test_reading_results_imports_no_heavy_library():
    code = (
        "import sys, sweeps.progress, sweeps.analysis.summary, sweeps.analysis.table,"
        "sweeps.render.markdown, sweeps.analysis.summary;"
        "print([m for m in ('tensorflow', 'mlflow', 'pandas', 'rich') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
