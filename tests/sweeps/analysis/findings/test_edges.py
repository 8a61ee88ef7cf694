import dataclasses

import pytest

from sweeps.analysis.findings import edges, narrowed
from sweeps.analysis.importance import Importance
from sweeps.render.sections.parameters import narrower_search
from tests.sweeps.analysis.findings.builders import sweep_data


def grid(count=20):
    return [
        {"learning_rate": 10 ** (-4 + 2 * i / (count - 1)), "units": 60 + i % 3, "depth": 1 + i % 3}
        for i in range(count)
    ]


@pytest.mark.parametrize(
    ("objective", "direction", "end"),
    [
        (lambda i: i, "maximize", "highest"),
        (lambda i: i, "minimize", "lowest"),
        (lambda i: -i, "maximize", "lowest"),
    ],
)
def test_an_end_that_the_best_touch_is_named(objective, direction, end):
    near = [{**p, "learning_rate": 1e-4 if i < 5 else 1e-2 if i > 14 else 1e-3}
            for i, p in enumerate(grid())]  # fmt: skip
    found = edges(sweep_data(near, [objective(i) for i in range(20)], direction))
    assert [(edge.name, edge.end, edge.touching) for edge in found] == [("learning_rate", end, 5)]
    assert "learning_rate" in found[0].sentence()


def test_the_middle_and_a_handful_of_whole_numbers_are_no_edges():
    points = grid()
    assert edges(sweep_data(points, [-abs(i - 10) for i in range(20)])) == []
    assert edges(sweep_data(points[:9], range(9))) == [], "too few to say"


def test_below_twenty_trials_no_narrower_search_is_proposed():
    rate = Importance(
        value=0.9, low=0.8, high=1.0, name="learning_rate", trials=20, is_reference=False,
        stands_out=True,
    )  # fmt: skip
    for count, said in ((20, 1), (19, 0)):
        data = sweep_data(grid(count), [-abs(i - 10) for i in range(count)])
        assert len(narrower_search(data, [rate])) == said
    assert narrower_search(data, [dataclasses.replace(rate, stands_out=False)]) == []


def test_the_best_quarter_says_what_to_narrow_to():
    data = sweep_data(grid(), [-abs(i - 10) for i in range(20)])
    assert narrowed(data, ["learning_rate"]) == ["learning_rate=0.000695..0.00183"]
    assert narrowed(data, []) == []


@pytest.mark.parametrize(
    ("units", "said"),
    [
        ((62, 123, 125, 126, 127), "units=62..128"),
        ((9, 10, 20, 30, 40), "units=8..40"),
        ((20, 40, 60, 80, 100), "units=20..100"),
    ],
)
def test_an_end_of_the_range_that_the_best_are_near_is_not_cut_off(units, said):
    """Of the best near the limit of 128 the advice was units_1=62..117."""
    points = [{"units": units[4 - i] if i < 5 else 64 + i % 2} for i in range(20)]
    assert narrowed(sweep_data(points, [-i for i in range(20)]), ["units"]) == [said]
