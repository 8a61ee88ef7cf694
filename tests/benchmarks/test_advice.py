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
    assert row["gain"][0] < 0  # deeper nets learn more slowly: two epochs are not enough
    assert "a third hidden layer" in advice.table(result)


def test_a_name_that_is_not_there_is_said():
    with pytest.raises(RuntimeError, match="nothing is named like 'xyz'"):
        advice.run(argparse.Namespace(seeds=1, epochs=1, only="xyz", json=True))


def test_the_worst_class_is_that_of_the_first_training():
    told = {"images": [10, 20, 10], "right_before": [9, 10, 8], "right_after": [5, 14, 10]}
    assert advice._worst_class(told) == pytest.approx(20.0)
