from benchmarks import intervals


def test_it_tells_equal_finalists_from_better_ones():
    rows = {row["method"]: row for row in intervals.measure(20, draws=20)}
    ours = rows["crossed"]
    assert ours["false"] <= 0.2
    assert ours["two"] > rows["corrected t"]["two"]
    result = {"draws": 20, "images": 4000, "folds": 4, "rows": list(rows.values())}
    assert intervals.table(result).count("| 20 |") == 2
