"""Trials of a sweep: history of the objective, learning curves, all trials, failures and time."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final

from search_spaces.objectives import Objective
from sweeps.analysis.data import MOST_DRAWN, SweepData
from sweeps.analysis.rows import TrialRow
from sweeps.analysis.table import metrics_beside
from sweeps.records import Record, RecordStore
from sweeps.render.section import (
    COMPARED,
    Axis,
    Bars,
    Block,
    Chart,
    Folded,
    Line,
    Mark,
    Number,
    Points,
    Role,
    Section,
    Table,
    Text,
)
from sweeps.render.sections.confirmed import role_of_recommended
from sweeps.render.verdict import retry_line, time_line
from sweeps.wording import (
    counted,
    first_line,
    format_metric,
    format_params,
    format_seconds,
    format_value,
)


def history_section(data: SweepData, folded: Sequence[Block] = ()) -> Section | None:
    """Return the section with the optimisation history; None without a complete trial.

    Args:
        data: The sweep.
        folded: What is folded below it, before the table of all trials.
    """
    if all(row.objective is None for row in data.rows):
        return None
    front = {row.trial for row in data.summary.front} if data.info.has_front else set()
    charts = [_chart(view, front) for view in data.by_objective]
    charts += [] if front else [_chart(data, front, data.seconds_until)]
    tables = [*folded, _all_trials(data), *imported_results(data.store, data.info.objectives)]
    return Section("history", "History of the search", [*charts, *tables])


def imported_results(
    store: RecordStore, objectives: Sequence[Objective], most: int = MOST_DRAWN
) -> list[Folded]:
    """Return the table of the results that were imported, at most so many; empty without any."""
    imported = store.state().imported
    if imported is None:
        return []
    shown = imported.trials[:most]
    names = list(dict.fromkeys(name for one in shown for name in one.params))
    rows = [
        [
            one.source,
            one.state,
            *(map(format_metric, one.values) if one.values else [""] * len(objectives)),
            *(format_value(one.params[name]) if name in one.params else "" for name in names),
            "tried anew" if one.again else "",
        ]
        for one in shown
    ]
    columns = ["imported", "state", *(one.metric for one in objectives), *names, ""]
    text = (
        f"Found in {imported.source}, not by this sweep: they teach its sampler, and are no trials "
        "of it. Nothing can check that the same was measured there, so none is compared with a "
        "trial here; what was tried anew is."
    )
    if left := len(imported.trials) - len(shown):
        text += f" {counted(left, 'other')} are not shown."
    return [Folded("Imported results", [Text(text), Table(columns, rows)], "imported")]


def name_of_chosen(data: SweepData) -> str:
    """Return `trial 17 (winner)`, or what else the trial is that the pictures show."""
    assert data.chosen is not None
    word = "leads"
    if data.info.has_front:
        word = "on the front"
    elif data.verdict is not None:
        word = role_of_recommended(data.verdict)
    return f"trial {data.chosen.trial} ({word})"


def _chart(data: SweepData, front: set[int], seconds: Mapping[int, float] | None = None) -> Chart:
    """Return the chart of one objective, by trial or by the seconds of training, which a user pays.

    A front, if any, replaces the best so far.
    """
    at = {row.trial: row.trial for row in data.rows} if seconds is None else seconds
    rows = sorted(
        (row for row in data.rows if row.trial in at), key=lambda r: (at[r.trial], r.trial)
    )
    complete = [row for row in rows if row.objective is not None]
    found = [float(row.objective) for row in complete if row.objective is not None]
    floor = min(found) - 0.06 * ((max(found) - min(found)) or abs(max(found)) or 1)
    last = max(at.values())
    marks: list[Mark] = [] if front else [_steps(data, complete, at, last)]
    for row in data.summary.baselines:
        if row.objective is not None:
            ends = [row.objective] * 2
            marks.append(Line(f"baseline {row.baseline}", [0, last], ends, "baseline", dashed=True))
    chosen = [] if front or data.chosen is None else [data.chosen]
    apart = front | {row.trial for row in chosen}
    apart_or_not_drawn = apart | {row.trial for row in complete if row.trial not in data.drawn}
    others = [r for r in complete if r.baseline is None and r.trial not in apart_or_not_drawn]
    marks.append(_points("complete", others, "trial", at))
    baselines = [row for row in complete if row.baseline and row.trial not in apart]
    marks.append(_points("baseline trials", baselines, "baseline", at))
    for state, label, role in _GROUPS[1:]:
        ended = [row for row in rows if row.state == state and row.trial in data.drawn]
        marks.append(_points(label, ended, role, at, floor))
    marks.append(_points("on the front", [r for r in complete if r.trial in front], "best", at))
    if chosen:
        marks.append(replace(_points(name_of_chosen(data), chosen, "best", at), is_diamond=True))
    shown = [mark for mark in marks if not isinstance(mark, Points) or mark.x]
    name = data.summary.metric
    if seconds is not None:
        note = (
            "The same by the seconds of training up to the end of each trial: trainings side by "
            "side count once, pauses between starts do not count."
        )
        axes = Axis("seconds of training"), Axis(name)
        return Chart("history-seconds", f"{name} by the time it took", shown, *axes, "wide", note)
    note = "A dot a trial; those without a value, pruned or failed, lie at the bottom."
    note += "" if front else " The line is the best so far."
    note += data.not_all_drawn
    return Chart(
        f"history-{name}" if front else "history",
        f"{name} by trial",
        shown,
        Axis("trial", whole=True),
        Axis(name),
        "half" if front else "wide",
        note,
    )


def _steps(
    data: SweepData, complete: Sequence[TrialRow], at: Mapping[int, float], last: float
) -> Line:
    choose = max if data.is_higher_better else min
    best: list[float] = []
    for row in complete:
        assert row.objective is not None
        best.append(choose(best[-1], row.objective) if best else row.objective)
    x = [*(at[row.trial] for row in complete), last]
    return Line("best so far", x, [*best, best[-1]], "best", steps=True)


def _points(
    name: str,
    rows: list[TrialRow],
    role: Role,
    at: Mapping[int, float],
    floor: float | None = None,
) -> Points:
    x = [at[row.trial] for row in rows]
    heights = [row.objective if row.objective is not None else floor for row in rows]
    return Points(name, x, heights, role, [trial_text(row) for row in rows])


def trial_text(row: TrialRow, value: str = "") -> str:
    """Return the text shown when the pointer is on a trial: its objective, or another `value`."""
    if not value:
        value = row.reason if row.objective is None else format_metric(row.objective)
    params = format_params(row.params, separator="<br>")
    baseline = f" ({row.origin})" if row.baseline else ""
    return f"<b>trial {row.trial}</b>{baseline}: {value}<br>{params}"


_RATE: Final = "learning_rate"
_GROUPS: Final[tuple[tuple[str, str, Role], ...]] = (
    ("COMPLETE", "complete", "trial"),
    ("PRUNED", "pruned", "pruned"),
    ("FAILED", "failed", "failed"),
)


def curves_section(data: SweepData) -> Section | None:
    """Return all learning curves of the objective's epoch metric and of the validation loss."""
    names = {name for r in data.finals.values() if r.result for name in r.result.history}
    wanted = [name for name in (data.info.epoch_metric, "val_loss") if name in names]
    if not wanted:
        wanted = sorted(names - {_RATE})[:1]
    charts = [_fan(data, name) for name in dict.fromkeys(wanted) if name]
    if _RATE in names and data.ranking:
        charts.append(_rates(data))
    return Section("curves", "Learning curves", charts) if charts else None


def _fan(data: SweepData, metric: str) -> Chart:
    states = {row.trial: row.state for row in data.rows}
    marks: list[Mark] = []
    stops: list[Mark] = []
    for state, name, role in _GROUPS:
        finals = ((trial, r) for trial, r in data.finals.items() if trial in data.drawn)
        records = [r for trial, r in finals if states[trial] == state]
        curves = [(r, values) for r in records if (values := _curve_values(r, metric))]
        if curves:
            marks.append(_lines(name, curves, role))
            stopped = [
                f"trial {r.trial}: {r.reason} after {counted(len(values), 'epoch')}"
                for r, values in curves
            ]
            lengths, lasts = zip(*((len(values), values[-1]) for _, values in curves), strict=True)
            stops.append(Points("", lengths, lasts, role, stopped))
    marks += stops
    if (base := data.summary.reference) is not None:
        marks += _one(data.finals[base.trial], metric, f"baseline {base.baseline}", "baseline")
    if data.chosen is not None:
        marks += _one(data.finals[data.chosen.trial], metric, name_of_chosen(data), "best")
    note = (
        "A line a trial, a dot where it stopped. On the thick ones a diamond marks an epoch that "
        "began with a lower learning rate."
    ) + data.not_all_drawn
    axis = Axis("epoch", whole=True)
    return Chart(f"curves-{metric}", metric, marks, axis, Axis(metric), "wide", note)


def _lines(name: str, curves: Iterable[tuple[Record, Sequence[Number]]], role: Role) -> Line:
    """Return all curves as one interrupted line, since hundreds of traces would be slow."""
    x: list[Number] = []
    y: list[Number] = []
    texts: list[str] = []
    for record, values in curves:
        x += [*range(1, len(values) + 1), None]
        y += [*values, None]
        texts += [f"trial {record.trial}, epoch {e}" for e in range(1, len(values) + 1)] + [""]
    return Line(name, x, y, role, texts, faint=True)


def _one(record: Record, metric: str, label: str, role: Role) -> list[Mark]:
    values = _curve_values(record, metric)
    marks: list[Mark] = [curve(record, metric, label, role)]
    rates = record.result.history.get(_RATE, []) if record.result else []
    pairs = enumerate(pairwise(rates[: len(values)]), 2)
    drops = [epoch for epoch, (before, after) in pairs if after < before]
    if drops:
        heights = [values[epoch - 1] for epoch in drops]
        said = [f"{label}: the learning rate dropped before epoch {epoch}" for epoch in drops]
        marks.append(Points("", drops, heights, role, said, is_diamond=True))
    return marks


def curve(record: Record, metric: str, label: str, role: Role) -> Line:
    """Return the values of a metric by epoch; an empty line if none was kept."""
    values = _curve_values(record, metric)
    epochs = list(range(1, len(values) + 1))
    return Line(label, epochs, values, role, [f"{label}, epoch {epoch}" for epoch in epochs])


def _rates(data: SweepData) -> Chart:
    marks: list[Mark] = [
        replace(
            curve(data.finals[row.trial], _RATE, f"trial {row.trial}", role), text=(), steps=True
        )
        for row, role in zip(data.leaders, COMPARED, strict=False)
    ]
    axes = Axis("epoch", whole=True), Axis(_RATE, log=True, is_tiny=True, is_short=True)
    which = "trials on the front" if data.info.has_front else "the best five"
    return Chart("learning-rates", f"Learning rate of {which}", marks, *axes, size="wide")


def _curve_values(record: Record, metric: str) -> list[Number]:
    history = record.result.history.get(metric, []) if record.result else []
    return [value if value == value and abs(value) != float("inf") else None for value in history]  # noqa: PLR0124


def trouble_section(data: SweepData) -> Section:
    """Return the section with failures by reason, all failed trials, and where the time went."""
    summary = data.summary
    blocks: list[Block] = []
    if summary.failures:
        names, counts = list(summary.failures), list(summary.failures.values())
        axis = Axis("trials", whole=True)
        marks = [
            Bars(
                "", names, counts, "failed", text=[f"{n}: {c}" for n, c in summary.failures.items()]
            )
        ]
        blocks.append(Chart("failures", "Failed trials by reason", marks, axis))
        rows = [
            [str(r.trial), r.reason, first_line(r.error or ""), format_params(r.params)]
            for r in data.rows
            if r.state == "FAILED"
        ]
        table = Table(["trial", "reason", "message", "parameters"], rows)
        blocks.append(Folded("The failed trials, one by one", [table]))
    else:
        blocks.append(Text("No trial failed."))
    if summary.retried:
        blocks.append(Text(f"{retry_line(summary.retried)}."))
    pruned = summary.counts["PRUNED"]
    if pruned:
        blocks.append(
            Text(f"{pruned} trial{'s were' if pruned > 1 else ' was'} pruned: ended early.")
        )
    if spent := time_line(summary.time_split):
        took = format_seconds(summary.seconds)
        blocks.append(Text(f"{spent}. The last start of the sweep took {took}.", "note"))
    return Section("trouble", "Failures and time", blocks)


def _all_trials(data: SweepData) -> Folded:
    rows = [row for row in data.rows if row.trial in data.drawn]
    objectives, blank = data.info.objectives, [None] * len(data.info.objectives)
    beside = metrics_beside(data.rows, objectives, data.store.state().shown)
    place = {row.trial: str(number) for number, row in enumerate(data.ranking, 1)}
    if data.info.has_front:
        place = dict.fromkeys((row.trial for row in data.summary.front), "on the front")
    cells = [
        [
            str(row.trial),
            place.get(row.trial, ""),
            row.state,
            *("" if v is None else format_metric(v) for v in row.values(objectives) or blank),
            *(format_metric(row.metrics[n]) if n in row.metrics else "" for n in beside),
            *(format_value(row.params[n]) if n in row.params else "" for n in data.varied),
            str(row.epochs or ""),
            f"{row.seconds:.1f}",
            f"{row.reason}: {first_line(row.error)}" if row.error else row.reason,
            row.origin,
        ]
        for row in rows
    ]
    columns = [
        "trial",
        "front" if data.info.has_front else "place",
        "state",
        *(objective.metric for objective in objectives),
        *beside,
        *data.varied,
        "epochs",
        "seconds",
        "why",
        "origin",
    ]
    anchors = [f"trial-{row.trial}" for row in rows]
    table = Table(columns, cells, anchors, is_searchable=True)
    if len(rows) == len(data.rows):
        return Folded("All trials", [table], "trials")
    command = f"sweeps trials {shlex.quote(data.info.name)} --csv FILE"
    text = Text(f"{data.not_all_drawn.strip()} `{command}` writes all of them.")
    return Folded("Trials", [text, table], "trials")
