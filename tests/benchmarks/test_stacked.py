"""Several nets in one graph: the table, and a small measurement for real."""

from __future__ import annotations

import argparse

import pytest

from benchmarks import stacked


def test_the_table_says_how_many_times_faster_each_net_is():
    times = {"1": 100.0, "2": 80.0, "4": 60.0, "8": 50.0}
    row = {"units": [25, 15], "batch": 32, "ours": 120.0, "stacked": times}
    row["gains"] = {nets: 100.0 / time for nets, time in times.items()}
    text = stacked.table({"rows": [row]})
    assert "| 25-15, 32 | 120 | 100 (1.00) | 80 (1.25) | 60 (1.67) | 50 (2.00) |" in text


@pytest.mark.nightly
def test_nets_are_measured_alone_and_together():
    (row,) = stacked.run(argparse.Namespace(rounds=1, epochs=1, shapes=1))["rows"]
    assert row["ours"] > 0
    assert list(row["stacked"]) == list(row["gains"]) == ["1", "2", "4", "8"]
    assert all(time > 0 for time in row["stacked"].values())
