"""Drawings and pictures end up where the training images lie."""

import math

import numpy as np
import pytest

from digitexp.data.framing import PEN, Framing, cut_and_centre
from digitexp.data.loading import read_digits20


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    return read_digits20().train.images


@pytest.fixture(scope="module")
def framing(digits) -> Framing:
    return Framing.of(digits[:500].astype(np.float32) / 255)


def line(scale=1.0, shift=(0.0, 0.0), points=30):
    """A slanted stroke with a bend, and a dash across it."""
    bend = [(10 + 3 * i + 20 * math.sin(i / 6), 5 + 8 * i) for i in range(points)]
    return [
        [(scale * x + shift[0], scale * y + shift[1]) for x, y in stroke]
        for stroke in (bend, [(0, 120), (120, 100)])
    ]


def test_it_finds_out_how_digits20_fill_their_frame(framing):
    assert framing == Framing((20, 20), 20, by_mass=False)


def test_images_placed_by_their_mass_are_noticed(digits):
    placed = []
    for image in digits[:200]:
        wide = np.zeros((28, 28), np.float32)
        wide[4:24, 4:24] = image / 255
        rows, columns = np.indices(wide.shape)
        off = [round(13.5 - (wide * axis).sum() / wide.sum()) for axis in (rows, columns)]
        placed.append(np.roll(wide, off, (0, 1)))
    found = Framing.of(np.array(placed))
    assert (found.shape, found.side, found.by_mass) == ((28, 28), 20, True)
    drawn = found.strokes(line())
    rows, columns = np.indices(drawn.shape)
    centre = [(drawn * axis).sum() / drawn.sum() for axis in (rows, columns)]
    np.testing.assert_allclose(centre, 13.5, atol=0.51)


@pytest.mark.parametrize("corner", [(0, 0), (4, 4), (8, 8), (3, 6)])
def test_a_digit_comes_back_unchanged_from_anywhere_in_28_by_28(framing, digits, corner):
    row, column = corner
    for image in digits[:300]:
        whole = cut_and_centre(image, (20, 20)).astype(np.float32) / 255
        wide = np.zeros((28, 28), np.float32)
        wide[row : row + 20, column : column + 20] = whole
        np.testing.assert_array_equal(framing.picture(wide), whole)


def test_a_picture_of_the_size_of_the_frame_stays_as_it_is(framing):
    image = np.zeros((20, 20), np.float32)
    image[2:9, 3] = 0.5
    np.testing.assert_array_equal(framing.picture(image), image)


def test_a_picture_made_ten_times_larger_comes_back(framing, digits):
    for image in digits[:100].astype(np.float32) / 255:
        wide = np.pad(np.kron(image, np.ones((10, 10), np.float32)), 60)
        np.testing.assert_allclose(framing.picture(wide), image, atol=0.06)


@pytest.mark.parametrize("scale", [0.05, 0.5, 3.0, 40.0])
def test_how_large_and_where_it_was_drawn_makes_no_difference(framing, scale):
    there = framing.strokes(line(scale, shift=(17.0 * scale, -4.0)))
    np.testing.assert_allclose(there, framing.strokes(line()), atol=0.05)


def test_strokes_fill_the_frame_with_the_pen(framing):
    drawn = framing.strokes([[(50, 0), (50, 100)]])
    assert drawn.dtype == np.float32
    assert (drawn.min(), drawn.max()) == (0.0, 1.0)
    assert drawn.any(axis=1).all()  # from the upper edge to the lower
    assert drawn[10].sum() == pytest.approx(PEN * 20, abs=0.1)
    np.testing.assert_allclose(drawn, drawn[::-1], atol=0.1)


def test_a_dot_is_a_dot_in_the_middle(framing):
    for strokes in ([[(7.0, 9.0)]], [[(7.0, 9.0), (7.0, 9.0)]]):
        drawn = framing.strokes(strokes)
        assert np.isfinite(drawn).all()
        assert drawn[9, 9] == 1.0
        assert drawn.sum() == pytest.approx(math.pi * (PEN * 20 / 2) ** 2, rel=0.1)


@pytest.mark.parametrize("strokes", [[], [[]]])
def test_nothing_is_paper(framing, strokes):
    np.testing.assert_array_equal(framing.strokes(strokes), np.zeros((20, 20), np.float32))
    np.testing.assert_array_equal(framing.picture(np.zeros((300, 200))), np.zeros((20, 20)))


def test_a_level_line_stays_level(framing):
    drawn = framing.strokes([[(0, 5), (100, 5)]])
    assert drawn.any(axis=0).all()
    assert drawn.any(axis=1).sum() <= 5
