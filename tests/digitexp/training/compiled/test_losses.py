import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numba import njit
from scipy.special import log_softmax

from digitexp.training.compiled.losses import cross_entropy


@njit
def _cross_entropy(logits, labels, chosen, smoothing, delta):
    return cross_entropy(logits, labels, chosen, smoothing, delta)


def loss_of(logits, labels, smoothing=0.0, dtype="float64"):
    """Return the sum of the losses, the right answers and the derivative of the mean."""
    logits = np.array(logits, dtype)
    delta, chosen = np.full_like(logits, 99), np.arange(len(logits))
    total, right = _cross_entropy(
        logits, np.asarray(labels, np.int64), chosen, float(smoothing), delta
    )
    return total, right, delta


@pytest.fixture(scope="module", autouse=True)
def _compiled():
    for dtype in ("float32", "float64"):
        loss_of([[0.0, 1.0]], [0], dtype=dtype)


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
    total, right, _ = loss_of(logits, labels, smoothing)
    assert total == pytest.approx(expected_loss(logits, labels, smoothing), rel=1e-12, abs=1e-12)
    assert right == (logits.argmax(axis=1) == labels).sum()


@drawn
@given(batch=batches(8.0))
def test_the_derivative_is_that_of_finite_differences(batch):
    logits, labels, smoothing = batch
    _, _, delta = loss_of(logits, labels, smoothing)
    h = 1e-4
    for place in np.ndindex(logits.shape):
        moved = []
        for way in (-h, h):
            other = logits.copy()
            other[place] += way
            moved.append(loss_of(other, labels, smoothing)[0] / len(logits))
        assert delta[place] == pytest.approx((moved[1] - moved[0]) / (2 * h), rel=1e-7, abs=1e-8)


@drawn
@given(batch=batches(8.0), shift=st.integers(-20, 20).map(lambda k: 1024.0 * k))
def test_adding_the_same_to_all_logits_changes_nothing(batch, shift):
    logits, labels, smoothing = batch
    moved = (logits + shift).astype("float32")
    logits = moved.astype("float64") - shift  # what float32 has kept of them
    total, right, delta = loss_of(moved, labels, smoothing, "float32")
    expected, as_right, expected_delta = loss_of(logits, labels, smoothing)
    assert total == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert right == as_right
    np.testing.assert_allclose(delta, expected_delta, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("largest", [1e3, 1e30])
def test_a_certain_answer_costs_nothing_and_a_certain_error_as_much_as_it_is_certain(
    largest, dtype
):
    for label, expected in ((0, 0.0), (1, largest)):
        total, right, delta = loss_of([[largest, 0.0, 0.0]], [label], dtype=dtype)
        assert total == pytest.approx(expected, rel=1e-6)
        assert right == (label == 0)
        expected_delta = np.array([1.0, 0.0, 0.0]) - np.eye(3)[label]
        np.testing.assert_allclose(delta, [expected_delta], atol=1e-7)


def test_a_tie_goes_to_the_lower_class():
    """As in argmax, and so in Keras."""
    logits = [[1.0, 1.0, 0.0], [0.0, 1.0, 1.0], [2.0, 2.0, 2.0]]
    assert loss_of(logits, [0, 1, 0])[1] == 3
    assert loss_of(logits, [1, 2, 2])[1] == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("smoothing", [0.0, 0.25])
@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.parametrize("place", range(9))
def test_a_logit_that_is_no_number_makes_the_loss_none(wrong, place, smoothing, dtype):
    logits = np.zeros((1, 9))
    logits[0, place] = wrong
    for label in range(9):
        total, _, delta = loss_of(logits, [label], smoothing, dtype)
        assert not np.isfinite(total)
        assert np.isnan(delta).any()


@pytest.mark.parametrize("smoothing", [0.0, 0.25])
def test_a_label_that_is_impossible_costs_without_end(smoothing):
    assert not np.isfinite(loss_of([[-np.inf, 0.0, 0.0]], [0], smoothing)[0])
