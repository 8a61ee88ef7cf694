"""Searches on a clock: when trials end with several workers, and what is chosen by then."""

import argparse

import numpy as np
import pytest

from benchmarks import anytime
from benchmarks.tables.seconds import ends
from tests.benchmarks.test_stopping import table  # noqa: F401 - a fixture


def test_one_worker_trains_one_after_the_other():
    assert ends([3, 1, 2], 1, 1).tolist() == [3, 4, 6]
    assert ends([3, 1, 2], 8, 1).tolist() == [3, 4, 6], "more in flight, but no more workers"


def test_a_trial_waits_for_a_worker_and_for_the_trials_that_it_sees():
    assert ends([4, 1, 1, 1], 8, 2).tolist() == [4, 1, 2, 3], "the second worker goes on alone"
    # Two in flight: trial 2 sees trial 0, which ends at 4, and trial 3 sees trial 1.
    assert ends([4, 1, 1, 1], 2, 8).tolist() == [4, 1, 5, 5]
    assert ends([4, 1, 1, 1], 2, 2).tolist() == [4, 1, 5, 5]


def test_what_is_chosen_is_the_least_shown_by_the_trials_that_have_ended(table):  # noqa: F811
    rows = np.array([60, 24, 0])
    clock = np.array([5.0, 9.0, 2.0])
    found = anytime._regrets_at(table, rows, clock, np.array([1.0, 2.0, 6.0, 9.0]), seed=0)
    worth = anytime.regrets(table, rows, "of the median")
    assert found[0] == 1.0, "nothing has ended: an average one"
    assert found[1] == worth[2]
    assert found[3] == worth[1], "row 24 is the best"


def test_more_workers_are_compared_at_the_seconds_of_one(table, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr(anytime, "load", lambda task, cache: table)
    monkeypatch.setattr(anytime, "load_seconds", lambda one, cache: np.full(80, 2.0))
    given = {"seeds": 2, "trials": 25, "tasks": ["small"], "cache": tmp_path}
    found = anytime.run(argparse.Namespace(**given))
    assert [row["trials"] for row in found["rows"]] == [10, 20] * 3
    assert [row["workers"] for row in found["rows"][::2]] == [1, 2, 8]
    one, two, eight = found["rows"][1::2]
    assert one["reference"] == two["reference"] == eight["reference"]
    assert [row["faster"] for row in (one, two, eight)] == pytest.approx([1, 25 / 13, 25 / 4])
    assert "| 8 | 20 | " in anytime.table(found)
