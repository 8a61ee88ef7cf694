"""Votes against their definition, written out sample by sample."""

import math
from collections import Counter

import numpy as np
import pytest

from sweeps.confirm.votes import hard_vote, soft_vote


def softmax(logits):
    powers = [math.exp(logit) for logit in logits]
    return [power / sum(powers) for power in powers]


def voted_by_hand(logits):
    """Return for one sample (members, classes) who is voted for, hard."""
    named = Counter(int(np.argmax(member)) for member in logits)
    most = max(named.values())
    tied = [name for name, count in named.items() if count == most]
    shares = np.mean([softmax(member) for member in logits], axis=0)
    return max(tied, key=lambda name: shares[name])


@pytest.mark.parametrize("members", [1, 2, 3, 4, 7])
def test_votes_are_what_counting_and_averaging_by_hand_gives(members):
    random = np.random.default_rng(members)
    logits = random.normal(0, 2, (members, 200, 5))
    soft = soft_vote(logits)
    by_hand = [np.mean([softmax(logits[m, i]) for m in range(members)], axis=0) for i in range(200)]
    np.testing.assert_allclose(soft, by_hand, rtol=1e-12)
    np.testing.assert_allclose(soft.sum(axis=1), 1)
    assert hard_vote(logits).tolist() == [voted_by_hand(logits[:, i]) for i in range(200)]


def test_a_member_alone_is_repeated():
    logits = np.random.default_rng(0).normal(0, 2, (1, 50, 4))
    assert np.array_equal(soft_vote(logits).argmax(axis=1), logits[0].argmax(axis=1))
    assert np.array_equal(hard_vote(logits), logits[0].argmax(axis=1))


def test_one_that_is_sure_beats_two_that_are_not_softly_and_loses_hard():
    logits = np.log([[[0.02, 0.98, 0.0001]], [[0.51, 0.49, 0.0001]], [[0.51, 0.49, 0.0001]]])
    assert soft_vote(logits).argmax(axis=1).tolist() == [1]
    assert hard_vote(logits).tolist() == [0]


def test_a_tie_goes_to_the_tied_class_that_is_more_probable_over_all_members():
    shares = np.array([
        [[0.60, 0.39, 0.01]],  # 0
        [[0.05, 0.94, 0.01]],  # 1: of the two tied ones the more probable
    ])  # fmt: skip
    assert hard_vote(np.log(shares)).tolist() == [1]
    # The most probable class over all is none of the tied ones: it is not taken.
    shares = np.array([[[0.51, 0.0, 0.49]], [[0.0, 0.52, 0.48]]]) + 1e-9
    assert soft_vote(np.log(shares)).argmax(axis=1).tolist() == [2]
    assert hard_vote(np.log(shares)).tolist() == [1]
    assert hard_vote(np.zeros((2, 3, 4))).tolist() == [0, 0, 0], "all equal: the first"


def test_the_largest_logits_that_float32_holds_give_finite_shares():
    logits = np.array([[[3e38, -3e38, 0.0]], [[1e4, 1e4, -1e4]]], np.float32)
    np.testing.assert_array_equal(soft_vote(logits), [[0.75, 0.25, 0.0]])
