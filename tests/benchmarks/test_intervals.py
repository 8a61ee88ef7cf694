import argparse

import numpy as np
import pytest

from benchmarks import intervals
from benchmarks.finalists import ACCURACY, AREA, LUCKS, TRUTHS, real_seeds, simulated
from benchmarks.intervals import Case
from tests.chance import at_most


def test_it_counts_what_the_verdict_says_and_prints_limits(tmp_path, monkeypatch):
    asked = {"draws": 20, "leads": 20, "peeking": 4, "luck": ["normal"], "finalists": [2]}
    result = intervals.run(argparse.Namespace(**asked, cache=tmp_path))
    row, small = result["rows"]
    assert (row["samples"], small["samples"]) == (4000, 200)
    assert row["seen"] >= 0.4
    assert row["false"] + row["missed"] + row["wrong"] <= 0.2
    assert row["covered"] >= 0.8
    assert row["false at any look"] <= at_most(0.05, 4) / 4
    assert intervals.table(result).count("| 2 | 4000 | 8 | normal |") == 1
    monkeypatch.delattr(intervals, "simulated")
    assert intervals.run(argparse.Namespace(**asked, cache=tmp_path)) == result, "kept, not drawn"
    with pytest.raises(NameError):
        intervals.run(argparse.Namespace(**{**asked, "draws": 21}, cache=tmp_path))


def test_there_are_no_more_rows_than_can_be_read():
    assert len(intervals.CASES) <= 30


def test_of_six_the_best_two_and_the_baseline_are_left_after_the_first_folds():
    outcomes = simulated(np.random.default_rng(5), [0, 20, 0, 20, 0, -20], 6, 20)
    left, own, others = intervals.left_of(outcomes, Case("normal", 6))
    assert [one.label for one in left] == ["trial-1", "trial-3", "baseline-first"]
    np.testing.assert_array_equal(own.scores, outcomes.scores[[1, 3, 5]])
    assert [one.finalist for one in others] == ["trial-0", "trial-2", "trial-4"]
    left, own, _ = intervals.left_of(outcomes, Case("normal", 6, 20))
    assert (len(left), own.finalists) == (6, 6)


@pytest.mark.parametrize("luck", LUCKS)
def test_finalists_that_are_to_be_equal_are(luck):
    random = np.random.default_rng(5)
    scores = [simulated(random, 0, 2, 20, luck=luck).by_fold.mean(axis=1) for _ in range(40)]
    apart = np.diff(scores, axis=1)
    assert abs(apart.mean()) < 4 * apart.std() / np.sqrt(len(apart))
    assert np.mean(scores) == pytest.approx(TRUTHS.get(luck, ACCURACY), abs=0.01)


def test_real_seeds_have_the_spread_that_was_measured():
    assert 0.002 < real_seeds().std() < 0.01
    assert real_seeds().mean() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("luck", "false", "fails"),
    [("normal", 0.05, False), ("normal", 0.08, True), ("rare bad in one", 0.07, False)],
)
def test_it_fails_where_errors_are_more_frequent_than_promised(luck, false, fails):
    errors = ("missed", "wrong", "false at any look", "missed at any look")
    row = {
        "luck": luck,
        "finalists": 2,
        "first": 8,
        "samples": 4000,
        "false": false,
        "covered": 0.8,
    }
    row |= dict.fromkeys(errors, 0.0)
    result = {"draws": 2000, "leads": 200, "peeking": 2000}
    assert bool(intervals.failures({**result, "rows": [row]})) == fails
    other = {**row, "first": 20, "false": 0.0}
    assert bool(intervals.failures({**result, "rows": [row, other]})) == fails, "each row"
    later = {**row, "false": 0.0, "missed at any look": false}
    assert bool(intervals.failures({**result, "rows": [later]})) == fails


@pytest.mark.parametrize(
    ("luck", "covered", "fails"),
    [("normal", 0.93, False), ("normal", 0.9, True), (AREA, 0.92, False), (AREA, 0.9, True)],
)
def test_it_fails_where_intervals_of_few_samples_cover_less_than_promised(luck, covered, fails):
    errors = ("false", "missed", "wrong", "false at any look", "missed at any look")
    row = {"luck": luck, "finalists": 2, "first": 8, "samples": 200, "covered": covered}
    result = {"draws": 1000, "leads": 200, "peeking": 0}
    assert bool(intervals.failures({**result, "rows": [row | dict.fromkeys(errors, 0.0)]})) == fails
