import argparse

import pytest

from benchmarks import parts
from tests.chance import at_least


@pytest.mark.slow
def test_intervals_hold_the_truth_and_the_table_says_how_often():
    result = parts.run(argparse.Namespace(draws=12))
    covers = {row["interval"]: row["covers"] for row in result["rows"]}
    assert set(covers) == {"total", "seed", "epoch", "samples", "nll", "ece"}
    assert all(share * 12 >= at_least(0.93, 12) for share in covers.values())
    assert "| samples |" in parts.table(result)


def test_it_fails_where_an_interval_covers_too_seldom():
    rows = [{"interval": "samples", "covers": 0.86}, {"interval": "seed", "covers": 0.94}]
    assert parts.failures({"draws": 400, "rows": rows}) == ["samples covers 0.86"]
