"""Sweeps with a budget: one measured for real, and the table."""

from __future__ import annotations

import argparse

import pytest

from benchmarks import budgets


def test_the_table_says_whether_a_budget_was_kept():
    row = {"space": "mlp", "budget": 180.0, "seconds": 197.0, "complete": 90}
    quoted = {"finalists": 5, "folds": 20, "champion": "trial-7", "quoted": [0.95, 0.943, 0.957]}
    rows = [row | quoted, row | {"seconds": 199.0}, row | {"seconds": 161.0}]
    first, second, third = budgets.table({"rows": rows}).splitlines()[2:]
    assert first == (
        "| mlp | 3 min 00 s | 3 min 17 s (+9%: kept) | 90 | 5 on 20 folds: trial-7 "
        "| 95.0 (94.3 to 95.7) |"
    )
    assert "3 min 19 s (+11%: missed) | 90 | not confirmed |" in second
    assert "-11%: missed" in third


@pytest.mark.nightly
def test_a_budget_is_measured():
    (row,) = budgets.run(argparse.Namespace(cases=["smoke=20s"]))["rows"]
    assert row["complete"] >= 2
    assert row["seconds"] > 0
    assert "quoted" not in row, "smoke is not confirmed by itself"
