"""The picture of a confusion matrix, in its two sizes."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageDraw

from sweeps.render.confusion import (
    INK,
    LARGE,
    PALETTE,
    PAPER,
    RIGHT,
    SMALL,
    WRONG,
    _written,
    dejavu,
    draw_confusion,
)

DIGITS = [str(digit) for digit in range(10)]
PERFECT = np.diag(np.full(10, 100)).astype(np.uint32)
BLUE = 0, 114, 178
SIZES = pytest.mark.parametrize("size", [LARGE, SMALL], ids=["large", "small"])


def with_mistakes() -> np.ndarray:
    counts = PERFECT.copy()
    counts[3, 5], counts[4, 9] = 8, 2
    return counts


def drawn(counts: np.ndarray, names: list[str] = DIGITS, title: str = "", **how) -> np.ndarray:
    """Return the pixels of a picture: (height, width, 3), integers from 0 to 255."""
    return np.asarray(draw_confusion(counts, names, title, **how).convert("RGB")).astype(int)


def inside(pixels: np.ndarray, size=LARGE) -> np.ndarray:
    """Return the rows of a picture that the matrix takes; the legend lies above or below them."""
    return pixels[size.above : size.above + (600 if size is LARGE else 320)]


def orange(pixels: np.ndarray) -> np.ndarray:
    red, _, blue = np.moveaxis(pixels, 2, 0)
    return (red - blue) > 60


@SIZES
def test_right_answers_are_blue_and_mistakes_are_not(size):
    clean, messy = (inside(drawn(c, size=size), size) for c in (PERFECT, with_mistakes()))
    assert (np.abs(clean - BLUE).max(axis=2) < 12).mean() > 0.03
    assert 0.003 < orange(messy).mean() < 0.02
    assert not orange(clean).any()


@SIZES
def test_a_legend_has_both_colours_even_where_nothing_is_wrong(size):
    pixels = drawn(np.zeros((10, 10), int), size=size)
    for color in (RIGHT, WRONG):
        assert (pixels == color).all(axis=2).sum() >= 100


def test_rows_are_true_classes_and_columns_predicted_ones():
    counts = np.array([[50, 0], [20, 30]])
    pixels = inside(drawn(counts, ["a", "b"], size=SMALL), SMALL)
    height, width, _ = pixels.shape
    red, _, blue = pixels[height // 2 - 40, width // 2 - 40]
    assert blue > red
    rows, columns = np.nonzero(orange(pixels))
    assert rows.min() >= height / 2
    assert columns.max() < width / 2 + SMALL.beside


@SIZES
def test_counts_and_title_are_written(size):
    other = with_mistakes()
    other[3, 5] = 7
    other[4, 9] = 3
    assert (drawn(other, size=size) != drawn(with_mistakes(), size=size)).any()
    titled = [drawn(PERFECT, title=title, size=size) for title in "ab"]
    assert (titled[0] != titled[1]).any()


def test_the_counts_given_stay_as_they_are():
    counts = with_mistakes()
    draw_confusion(counts, DIGITS, "")
    np.testing.assert_array_equal(counts, with_mistakes())


@pytest.mark.parametrize("classes", [1, 2, 10, 30, 47, 400])
def test_any_number_of_classes_fits(classes):
    counts = np.random.default_rng(0).integers(0, 9, (classes, classes)).astype(np.uint32)
    names = [f"class {i}" for i in range(classes)]
    height, width, _ = drawn(counts, names).shape
    assert height == width
    assert 400 < width < 2200
    height, width, _ = drawn(counts, names, size=SMALL).shape
    assert 300 < max(height, width) < 600


@SIZES
def test_a_class_without_samples_is_drawn(size):
    counts = PERFECT.copy()
    counts[2, 2] = 0
    assert drawn(counts, size=size).std() > 5


def test_many_classes_are_coloured_without_counts():
    """Where no count is written, a diagonal cell has one colour."""
    for classes, colours in ((30, 2), (31, 1)):
        pixels = drawn(np.diag([7] * classes), ["x"] * classes)[LARGE.above :]
        blue = np.argwhere((pixels == BLUE).all(axis=2))
        top, left = blue.min(axis=0)
        cell = pixels[top : top + 57, left : left + 57].reshape(-1, 3)
        assert min(len(np.unique(cell, axis=0)), 2) == colours


def test_large_counts_stay_inside_their_cells():
    counts = np.diag(np.full(10, 123_456_789)).astype(np.uint32)
    blue = (inside(drawn(counts)) == BLUE).all(axis=2)
    rows, columns = np.nonzero(blue)
    top, left = rows.min(), columns.min()
    assert blue[top : top + 58, left].all()
    assert blue[top : top + 58, left + 58].all()
    assert not blue[top + 29, left : left + 58].all()


def test_only_names_wider_than_a_cell_are_turned():
    short, long = (drawn(PERFECT, [name] * 10) for name in ("cat", "a long name"))
    assert long.shape[0] - short.shape[0] > 30


def test_a_turned_name_is_the_same_name_turned():
    pixels = drawn(np.diag([7] * 10), ["", "a long name", *[""] * 8])
    left = dejavu(LARGE.letters, bold=False).getlength("a long name") + LARGE.beside
    beside = pixels[LARGE.above + 61 : LARGE.above + 119, 40 : round(left) - 2]
    below = pixels[LARGE.above + 602 :, round(left) + 61 : round(left) + 119]
    ink = [(area < 200).any(axis=2) for area in (np.rot90(beside), below)]
    boxes = [found[np.ix_(found.any(axis=1), found.any(axis=0))] for found in ink]
    assert boxes[0].sum() > 100
    np.testing.assert_array_equal(boxes[0], boxes[1][: len(boxes[0])])


@SIZES
def test_a_name_of_any_length_is_cut(size):
    height, width, _ = drawn(PERFECT, ["a name" * 1000] * 10, size=size).shape
    assert max(height, width) < 1300


@pytest.mark.parametrize("classes", [2, 10, 31])
def test_an_earlier_matrix_leaves_no_trace(classes):
    names = [f"class {i}" for i in range(classes)]
    other = np.random.default_rng(0).integers(0, 2000, (classes, classes))
    first = draw_confusion(with_mistakes(), DIGITS, "first")
    draw_confusion(other, names, "second", SMALL)
    draw_confusion(PERFECT, list("abcdefghij"), "third")
    assert draw_confusion(with_mistakes(), DIGITS, "first").tobytes() == first.tobytes()


def test_matplotlib_stays_out():
    code = (
        "import sys; import numpy as np; from sweeps.render.confusion import draw_confusion;"
        "draw_confusion(np.eye(2, dtype=int), ['a', 'b'], 'title');"
        "assert 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("text", ["", "two\nlines", "gÄ"])
def test_a_text_drawn_once_for_many_cells_looks_as_it_does_drawn_into_place(text):
    font, place = dejavu(16, True), (60, 50)
    kept, expected = (
        Image.new(mode, (120, 100), color) for mode, color in (("L", 0), ("RGB", PAPER))
    )
    ImageDraw.Draw(expected).text(place, text, INK, font, "mm")
    written, left, top = _written(text, font, "mm", INK, PAPER)
    kept.paste(written, (place[0] + left, place[1] + top))
    kept.putpalette(PALETTE.bytes)
    shown = np.asarray(kept.convert("RGB")).astype(int)
    assert np.abs(shown - np.asarray(expected)).max() <= 217 / 12 / 2 + 1, "half a step of twelve"
    assert bool((shown < 255).any()) is bool(text)


def test_all_colours_have_a_number_of_one_byte_and_no_number_two_colours():
    assert len(PALETTE.numbers) == len(set(PALETTE.numbers.values())) <= 256
    assert PALETTE.numbers[PAPER] == 0, "a new picture is paper"


def test_more_mistakes_are_never_paler_and_one_is_never_paper():
    counts = np.diag([100] * 10)
    counts[0, 1:] = [0, 1, 2, 3, 5, 9, 17, 60, 300]
    pixels = drawn(counts, [""] * 10)[LARGE.above + 10]
    shown = pixels[LARGE.beside + 60 * np.arange(1, 10) + 5, 2]  # blue is what orange lacks
    assert shown[0] == 255 > shown[1]
    assert (np.diff(shown) <= 0).all()
    assert len(set(shown.tolist())) >= 5
