"""Images drawn by class and seed, and brought to another size."""

import numpy as np
import pytest

from digitexp.data.source import resized
from digitexp.data.splits import draw

LABELS = np.repeat(np.arange(4), 30)
AMONG = np.arange(0, 120, 2)


def test_each_class_gives_as_many_from_those_that_may_be_drawn():
    drawn = draw(LABELS, 7, 0, AMONG)
    np.testing.assert_array_equal(np.bincount(LABELS[drawn]), [7] * 4)
    assert set(drawn) <= set(AMONG)
    assert len(set(drawn)) == 28


def test_fewer_images_are_a_part_of_more_and_another_seed_draws_others():
    few, more = (set(draw(LABELS, n, 3, AMONG)) for n in (3, 9))
    assert few < more
    assert few != set(draw(LABELS, 3, 4, AMONG))


def test_a_small_class_gives_all_it_has():
    drawn = draw(np.array([0, 0, 0, 1]), 2, 0, np.arange(4))
    assert 3 in drawn
    assert len(drawn) == 3


def test_the_draw_is_the_same_on_every_machine():
    assert draw(LABELS, 2, 0, AMONG).tolist() == [2, 20, 32, 48, 62, 88, 92, 108]


@pytest.mark.parametrize("shape", [(20, 20), (8, 8), (32, 24)])
def test_a_plain_image_stays_plain_in_every_size(shape):
    changed = resized(np.full((3, 28, 28), 0.25, np.float32), shape)
    assert (changed.shape, changed.dtype) == ((3, *shape), np.float32)
    np.testing.assert_allclose(changed, 0.25, atol=1e-6)


def test_smaller_images_average_all_pixels_and_keep_where_things_are():
    image = np.zeros((1, 28, 28), np.float32)
    image[0, :14, :14] = 1
    changed = resized(image, (4, 4))
    assert changed.mean() == pytest.approx(0.25, abs=0.01)
    np.testing.assert_allclose(changed[0, 0, 0], 1, atol=1e-6)
    np.testing.assert_allclose(changed[0, 3, :], 0, atol=1e-6)


def test_the_same_size_is_the_same_array():
    images = np.zeros((1, 8, 8), np.float32)
    assert resized(images, (8, 8)) is images
