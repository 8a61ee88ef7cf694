"""Advice measured against a base, under the same seeds."""

import argparse

import pytest

from benchmarks import advice
from digitexp.config import TrialConfig


@pytest.mark.parametrize("one", advice.ADVICE, ids=lambda one: one.name)
def test_every_piece_of_advice_is_a_configuration_and_changes_something(one):
    base = {**advice.TUTORIAL, **one.base}
    if base.get("architecture") == "cnn":
        base.pop("units_2")
    before = TrialConfig.from_params(base)
    assert TrialConfig.from_params({**base, **one.advised}) != before


@pytest.mark.nightly
@pytest.mark.tensorflow
def test_gain_and_time_are_those_of_the_same_seeds():
    options = argparse.Namespace(seeds=2, epochs=2, only="third hidden", json=True)
    result = advice.run(options)
    (row,) = result["rows"]
    low, high = row["epoch_time_range"]
    assert low <= row["epoch_time"] <= high
    assert sum(row["gains"]) < 0  # deeper nets learn more slowly: two epochs are not enough
    assert "a third hidden layer" in advice.table(result)


def test_a_name_that_is_not_there_is_said():
    with pytest.raises(RuntimeError, match="nothing is named like 'xyz'"):
        advice.run(argparse.Namespace(seeds=1, epochs=1, only="xyz", json=True))


def test_the_worst_class_is_that_of_the_first_training():
    told = {"images": [10, 20, 10], "right_before": [9, 10, 8], "right_after": [5, 14, 10]}
    assert advice._worst_class(told) == pytest.approx(20.0)


def test_the_interval_of_one_row_among_many_is_wider():
    gains = [0.1, 0.5, 0.9, 0.6, 0.4]
    alone, among = (advice.mean_and_half_width(gains, rows) for rows in (1, 18))
    assert alone == pytest.approx((0.5, 0.3620), abs=1e-4)  # 2.776 standard errors
    assert among == pytest.approx((0.5, 0.8566), abs=1e-4)  # 6.570 of them: t at 1 - 0.025 / 18
    row = {"advice": "x", "epoch_time": 1.0, "epoch_time_range": [1.0, 1.0], "gains": gains,
           "worst_class_gains": []}  # fmt: skip
    assert "| better |" in advice.table({"seeds": 5, "rows": [row]})
    assert "| not to be told |" in advice.table({"seeds": 5, "rows": [row] * 18})
