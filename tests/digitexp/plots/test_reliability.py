"""The reliability diagram: both panels, the same bytes, nothing cut off."""

import numpy as np
import pytest

from digitexp.evaluation.calibration import cross_fit
from digitexp.plots import colors
from digitexp.plots.reliability import draw_reliability, wilson
from tests.digitexp.evaluation.calibration.drawn import drawn
from tests.digitexp.plots.pictures import pixels, share_of


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


def test_a_proud_networks_gaps_are_larger_before():
    picture = pixels(draw_reliability(cross_fit(*drawn(20_000, 2.0))))[100:597]
    tinted = (picture[..., 0] > picture[..., 2] + 60) & (picture[..., 0] > 200)
    assert tinted[:, :640].sum() > 2 * tinted[:, 640:].sum() > 0


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
