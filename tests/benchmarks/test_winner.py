import pytest

from benchmarks.winner import gain_over, table


def test_a_gain_is_told_from_chance_seed_by_seed():
    gain = gain_over([0.95, 0.94, 0.96], [0.93, 0.92, 0.94])
    assert gain.ends == pytest.approx((0.02, 0.02))
    assert gain_over([0.95, 0.91, 0.96], [0.93, 0.94, 0.94]).low < 0


def test_the_table_says_whether_it_is_beyond_chance():
    values = {"best observed": [0.95, 0.94, 0.96], "baseline slow": [0.93, 0.93, 0.93]}
    said = table({"metric": "accuracy", "sweep": "mlp", "trial": 3, "values": values})
    assert "gain over baseline slow: 0.0200 (95 %: -0.0048 to 0.0448), not beyond chance" in said
