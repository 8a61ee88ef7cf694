"""Intervals against simulations with a known truth; bounds are those promised, and chance's."""

import numpy as np
import pytest

from benchmarks.finalists import ACCURACY, simulated
from sweeps.finalizing.intervals import (
    corrected_t_difference,
    critical_value,
    crossed_difference,
    crossed_estimate,
    crossed_mean,
)
from sweeps.finalizing.outcomes import Outcomes
from tests.chance import at_least, at_most

DRAWS = {8: 1000, 20: 600}
"""By blocks: as many as two seconds have time for."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "world", [{}, {"unequal": True}, {"block": 0.25}, {"own": 0.3, "block": 0.05}]
)
@pytest.mark.parametrize("blocks", [8, 20])
def test_no_difference_is_called_one_in_five_of_a_hundred_at_most(blocks, world):
    random = np.random.default_rng(blocks)
    false = 0
    for _ in range(DRAWS[blocks]):
        outcomes = simulated(random, 0, 2, blocks, **world)
        low, _ = crossed_difference(outcomes, outcomes.leader, 1 - outcomes.leader).interval()
        false += low > 0
    assert false <= at_most(0.05, DRAWS[blocks])


@pytest.mark.slow
def test_the_interval_of_a_mean_and_of_a_difference_covers_the_truth():
    random = np.random.default_rng(1)
    missed = [0, 0]
    for _ in range(DRAWS[20]):
        outcomes = simulated(random, 0, 2, 20)
        for place, (estimate, truth) in enumerate(
            [(crossed_difference(outcomes, 0, 1), 0.0), (crossed_mean(outcomes, 0), ACCURACY)]
        ):
            low, high = estimate.interval()
            missed[place] += not low <= truth <= high
    assert max(missed) <= at_most(0.05, DRAWS[20])


@pytest.mark.slow
def test_a_point_is_seen_by_twenty_blocks_where_the_corrected_t_hardly_sees_it():
    random = np.random.default_rng(2)
    seen = [0, 0]
    for _ in range(DRAWS[20]):
        outcomes = simulated(random, 1.0, 2, 20)
        seen[0] += crossed_difference(outcomes, 0, 1).interval()[0] > 0
        seen[1] += corrected_t_difference(outcomes, 0, 1, 3600).interval()[0] > 0
    assert seen[0] >= at_least(0.8, DRAWS[20])
    assert seen[1] <= at_most(0.3, DRAWS[20])


def test_what_only_images_vary_by_more_blocks_do_not_reduce():
    images = np.array([np.arange(100)] * 8).reshape(8, 100)
    values = np.tile(np.arange(100) % 2, (8, 1)).astype(float)
    estimate = crossed_estimate(values, images)
    assert (estimate.value, estimate.of_blocks) == (0.5, 0.0)
    assert estimate.of_images == pytest.approx(np.var([0.0, 1.0] * 50, ddof=1) / 100)


def test_what_only_blocks_vary_by_is_theirs():
    images = np.array([np.arange(100)] * 8)
    values = np.repeat(np.arange(8) % 2, 100).reshape(8, 100).astype(float)
    estimate = crossed_estimate(values, images)
    assert estimate.of_images == pytest.approx(0.0, abs=1e-12)
    assert estimate.of_blocks == pytest.approx(0.25 / 8, rel=0.35)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="needed are"):
        Outcomes(np.zeros((2, 3, 4), bool), np.zeros((3, 5), np.int64))


def test_comparing_more_takes_wider_intervals_as_tables_have_them():
    # Student's t of 10 degrees of freedom; the studentized range of 6 and 20, 4.445, over root 2.
    assert critical_value(2, 10) == pytest.approx(2.2281, abs=1e-3)
    assert critical_value(2, float("inf")) == pytest.approx(1.95996, abs=1e-4)
    assert critical_value(6, 20) == pytest.approx(4.445 / np.sqrt(2), abs=2e-3)
    assert critical_value(6, 1e7) == pytest.approx(4.030 / np.sqrt(2), abs=2e-3)
