import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from scipy.special import erf, expit

from digitexp.activations import ACTIVATIONS
from digitexp.training.compiled.activations import NUMBERS, activate

KINKED = {"relu", "leaky_relu", "elu", "selu"}
"""Those whose slope jumps at 0, or the slope of whose slope does."""


@njit
def _activate(number, sums, bias, slopes):
    activate(number, sums, bias, slopes)


def at(name, points, dtype="float64", bias=0.0):
    """Return value and slope at points, of which there may be any number."""
    values = np.array(points, dtype).reshape(1, -1) - np.dtype(dtype).type(bias)
    slopes = np.empty_like(values)
    _activate(NUMBERS[name], values, np.full(values.shape[1], bias, dtype), slopes)
    return values[0], slopes[0]


@pytest.fixture(scope="module", autouse=True)
def _compiled():
    for dtype in ("float32", "float64"):
        at("linear", [0.0], dtype)


VALUES = {
    "linear": lambda z: z,
    "relu": lambda z: np.maximum(z, 0),
    "leaky_relu": lambda z: np.where(z > 0, z, z * np.float64(np.float32(0.2))),
    "elu": lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
    "selu": lambda z: (
        1.0507009873554804934193349852946
        * np.where(z > 0, z, 1.6732632423543772848170429916717 * np.expm1(np.minimum(z, 0)))
    ),
    "gelu": lambda z: z * 0.5 * (1 + erf(z / np.sqrt(2))),
    "silu": lambda z: z * expit(z),
    "tanh": np.tanh,
    "sigmoid": expit,
}
GRID = np.concatenate([np.linspace(-40, 40, 4001), np.linspace(-1e-3, 1e-3, 101)])


def test_every_activation_of_a_configuration_is_there():
    assert NUMBERS.keys() == {"linear", *ACTIVATIONS} == VALUES.keys() == LIMITS.keys()


@pytest.mark.parametrize(("dtype", "close"), [("float64", 1e-14), ("float32", 5e-7)])
@pytest.mark.parametrize("name", NUMBERS)
def test_values_are_those_of_the_definition(name, dtype, close):
    points = GRID.astype(dtype)
    expected = VALUES[name](points.astype("float64"))
    if name == "gelu":
        close = max(close, 1e-7)  # TensorFlow rounds the root of one half to float32
    np.testing.assert_allclose(at(name, points, dtype)[0], expected, rtol=close, atol=close)


@pytest.mark.parametrize("name", NUMBERS)
@settings(deadline=None, derandomize=True, max_examples=200)
@given(z=st.floats(-30, 30))
def test_slopes_are_those_of_finite_differences(name, z):
    h = 1e-5
    if name in KINKED and abs(z) <= h:
        z = 2 * h
    (below, above), _ = at(name, [z - h, z + h])
    _, (slope,) = at(name, [z])
    assert slope == pytest.approx((above - below) / (2 * h), rel=1e-8, abs=1e-9)


@pytest.mark.parametrize("name", NUMBERS)
def test_slopes_are_those_of_finite_differences_in_float32_too(name):
    points = GRID[np.abs(GRID) > 1e-6].astype("float32")
    _, expected = at(name, points, "float64")
    np.testing.assert_allclose(at(name, points, "float32")[1], expected, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("name", NUMBERS)
def test_the_bias_is_added(name):
    np.testing.assert_allclose(at(name, GRID, bias=0.5), at(name, GRID), rtol=0, atol=1e-13)


@pytest.mark.parametrize(("name", "slope"), [("relu", 0.0), ("leaky_relu", np.float32(0.2))])
def test_the_slope_at_a_kink_is_that_of_below(name, slope):
    """As in TensorFlow."""
    assert at(name, [0.0, -0.0])[1].tolist() == [slope, slope]


LIMITS = {
    "linear": (-np.inf, np.inf), "relu": (0, np.inf), "leaky_relu": (-np.inf, np.inf),
    "elu": (-1, np.inf), "selu": (-1.0507009873554804 * 1.6732632423543772, np.inf),
    "gelu": (0, np.inf), "silu": (0, np.inf), "tanh": (-1, 1), "sigmoid": (0, 1),
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NUMBERS)
def test_far_away_it_is_at_its_limits_and_flat_or_straight(name, dtype):
    for size in (200.0, 1e4, 1e30):
        values, slopes = at(name, [-size, size], dtype)
        assert np.isfinite(slopes).all()
        for value, slope, z, limit in zip(values, slopes, (-size, size), LIMITS[name], strict=True):
            if np.isfinite(limit):
                assert value == pytest.approx(limit, abs=1e-6)
                assert abs(slope) < 1e-6
            else:
                assert value == pytest.approx(z * float(slope), rel=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("count", [1, 3, 8, 64, 67])
def test_nan_stays_nan_wherever_it_stands_among_numbers(name, dtype, count):
    """Loops are vectorised: each place may be computed by other instructions."""
    for place in range(count):
        points = np.linspace(-3, 3, count)
        points[place] = np.nan
        values, _ = at(name, points, dtype)
        assert np.isnan(values).tolist() == [k == place for k in range(count)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NUMBERS)
def test_an_infinite_sum_becomes_the_limit_or_nan(name, dtype):
    values, _ = at(name, [-np.inf, np.inf], dtype)
    for value, limit in zip(values, LIMITS[name], strict=True):
        assert np.isnan(value) or value == pytest.approx(limit, abs=1e-6)
