"""How the objective developed over the sweep."""

from __future__ import annotations

from sweeps.report.blocks import Section
from sweeps.report.charts.chart import Axis, Chart, Line, Mark, Points
from sweeps.report.data import SweepData
from sweeps.report.numbers import format_metric, format_params
from sweeps.report.slots import SlotRow


def history_section(data: SweepData) -> Section | None:
    """Return the section with the optimisation history; None without a complete trial."""
    complete = [row for row in data.rows if row.objective is not None]
    if not complete:
        return None
    ends = [float(row.objective) for row in complete if row.objective is not None]
    floor = min(ends) - 0.06 * ((max(ends) - min(ends)) or abs(max(ends)) or 1)
    marks: list[Mark] = [_best_so_far(data, complete)]
    for row in data.summary.baselines:
        if row.objective is not None:
            x = [0, max(r.slot for r in data.rows)]
            marks.append(
                Line(f"baseline {row.baseline}", x, [row.objective] * 2, "baseline", dashed=True)
            )
    marks.append(_points("complete", [r for r in complete if r.baseline is None], "trial"))
    marks.append(_points("baseline trials", [r for r in complete if r.baseline], "baseline"))
    for state, role in (("PRUNED", "pruned"), ("FAILED", "failed")):
        rows = [row for row in data.rows if row.state == state]
        marks.append(_points(state.lower(), rows, role, floor))
    shown = [mark for mark in marks if not isinstance(mark, Points) or mark.x]
    name = data.summary.metric
    chart = Chart(
        "history", f"{name} by trial", shown, Axis("trial", whole=True), Axis(name), "wide",
        "A dot a trial; those without a value, pruned or failed, lie at the bottom. The line is "
        "the best so far.",
    )  # fmt: skip
    return Section("history", "Optimisation history", [chart])


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
