import pytest

from benchmarks import intervals
from tests.chance import at_least, at_most

DRAWS = 100


def test_it_tells_equal_finalists_from_better_ones():
    rows = {row["method"]: row for row in intervals.measure(20, DRAWS)}
    ours, corrected = rows["crossed"], rows["corrected t"]
    for chance in ("false", "unequal"):
        assert ours[chance] * DRAWS <= at_most(0.05, DRAWS)
    for row in rows.values():
        assert row["covers"] == pytest.approx(1 - row["false"]), "one and the same interval"
    for lead in ("two", "six"):
        assert ours[lead] * DRAWS >= at_least(0.8, DRAWS)
        assert corrected[lead] * DRAWS <= at_most(0.5, DRAWS)
    result = {"draws": DRAWS, "samples": 4000, "folds": 4, "rows": list(rows.values())}
    assert intervals.table(result).count("| 20 |") == 2
