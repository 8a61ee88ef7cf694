import numpy as np
import pytest

from digitexp.plots import colors
from digitexp.plots.training import draw_confusion
from tests.digitexp.plots.pictures import pixels, share_of

DIGITS = [str(digit) for digit in range(10)]
PERFECT = np.diag(np.full(10, 100)).astype(np.uint32)


def with_mistakes() -> np.ndarray:
    counts = PERFECT.copy()
    counts[3, 5], counts[4, 9] = 8, 2
    return counts


def test_right_answers_are_blue_and_mistakes_are_not():
    clean, messy = draw_confusion(PERFECT, DIGITS), draw_confusion(with_mistakes(), DIGITS)
    assert share_of(clean, colors.RIGHT) > 0.03
    red, _, blue = np.moveaxis(pixels(messy), 2, 0)
    orange = (red - blue) > 60
    assert 0.003 < orange.mean() < 0.02
    red, _, blue = np.moveaxis(pixels(clean), 2, 0)
    assert not ((red - blue) > 60).any()


def test_counts_and_title_are_written():
    other = with_mistakes()
    other[3, 5] = 7
    other[4, 9] = 3
    assert draw_confusion(other, DIGITS) != draw_confusion(with_mistakes(), DIGITS)
    assert draw_confusion(PERFECT, DIGITS, "a") != draw_confusion(PERFECT, DIGITS, "b")


def test_the_counts_given_stay_as_they_are():
    counts = with_mistakes()
    draw_confusion(counts, DIGITS)
    np.testing.assert_array_equal(counts, with_mistakes())


@pytest.mark.parametrize("classes", [2, 10, 30, 47])
def test_any_number_of_classes_fits(classes):
    counts = np.random.default_rng(0).integers(0, 9, (classes, classes)).astype(np.uint32)
    height, width, _ = pixels(draw_confusion(counts, [f"class {i}" for i in range(classes)])).shape
    assert height == width
    assert 400 < width < 2200


def test_a_class_without_images_is_drawn():
    counts = PERFECT.copy()
    counts[2, 2] = 0
    assert pixels(draw_confusion(counts, DIGITS)).std() > 5


def test_many_classes_are_coloured_without_counts():
    """Where no count is written, a diagonal cell has one colour."""
    for classes, colours in ((30, 2), (31, 1)):
        picture = pixels(draw_confusion(np.diag([7] * classes), ["x"] * classes))
        blue = np.argwhere((picture == (0, 114, 178)).all(axis=2))
        top, left = blue.min(axis=0)
        cell = picture[top : top + 57, left : left + 57].reshape(-1, 3)
        assert min(len(np.unique(cell, axis=0)), 2) == colours


def test_large_counts_stay_inside_their_cells():
    counts = np.diag(np.full(10, 123_456_789)).astype(np.uint32)
    picture = pixels(draw_confusion(counts, DIGITS))
    blue = (picture == (0, 114, 178)).all(axis=2)
    rows, columns = np.nonzero(blue)
    top, left = rows.min(), columns.min()
    assert blue[top : top + 58, left].all()
    assert blue[top : top + 58, left + 58].all()
    assert not blue[top + 29, left : left + 58].all()


def test_only_names_wider_than_a_cell_are_turned():
    short, long = (draw_confusion(PERFECT, [name] * 10) for name in ("cat", "a long name"))
    assert pixels(long).shape[0] - pixels(short).shape[0] > 30


@pytest.mark.parametrize("classes", [2, 10, 31])
def test_an_earlier_matrix_leaves_no_trace(classes):
    names = [f"class {i}" for i in range(classes)]
    other = np.random.default_rng(0).integers(0, 2000, (classes, classes))
    first = draw_confusion(with_mistakes(), DIGITS, "first")
    draw_confusion(other, names, "second")
    draw_confusion(PERFECT, list("abcdefghij"), "third")
    assert draw_confusion(with_mistakes(), DIGITS, "first") == first
