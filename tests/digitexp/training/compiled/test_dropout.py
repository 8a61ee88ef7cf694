import numpy as np
import pytest
from numba import njit
from scipy.stats import chisquare

from digitexp.training.compiled.dropout import philox
from tests.digitexp.training.compiled.drawn import drawn_mask, dropped

ONES = 0xFFFFFFFF


@njit
def words_of(seed, step, layer, places):
    found = np.empty((places.size, 4), np.uint32)
    for k in range(places.size):
        found[k] = philox(seed, step, layer, places[k])
    return found


def words(seed, step, layer, places):
    """Draw with arguments of the engine's own types."""
    step = np.uint64(step).astype(np.int64)
    return words_of(np.uint64(seed), step, np.int64(layer), np.asarray(places, np.int64))


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0, 0, 0, 0), (0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ((ONES,) * 4, (ONES,) * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_the_generator_gives_the_published_numbers(counter, key, expected):
    """Those of Random123, `kat_vectors`, philox4x32 with 10 rounds."""
    place, layer, low, high = counter
    ((a, b, c, d),) = words(key[0] | key[1] << 32, low | high << 32, layer, [place])
    assert f"{a:08x} {b:08x} {c:08x} {d:08x}" == expected


def test_the_bytes_of_all_words_are_uniform():
    found = words(7, 3, 1, np.arange(50_000)).view(np.uint8).reshape(-1, 16)
    for byte in found.T:
        assert chisquare(np.bincount(byte, minlength=256)).pvalue > 1e-4


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rate", [0.05, 0.2, 0.5, 0.95])
def test_the_share_dropped_is_the_rate_and_the_rest_is_scaled(rate, dtype):
    mask = drawn_mask((4000, 101), rate, seed=3, step=5, layer=2, dtype=dtype)
    number = mask.dtype.type
    of_all = 2**16 - round(rate * 2**16)  # so many of 2^16 keep it: their inverse, means stay
    assert set(np.unique(mask)) == {0, number(2**16) / number(of_all)}
    deviation = np.sqrt(rate * (1 - rate) / mask.size)
    assert abs((mask == 0).mean() - rate) < 4 * deviation
    for axis in (0, 1):  # no unit and no sample is dropped more often than another
        shares = (mask == 0).mean(axis=axis)
        own = np.sqrt(rate * (1 - rate) / mask.shape[axis])
        assert shares.std() == pytest.approx(own, rel=5 / np.sqrt(2 * len(shares)))


@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (3, 3), (2, 2), (7, 11)])
def test_values_and_slopes_are_dropped_together(shape):
    generator = np.random.default_rng(0)
    values, slopes = generator.normal(size=shape), generator.normal(size=shape)
    mask = drawn_mask(shape, 0.5, 1, 2, 3)
    found = values.copy(), slopes.copy()
    dropped(*found, 0.5, 1, 2, 3)
    np.testing.assert_array_equal(found[0], values * mask)
    np.testing.assert_array_equal(found[1], slopes * mask)


ROWS, UNITS = 128, 128


def signs(seed, step, layer):
    """Return a mask of half of the values as -1 and 1, in a row."""
    return drawn_mask((ROWS, UNITS), 0.5, seed, step, layer).ravel() - 1


def largest_correlation(one, other):
    """Return the largest correlation at any shift; a row that is compared with itself has one."""
    product = np.fft.rfft(one) * np.fft.rfft(other).conj()
    found = np.abs(np.fft.irfft(product, len(one))) / len(one)
    if one is other:
        assert found[0] == pytest.approx(1)
        found[0] = 0
    return found.max()


FIRST = (11, 4, 2)
HIGH = 2**32
"""A seed or a step beyond 32 bits."""


@pytest.mark.parametrize(
    "other",
    [
        FIRST,  # seed, step, layer
        (11, 5, 2), (11, 3, 2), (11, 4, 3), (11, 4, 1), (12, 4, 2), (10, 4, 2),
        (11, 2, 4), (4, 11, 2), (2, 4, 11), (11, 4 + HIGH, 2), (11 + HIGH, 4, 2),
        (11, 6, 0), (13, 2, 2), (9, 6, 2), (11 ^ 1 << 31, 4, 2),
    ],
)  # fmt: skip
def test_masks_are_not_correlated_at_any_shift(other):
    one = signs(*FIRST)
    # Of 16384 correlations of coin tosses the largest is beyond 5.5 deviations once in 1600 times.
    assert largest_correlation(one, one if other == FIRST else signs(*other)) < 5.5 / np.sqrt(
        ROWS * UNITS
    )


def test_decisions_of_many_steps_are_independent():
    steps = 600
    found = np.array([drawn_mask((8, 16), 0.5, 5, step, 1).ravel() - 1 for step in range(steps)])
    between_places = found.T @ found / steps - np.eye(found.shape[1])
    assert np.abs(between_places).max() < 5.5 / np.sqrt(steps)
    between_steps = found @ found.T / found.shape[1] - np.eye(steps)
    assert np.abs(between_steps).max() < 6 / np.sqrt(found.shape[1])


def test_masks_follow_from_seed_step_layer_and_place_alone():
    mask = drawn_mask((50, 20), 0.3, 8, 9, 1)
    drawn_mask((31, 7), 0.6, 1, 1, 0)
    np.testing.assert_array_equal(drawn_mask((50, 20), 0.3, 8, 9, 1), mask)
