"""What a second worker is worth: the table, and a small measurement for real."""

from __future__ import annotations

import argparse

import pytest

from benchmarks import workers


def test_the_table_has_both_ratios_of_each_round():
    rows = [{"sweep": [2.0, 3.5], "bare": [2.25, 4.0]}, {"sweep": [2.0, 3.0], "bare": [2.0, 3.5]}]
    ratios = {"sweep": [1.75, 1.5], "bare": [1.78, 1.75]}
    text = workers.table({"trials": 80, "rows": rows, "ratios": ratios})
    assert "| workers of a sweep | 2.00, 2.00 | 3.50, 3.00 | 1.75, 1.50 |" in text
    assert "| bare processes | 2.25, 2.00 | 4.00, 3.50 | 1.78, 1.75 |" in text


@pytest.mark.nightly
@pytest.mark.tensorflow
def test_sweeps_and_bare_processes_are_measured():
    result = workers.run(argparse.Namespace(trials=16, repeats=1))
    (row,) = result["rows"]
    assert all(per_second > 0 for kind in ("sweep", "bare") for per_second in row[kind])
    assert result["ratios"]["bare"] == [row["bare"][1] / row["bare"][0]]
