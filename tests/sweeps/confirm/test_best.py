"""Comparisons with the best against simulations whose truth is known."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from benchmarks.finalists import ACCURACY, AREA, simulated
from sweeps.confirm import best
from sweeps.confirm.best import (
    AS_GOOD_AT_FIRST,
    LEVEL,
    LOOKS,
    TESTED,
    Joint,
    Selection,
    _with_more,
    all_claims,
    claims_at,
    folds_that_count,
    nominal,
    outlying_folds,
    quotable,
    single_level,
    spent,
)
from sweeps.confirm.finalists import Scored
from sweeps.confirm.intervals import Outcomes, crossed_difference, crossed_mean, pool_factor
from tests.chance import at_least, at_most


def test_the_joint_covariance_gives_every_difference_its_crossed_error():
    outcomes = simulated(np.random.default_rng(0), 0.5, 4, 20, sizes=(900, 1100, 1000, 1000))
    joint = Joint.of(outcomes)
    for first in range(4):
        own = crossed_mean(outcomes, first)
        assert joint.means[first] == pytest.approx(own.value)
        assert joint.estimates[first].error == pytest.approx(own.error)
        for second in range(first):
            one = crossed_difference(outcomes, first, second)
            assert joint.errors[first, second] == pytest.approx(one.error)
            assert joint.freedom[first, second] == pytest.approx(one.freedom)
            fixed = one.of_samples - one.of_noise
            assert joint.fixed[first, second] == pytest.approx(fixed)
    assert np.linalg.eigvalsh(joint.covariance).min() > -1e-12


@pytest.mark.parametrize(("pool", "factor"), [(4000, 1.0), (8000, 1.0), (1000, 1.139), (200, 1.3)])
def test_with_few_samples_errors_allow_for_what_their_pool_trains(pool, factor):
    outcomes = simulated(np.random.default_rng(0), 0.5, 2, 20, sizes=(pool // 4,) * 4)
    joint = Joint.of(outcomes)
    assert pool_factor(pool) == pytest.approx(factor, abs=0.001)
    plain = crossed_difference(outcomes, 0, 1)
    assert joint.errors[0, 1] == pytest.approx(factor * plain.error, rel=0.001)
    assert joint.fixed[0, 1] == pytest.approx(
        factor**2 * (plain.of_samples - plain.of_noise), rel=0.002
    )
    of_mean = crossed_mean(outcomes, 0)
    assert joint.estimates[0].error == pytest.approx((1 + factor) / 2 * of_mean.error, rel=0.001)
    numbers = Outcomes(outcomes.by_fold[:, :, None], None)
    alone = crossed_difference(numbers, 0, 1)
    assert Joint.of(numbers).errors[0, 1] == pytest.approx(alone.error), "it is corrected already"


@pytest.mark.parametrize(("correlation", "count"), [(0.0, 3), (0.5, 5), (0.9, 2)])
def test_the_largest_of_correlated_tests_has_the_level_asked_for(correlation, count):
    covariance = np.full((count, count), correlation) + (1 - correlation) * np.eye(count)
    critical = stats.norm.isf(single_level(covariance, 0.05))
    exact = stats.multivariate_normal(cov=covariance).cdf(np.full(count, critical))
    assert exact == pytest.approx(0.95, abs=0.002)


def test_one_test_has_the_whole_level_and_two_that_are_the_same_too():
    assert single_level(np.eye(1), 0.05) == 0.05
    assert single_level(np.ones((2, 2)), 0.05) == pytest.approx(0.05, abs=1e-3)
    assert single_level(np.diag([1.0, 0.0]), 0.05) == 0.05, "one without error does not count"
    assert single_level(np.eye(1), 0.05, two_sided=True) == 0.025


@pytest.mark.parametrize(
    ("level", "share"), [(TESTED, 0.8), (0.025, 0.6), (0.01, 0.8), (0.05, AS_GOOD_AT_FIRST)]
)
def test_all_looks_together_have_the_level_and_the_first_its_share(level, share):
    random, draws = np.random.default_rng(1), 100_000
    steps = np.diff([0, *LOOKS])
    sums = np.cumsum(random.normal(0, np.sqrt(steps), (draws, len(steps))), axis=1)
    bounds = [stats.norm.isf(nominal(level, folds, share)) for folds in LOOKS]
    crossed = sums / np.sqrt(LOOKS) > bounds
    assert crossed[:, 0].mean() == pytest.approx(share * level, abs=4 * np.sqrt(level / draws))
    assert crossed.any(axis=1).mean() == pytest.approx(level, abs=4 * np.sqrt(level / draws))


@pytest.mark.parametrize(("level", "share"), [(TESTED, 0.8), (0.01, AS_GOOD_AT_FIRST)])
def test_the_second_look_spends_its_share_on_those_that_the_first_did_not_settle(level, share):
    bounds = stats.norm.isf([nominal(level, folds, share) for folds in LOOKS[:2]])
    between = np.sqrt(LOOKS[0] / LOOKS[1])
    unsettled = stats.multivariate_normal(cov=[[1, between], [between, 1]]).cdf(bounds)
    crosses = 1 - level * share - unsettled
    share_of_second = spent(LOOKS[1], share) - spent(LOOKS[0], share)
    assert crosses == pytest.approx(level * share_of_second, rel=0.02)


@pytest.mark.parametrize(
    ("errors", "is_better"), [(2.20, False), (2.24, False), (2.26, True), (2.40, True)]
)
def test_a_lead_at_20_folds_leaves_a_reserve_for_bad_trainings_that_no_fold_has_shown(
    errors, is_better
):
    joint = Joint.of(simulated(np.random.default_rng(0), 0.0, 2, 20))
    freedom = np.full((2, 2), np.inf)
    lead = np.array([errors * joint.errors[0, 1], 0.0])
    claims = claims_at(dataclasses.replace(joint, means=lead, freedom=freedom), margin=1e-9)
    assert (claims.better, claims.not_best) == ((0, {1}) if is_better else (None, set()))


def test_folds_beyond_a_look_count_at_the_next():
    assert [folds_that_count(folds) for folds in (8, 16, 20, 24, 28, 52, 200)] == [
        8,
        16,
        20,
        20,
        28,
        40,
        100,
    ]


def test_a_bad_training_is_an_outlier_of_its_finalist_alone():
    random = np.random.default_rng(2)
    accuracies = 0.93 + random.normal(0, 0.005, (3, 20)) + random.normal(0, 0.02, 20)
    assert not outlying_folds(accuracies).any(), "hard folds are hard for all"
    accuracies[1, 4] -= 0.07
    assert outlying_folds(accuracies).tolist() == [0, 1, 0]


def test_finalists_with_the_same_outcomes_share_their_chances():
    outcomes = simulated(np.random.default_rng(3), 0.0, 2, 20)
    same = Outcomes(outcomes.scores[[0, 0]], outcomes.samples)
    assert Joint.of(same).chances == pytest.approx([0.5, 0.5])
    claims = all_claims(same, margin=0.001)
    assert (claims.better, claims.not_best) == (None, frozenset())


@pytest.mark.nightly
def test_looking_until_it_is_settled_calls_one_of_two_equals_better_in_five_of_a_hundred():
    random, draws = np.random.default_rng(4), 300
    settled = 0
    for _ in range(draws):
        outcomes = simulated(random, 0.0, 2, 56, own=0.5)
        claims = [all_claims(outcomes.first(folds), 0.001) for folds in LOOKS if folds <= 56]
        settled += any(claim.better is not None for claim in claims)
    assert settled <= at_most(LEVEL, draws)


# The figure to quote, where others were left out after the first folds.


SCORED = Scored.by("best_val_accuracy", "maximize")


def left_after(outcomes, first=8, most=2):
    """Return the outcomes of the two with the best first folds, and what was left out."""
    means = outcomes.by_fold[:, :first].mean(axis=1)
    order = np.argsort(-means)
    left = Selection(first, means[order[most:]].tolist(), [False] * most, most)
    return dataclasses.replace(outcomes, scores=outcomes.scores[order[:most]]), left


def test_the_errors_of_those_that_were_left_out_are_those_of_the_others():
    outcomes = simulated(np.random.default_rng(7), 0, 3, 20)
    joint = Joint.of(outcomes)
    others = Selection(8, [0.0, 0.0], [False] * 3, 3)
    whole = _with_more(joint.covariance, 2)
    np.testing.assert_array_equal(whole[:3, :3], joint.covariance)
    assert whole[3, 3] == pytest.approx(np.diag(joint.covariance).mean())
    apart = joint.covariance[np.triu_indices(3, 1)].mean()
    assert [whole[3, 4], whole[0, 4]] == pytest.approx([apart, apart])
    np.testing.assert_array_equal(_with_more(joint.covariance, 0), joint.covariance)
    plain, own = quotable(joint, joint.leader, SCORED)
    allowing, bias = quotable(joint, joint.leader, SCORED, others)
    assert joint.means[joint.leader] - allowing.low > joint.means[joint.leader] - plain.low
    assert bias <= own + 0.0005, "the others were far behind"
    assert np.all(np.linalg.eigvalsh(joint.covariance - joint.fixed_covariance) > 0)


def test_a_budget_that_ends_with_the_first_folds_leaves_a_figure_to_quote():
    outcomes, left = left_after(simulated(np.random.default_rng(9), 0, 6, 20))
    joint = Joint.of(outcomes.first(8))
    figure, bias = quotable(joint, joint.leader, SCORED, left)
    assert 0 < bias < 0.02
    assert figure.low < figure.value < figure.high


@pytest.mark.slow
def test_the_figure_to_quote_allows_for_those_that_were_left_out():
    """Without them the leader of twelve equal finalists is quoted too high, and too surely."""
    random, draws = np.random.default_rng(8), 80
    found = {"plain": [], "allowing": []}
    for _ in range(draws):
        outcomes, left = left_after(simulated(random, 0, 12, 20))
        joint = Joint.of(outcomes)
        for name, given in (("plain", None), ("allowing", left)):
            figure, _ = quotable(joint, joint.leader, SCORED, given)
            found[name].append((figure.value - ACCURACY, figure.low <= ACCURACY <= figure.high))
    off, covered = ({k: np.mean([v[n] for v in vs]) for k, vs in found.items()} for n in (0, 1))
    assert abs(off["allowing"]) < 0.001 < off["plain"]
    assert covered["allowing"] >= at_least(0.95, draws) / draws


@pytest.mark.parametrize(("luck", "value"), [(AREA, "auc"), ("normal", "accuracy")])
def test_an_interval_near_a_limit_belongs_to_the_mean_that_its_error_is_of(luck, value):
    """But where each sample is right or wrong, it belongs to the figure."""
    sizes, scored = (50,) * 4, Scored.by(f"best_val_{value}", "maximize")
    outcomes = simulated(np.random.default_rng(3), 0, 6, 20, luck=luck, sizes=sizes)
    joint = Joint.of(outcomes)
    assert joint.is_right_or_wrong == (luck != AREA)
    figure, bias = quotable(joint, joint.leader, scored)
    assert figure.low < figure.value < figure.high <= 1
    assert figure.value == pytest.approx(joint.means[joint.leader] - bias)
    plain = dataclasses.replace(joint, is_right_or_wrong=True)
    narrow, _ = quotable(plain, joint.leader, scored)
    assert (narrow.high - narrow.low < figure.high - figure.low) == (luck == AREA)
    loss = Scored.by("best_val_loss", "minimize")
    turned, _ = quotable(dataclasses.replace(joint, means=joint.means - 1), joint.leader, loss)
    assert 0 < turned.low < turned.value < turned.high


def test_a_figure_lies_in_its_interval_however_large_its_bias_is(monkeypatch):
    outcomes = simulated(np.random.default_rng(3), 0, 6, 20, luck=AREA, sizes=(50,) * 4)
    joint = Joint.of(outcomes)
    monkeypatch.setattr(best, "_bias_of_the_largest", lambda joint, picked: 0.3)
    figure, bias = quotable(joint, joint.leader, Scored.by("best_val_auc", "maximize"))
    assert figure.value == pytest.approx(joint.means[joint.leader] - bias)
    assert figure.low <= figure.value <= figure.high
