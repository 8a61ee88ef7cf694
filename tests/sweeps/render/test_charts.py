"""Each kind of mark: plotly accepts its figure."""

import pytest

from sweeps.render.page import figure
from sweeps.render.section import (
    COLORS,
    Axis,
    Bars,
    Chart,
    Dimension,
    Heatmap,
    Line,
    Parallel,
    Points,
)

VALUES = [0.1, None, 0.3]
CHARTS = {
    "points": Chart("a", "Points", [Points("p", [1, 2, 3], VALUES, "trial", ["x", "y", "z"])]),
    "points by colour": Chart(
        "b", "By colour", [Points("", [1, 2, 3], [1, 2, 3], "trial", values=[1, 5, 9])],
        Axis("x", log=True, is_tiny=True),
    ),
    "intervals at labels": Chart(
        "c", "Intervals",
        [Points("p", ["a", "b"], [1, 2], "best", low=[0.5, 1], high=[2, 3], shift=0.2)],
        Axis("class", labels=("a", "b")),
    ),
    "diamonds": Chart("d", "Diamonds", [Points("p", [1], [2], "best", is_diamond=True)]),
    "lines": Chart(
        "e", "Lines",
        [Line("one", [1, 2, None, 1], [0.1, 0.2, None, 0.3], "trial", faint=True),
         Line("two", [1, 2], [1, 2], "best", dashed=True, steps=True)],
        Axis("epoch", whole=True), Axis("loss"), "wide",
    ),
    "bars": Chart(
        "f", "Bars",
        [Bars("best", ["one"], [0.7], "best", [0.5], [0.8], ["one: 0.7"]),
         Bars("noise", ["two"], [0.1], "reference", [0.0], [0.2])],
    ),
    "heatmap": Chart(
        "g", "Counts",
        [Heatmap([[9, 1], [0, 8]], "01", "01", [["", ""]] * 2, ("right", "wrong"),
                 [[0.9, -0.1], [0, 1]])],
    ),
    "differences": Chart(
        "h", "Differences",
        [Heatmap([[1, -1], [0, 2]], "01", "01", [["", ""]] * 2, ("more", "fewer"))],
    ),
    "parallel": Chart(
        "i", "Parallel",
        [Parallel(
            [Dimension("rate", [1e-4, 1e-2, 1e-3], log=True),
             Dimension("units", [1, None, 3]),
             Dimension("kind", ["a", "b", "a"], labels=("a", "b"))],
            [0.1, 0.2, 0.3], "score", ["one", "two", "three"])],
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", CHARTS)
def test_plotly_accepts_the_figure(kind):
    from plotly.graph_objects import Figure

    def painted(value):
        if isinstance(value, dict):
            return {k: painted(v) for k, v in value.items()}
        if isinstance(value, list):
            return [painted(item) for item in value]
        # As page.js does: a role is no colour yet.
        is_role = isinstance(value, str) and (
            value in COLORS or value in {"ink", "paper"} or value.startswith("scale:")
        )
        return "#000000" if is_role else value

    drawn = Figure(painted(figure(CHARTS[kind])))  # raises if a property or value is unknown
    assert len(drawn.data) >= len(CHARTS[kind].marks)


def test_a_missing_value_lies_below_all_others():
    values, ticks = Dimension("units", [1, None, 3]).places()
    assert values[1] < min(values[0], values[2])
    assert ticks[0] == (values[1], "none")


def test_lines_cross_each_axis_between_its_ends():
    (parallel,) = CHARTS["parallel"].marks
    heights, labels = parallel.lines()
    assert all(0 <= height <= 1 for line in heights for height in line)
    assert {axis for axis, _, _ in labels} == {0, 1, 2}


@pytest.mark.parametrize(("is_lower_better", "best"), [(True, 0), (False, 2)])
def test_the_lines_of_a_quantity_are_coloured_by_its_values_and_the_best_is_the_lightest(
    is_lower_better, best
):
    """The colour bar of a cross-entropy ran from -0.45 to -0.15."""
    mark = Parallel(
        [Dimension("rate", [1, 2, 3])], [0.1, 0.2, 0.4], "loss", ["a", "b", "c"],
        is_lower_better=is_lower_better,
    )  # fmt: skip
    chart = Chart("p", "Parallel", [mark], size="wide")
    lightest = next(t for t in figure(chart)["data"] if t["line"]["color"] == "scale:1.000")
    assert lightest["text"][0] == "abc"[best]


@pytest.mark.parametrize("top", [1, 2, 3])
def test_an_axis_of_counts_has_ticks_at_whole_numbers_alone(top):
    """Reasons of failures lay on an axis with the ticks 0, 1, 1, 2, 2."""
    chart = Chart("f", "Failures", [Bars("", ["error"], [top], "failed")], Axis("n", whole=True))
    layout = figure(chart)["layout"]["xaxis"]
    assert layout["dtick"] == 1


def test_an_axis_of_many_whole_numbers_leaves_its_ticks_to_plotly():
    chart = Chart("e", "Epochs", [Line("one", [1, 40], [0, 1], "trial")], Axis("e", whole=True))
    assert "dtick" not in figure(chart)["layout"]["xaxis"]
