"""A sweep -> its report: one HTML page, and its charts as PNGs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from search_spaces.objectives import in_words
from sweeps.analysis.data import SweepData
from sweeps.render.charts.chart import Chart
from sweeps.render.charts.png import draw_png
from sweeps.render.page import render_page
from sweeps.render.section import Section


def render_report(data: SweepData, sections: Sequence[Section]) -> str:
    """Return the report of a sweep as one HTML page.

    Args:
        data: The sweep.
        sections: The sections, from `report_sections`.
    """
    return render_page(f"Sweep {data.info.name}", _subtitle(data), sections)


def draw_charts(
    sections: Sequence[Section], wanted: Callable[[Chart], bool] = lambda chart: True
) -> dict[str, bytes]:
    """Return the charts of a report as PNGs, by file name."""
    charts = [chart for section in sections for chart in section.charts]
    return {f"{chart.name}.png": draw_png(chart) for chart in charts if wanted(chart)}


def _subtitle(data: SweepData) -> str:
    info = data.info
    made = datetime.fromtimestamp(info.created_at / 1000, tz=UTC)
    goal, begun = in_words(info.objectives), f"begun {made:%Y-%m-%d %H:%M} UTC"
    parts = [info.experiment_name, info.data.get("name", ""), goal, begun]
    return " · ".join(str(part) for part in parts if part)
