"""The fitted temperature: the minimum of the likelihood, its limits, and what is refused."""

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from digitexp.calibration import (
    HIGHEST,
    LOWEST,
    cross_fitted_temperatures,
    fit_temperature,
)
from tests.digitexp.calibration.drawn import drawn

RIGHT = np.eye(10) * 5.0


def likelihood(logits, labels, temperature):
    """Return the mean negative log-likelihood, by SciPy."""
    scaled = np.asarray(logits, np.float64) / temperature
    return np.mean(logsumexp(scaled, axis=1) - scaled[np.arange(len(labels)), labels])


@settings(phases=[Phase.generate], max_examples=25, deadline=None)
@given(st.floats(0.2, 6.0), st.integers(0, 999), st.integers(2, 12))
def test_it_is_where_scipy_finds_the_smallest_likelihood(temperature, seed, classes):
    logits, labels = drawn(400, temperature, seed, spread=3.0, classes=classes)
    reference = minimize_scalar(
        lambda log: likelihood(logits, labels, np.exp(log)),
        bounds=np.log([LOWEST, HIGHEST]), method="bounded", options={"xatol": 1e-9},
    )  # fmt: skip
    assert fit_temperature(logits, labels) == pytest.approx(np.exp(reference.x), rel=1e-5)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5, 8.0])
def test_the_temperature_that_labels_were_drawn_by_is_found(temperature):
    logits, labels = drawn(40_000, temperature)
    assert fit_temperature(logits, labels) == pytest.approx(temperature, rel=0.03)


def test_it_is_off_by_little_on_a_thousand_images_and_by_nothing_on_average():
    found = [fit_temperature(*drawn(1000, 1.5, seed)) for seed in range(60)]
    assert np.std(found) < 0.09
    assert np.mean(found) == pytest.approx(1.5, abs=3 * np.std(found) / 60**0.5)


def test_it_scales_with_the_logits_and_ignores_shifts_and_order():
    logits, labels = drawn(500, 1.5)
    fitted = fit_temperature(logits, labels)
    assert fit_temperature(4 * logits, labels) == pytest.approx(4 * fitted, rel=1e-8)
    shifts = np.linspace(-1e3, 1e3, 500)[:, np.newaxis]
    assert fit_temperature(logits + shifts, labels) == pytest.approx(fitted, rel=1e-8)
    order = np.random.default_rng(1).permutation(500)
    assert fit_temperature(logits[order], labels[order]) == pytest.approx(fitted, rel=1e-8)


def test_the_same_logits_give_the_same_bits():
    logits, labels = drawn(500, 1.5)
    assert len({fit_temperature(logits.copy(), labels).hex() for _ in range(5)}) == 1
    assert fit_temperature(logits.tolist(), labels.tolist()) == fit_temperature(logits, labels)


def test_where_every_image_is_right_it_is_1():
    assert fit_temperature(RIGHT, np.arange(10)) == 1.0
    assert fit_temperature(np.zeros((3, 4)), [0, 1, 2]) == 1.0, "a tie is no mistake either"


def test_where_logits_know_nothing_it_is_the_other_limit():
    wrong = np.roll(np.arange(10), 1)
    assert fit_temperature(RIGHT, wrong) == HIGHEST


def test_one_mistake_is_enough_for_a_minimum():
    labels = np.arange(10)
    labels[0] = 1
    fitted = fit_temperature(RIGHT, labels)
    assert LOWEST < fitted < HIGHEST


def test_large_logits_do_no_harm():
    logits, labels = drawn(500, 1.5)
    with np.errstate(all="raise", under="ignore"):
        assert fit_temperature(logits * 1e30, labels) == HIGHEST
        assert LOWEST < fit_temperature(logits + 1e9, labels) < HIGHEST


@pytest.mark.parametrize(
    ("logits", "labels", "said"),
    [
        (np.zeros((0, 10)), [], "one image or more"),
        (np.zeros(10), [1], r"shape \(10,\)"),
        ([[0.0, np.nan]], [0], "logits of image 0 are .* finite"),
        ([[0.0, 1.0], [np.inf, 0.0]], [0, 1], "logits of image 1"),
        ([[0.0, 1.0]], [2], "integers from 0 to 1"),
        ([[0.0, 1.0]], [-1], "integers from 0 to 1"),
        ([[0.0, 1.0]], [0.5], "integers from 0 to 1"),
        ([[0.0, 1.0]], [0, 1], r"logits \(1, 2\) and labels \(2,\)"),
    ],
)
@pytest.mark.parametrize("fit", [fit_temperature, cross_fitted_temperatures])
def test_what_cannot_be_fitted_is_refused(fit, logits, labels, said):
    with pytest.raises(ValueError, match=said):
        fit(logits, np.asarray(labels, int if not labels else None))


class TestCrossFitted:
    def test_no_image_has_a_say_in_its_own_temperature(self):
        logits, labels = drawn(203, 1.5, spread=3.0)
        before = cross_fitted_temperatures(logits, labels)
        assert len(set(before)) == 5
        changed = logits.copy()
        changed[7] = -changed[7] * 3
        after = cross_fitted_temperatures(changed, labels)
        same_fold = before == before[7]
        assert np.array_equal(after[same_fold], before[same_fold])
        assert (after[~same_fold] != before[~same_fold]).all()

    def test_folds_hold_as_many_of_each_class_give_or_take_one(self):
        logits, labels = drawn(998, 1.5, spread=3.0)
        temperatures = cross_fitted_temperatures(logits, labels)
        for one in set(temperatures):
            there = np.bincount(labels[temperatures == one], minlength=10)
            assert np.abs(there - np.bincount(labels, minlength=10) / 5).max() <= 1

    def test_too_few_images_are_refused(self):
        with pytest.raises(ValueError, match="4 images: give 5 or more"):
            cross_fitted_temperatures(*drawn(4, 1.0))
