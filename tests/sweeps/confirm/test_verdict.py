import numpy as np
import pytest

from benchmarks.finalists import simulated
from sweeps.confirm.best import LOOKS
from sweeps.confirm.comparison import decide, margin_of
from sweeps.confirm.finalists import Finalist
from tests.chance import at_least, at_most

DRAWS = 500


def words(verdict):
    return [standing.verdict for standing in verdict.standings]


def how_many_may_be_best(verdict):
    return sum(standing.may_be_best for standing in verdict.standings)


def finalists(count):
    return [Finalist(f"trial-{n}", n, {"x": n}, 0.95, n + 1) for n in range(count)]


def verdicts(points, count, folds, draws=60, costs=None):
    random = np.random.default_rng(count + folds)
    for _ in range(draws):
        yield decide(simulated(random, points, count, folds), finalists(count), costs or {})


def test_a_clear_winner_is_better_than_all_and_leads_the_list():
    settled = [verdict for verdict in verdicts(3.0, 6, 20, draws=20) if verdict.settled]
    assert len(settled) == 20
    assert all(verdict.standings[0].finalist == "trial-0" for verdict in settled)
    assert all(how_many_may_be_best(verdict) == 1 for verdict in settled)


@pytest.mark.nightly
def test_of_six_a_lead_of_one_and_a_half_points_is_seen_nine_times_of_ten():
    settled = sum(verdict.settled for verdict in verdicts(1.5, 6, 20, DRAWS))
    assert settled >= at_least(0.88, DRAWS)


@pytest.mark.slow
def test_of_six_equals_the_best_is_missed_five_of_a_hundred_times_at_most_and_nobody_wins():
    found = list(verdicts(0.0, 6, 20, DRAWS))
    missed = sum(not by_trial(verdict)[0].may_be_best for verdict in found)
    assert missed <= at_most(0.05, DRAWS)
    assert sum(verdict.settled for verdict in found) <= at_most(0.01, DRAWS), "five to beat"


@pytest.mark.slow
def test_of_two_equals_one_wins_five_of_a_hundred_times():
    settled = sum(verdict.settled for verdict in verdicts(0.0, 2, 20, DRAWS))
    assert settled <= at_most(0.05, DRAWS)


def by_trial(verdict):
    return {standing.trial: standing for standing in verdict.standings}


@pytest.mark.parametrize("folds", [8, 16])
@pytest.mark.parametrize(
    ("points", "luck"), [(0.0, "normal"), (3.0, "normal"), (3.0, "rare bad in one")]
)
def test_before_the_first_look_nothing_is_said(points, luck, folds):
    outcomes = simulated(np.random.default_rng(3), points, 2, folds, luck=luck)
    verdict = decide(outcomes, finalists(2), {}, margin=0.5)
    assert words(verdict) == [
        "leads",
        "cannot tell yet",
    ]
    assert not verdict.settled
    assert all(standing.may_be_best for standing in verdict.standings)
    assert verdict.champion == verdict.standings[0].finalist


def test_equals_are_as_good_only_within_the_margin_and_the_cheapest_is_recommended():
    random = np.random.default_rng(4)
    outcomes = simulated(random, 0.0, 2, 20, own=0.05, fold=0.01)
    costs = {"trial-0": 100.0, "trial-1": 10.0}
    wide = decide(outcomes, finalists(2), costs, margin=0.05)
    assert words(wide) == ["leads", "equivalent"]
    assert wide.champion == "trial-1"
    narrow = decide(outcomes, finalists(2), costs, margin=1e-6)
    assert narrow.standings[1].verdict == "cannot tell yet"
    assert narrow.champion == narrow.standings[0].finalist


def test_one_that_is_not_the_best_is_recommended_if_it_is_cheaper_and_as_good():
    outcomes = simulated(np.random.default_rng(5), 1.5, 2, 20, own=0.05, fold=0.01)
    verdict = decide(outcomes, finalists(2), {"trial-0": 100.0, "trial-1": 10.0}, margin=0.03)
    assert verdict.settled
    assert words(verdict) == ["leads", "worse"]
    assert verdict.champion == "trial-1"


def test_the_margin_is_a_tenth_of_the_baseline_s_distance_from_perfect():
    found = [
        Finalist("trial-1", 1, {}, 0.98, 1),
        Finalist("trial-2", 2, {}, 0.95, 2),
        Finalist("baseline-slow", 0, {}, 0.93, 3),
    ]
    assert margin_of(found) == pytest.approx(0.007)
    assert margin_of(found[:2]) == pytest.approx(0.005), "that of the lowest without a baseline"
    assert margin_of([Finalist("trial-1", 1, {}, None, 1)]) == 0.005, "no score is known"
    perfect = [*found[:1], Finalist("baseline-slow", 0, {}, 1.0, 3)]
    assert margin_of(perfect) == pytest.approx(0.002), "no margin is 0"


def test_how_many_folds_are_needed_is_a_look_that_comes_later():
    open_ones = [
        standing
        for verdict in verdicts(1.1, 2, 8)  # of one point, later looks see too few at their level
        for standing in verdict.standings
        if standing.verdict == "cannot tell yet"
    ]
    needed = [standing.folds_needed for standing in open_ones]
    assert len(needed) == 60
    assert sum(count is None for count in needed) < 0.5 * len(needed), "noise shrinks with folds"
    assert all(count is None or count in LOOKS for count in needed)
    settled = [v.standings[1].folds_needed for v in verdicts(4.0, 2, 20, draws=10)]
    assert settled == [None] * 10
    later = [v.standings[1].folds_needed for v in verdicts(0.6, 2, 20, draws=20)]
    assert all(count is None or count > 20 for count in later)


def test_chances_of_being_best_sum_to_1_and_agree_with_the_words():
    for points in (0.0, 0.7, 1.5):
        for verdict in verdicts(points, 4, 20, draws=10):
            chances = [standing.chance_best for standing in verdict.standings]
            assert sum(chances) == pytest.approx(1)
            assert all(s.chance_best < 0.05 for s in verdict.standings if not s.may_be_best)
            assert not verdict.settled or chances[0] > 0.95
            assert verdict.settled == (how_many_may_be_best(verdict) == 1)
            for standing in verdict.standings[1:]:
                assert standing.may_be_best == (standing.leader_ahead_by.low <= 0)


def test_the_figure_to_quote_is_lower_than_the_mean_as_far_as_the_leader_may_be_luck():
    ties = list(verdicts(0.0, 6, 20, draws=10))
    for tie in ties:
        mean = tie.standings[0].accuracy
        assert tie.quotable.value == pytest.approx(mean.value - tie.quotable_bias)
        assert tie.quotable.low < mean.low
    assert 0.001 < np.mean([tie.quotable_bias for tie in ties]) < 0.005
    clear = [v.quotable_bias for v in verdicts(3.0, 6, 20, draws=5)]
    assert max(clear) < 0.0005


def test_the_gain_over_random_trials_is_that_of_the_search_s_best():
    random = np.random.default_rng(8)
    outcomes = simulated(random, 2.0, 3, 20)
    control = Finalist("control-4", 4, {"x": 9}, 0.95, 0)
    verdict = decide(outcomes, [*finalists(2), control], {})
    gain = verdict.gain_over_control
    assert [s.finalist for s in verdict.standings if s.is_control] == [control.label]
    means = outcomes.means
    assert gain.value == pytest.approx(means[0] - means[2])
    assert decide(outcomes, finalists(3), {}).gain_over_control is None
