"""Images under what they are and what they were taken for."""

import numpy as np
import pytest

from digitexp.data import load_source
from digitexp.plots import colors
from digitexp.plots.images import IMAGE, MOST_ERRORS, draw_errors, draw_predictions
from tests.digitexp.plots.pictures import pixels, share_of

NAMES = tuple("0123456789")


@pytest.fixture(scope="module")
def source():
    return load_source("digits20")


def predictions(source, wrong=(), names=NAMES, n=200):
    labels = source.labels[::20][:n]
    said = labels.copy()
    said[list(wrong)] = (said[list(wrong)] + 1) % 10
    return draw_predictions(source.images[::20][:n], labels, said, names)


def test_wrong_answers_stand_out_by_their_frame_as_well(source):
    right, wrong = predictions(source), predictions(source, range(200))
    assert share_of(right, colors.WRONG) == 0
    assert share_of(wrong, colors.WRONG) > 0.03
    # frame and letters, not their colour alone: what is orange is on paper or ink in the other
    changed = np.abs(pixels(right).sum(axis=2) - pixels(wrong).sum(axis=2)) > 150
    assert changed.mean() > 0.02


@pytest.mark.slow
def test_the_images_are_drawn_as_they_are(source):
    picture = pixels(predictions(source))
    assert min(picture.shape[:2]) > 900
    chosen = source.images[:1]
    one = pixels(draw_predictions(chosen, source.labels[:1], source.labels[:1], NAMES))
    factor = IMAGE // 20
    wanted = 255 - np.round(chosen[0] * 255).astype(int).repeat(factor, 0).repeat(factor, 1)
    found = np.lib.stride_tricks.sliding_window_view(one[..., 0], wanted.shape)
    assert (found == wanted).all(axis=(2, 3)).any()


@pytest.mark.parametrize("n", [1, 8, 9])
def test_fewer_images_make_a_smaller_picture(source, n):
    assert pixels(predictions(source, n=n)).shape[0] < pixels(predictions(source)).shape[0] / 2


@pytest.mark.parametrize("shape", [(8, 8), (28, 28), (20, 30), (200, 150)])
def test_images_of_any_size_fit_their_place(shape):
    images = np.ones((3, *shape), np.float32)
    labels = np.zeros(3, np.int64)
    picture = pixels(draw_predictions(images, labels, labels, NAMES))
    ink = (picture[90:] == 0).all(axis=2)
    tallest = ink.sum(axis=0).max()
    assert IMAGE / 2 <= max(tallest, ink.sum(axis=1).max() / 3) <= IMAGE


def test_longer_names_make_a_wider_picture(source):
    wide = predictions(source, names=("Ankle boot",) * 10)
    assert pixels(wide).shape[1] > pixels(predictions(source)).shape[1] * 1.4
    assert pixels(predictions(source, names=("so very long a name",) * 10)).shape[1] < 1900


@pytest.mark.parametrize(("errors", "rows"), [(0, 0), (1, 1), (8, 1), (9, 2), (500, 3)])
def test_the_gallery_shows_the_worst_and_has_room_for_no_more(source, errors, rows):
    picture = draw_errors(
        source.images[:errors], [("4", "9")] * errors, [0.9999] * errors, "1000 images"
    )
    height = pixels(picture).shape[0]
    assert height == (96 + rows * 140 if rows else 96)
    assert (share_of(picture, colors.WRONG) > 0) is bool(errors)
    assert MOST_ERRORS == 24
