"""How the objective developed over the sweep."""

from __future__ import annotations

from sweeps.analysis.data import SweepData
from sweeps.analysis.rows import SlotRow
from sweeps.render.charts.chart import Axis, Chart, Line, Mark, Points
from sweeps.render.section import Section
from sweeps.wording import format_metric, format_params


def history_section(data: SweepData) -> Section | None:
    """Return the section with the optimisation history; None without a complete trial."""
    if all(row.objective is None for row in data.rows):
        return None
    front = {row.slot for row in data.summary.front} if data.info.has_front else set()
    charts = [_chart(view, front) for view in data.by_objective]
    return Section("history", "Optimisation history", charts)


def _chart(data: SweepData, front: set[int]) -> Chart:
    """Return the chart of one objective; of several the front in place of the best so far."""
    complete = [row for row in data.rows if row.objective is not None]
    ends = [float(row.objective) for row in complete if row.objective is not None]
    floor = min(ends) - 0.06 * ((max(ends) - min(ends)) or abs(max(ends)) or 1)
    marks: list[Mark] = [] if front else [_best_so_far(data, complete)]
    for row in data.summary.baselines:
        if row.objective is not None:
            x = [0, max(r.slot for r in data.rows)]
            marks.append(
                Line(f"baseline {row.baseline}", x, [row.objective] * 2, "baseline", dashed=True)
            )
    others = [row for row in complete if row.baseline is None and row.slot not in front]
    marks.append(_points("complete", others, "trial"))
    baselines = [row for row in complete if row.baseline and row.slot not in front]
    marks.append(_points("baseline trials", baselines, "baseline"))
    for state, role in (("PRUNED", "pruned"), ("FAILED", "failed")):
        rows = [row for row in data.rows if row.state == state]
        marks.append(_points(state.lower(), rows, role, floor))
    marks.append(_points("on the front", [r for r in complete if r.slot in front], "best"))
    shown = [mark for mark in marks if not isinstance(mark, Points) or mark.x]
    name = data.summary.metric
    note = "A dot a trial; those without a value, pruned or failed, lie at the bottom."
    note += "" if front else " The line is the best so far."
    return Chart(
        f"history-{name}" if front else "history",
        f"{name} by trial",
        shown,
        Axis("trial", whole=True),
        Axis(name),
        "half" if front else "wide",
        note,
    )


def _best_so_far(data: SweepData, complete: list[SlotRow]) -> Line:
    choose = max if data.is_higher_better else min
    best: list[float] = []
    for row in complete:
        assert row.objective is not None
        best.append(choose(best[-1], row.objective) if best else row.objective)
    slots = [row.slot for row in complete]
    last = max(row.slot for row in data.rows)
    return Line("best so far", [*slots, last], [*best, best[-1]], "best", steps=True)


def _points(name: str, rows: list[SlotRow], role: str, floor: float | None = None) -> Points:
    heights = [row.objective if row.objective is not None else floor for row in rows]
    return Points(name, [row.slot for row in rows], heights, role, [trial_text(r) for r in rows])  # type: ignore[arg-type]


def trial_text(row: SlotRow) -> str:
    """Return what pointing at a trial says."""
    value = row.reason if row.objective is None else format_metric(row.objective)
    params = format_params(row.params, separator="<br>")
    baseline = f" ({row.origin})" if row.baseline else ""
    return f"<b>trial {row.slot}</b>{baseline}: {value}<br>{params}"
