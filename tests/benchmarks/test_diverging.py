"""Diverged trials teach the sampler where not to look; the benchmark that shows it."""

import argparse
import math

import pytest

from benchmarks import diverging


@pytest.mark.parametrize(("rate", "diverges"), [(1e-5, False), (1e-3, False), (1.01e-3, True)])
def test_half_of_the_learning_rates_diverge(rate, diverges):
    score = diverging.score_of({"learning_rate": rate, "units_1": 64, "dropout": 0.2})
    assert math.isnan(score) == diverges


def test_the_share_is_of_the_trials_after_the_first_forty():
    rates = [1.0] * 40 + [1.0, 1e-4, 1e-4, 1e-4]
    assert diverging.diverging_share(rates) == 0.25


def test_the_table_says_whether_the_limit_is_kept():
    shares = {"ours, ask_ahead 1": [0.05, 0.13], "random": [0.5, 0.5]}
    result = {"seeds": 2, "trials": 100, "shares": shares}
    assert diverging.table(result).endswith("ours at most 9.0% (below 10%: kept)")
    shares["ours, ask_ahead 8"] = [0.1, 0.1]
    assert "missed" in diverging.table(result)


@pytest.mark.slow
@pytest.mark.nightly
def test_a_sweep_learns_where_trials_diverge_and_stock_optuna_does_not(make_home):
    ours = diverging.ours(str(make_home()), 0, 60, ask_ahead=8)
    assert diverging.diverging_share(ours) <= 0.15  # ten seeds of 100 trials: below 0.1
    assert diverging.diverging_share(diverging.stock(0, 60, 1)) > 0.5


def test_too_few_trials_to_learn_from_are_refused():
    with pytest.raises(RuntimeError, match="--trials 40: more than 40 are needed"):
        diverging.run(argparse.Namespace(trials=40, seeds=1))
