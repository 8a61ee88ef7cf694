"""Intervals against simulations with a known truth; bounds are those promised, and chance's."""

import numpy as np
import pytest

from benchmarks.finalists import ACCURACY, simulated
from sweeps.confirm.intervals import (
    NO_SAMPLE,
    Outcomes,
    critical_value,
    crossed_difference,
    crossed_estimate,
    crossed_mean,
    stacked,
)
from tests.chance import at_least, at_most

DRAWS = {8: 1000, 20: 600}
"""By folds: as many as two seconds have time for."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "world", [{}, {"luck": "unequal"}, {"fold": 0.25}, {"own": 0.3, "fold": 0.05}]
)
@pytest.mark.parametrize("folds", [8, pytest.param(20, marks=pytest.mark.nightly)])
def test_no_difference_is_called_one_in_five_of_a_hundred_at_most(folds, world):
    random = np.random.default_rng(folds)
    false = 0
    for _ in range(DRAWS[folds]):
        outcomes = simulated(random, 0, 2, folds, **world)
        low = crossed_difference(outcomes, outcomes.leader, 1 - outcomes.leader).interval().low
        false += low > 0
    assert false <= at_most(0.05, DRAWS[folds])


@pytest.mark.slow
def test_the_interval_of_a_mean_and_of_a_difference_covers_the_truth():
    random = np.random.default_rng(1)
    missed = [0, 0]
    for _ in range(DRAWS[20]):
        outcomes = simulated(random, 0, 2, 20)
        for place, (estimate, truth) in enumerate(
            [(crossed_difference(outcomes, 0, 1), 0.0), (crossed_mean(outcomes, 0), ACCURACY)]
        ):
            low, high = estimate.interval().ends
            missed[place] += not low <= truth <= high
    assert max(missed) <= at_most(0.05, DRAWS[20])


@pytest.mark.nightly
def test_a_point_is_seen_by_twenty_folds_where_the_corrected_t_hardly_sees_it():
    random = np.random.default_rng(2)
    seen = [0, 0]
    for _ in range(DRAWS[20]):
        outcomes = simulated(random, 1.0, 2, 20)
        one_a_fold = Outcomes(outcomes.by_fold[:, :, np.newaxis], None)
        seen[0] += crossed_difference(outcomes, 0, 1).interval().low > 0
        seen[1] += crossed_difference(one_a_fold, 0, 1).interval().low > 0
    assert seen[0] >= at_least(0.8, DRAWS[20])
    assert seen[1] <= at_most(0.3, DRAWS[20])


def test_what_only_samples_vary_by_more_folds_do_not_reduce():
    samples = np.array([np.arange(100)] * 8).reshape(8, 100)
    values = np.tile(np.arange(100) % 2, (8, 1)).astype(float)
    estimate = crossed_estimate(values, samples)
    assert (estimate.value, estimate.of_folds) == (0.5, 0.0)
    assert estimate.of_samples == pytest.approx(np.var([0.0, 1.0] * 50, ddof=1) / 100)


def test_what_only_folds_vary_by_is_theirs():
    samples = np.array([np.arange(100)] * 8)
    values = np.repeat(np.arange(8) % 2, 100).reshape(8, 100).astype(float)
    estimate = crossed_estimate(values, samples)
    assert estimate.of_samples == pytest.approx(0.0, abs=1e-12)
    assert estimate.of_folds == pytest.approx(0.25 / 8, rel=0.35)


UNEQUAL = (170, 100, 90, 40)


def drawn(random, sizes, repeats, bias, noise, width=0):
    """Return values that consist of the luck of their fold and noise, and the samples they are of.

    Args:
        random: A generator.
        sizes: Samples of each fold of a repeat.
        repeats: How many.
        luck: Standard deviation of the former.
        noise: Of the latter.
        width: Of the arrays, at least.
    """
    shape = repeats * len(sizes), max(width, *sizes)
    values, samples = np.full(shape, 99.0), np.full(shape, NO_SAMPLE)
    for repeat in range(repeats):
        order = random.permutation(sum(sizes))
        for fold, own in enumerate(np.split(order, np.cumsum(sizes)[:-1])):
            place = repeat * len(sizes) + fold, slice(len(own))
            samples[place] = own
            values[place] = random.normal(0, bias) + random.normal(0, noise, len(own))
    return values, samples


@pytest.mark.parametrize("n", [7, 100, 181])
def test_folds_of_one_size_give_what_the_formula_for_them_gives(n):
    random = np.random.default_rng(n)
    values, samples = drawn(random, [n] * 4, 3, 1.0, 2.0)
    per_sample = np.bincount(samples.ravel(), values.ravel()) / 3
    rest = values - per_sample[samples]
    noise = float((rest**2).sum()) / (4 * n * 2)
    between, kept = float((rest.mean(axis=1) ** 2).mean()), 1 - 1 / 3.0
    scale = kept**2 + kept / (12 / 3.0) / 3.0 - kept / n
    estimate = crossed_estimate(values, samples)
    assert estimate.value == pytest.approx(float(values.mean()))
    assert estimate.of_samples == pytest.approx(float(per_sample.var(ddof=1)) / (4 * n))
    assert estimate.of_folds == pytest.approx(max(between - kept * noise / n, 0.0) / scale / 12)
    uncertain = (between / scale / 12) ** 2 / (12 - 12 / 3.0) + estimate.of_samples**2 / (4 * n - 1)
    assert estimate.freedom == pytest.approx(
        (estimate.of_samples + estimate.of_folds) ** 2 / uncertain
    )


def test_what_stands_where_there_is_no_sample_counts_for_nothing():
    estimates = []
    for width in (0, 200):
        values, samples = drawn(np.random.default_rng(3), UNEQUAL, 2, 1.0, 1.0, width)
        estimates.append(crossed_estimate(values, samples))
    assert estimates[1].value == pytest.approx(values[samples >= 0].mean())
    for name in ("value", "of_samples", "of_folds", "of_noise", "freedom"):
        first, second = (getattr(estimate, name) for estimate in estimates)
        assert first == pytest.approx(second)


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [UNEQUAL, (280, 40, 40, 40)])
def test_the_luck_of_unequal_folds_is_neither_over_nor_underestimated(sizes):
    random = np.random.default_rng(4)
    draws = [crossed_estimate(*drawn(random, sizes, 5, 1.0, 0.5)) for _ in range(DRAWS[20])]
    truth = sum(size**2 for size in sizes) / sum(sizes) ** 2 / 5
    found = [draw.of_folds for draw in draws]
    # Four standard errors of a mean of so many estimates; that of the mean's variance likewise.
    assert np.mean(found) == pytest.approx(truth, abs=4 * np.std(found) / np.sqrt(len(found)))
    spread = np.var([draw.value for draw in draws])
    assert spread == pytest.approx(truth, rel=4 * np.sqrt(2 / len(found)))
    freedom = 2 * np.mean(found) ** 2 / np.var(found)
    assert np.median([draw.freedom for draw in draws]) == pytest.approx(freedom, rel=0.25)


@pytest.mark.slow
@pytest.mark.parametrize(
    "sizes",
    [
        (2800, 400, 400, 400),
        pytest.param((1700, 1000, 900, 400), marks=pytest.mark.nightly),
    ],
)
@pytest.mark.parametrize("folds", [8, pytest.param(20, marks=pytest.mark.nightly)])
def test_intervals_from_unequal_folds_cover_the_truth(sizes, folds):
    random = np.random.default_rng(folds)
    missed = [0, 0]
    for _ in range(DRAWS[20]):
        outcomes = simulated(random, 0, 2, folds, fold=0.25, sizes=sizes)
        for place, (estimate, truth) in enumerate(
            [(crossed_difference(outcomes, 0, 1), 0.0), (crossed_mean(outcomes, 0), ACCURACY)]
        ):
            low, high = estimate.interval().ends
            missed[place] += not low <= truth <= high
    assert max(missed) <= at_most(0.05, DRAWS[20])


def test_outcomes_of_unequal_folds_count_by_their_samples():
    samples = stacked([[0, 1, 2], [3], [3, 1], [0, 2]], np.int64, NO_SAMPLE)
    correct = samples == 0
    outcomes = Outcomes(np.array([correct, ~correct & (samples != NO_SAMPLE)]), samples)
    assert outcomes.sizes.tolist() == [3, 1, 2, 2]
    assert outcomes.means == pytest.approx([2 / 8, 6 / 8])
    with pytest.raises(ValueError, match="no sample, and a score"):
        Outcomes(np.array([~correct]), samples)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="needed are"):
        Outcomes(np.zeros((2, 3, 4), bool), np.zeros((3, 5), np.int64))


def test_comparing_more_takes_wider_intervals_as_tables_have_them():
    # Student's t of 10 degrees of freedom; the studentized range of 6 and 20, 4.445, over root 2.
    assert critical_value(2, 10) == pytest.approx(2.2281, abs=1e-3)
    assert critical_value(2, float("inf")) == pytest.approx(1.95996, abs=1e-4)
    assert critical_value(6, 20) == pytest.approx(4.445 / np.sqrt(2), abs=2e-3)
    assert critical_value(6, 1e7) == pytest.approx(4.030 / np.sqrt(2), abs=2e-3)
