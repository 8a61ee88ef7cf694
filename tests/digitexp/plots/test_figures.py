"""The pictures that a command draws once: preview, reliability, robustness, activations."""

import io

import numpy as np
import pytest
from matplotlib import image as mpl_image

from digitexp.calibration import cross_fit
from digitexp.data import load_source
from digitexp.plots import colors, figures
from digitexp.plots.figures import draw_activations, draw_reliability, draw_robustness, wilson
from digitexp.plots.images import draw_preview
from tests.digitexp.calibration.drawn import drawn
from tests.digitexp.plots.pictures import pixels, share_of


@pytest.mark.parametrize(
    ("panel", "color", "z", "expected"),
    [
        pytest.param(0, colors.TRAIN, 6.0, 6.0, id="ReLU"),
        pytest.param(0, colors.TRAIN, -1.0, 0.0, id="ReLU below 0"),
        pytest.param(0, colors.VALIDATION, 3.0, 0.9526, id="sigmoid"),
        pytest.param(1, colors.TRAIN, 6.0, 1.0, id="the slope of ReLU"),
        pytest.param(1, colors.VALIDATION, 1.0, 0.1966, id="the slope of sigmoid"),
        pytest.param(1, colors.VALIDATION, 9.0, 0.0001, id="where a gradient vanishes"),
    ],
)
def test_the_picture_shows_both_functions(panel, color, z, expected):
    with figures.styled():
        figure = figures.activations_figure()
        picture = pixels(figures.png(figure))
    axes = figure.axes[panel]
    (x, y), bottom = axes.transData.transform((z, expected)), axes.bbox.y0
    wanted = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    column = picture[: round(len(picture) - bottom), round(x)]
    (found,) = np.nonzero(np.abs(column - wanted).max(axis=1) < 60)
    assert found.size
    assert found.mean() == pytest.approx(len(picture) - y, abs=2)


def test_names_of_networks_stand_beside_the_picture_and_widen_it():
    short, long = (draw_robustness([0.0, 0.1], {name: [0.9, 0.4]}) for name in ("a", "a" * 99))
    assert pixels(long).shape[1] > pixels(short).shape[1] + 300
    assert share_of(short, colors.TRAIN) > 0.002


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


def test_pyplot_is_left_alone():
    from matplotlib import pyplot

    draw_activations()
    assert pyplot.get_fignums() == []


@pytest.fixture(scope="module")
def png():
    return draw_reliability(cross_fit(*drawn(1000, 2.0)), "1000 images")


def test_both_panels_show_shares_and_gaps(png):
    picture = pixels(png)
    assert picture.shape == (731, 1248, 3)
    for half in (picture[:, :640], picture[:, 640:]):
        blue = np.abs(half - (0, 114, 178)).max(axis=2) < 12
        assert blue.mean() > 0.002
    assert share_of(png, colors.TRAIN) > 0.002


@pytest.mark.slow
def test_a_proud_networks_gaps_are_larger_before():
    picture = pixels(draw_reliability(cross_fit(*drawn(20_000, 2.0))))[100:597]
    tinted = (picture[..., 0] > picture[..., 2] + 60) & (picture[..., 0] > 200)
    surer_half = slice(320, 640), slice(960, 1248)  # of each panel
    before, after = (tinted[:, columns].sum() for columns in surer_half)
    assert before > 10 * after


def test_nothing_reaches_the_edge_of_the_sheet(png):
    picture = pixels(png)
    for edge in (picture[0], picture[-1], picture[:, 0], picture[:, -1]):
        assert (edge == 255).all()


def test_the_same_images_give_the_same_bytes(png):
    assert draw_reliability(cross_fit(*drawn(1000, 2.0)), "1000 images") == png


def test_one_full_bin_can_be_drawn():
    png = draw_reliability(cross_fit(np.eye(10) * 99.0, np.arange(10)), "")
    assert share_of(png, colors.TRAIN) > 0.0001


def test_intervals_are_wilsons():
    from scipy.stats import binomtest

    low, high = wilson(np.array([0.9, 0.0, np.nan]), np.array([40, 5, 0]))
    for place, (right, n) in enumerate([(36, 40), (0, 5)]):
        expected = binomtest(right, n).proportion_ci(method="wilson")
        assert (low[place], high[place]) == pytest.approx((expected.low, expected.high))
    assert np.isnan(low[2])


def test_a_name_with_dollars_is_no_formula():
    assert draw_robustness([0.0, 0.1], {r"$\frac$": [0.9, 0.4]})  # as a formula it cannot be drawn
