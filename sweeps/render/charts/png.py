"""Charts -> PNG bytes, by matplotlib on light paper, without pyplot's global state."""

from __future__ import annotations

import io
from functools import singledispatch
from typing import Any, Final

from sweeps.render.charts.chart import (
    COLORS,
    DIFFERENCES,
    SEQUENCE,
    Axis,
    Bars,
    Chart,
    Heatmap,
    Line,
    Parallel,
    Points,
)

SIZES: Final = {"wide": (10.0, 4.4), "half": (6.4, 4.4), "third": (4.6, 3.6)}
"""Width and height in inches."""

_STYLE: Final[dict[Any, Any]] = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E8E8E8",
    "font.size": 9,
    "legend.frameon": False,
    "figure.autolayout": False,  # a user's own settings, which would move things once more
    "figure.constrained_layout.use": False,
}


def draw_png(chart: Chart, dpi: int = 110) -> bytes:
    """Return a chart as a PNG."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    width, height = SIZES[chart.size]
    if chart.rows:
        height = max(2.4, 1.4 + 0.32 * chart.rows)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), facecolor="white")
        canvas: Any = FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        axes.set_title(chart.title, loc="left", fontsize=10, fontweight="bold")
        _set_axis(axes, "x", chart.x)
        _set_axis(axes, "y", chart.y)
        for mark in chart.marks:
            _draw(mark, axes, chart)
        if chart.rows:
            axes.invert_yaxis()
        names = axes.get_legend_handles_labels()[1]
        if len(names) > 1:
            axes.legend(loc="best", fontsize=8)
        figure.dpi = dpi
        # Not "tight": that draws all of it twice.
        around = figure.get_tightbbox(canvas.get_renderer()).padded(0.1)
        buffer = io.BytesIO()
        # Without the version in the file, the same chart gives the same bytes.
        figure.savefig(
            buffer, format="png", dpi=dpi, bbox_inches=around, metadata={"Software": None}
        )
    return buffer.getvalue()


def _set_axis(axes: Any, which: str, axis: Axis) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set(**{f"{which}label": axis.title})
    if axis.labels is not None:
        axes.set(**{f"{which}ticks": range(len(axis.labels)), f"{which}ticklabels": axis.labels})
    if axis.log:
        axes.set(**{f"{which}scale": "log"})
    if axis.range is not None:
        low, high = ((10**end if axis.log else end) for end in axis.range)
        axes.set(**{f"{which}lim": (low, high)})
    if axis.whole and not axis.log:
        getattr(axes, f"{which}axis").set_major_locator(MaxNLocator(integer=True))


@singledispatch
def _draw(mark: Any, axes: Any, chart: Chart) -> None:
    raise TypeError(f"nothing draws {type(mark).__name__}")


@_draw.register
def _points(mark: Points, axes: Any, chart: Chart) -> None:
    places = mark.places(chart.y if mark.is_sideways else chart.x)
    if mark.low is not None and mark.high is not None:
        draw = axes.hlines if mark.is_sideways else axes.vlines
        draw(places, mark.low, mark.high, colors="#505050", linewidth=1)
    if mark.values is None:
        color = COLORS[mark.role].light
        shape = "D" if mark.is_diamond else "o"
        at = (mark.y, places) if mark.is_sideways else (places, mark.y)
        axes.scatter(*at, s=22, color=color, marker=shape, label=mark.name or None)
        return
    drawn = axes.scatter(places, mark.y, s=22, c=list(mark.values), cmap=SEQUENCE)
    axes.figure.colorbar(drawn, ax=axes, label=mark.values_title, pad=0.01)


@_draw.register
def _line(mark: Line, axes: Any, chart: Chart) -> None:
    nan = float("nan")
    axes.plot(
        [nan if x is None else x for x in mark.x],
        [nan if y is None else y for y in mark.y],
        color=COLORS[mark.role].light,
        linewidth=0.7 if mark.faint else 1.6,
        alpha=0.45 if mark.faint else 1.0,
        linestyle="--" if mark.dashed else "-",
        drawstyle="steps-post" if mark.steps else "default",
        label=mark.name or None,
    )


@_draw.register
def _bars(mark: Bars, axes: Any, chart: Chart) -> None:
    color = COLORS[mark.role].light
    places = range(len(mark.labels))
    lengths = [value or 0.0 for value in mark.values]
    axes.barh(places, lengths, color=color, label=mark.name or None)
    axes.set_yticks(list(places), list(mark.labels))
    if mark.low is not None and mark.high is not None:
        axes.hlines(places, mark.low, mark.high, colors="#262626", linewidth=1.2)


@_draw.register
def _heatmap(mark: Heatmap, axes: Any, chart: Chart) -> None:
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.patches import Patch

    shown, highest, scale = mark.shades()
    cmap = LinearSegmentedColormap.from_list("", list(scale))
    axes.imshow(shown, cmap=cmap, vmin=-highest if scale is DIFFERENCES else 0, vmax=highest)
    keys = [Patch(color=color, label=name) for name, color in mark.legend_entries()]
    if keys:
        axes.legend(handles=keys, loc="upper left", bbox_to_anchor=(1, 1), fontsize=8)
    axes.grid(visible=False)
    axes.set_xticks(range(len(mark.columns)), list(mark.columns))
    axes.set_yticks(range(len(mark.rows)), list(mark.rows))
    for row, values in enumerate(mark.values):
        for column, value in enumerate(values):
            if value:
                strength = abs(shown[row][column]) / highest
                text = f"{value:+.0f}" if mark.diverging else f"{value:.0f}"
                color = "white" if strength > 0.6 else "#262626"
                axes.text(column, row, text, ha="center", va="center", fontsize=7, color=color)


@_draw.register
def _parallel(mark: Parallel, axes: Any, chart: Chart) -> None:
    import matplotlib as mpl
    from matplotlib.collections import LineCollection

    heights, labels = mark.lines()
    lines = [list(enumerate(line)) for line in heights]
    for number in range(len(mark.dimensions)):
        axes.axvline(number, color="#8A8A8A", linewidth=0.8)
    for number, height, label in labels:
        axes.text(number + 0.03, height, label, fontsize=7, va="center")
    norm = mpl.colors.Normalize(min(mark.values), max(mark.values))
    scale = f"{SEQUENCE}_r" if mark.is_lower_better else SEQUENCE
    drawn = LineCollection(lines, cmap=scale, norm=norm, linewidths=0.9, alpha=0.7)
    drawn.set_array(list(mark.values))
    axes.add_collection(drawn)
    axes.figure.colorbar(drawn, ax=axes, label=mark.title, pad=0.01)
    axes.set_xlim(-0.2, len(mark.dimensions) - 0.6)
    axes.set_ylim(-0.05, 1.05)
    axes.set_xticks(range(len(mark.dimensions)), [d.title for d in mark.dimensions], fontsize=8)
    axes.set_yticks([])
    axes.grid(visible=False)
