import math

import numpy as np
import pytest

from digitexp.plots.sheet import epoch_scale, value_scale


def scale_of(*values, may_be_logarithmic=True):
    return value_scale(values, 400, 100, may_be_logarithmic=may_be_logarithmic)


def test_values_lie_between_start_and_end_with_room_at_either_end():
    places = scale_of(1.0, 2.0, 3.0).pixels([1.0, 2.0, 3.0])
    np.testing.assert_allclose(places, [400 - 300 / 22, 250, 100 + 300 / 22])


def test_equal_factors_are_equal_distances_on_a_logarithmic_axis():
    steps = np.diff(scale_of(0.1, 1000.0).pixels([0.1, 1, 10, 100, 1000]))
    np.testing.assert_allclose(steps, steps[0])


@pytest.mark.parametrize(
    ("values", "logarithmic"),
    [((1, 30), False), ((1, 31), True), ((0, 31), False), ((-1, 31), False)],
)
def test_an_axis_is_logarithmic_where_positive_values_differ_by_more_than_30(values, logarithmic):
    assert scale_of(*values).logarithmic is logarithmic
    assert not scale_of(*values, may_be_logarithmic=False).logarithmic


def test_what_is_not_finite_has_no_place_and_does_not_widen_the_axis():
    scale = scale_of(1.0, math.nan, 2.0, math.inf, -math.inf)
    assert scale == scale_of(1.0, 2.0)
    assert np.isnan(scale.pixels([math.nan, math.inf, 1.0])).tolist() == [True, True, False]


@pytest.mark.parametrize("values", [(), (math.nan,)])
def test_without_any_value_the_axis_shows_0_to_1(values):
    assert list(scale_of(*values).ticks().values())[::5] == ["0.0", "1.0"]


@pytest.mark.parametrize(
    ("values", "first_and_last"),
    [
        ((0.1, 2.0), ("0.25", "2.00")),
        ((0.9, 0.98), ("0.90", "0.98")),
        ((-0.5, 0.5), ("-0.4", "0.4")),
        ((0.2, 900.0), ("1", "1000")),
        ((0.05, 2.0), ("0.05", "2")),
        ((1e-5, 3e-5), ("1e-05", "3e-05")),
        ((2e6, 3e6), ("2e+06", "3e+06")),
        ((1e-8, 1e30), ("1e-07", "1e+28")),
    ],
)
def test_ticks_are_round_and_labelled_without_rounding(values, first_and_last):
    ticks = scale_of(*values).ticks()
    labels = list(ticks.values())
    assert (labels[0], labels[-1]) == first_and_last
    assert [float(label) for label in labels] == pytest.approx(list(ticks))


@pytest.mark.parametrize("value", [0.0, 1.0, -3.0, 2.302585, 1e-30, 3e38])
def test_equal_values_get_an_axis_around_them(value):
    scale = scale_of(value, value)
    assert scale.low < value < scale.high
    labels = list(scale.ticks().values())
    assert len(labels) == len(set(labels)) >= 2


@pytest.mark.parametrize("seed", range(30))
def test_labels_differ_and_fit_beside_the_axis(seed):
    random = np.random.default_rng(seed)
    around, spread = 10.0 ** random.uniform(-6, 6, 2)
    labels = list(scale_of(*(around + spread * random.random(5))).ticks().values())
    assert 1 <= len(labels) == len(set(labels)) <= 12
    assert max(map(len, labels)) <= 9


@pytest.mark.parametrize(
    ("epochs", "labels"),
    [(1, "1"), (3, "1 2 3"), (12, "2 4 6 8 10 12"), (40, "5 10 15 20 25 30 35 40")],
)
def test_epochs_are_whole(epochs, labels):
    assert list(epoch_scale(epochs, 0, 100).ticks().values()) == labels.split()


@pytest.mark.parametrize("seed", range(200))
def test_ticks_are_those_of_matplotlib(seed):
    from matplotlib.ticker import MaxNLocator

    random = np.random.default_rng(seed)
    low = random.normal() * 10.0 ** random.integers(-5, 5)
    scale = value_scale([low, low + 10.0 ** random.uniform(-4, 5)], 0, 1, may_be_logarithmic=False)
    for one, steps in ((scale, [1, 2, 2.5, 5, 10]), (epoch_scale(seed + 1, 0, 1), [1, 2, 5, 10])):
        locator = MaxNLocator(nbins=9, steps=steps, integer=one.whole, min_n_ticks=1)
        known = locator.tick_values(one.low, one.high)
        known = known[(known >= one.low) & (known <= one.high)]
        np.testing.assert_allclose(list(one.ticks()), known, rtol=1e-6, atol=1e-9 * one.high)
