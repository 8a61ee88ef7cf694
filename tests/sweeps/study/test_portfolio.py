"""A portfolio: points of which one is likely to be good on the next data."""

from __future__ import annotations

import numpy as np
import pytest

from search_spaces.loading import load_space
from sweeps.study.portfolio import CAP, TriedPoints, choose, greedy, regrets_of

SPACE = """
experiment: tests.sweeps.toy_experiment:experiment
objective: {metric: loss, direction: minimize}
parameters:
  x: {type: float, low: 0, high: 1}
  kind: {type: categorical, choices: [a, b]}
  more: {type: float, low: 1e-3, high: 10, log: true, when: kind == b}
baselines:
  first: {x: 0.5, kind: a}
"""


@pytest.fixture
def space(tmp_path):
    file = tmp_path / "space.yaml"
    file.write_text(SPACE)
    return load_space(str(file))


def test_each_next_point_lowers_the_mean_of_the_least_regrets_most():
    regrets = np.array([[0.3, 0.3, 0.3], [0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    # Row 0 has the least mean; with it, row 3 leaves (0.3, 0, 0) and row 1 (0, 0.3, 0.3).
    assert greedy(regrets, 3) == [0, 3, 1]


def test_where_no_point_helps_the_best_of_the_others_is_next():
    assert greedy(np.array([[0.3], [0.0], [0.1], [0.2]]), 3) == [1, 2, 3]
    assert greedy(np.array([[0.3], [0.0]]), 5) == [1, 0]


def test_one_data_set_on_which_a_point_is_terrible_does_not_decide():
    regrets = np.array([[0.9, 0.9, 0.9], [0.1, 0.1, 1e6]])
    assert greedy(regrets, 1) == [1]


def test_regret_is_0_for_the_best_1_for_the_median_and_capped():
    found = regrets_of(np.array([2.0, 4.0, 3.0, 1e9, np.nan]))
    assert found == pytest.approx([0.0, 4 / 3, 2 / 3, CAP, CAP])
    assert regrets_of(np.array([1.0, 1.0, 1.0, 2.0])).tolist() == [0, 0, 0, CAP]


def test_a_point_that_neighbours_say_is_good_everywhere_comes_before_the_best_of_one(space):
    xs = np.linspace(0, 1, 21)
    points = [{"x": float(x), "kind": "a"} for x in xs]
    # Each is best at an end of its own; between them 0.4 is good for both.
    low = TriedPoints(points, np.where(xs < 0.05, 0.0, np.abs(xs - 0.4) + 0.1))
    high = TriedPoints(points, np.where(xs > 0.95, 0.0, np.abs(xs - 0.4) + 0.1))
    (task, place), *_ = choose([low, high], space)
    assert [low, high][task].points[place]["x"] == pytest.approx(0.4)


def test_baselines_and_points_that_were_chosen_are_not_chosen(space):
    points = [{"x": 0.5, "kind": "a"}, {"x": 0.1, "kind": "a"}, {"x": 0.1, "kind": "a"}]
    assert choose([TriedPoints(points, np.array([0.0, 1.0, 1.0]))], space) == [(0, 1)]
    assert choose([TriedPoints(points[:1], np.array([0.0]))], space) == []


def test_a_choice_and_its_parameters_keep_points_apart(space):
    here = [{"x": 0.2, "kind": "a"}, {"x": 0.2, "kind": "b", "more": 1.0}]
    there = [{"x": 0.9, "kind": "a"}, {"x": 0.2, "kind": "b", "more": 2.0}] * 5
    first = TriedPoints(here * 3, np.array([0.0, 0.1] * 3))
    second = TriedPoints(there, np.array([1.0, 0.0] * 5))
    (task, place), *_ = choose([first, second], space, 1)
    assert [first, second][task].points[place]["kind"] == "b"


@pytest.mark.parametrize(("better", "is_chosen"), [(19, True), (20, False)])
def test_only_the_best_twenty_points_of_each_data_set_may_be_chosen(space, better, is_chosen):
    xs = [*np.linspace(0, 0.2, better), 0.4, *np.linspace(0.8, 1, better)]
    good = [{"x": float(x), "kind": "a"} for x in xs]
    bad = [{"x": float(x), "kind": "b", "more": 1.0} for x in np.linspace(0, 1, 60)]
    # So many are better than 0.4 on one of the two, and bad on the other; 0.4 is good on both.
    ramp = np.linspace(0, 0.1, better)
    low = np.array([*ramp, 0.5, *[10.0] * better, *[10.0] * 60])
    high = np.array([*[10.0] * better, 0.5, *ramp, *[10.0] * 60])
    chosen = choose([TriedPoints(good + bad, low), TriedPoints(good + bad, high)], space)
    assert ((good + bad)[chosen[0][1]]["x"] == 0.4) == is_chosen
    assert any(place == better for _, place in chosen) == is_chosen
