"""Sections -> one self-contained HTML file, which makes no request and works from a disk.

Charts become figures of plotly.js as plain JSON: traces and layout. `plotly.graph_objects` would
take seconds to import and to check them; a test lets plotly check the result. Colours are names of
roles, which the page replaces by those of light or dark paper (`page.js`).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from functools import cache, singledispatch
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sweeps.render.section import (
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
    Section,
)

if TYPE_CHECKING:
    from jinja2 import Template

_HERE: Final = Path(__file__).parent


def render_page(title: str, subtitle: str, sections: Sequence[Section]) -> str:
    """Return the page.

    Args:
        title: Its heading.
        subtitle: One line below it.
        sections: Its sections, in order.
    """
    figures = {chart.name: figure(chart) for section in sections for chart in section.charts}
    return page_template().render(
        title=title,
        subtitle=subtitle,
        sections=sections,
        figures=_script_json(figures),
        colors=_script_json(COLORS),
        style=(_HERE / "page.css").read_text(encoding="utf-8"),
        script=(_HERE / "page.js").read_text(encoding="utf-8"),
        # plotly.js with the traces of this module (`.ci/build-plotly.mjs`)
        plotly=(_HERE / "plotly.min.js").read_text("utf-8").replace("</script", "<\\/script"),
    )


@cache
def page_template() -> Template:
    """Return the template of the page; the first call compiles it, in 0.1 s."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["kind"] = lambda block: type(block).__name__.lower()
    environment.filters["base64"] = lambda content: base64.b64encode(content).decode()
    environment.filters["is_number"] = _is_number
    return environment.get_template("page.html")


def _script_json(value: Any) -> str:
    """Return JSON that cannot end the script element around it; NaN, no JSON, becomes null."""
    return json.dumps(_finite(value), separators=(",", ":")).replace("<", "\\u003c")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float):
        # A screen shows fewer than seven digits; all of them would double the page.
        return float(f"{value:.7g}") if abs(value) < float("inf") else None
    return value


def _is_number(cell: str) -> bool:
    try:
        float(cell.removesuffix(" %").removesuffix(" points").removeprefix("#"))
    except ValueError:
        return False
    return True


HEIGHTS: Final = {"wide": 380, "half": 340, "third": 260}
_ROW_PIXELS: Final = 30
_FEW_TICKS: Final = 6
_PARALLEL_COLORS: Final = 16
# plotly's own for it, dtick "D2", loses the range when the window changes twice.
_ONE_TWO_FIVE: Final = [float(f"{step}e{power}") for power in range(-9, 10) for step in (1, 2, 5)]


def figure(chart: Chart) -> dict[str, Any]:
    """Return a figure as plotly.js takes it, `{"data": [...], "layout": {...}}`."""
    height = HEIGHTS[chart.size]
    for mark in chart.marks:
        if isinstance(mark, Parallel):
            return _parallel(mark, height)
    traces = [_trace(mark, chart) for mark in chart.marks]
    heatmaps = [mark for mark in chart.marks if isinstance(mark, Heatmap)]
    # Traces that only stand in the legend: a heatmap has no entry of its own there.
    traces += [
        _named(name) | {
            "type": "scatter", "mode": "markers", "x": [None], "y": [None],
            "marker": {"symbol": "square", "size": 12, "color": color},
        }
        for mark in heatmaps
        for name, (_, color) in zip(mark.legend, (DIFFERENCES[-1], DIFFERENCES[0]), strict=True)
    ]  # fmt: skip
    if chart.rows:
        height = 120 + _ROW_PIXELS * chart.rows
    layout: dict[str, Any] = {
        "height": height,
        "margin": {"l": 64, "r": 16, "t": 16, "b": 52},
        "xaxis": _axis(chart.x),
        "yaxis": _axis(chart.y),
        "hovermode": "closest",
        "showlegend": sum(bool(trace.get("showlegend")) for trace in traces) > 1,
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
    }
    bars = any(isinstance(mark, Bars) for mark in chart.marks)
    shown = [mark.values if isinstance(mark, Bars) else mark.x for mark in chart.marks
             if isinstance(mark, Bars | Line | Points)]  # fmt: skip
    numbers = [x for values in shown for x in values if isinstance(x, int | float)]
    if chart.x.whole and max(numbers, default=0) <= _FEW_TICKS:
        layout["xaxis"]["dtick"] = 1  # plotly's own ticks lie at halves then, written as 0, 1, 1
    if bars:
        layout["yaxis"] |= {"autorange": "reversed", "automargin": True}
    elif chart.rows:
        layout["yaxis"] |= {"range": [chart.rows - 0.5, -0.5], "showgrid": False}
    if heatmaps:
        layout["height"] = 430 if chart.size == "half" else height
        layout["yaxis"] |= {"autorange": "reversed", "type": "category", "scaleanchor": "x"}
        layout["xaxis"] |= {"type": "category", "constrain": "domain"}
        layout["yaxis"] |= {"constrain": "domain"}
    return {"data": traces, "layout": layout}


def _axis(axis: Axis) -> dict[str, Any]:
    title = {"text": axis.title, "standoff": 12}  # else it lies on the labels of the axis
    made: dict[str, Any] = {"title": title, "zeroline": False, "automargin": True}
    if axis.labels is not None:
        made |= {"tickvals": [*range(len(axis.labels))], "ticktext": [*axis.labels]}
        made["range"] = [-0.5, len(axis.labels) - 0.5]
    elif axis.log:
        made |= {
            "type": "log",
            **({"tickvals": _ONE_TWO_FIVE} if axis.is_short else {"dtick": 1}),
            "tickformat": "~e" if axis.is_tiny else "~g",
        }
    elif axis.whole:
        made["tickformat"] = "d"
    return made


@singledispatch
def _trace(mark: Any, chart: Chart) -> dict[str, Any]:
    raise TypeError(f"no trace for {type(mark).__name__}")


@_trace.register
def _points(mark: Points, chart: Chart) -> dict[str, Any]:
    marker: dict[str, Any] = {"size": 8, "color": mark.role, "line": {"width": 0.5}}
    if mark.is_diamond:
        marker |= {"symbol": "diamond", "size": 11}
    if mark.values is not None:
        bar = {"title": {"text": mark.values_title, "side": "right"}, "thickness": 10}
        marker |= {"color": list(mark.values), "colorscale": SEQUENCE.title(), "colorbar": bar}
    across, up = ("y", "x") if mark.is_sideways else ("x", "y")
    trace = _named(mark.name) | {
        "type": "scatter", "mode": "markers", across: mark.places(getattr(chart, across)),
        up: list(mark.y), "marker": marker, **_hover(mark.text),
    }  # fmt: skip
    if mark.low is not None and mark.high is not None:
        trace[f"error_{up}"] = _interval(mark.y, mark.low, mark.high)
    return trace


@_trace.register
def _line(mark: Line, chart: Chart) -> dict[str, Any]:
    line = {
        "color": mark.role,
        "width": 1 if mark.faint else 2,
        "dash": "dash" if mark.dashed else "solid",
        "shape": "hv" if mark.steps else "linear",
    }
    # A line with neither name nor text only guides the eye, so it must not hide the dots' texts.
    hover = _hover(mark.text) or ({} if mark.name else {"hoverinfo": "skip"})
    return _named(mark.name) | {
        "type": "scatter", "mode": "lines", "x": list(mark.x), "y": list(mark.y), "line": line,
        "opacity": 0.45 if mark.faint else 1.0, "connectgaps": False, **hover,
    }  # fmt: skip


@_trace.register
def _bars(mark: Bars, chart: Chart) -> dict[str, Any]:
    trace = _named(mark.name) | {
        "type": "bar", "orientation": "h", "x": list(mark.values), "y": list(mark.labels),
        "marker": {"color": mark.role}, "hovertext": list(mark.text), "hoverinfo": "text",
    }  # fmt: skip
    if mark.low is not None and mark.high is not None:
        trace["error_x"] = _interval(mark.values, mark.low, mark.high)
    return trace


@_trace.register
def _heatmap(mark: Heatmap, chart: Chart) -> dict[str, Any]:
    colors, highest = mark.colors, 1.0
    if colors is None:
        colors = mark.values
        highest = max((abs(value) for row in colors for value in row), default=0) or 1
    sign = "+" if mark.colors is None else ""
    return {
        "type": "heatmap",
        "z": [list(row) for row in colors],
        "x": list(mark.columns),
        "y": list(mark.rows),
        "zmin": -highest,
        "zmax": highest,
        "colorscale": [list(step) for step in DIFFERENCES],
        "showscale": False,
        "xgap": 1,
        "ygap": 1,
        "text": [[f"{v:{sign}.0f}" if v else "" for v in row] for row in mark.values],  # no zeros
        "texttemplate": "%{text}",
        "hovertext": [list(row) for row in mark.text],
        "hoverinfo": "text" if mark.text else "x+y+z",
    }


def _parallel(mark: Parallel, height: int) -> dict[str, Any]:
    """Return the figure of parallel coordinates.

    They are drawn as lines, since plotly's own `parcoords` needs WebGL, which remote desktops lack.
    Lines of similar values share a trace, since hundreds of traces would be slow.
    """
    places, labels = mark.lines()
    steps = min(_PARALLEL_COLORS, len(mark.values))
    ranks = sorted(range(len(mark.values)), key=lambda line: mark.values[line])
    ranks = ranks[::-1] if mark.is_lower_better else ranks
    traces: list[dict[str, Any]] = []
    for step in range(steps):
        lines = ranks[step * len(ranks) // steps : (step + 1) * len(ranks) // steps]
        trace: dict[str, Any] = {
            "type": "scatter", "mode": "lines", "x": [], "y": [], "text": [], "hoverinfo": "text",
            "line": {"width": 1.4, "color": f"scale:{step / max(steps - 1, 1):.3f}"},
            "opacity": 0.75, "showlegend": False, "connectgaps": False,
        }  # fmt: skip
        for line in lines:
            trace["x"] += [*range(len(mark.dimensions)), None]
            trace["y"] += [*places[line], None]
            trace["text"] += [mark.text[line]] * len(mark.dimensions) + [""]
        traces.append(trace)
    notes = [
        {"x": axis, "y": y, "text": text, "showarrow": False, "xanchor": "left", "xshift": 3,
         "font": {"size": 10}, "bgcolor": "paper"}
        for axis, y, text in labels
    ]  # fmt: skip
    names = [dimension.title for dimension in mark.dimensions]
    bare = {"zeroline": False, "fixedrange": True}
    across = {
        "tickvals": [*range(len(names))],
        "ticktext": names,
        "range": [-0.1, len(names) - 0.6],
    }
    upward = {"showticklabels": False, "showgrid": False, "range": [-0.06, 1.06]}
    layout = {
        "height": height,
        "margin": {"l": 56, "r": 40, "t": 16, "b": 40},
        "xaxis": bare | across,
        "yaxis": bare | upward,
        "hovermode": "closest",
        "showlegend": False,
        "annotations": notes,
    }
    return {"data": traces, "layout": layout}


def _named(name: str) -> dict[str, Any]:
    return {"name": name, "showlegend": bool(name)}


def _hover(text: Sequence[str]) -> dict[str, Any]:
    return {"text": list(text), "hoverinfo": "text"} if text else {}


def _interval(middle: Sequence[Any], low: Sequence[Any], high: Sequence[Any]) -> dict[str, Any]:
    def lengths(upper: Sequence[Any], lower: Sequence[Any]) -> list[float | None]:
        both = zip(upper, lower, strict=True)
        return [None if one is None or other is None else one - other for one, other in both]

    return {
        "type": "data", "symmetric": False, "thickness": 1.5, "color": "ink",
        "array": lengths(high, middle), "arrayminus": lengths(middle, low),
    }  # fmt: skip
