import numpy as np
import pytest

from benchmarks.finalists import simulated
from sweeps.confirm.comparison import decide
from sweeps.confirm.finalists import Finalist
from sweeps.confirm.intervals import Outcomes
from tests.chance import at_least, at_most

DRAWS = 500


def finalists(count):
    return [Finalist(f"trial-{n}", n, {"x": n}, 0.95, n + 1) for n in range(count)]


def verdicts(points, count, folds, draws=60, costs=None):
    random = np.random.default_rng(count + folds)
    for _ in range(draws):
        yield decide(simulated(random, points, count, folds), finalists(count), costs or {})


def test_a_clear_winner_is_better_than_all_and_leads_the_list():
    settled = [verdict for verdict in verdicts(3.0, 6, 20, draws=20) if verdict.is_settled]
    assert len(settled) == 20
    assert all(verdict.standings[0].finalist.label == "trial-0" for verdict in settled)
    assert all(len(verdict.may_be_best) == 1 for verdict in settled)


@pytest.fixture
def not_how_many_more(monkeypatch):
    """Leave out how many folds would settle it: that takes a quarter of a second a quantile."""
    monkeypatch.setattr("sweeps.confirm.comparison.MOST_FOLDS", 0)


@pytest.mark.slow
def test_of_six_a_lead_of_one_and_a_half_points_is_seen_nine_times_of_ten(not_how_many_more):
    settled = sum(verdict.is_settled for verdict in verdicts(1.5, 6, 20, DRAWS))
    assert settled >= at_least(0.9, DRAWS)


@pytest.mark.slow
def test_of_six_equals_one_is_called_worse_five_of_a_hundred_times_and_nobody_wins(
    not_how_many_more,
):
    found = list(verdicts(0.0, 6, 20, DRAWS))
    called = sum(any(s.word == "worse" for s in verdict.standings) for verdict in found)
    assert called <= at_most(0.05, DRAWS), "though leader and last stand out"
    assert sum(verdict.is_settled for verdict in found) <= at_most(0.01, DRAWS), "five to beat"


@pytest.mark.slow
def test_of_two_equals_one_wins_five_of_a_hundred_times(not_how_many_more):
    settled = sum(verdict.is_settled for verdict in verdicts(0.0, 2, 20, DRAWS))
    assert settled <= at_most(0.05, DRAWS)


@pytest.mark.parametrize("points", [0.0, 3.0])
def test_with_four_folds_nobody_is_called_worse(points):
    random = np.random.default_rng(3)
    outcomes = simulated(random, points, 2, 8)
    few = Outcomes(outcomes.correct.reshape(2, 4, -1), outcomes.samples.reshape(4, -1))
    verdict = decide(few, finalists(2), {})
    assert {standing.word for standing in verdict.standings} == {"leads", "cannot tell yet"}


def test_equals_are_equivalent_only_within_the_margin_and_the_cheapest_is_recommended():
    random = np.random.default_rng(4)
    outcomes = simulated(random, 0.0, 2, 20, own=0.05, fold=0.01)
    costs = {"trial-0": 100.0, "trial-1": 10.0}
    wide = decide(outcomes, finalists(2), costs, margin=0.05)
    assert [standing.word for standing in wide.standings] == ["leads", "equivalent"]
    assert wide.recommended.finalist.label == "trial-1"
    narrow = decide(outcomes, finalists(2), costs, margin=1e-6)
    assert narrow.standings[1].word == "cannot tell yet"
    assert narrow.recommended is narrow.standings[0]


def test_how_many_folds_are_needed_is_said_where_more_would_settle_it():
    open_ones = [
        standing
        for verdict in verdicts(1.0, 2, 8)
        for standing in verdict.standings
        if standing.word == "cannot tell yet"
    ]
    needed = [standing.more_folds for standing in open_ones]
    assert len(needed) > 20
    assert sum(count is None for count in needed) < 0.4 * len(needed), "noise shrinks with folds"
    assert all(count is None or 12 <= count <= 200 for count in needed)
    settled = [v.standings[1].more_folds for v in verdicts(4.0, 2, 20, draws=10)]
    assert settled == [None] * 10


@pytest.mark.slow
@pytest.mark.parametrize(
    "points", [0.4, *(pytest.param(points, marks=pytest.mark.nightly) for points in (0.0, 0.8))]
)
def test_what_is_open_is_never_said_to_be_settled_by_as_many_folds(points):
    for verdict in verdicts(points, 6, 20, draws=20):
        for standing in verdict.standings:
            if standing.word == "cannot tell yet" and standing.more_folds is not None:
                assert standing.more_folds > 20
                assert standing.more_folds % 4 == 0


def test_how_probable_it_is_that_the_leader_is_better_grows_with_its_lead():
    random = np.random.default_rng(7)
    chances = []
    for points in (0.0, 1.0, 4.0):
        outcomes = simulated(random, points, 2, 20)
        verdict = decide(outcomes, finalists(2), {}, train_size=3600)
        assert verdict.standings[0].chance is None
        chances.append(verdict.standings[1].chance)
    assert 0.5 <= chances[0] < chances[1] < chances[2]
    assert chances[2] > 0.99
    assert decide(outcomes, finalists(2), {}).standings[1].chance is None, "without train_size"


def test_the_gain_over_random_trials_is_that_of_the_search_s_best():
    random = np.random.default_rng(8)
    outcomes = simulated(random, 2.0, 3, 20)
    control = Finalist("control-4", 4, {"x": 9}, 0.95, 0)
    verdict = decide(outcomes, [*finalists(2), control], {})
    gain = verdict.gain_over_control
    assert verdict.control.finalist is control
    means = outcomes.means
    assert gain.value == pytest.approx(means[0] - means[2])
    assert decide(outcomes, finalists(3), {}).gain_over_control is None
