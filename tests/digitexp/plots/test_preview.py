import io

import numpy as np
import pytest
from matplotlib import image as mpl_image

from digitexp.data import load_source
from digitexp.plots.images import draw_preview


@pytest.fixture(scope="module")
def source():
    return load_source("digits20")


def read(png: bytes) -> np.ndarray:
    return mpl_image.imread(io.BytesIO(png), format="png")


def test_the_preview_is_a_readable_picture_on_white(source):
    picture = read(draw_preview(source.images, source.labels))
    assert min(picture.shape[:2]) > 900
    assert picture[0, 0, :3].tolist() == [1, 1, 1]
    assert 0.05 < (picture[..., :3].max(axis=2) < 0.3).mean() < 0.5  # ink


@pytest.mark.slow
def test_the_same_seed_draws_the_same_picture_and_another_seed_another(source):
    first = draw_preview(source.images, source.labels, seed=1)
    assert draw_preview(source.images, source.labels, seed=1) == first
    assert draw_preview(source.images, source.labels, seed=2) != first


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 8, 11])
def test_fewer_images_make_a_smaller_picture(source, count):
    few = read(draw_preview(source.images[:count], source.labels[:count]))
    whole = read(draw_preview(source.images, source.labels))
    assert few.shape[0] < whole.shape[0] / 2


def test_pyplot_is_left_alone(source):
    from matplotlib import pyplot

    draw_preview(source.images, source.labels)
    assert pyplot.get_fignums() == []
