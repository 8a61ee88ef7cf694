"""Every trial, to be sorted and searched."""

from __future__ import annotations

from collections.abc import Sequence

from search_spaces.objectives import Objective
from sweeps.analysis.data import SweepData
from sweeps.analysis.rows import SlotRow
from sweeps.render.section import Section, Table
from sweeps.wording import first_line, format_metric, format_value


def trials_section(data: SweepData) -> Section | None:
    """Return the table of all trials."""
    if not data.rows:
        return None
    metrics = [objective.metric for objective in data.info.objectives]
    place = {row.slot: str(number) for number, row in enumerate(data.ranking, 1)}
    if data.info.has_front:
        place = dict.fromkeys((row.slot for row in data.summary.front), "on the front")
    cells = [
        [
            str(row.slot),
            place.get(row.slot, ""),
            row.state,
            *_values(row, data.info.objectives),
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
        "front" if data.info.has_front else "place",
        "state",
        *metrics,
        *data.varied,
        "epochs",
        "seconds",
        "why",
        "origin",
    ]
    anchors = [f"trial-{row.slot}" for row in data.rows]
    return Section("trials", "All trials", [Table(columns, cells, anchors, is_searchable=True)])


def _values(row: SlotRow, objectives: Sequence[Objective]) -> list[str]:
    values = row.values(objectives)
    return [""] * len(objectives) if values is None else [format_metric(value) for value in values]


def _why(reason: str, error: str | None) -> str:
    return f"{reason}: {first_line(error)}" if error else reason
