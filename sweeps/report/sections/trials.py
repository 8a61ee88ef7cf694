"""Every trial, to be sorted and searched."""

from __future__ import annotations

from sweeps.report.blocks import Section, Table
from sweeps.report.data import SweepData
from sweeps.report.numbers import first_line, format_metric, format_value


def trials_section(data: SweepData) -> Section | None:
    """Return the table of all trials."""
    if not data.rows:
        return None
    metric = data.summary.metric
    place = {row.slot: str(number) for number, row in enumerate(data.ranking, 1)}
    cells = [
        [
            str(row.slot),
            place.get(row.slot, ""),
            row.state,
            "" if row.objective is None else format_metric(row.objective),
            *(format_value(row.params[n]) if n in row.params else "" for n in data.varied),
            str(row.epochs or ""),
            f"{row.seconds:.1f}",
            _why(row.reason, row.error),
            row.origin,
        ]
        for row in data.rows
    ]
    columns = [
        "trial",
        "place",
        "state",
        metric,
        *data.varied,
        "epochs",
        "seconds",
        "why",
        "origin",
    ]
    anchors = [f"trial-{row.slot}" for row in data.rows]
    return Section("trials", "All trials", [Table(columns, cells, anchors, is_searchable=True)])


def _why(reason: str, error: str | None) -> str:
    return f"{reason}: {first_line(error)}" if error else reason
