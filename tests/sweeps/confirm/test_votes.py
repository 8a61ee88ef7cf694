"""Votes on folds where it is known how much better an ensemble is."""

import numpy as np
import pytest

from benchmarks.finalists import simulated
from sweeps.confirm.finalists import ACCURACY
from sweeps.confirm.intervals import Outcomes, crossed_difference
from sweeps.confirm.votes import (
    Ballot,
    Bank,
    Ensemble,
    Member,
    choose_ensembles,
    compare_votes,
    word_of,
)
from sweeps.errors import UsageError
from sweeps.interval import Interval
from tests.chance import at_most
from tests.sweeps.voting_experiment import experiment

DRAWS = 150
CLASSES = 3


def bank(random, count, folds=8, *, is_sure_alike, **world):
    """Return finalists that are equally good, whose mistakes are all the same wrong class.

    Args:
        random: A generator.
        count: How many.
        folds: How many.
        is_sure_alike: Whether all are equally sure of every answer: a vote then is a majority.
            Else they are more or less sure, whether they are right or not, so that the vote of
            two, which goes with the surer one, is right as often as one alone.
        world: See `simulated`.
    """
    outcomes = simulated(random, 0, count, folds, **world)
    shape = outcomes.scores.shape
    sure = np.ones(shape) if is_sure_alike else random.exponential(1, shape)
    of_samples = random.integers(0, CLASSES, outcomes.samples.max() + 1)
    classes = of_samples[outcomes.samples]
    said = np.where(outcomes.scores, classes, (classes + 1) % CLASSES)
    logits = 3 * sure[..., None] * (said[..., None] == np.arange(CLASSES))
    # The third class is as little probable as the mistaken one and cannot win by what is left.
    logits -= 50 * ((classes[..., None] + 2) % CLASSES == np.arange(CLASSES))
    members = [
        Member(f"trial-{k}", k == 0, outcomes.scores[k], shares(logits[k]), 10.0, 1.0)
        for k in range(count)
    ]
    return Bank(members, outcomes.samples, ballot(of_samples))


def shares(logits):
    """Return probabilities (..., classes), float32."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return (powers / powers.sum(axis=-1, keepdims=True)).astype(np.float32)


def ballot(classes):
    return Ballot(classes, ACCURACY, experiment)


def all_of(found):
    return [Ensemble("all", found.members, is_announced=True)]


def alone(found):
    """Return what the vote of all is ahead by, with the interval of that difference alone."""
    right = found.scores(found.members)
    outcomes = Outcomes(np.array([right, found.members[0].scores]), found.samples)
    return crossed_difference(outcomes, 0, 1).interval()


@pytest.mark.slow
@pytest.mark.nightly
def test_an_ensemble_that_is_no_better_is_hardly_called_so_and_its_interval_covers_0():
    random = np.random.default_rng(0)
    called = missed = 0
    for _ in range(DRAWS):
        found = bank(random, 2, 20, is_sure_alike=False)
        votes = compare_votes(["mlp"], found, all_of(found))
        (vote,) = votes.votes
        called += vote.verdict in {"better", "worse"}
        low, high = alone(found).ends
        missed += not low <= 0 <= high
    assert missed <= at_most(0.05, DRAWS)
    assert called <= missed, "all differences at once: wider"


@pytest.mark.slow
def test_a_majority_of_three_with_mistakes_of_their_own_is_seen_and_its_gain_covered():
    random = np.random.default_rng(1)
    found = [bank(random, 3, 20, is_sure_alike=True, own=2.0) for _ in range(60)]
    comparison = [vote for one in found for vote in compare_votes(["mlp"], one, all_of(one)).votes]
    truth = np.mean([vote.ahead_by.value for vote in comparison])
    assert truth > 0.01
    assert sum(vote.verdict == "better" for vote in comparison) >= 0.8 * 60
    intervals = [alone(one).ends for one in found]
    missed = sum(not low <= truth <= high for low, high in intervals)
    assert missed <= 60 * 0.05 + 3 * np.sqrt(60 * 0.05 * 0.95)


def test_an_ensemble_of_almost_one_and_the_same_is_equivalent():
    random = np.random.default_rng(2)
    found = bank(random, 2, 20, is_sure_alike=False, own=0.05, fold=0.01)
    nearly = np.where(random.random(found.samples.shape) < 0.98, *(m.scores for m in found.members))
    first = found.members[0]
    classes = found.ballot.truth[found.samples]
    said = np.where(nearly, classes, (classes + 1) % CLASSES)
    logits = 9.0 * (said[..., None] == np.arange(CLASSES)).astype(np.float32)
    close = Member("close", False, nearly, shares(logits), 10.0, 1.0)
    votes = compare_votes(
        ["mlp"], found, [Ensemble("two", [first, close], is_announced=True)]
    ).votes
    assert {vote.verdict for vote in votes} == {"equivalent"}
    assert not any(vote.ahead_by.value == 0 for vote in votes)


def test_a_vote_is_compared_with_the_single_best_on_the_same_folds_and_costs_the_sum():
    found = bank(np.random.default_rng(3), 3, is_sure_alike=True)
    votes = compare_votes(["mlp"], found, all_of(found))
    right = sum(member.scores.astype(int) for member in found.members) >= 2
    assert votes.votes[0].accuracy.value == pytest.approx(right.mean())
    gain = right.mean() - found.members[0].scores.mean()
    assert votes.votes[0].ahead_by.value == pytest.approx(gain)
    assert (votes.single.finalist, votes.folds) == ("trial-0", 8)
    assert (votes.votes[0].parameters, votes.votes[0].train_seconds) == (30.0, 3.0)


def test_before_the_first_look_no_vote_is_called_better():
    few = bank(np.random.default_rng(4), 3, 16, is_sure_alike=True, own=3.0)
    votes = compare_votes(["mlp"], few, all_of(few)).votes
    assert votes[0].ahead_by.low > 0
    assert {vote.verdict for vote in votes} == {"cannot tell yet"}


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (0.001, 0.02, "better"),
        (-0.02, -0.001, "worse"),
        (-0.004, 0.004, "equivalent"),
        (-0.006, 0.004, "cannot tell yet"),
        (-0.004, 0.006, "cannot tell yet"),
    ],
)
def test_what_an_interval_says(low, high, word):
    assert word_of(Interval((low + high) / 2, low, high)) == word


def members(count, winners=1):
    empty = np.zeros((8, 1, 2))
    return [
        Member(f"m{k}", k < winners, empty[..., 0] > 0, empty.astype(np.float32), 1.0, 1.0)
        for k in range(count)
    ]


@pytest.mark.parametrize(
    ("count", "winners", "top", "expected", "announced"),
    [
        (4, 1, None, ["top 2", "top 3", "all 4"], "all 4"),
        (2, 1, None, ["all 2"], "all 2"),
        (4, 1, 3, ["top 3"], "top 3"),
        (4, 1, 4, ["all 4"], "all 4"),
        (5, 2, None, ["champions", "all 5"], "champions"),
        (5, 2, 3, ["champions", "top 3", "all 5"], "top 3"),
        (5, 2, 5, ["champions", "all 5"], "all 5"),
    ],
)
def test_which_ensembles_are_asked_about(count, winners, top, expected, announced):
    whole = Bank(members(count, winners), np.zeros((8, 1), int), ballot(np.zeros(1, int)))
    chosen = choose_ensembles(whole, top)
    assert [ensemble.name for ensemble in chosen] == expected
    assert [e.name for e in chosen if e.is_announced] == [announced]
    sizes = {e.name: len(e.members) for e in chosen}
    assert all(size == int(name.split()[1]) for name, size in sizes.items() if name != "champions")
    assert sizes.get("champions", winners) == winners


@pytest.mark.parametrize(("count", "top"), [(4, 5), (4, 1), (1, None), (1, 2)])
def test_more_than_there_are_cannot_vote(count, top):
    whole = Bank(members(count), np.zeros((8, 1), int), ballot(np.zeros(1, int)))
    with pytest.raises(UsageError, match=r"can vote, give 2 to 4|alone cannot vote"):
        choose_ensembles(whole, top)
