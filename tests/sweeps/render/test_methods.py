"""The paragraph for a paper: every sentence has its fact, and nothing is said without one."""

import dataclasses
import math

import pytest
from msgspec.structs import replace

from sweeps.confirm.intervals import MANY_SAMPLES, pool_factor
from sweeps.errors import UsageError
from sweeps.interval import Interval
from sweeps.records.conclusions import AtEvaluation, Judged
from sweeps.records.conclusions import TestConclusion as OnTestSet
from sweeps.records.conclusions import TestedFinalist as FinalistOnTestSet
from sweeps.render.methods import latex, methods
from tests.sweeps.render.builders import sweep_info
from tests.sweeps.render.test_answer import BEHIND, BIAS, CALIBRATION, LEADER, OPEN, verdict

INFO = sweep_info(
    fingerprint={"seed": 7, "sampler": {"name": "tpe"}, "pruner": {"name": "none"}},
    data={"name": "digits20", "digest": "ab" * 32},
    experiment_name="digits",
)
VERDICT = verdict(
    LEADER, OPEN, BEHIND, margin=0.006, looks=[20],
    quotable=Interval(0.944, 0.938, 0.951), quotable_bias=0.0017,
)  # fmt: skip


def test_it_says_the_factor_of_few_samples_as_it_is():
    one_e_fewer = round(MANY_SAMPLES / math.e)
    more = pool_factor(one_e_fewer) - 1
    said = f"n < {MANY_SAMPLES} samples times 1 + {more:.1g} ln({MANY_SAMPLES} / n)"
    assert said in methods(INFO, [VERDICT])


def test_it_says_estimand_numbers_seed_budget_and_selection():
    said = methods(INFO, [VERDICT, BIAS, CALIBRATION])
    for part in (
        "Hyperparameters of digits on digits20 (SHA-256 abababababab) were searched by tpe (seed "
        "7): 20 trials, each trained once and scored by best_val_accuracy on one validation set.",
        "The best 2 configurations of the search and 1 baseline were trained again on the same 20 "
        "folds (4-fold cross-validation, repeated 5 times",
        "The estimand is the accuracy of a configuration on new samples",
        "at 20 folds, numbers that were fixed beforehand",
        "trial-16 against baseline-tutorial: +1.40 points (+0.90 to +1.90).",
        "trial-16 was chosen; its accuracy is 94.40 % (93.80 to 95.10), corrected by 0.17 points "
        "for its selection on these folds.",
        "a selection bias of +0.83 points (+0.10 to +1.60).",
        "(geometric mean 1.30).",
        "The test set was not used.",
    ):
        assert part in said, said
    for absent in (
        "random search",
        "other data",
        "diverged",
        "pruner",
        "Left out",
        "sweeps, which",
    ):
        assert absent not in said


def test_it_says_what_the_first_points_were_learned_from():
    taught = {**INFO.fingerprint, "learn_from": {"name": "home", "digest": "ef" * 32}}
    said = methods(dataclasses.replace(INFO, fingerprint=taught), [VERDICT])
    assert "points that had been good on other data (learned from home)." in said


def test_random_searches_lost_trainings_use_of_the_data_and_the_test_set_are_said():
    control = replace(OPEN, finalist="control-4")
    lost = replace(BEHIND, diverged=2, failed=1)
    found = replace(
        VERDICT, standings=[LEADER, control, lost], control_trials=20, left_out=["trial-3"],
        judged=Judged(14, 3, True),
    )  # fmt: skip
    at = AtEvaluation(2, 2, "cd" * 32, "2026-01-02", "a mistake", True)
    share = Interval(0.941, 0.936, 0.946)
    finalists = [
        FinalistOnTestSet("champion", "trial-16", share, None),
        FinalistOnTestSet("baseline", "baseline-tutorial", share, Interval(0.01, 0.005, 0.015)),
    ]
    said = methods(INFO, [found, OnTestSet(at, 20, 10_000, finalists, None, None)])
    for part in (
        "The best 1 configuration of the search, 1 baseline and the best of 1 random search of 20 "
        "trials were",
        "3 of 60 trainings diverged or failed and count",
        "Left out by hand: trial-3.",
        "judged 14 finalists of 3 sweeps, which no interval allows for",
        "Test-set evaluation 2 of 2 (reason for evaluating again: a mistake): trial-16 recognised "
        "94.10 % (93.60 to 94.60) of 10000 samples, mean of 20 trainings; the models were fixed",
        "Its lead over baseline-tutorial: +1.00 points (+0.50 to +1.50).",
    ):
        assert part in said, said


def test_a_sweep_without_a_confirmation_has_nothing_to_state():
    with pytest.raises(UsageError, match="first: `sweeps confirm mlp`"):
        methods(INFO, [BIAS])


def test_as_latex_nothing_is_a_command_or_a_comment():
    assert latex("a_b & 94.4 % {x} #1 $2 ~ ^ \\ 50%") == (
        r"a\_b \& 94.4\,\% \{x\} \#1 \$2 \textasciitilde{} \textasciicircum{} \textbackslash{} 50\%"
    )
