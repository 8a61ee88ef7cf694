"""A sweep -> its report: one HTML file, and every chart of it as a PNG."""

from __future__ import annotations

from datetime import UTC, datetime

from sweeps.report.charts.png import draw_png
from sweeps.report.data import SweepData
from sweeps.report.page import render_page
from sweeps.report.sections import report_sections


def render_report(data: SweepData) -> str:
    """Return the report of a sweep as one HTML page."""
    return render_page(f"Sweep {data.info.name}", _subtitle(data), report_sections(data))


def draw_charts(data: SweepData) -> dict[str, bytes]:
    """Return every chart of a sweep's report as a PNG, by file name."""
    charts = [chart for section in report_sections(data) for chart in section.charts]
    return {f"{chart.name}.png": draw_png(chart) for chart in charts}


def _subtitle(data: SweepData) -> str:
    info = data.info
    made = datetime.fromtimestamp(info.created_at / 1000, tz=UTC)
    goal = f"{info.direction} {info.metric}"
    parts = [
        info.experiment_name,
        info.data.get("name", ""),
        goal,
        f"begun {made:%Y-%m-%d %H:%M} UTC",
    ]
    return " · ".join(str(part) for part in parts if part)
