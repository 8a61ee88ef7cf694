import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numba import njit
from scipy.special import log_softmax

from digitexp.training.compiled.losses import LOSSES, NUMBERS, loss_of


@njit
def _loss_of(how, outputs, labels, targets, counts, chosen, delta):
    return loss_of(how, outputs, labels, targets, counts, chosen, delta)


def found_of(name, outputs, answers, dtype="float64", *, smoothing=0.0, delta=1.0, counts=()):
    """Return the sum of the losses and the derivative of the mean."""
    outputs = np.array(outputs, dtype)
    slope, chosen = np.full_like(outputs, 99), np.arange(len(outputs))
    is_labels = np.ndim(answers) == 1
    total = _loss_of(
        np.array([NUMBERS[name], smoothing, delta]), outputs,
        np.asarray(answers if is_labels else (), np.int64),
        np.asarray(np.empty((0, 0)) if is_labels else answers, dtype),
        np.asarray(counts, dtype), chosen, slope,
    )  # fmt: skip
    return total, slope


def of_labels(logits, labels, smoothing=0.0, dtype="float64"):
    return found_of("sparse_categorical_crossentropy", logits, labels, dtype, smoothing=smoothing)


@pytest.fixture(scope="module", autouse=True)
def _compiled():
    for dtype in ("float32", "float64"):
        of_labels([[0.0, 1.0]], [0], dtype=dtype)


def expected_loss(logits, labels, smoothing):
    classes = logits.shape[1]
    targets = (1 - smoothing) * np.eye(classes)[labels] + smoothing / classes
    return -(targets * log_softmax(logits, axis=1)).sum()


drawn = settings(deadline=None, derandomize=True, max_examples=200)


@st.composite
def batches(draw, largest):
    n, classes = draw(st.integers(1, 5)), draw(st.integers(2, 7))
    logits = draw(arrays(float, (n, classes), elements=st.floats(-largest, largest)))
    labels = draw(st.lists(st.integers(0, classes - 1), min_size=n, max_size=n))
    return logits, labels, draw(st.sampled_from([0.0, 0.125, 0.5]))


@drawn
@given(batch=batches(700.0))
def test_it_is_the_cross_entropy(batch):
    logits, labels, smoothing = batch
    total, _ = of_labels(logits, labels, smoothing)
    assert total == pytest.approx(expected_loss(logits, labels, smoothing), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("name", LOSSES)
@settings(deadline=None, derandomize=True, max_examples=60)
@given(batch=batches(8.0), is_weighted=st.booleans())
def test_the_derivative_is_that_of_finite_differences(name, batch, is_weighted):
    outputs, labels, smoothing = batch
    is_sparse = name == "sparse_categorical_crossentropy"
    answers = labels if is_sparse else np.eye(outputs.shape[1])[labels]
    options = {
        "smoothing": smoothing if name.endswith("crossentropy") else 0.0,
        "delta": 0.75,
        "counts": np.arange(len(outputs)) / 2 if is_weighted else (),
    }
    h = 1e-4
    if name in {"mean_absolute_error", "huber"}:  # they have kinks
        error = np.abs(outputs - answers)
        outputs = outputs + 0.25 * (np.minimum(error, np.abs(error - 0.75)) < 2 * h)
    _, slope = found_of(name, outputs, answers, **options)
    for place in np.ndindex(outputs.shape):
        moved = []
        for way in (-h, h):
            other = outputs.copy()
            other[place] += way
            moved.append(found_of(name, other, answers, **options)[0] / len(outputs))
        assert slope[place] == pytest.approx((moved[1] - moved[0]) / (2 * h), rel=1e-6, abs=1e-8)


@drawn
@given(batch=batches(8.0), shift=st.integers(-20, 20).map(lambda k: 1024.0 * k))
def test_adding_the_same_to_all_logits_changes_nothing(batch, shift):
    logits, labels, smoothing = batch
    moved = (logits + shift).astype("float32")
    logits = moved.astype("float64") - shift  # what float32 has kept of them
    total, delta = of_labels(moved, labels, smoothing, "float32")
    expected, expected_delta = of_labels(logits, labels, smoothing)
    assert total == pytest.approx(expected, rel=1e-5, abs=1e-6)
    np.testing.assert_allclose(delta, expected_delta, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("largest", [1e3, 1e30])
def test_a_certain_answer_costs_nothing_and_a_certain_error_as_much_as_it_is_certain(
    largest, dtype
):
    for label, expected in ((0, 0.0), (1, largest)):
        total, delta = of_labels([[largest, 0.0, 0.0]], [label], dtype=dtype)
        assert total == pytest.approx(expected, rel=1e-6)
        expected_delta = np.array([1.0, 0.0, 0.0]) - np.eye(3)[label]
        np.testing.assert_allclose(delta, [expected_delta], atol=1e-7)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("smoothing", [0.0, 0.25])
@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.parametrize("place", range(9))
def test_a_logit_that_is_no_number_makes_the_loss_none(wrong, place, smoothing, dtype):
    logits = np.zeros((1, 9))
    logits[0, place] = wrong
    for label in range(9):
        total, delta = of_labels(logits, [label], smoothing, dtype)
        assert not np.isfinite(total)
        assert np.isnan(delta).any()


@pytest.mark.parametrize("smoothing", [0.0, 0.25])
def test_a_label_that_is_impossible_costs_without_end(smoothing):
    assert not np.isfinite(of_labels([[-np.inf, 0.0, 0.0]], [0], smoothing)[0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", [name for name in LOSSES if not name.startswith("sparse")])
def test_an_output_that_is_no_number_makes_the_loss_none_or_the_derivative(name, wrong, dtype):
    for target in (0.0, 1.0):
        outputs = [[0.0, wrong, 0.5]]
        total, delta = found_of(name, outputs, [[0.0, target, 1.0 - target]], dtype)
        is_right = name == "binary_crossentropy" and (target == 1.0) == (wrong > 0)
        if np.isnan(wrong) or not is_right:
            assert not np.isfinite(total)
        if np.isnan(wrong):
            assert np.isnan(delta).any()
