"""Sections -> one self-contained HTML file, which makes no request and works from a disk."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sweeps.render.charts.chart import COLORS
from sweeps.render.charts.interactive import figure
from sweeps.render.section import Block, Section

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
        plotly=_plotly(),
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
    environment.filters["kind"] = _kind
    environment.filters["base64"] = lambda content: base64.b64encode(content).decode()
    environment.filters["is_number"] = _is_number
    return environment.get_template("page.html")


def _plotly() -> str:
    """Return plotly.js with the traces of `charts/interactive.py` (`.ci/build-plotly.mjs`)."""
    script = _HERE / "plotly.min.js"
    return script.read_text(encoding="utf-8").replace("</script", "<\\/script")


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


def _kind(block: Block) -> str:
    return type(block).__name__.lower()


def _is_number(cell: str) -> bool:
    try:
        float(cell.removesuffix(" %").removesuffix(" points").removeprefix("#"))
    except ValueError:
        return False
    return True
