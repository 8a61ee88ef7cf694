import pytest

from benchmarks import intervals


def test_it_counts_what_the_verdict_says_and_prints_limits():
    row = intervals.measure("normal", 2, 20, 20)
    assert row["seen"] >= 0.4
    assert row["false"] + row["missed"] <= 0.2
    assert row["covered"] >= 0.8
    result = {"draws": 20, "folds": 20, "samples": 4000, "rows": [row]}
    assert intervals.table(result).count("| 2 | normal |") == 1


@pytest.mark.parametrize(
    ("luck", "false", "fails"),
    [("normal", 0.05, False), ("normal", 0.08, True), ("rare bad in one", 0.07, False)],
)
def test_it_fails_where_errors_are_more_frequent_than_promised(luck, false, fails):
    row = {"luck": luck, "finalists": 2, "false": false, "missed": 0.0}
    assert bool(intervals.failures({"draws": 2000, "rows": [row]})) == fails
