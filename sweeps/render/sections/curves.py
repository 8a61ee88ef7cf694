"""Learning curves of all trials, by how they ended."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sweeps.analysis.data import SweepData
from sweeps.records import Record
from sweeps.render.charts.chart import Axis, Chart, Line, Mark, Number, Points
from sweeps.render.charts.palette import COMPARED, Role
from sweeps.render.section import Section

_RATE: Final = "learning_rate"
_GROUPS: Final[tuple[tuple[str, str, Role], ...]] = (
    ("COMPLETE", "complete", "trial"),
    ("PRUNED", "pruned", "pruned"),
    ("FAILED", "failed", "failed"),
)


def curves_section(data: SweepData) -> Section | None:
    """Return the fans of the objective's epoch metric and of the validation loss."""
    names = {name for r in data.finals.values() if r.result for name in r.result.history}
    wanted = [name for name in (data.info.epoch_metric, "val_loss") if name in names]
    if not wanted:
        wanted = sorted(names - {_RATE})[:1]
    charts = [_fan(data, name) for name in dict.fromkeys(wanted) if name]
    if _RATE in names and data.ranking:
        charts.append(_rates(data))
    return Section("curves", "Learning curves", charts) if charts else None


def _fan(data: SweepData, metric: str) -> Chart:
    states = {row.slot: row.state for row in data.rows}
    marks: list[Mark] = []
    stops: list[Mark] = []
    for state, name, role in _GROUPS:
        records = [r for slot, r in data.finals.items() if states[slot] == state]
        curves = [r for r in records if r.result and r.result.history.get(metric)]
        if curves:
            marks.append(_lines(name, curves, metric, role))
            stops.append(_ends(curves, metric, role))
    marks += stops
    reference = data.summary.reference
    best = data.leaders[0] if data.leaders else None
    word = "on the front" if data.info.has_front else "best"
    for row, role in ((reference, "baseline"), (best, "best")):
        if row is not None:
            label = f"baseline {row.baseline}"
            if role == "best":
                label = f"{word}, trial {row.slot}"
            marks += _one(data.finals[row.slot], metric, label, role)
    note = (
        "A line a trial, a dot where it stopped. On the thick ones a diamond marks an epoch that "
        "began with a lower learning rate."
    )
    axis = Axis("epoch", whole=True)
    return Chart(f"curves-{metric}", metric, marks, axis, Axis(metric), "wide", note)


def _lines(name: str, records: Iterable[Record], metric: str, role: Role) -> Line:
    """Return all curves as one interrupted line: hundreds of traces would be slow."""
    x: list[Number] = []
    y: list[Number] = []
    texts: list[str] = []
    for record in records:
        values = _values(record, metric)
        x += [*range(1, len(values) + 1), None]
        y += [*values, None]
        texts += [f"trial {record.spec.slot}, epoch {e}" for e in range(1, len(values) + 1)] + [""]
    return Line(name, x, y, role, texts, faint=True)


def _ends(records: Iterable[Record], metric: str, role: Role) -> Points:
    chosen = [(r, _values(r, metric)) for r in records]
    return Points(
        "",
        [len(values) for _, values in chosen],
        [values[-1] for _, values in chosen],
        role,
        [f"trial {r.spec.slot}: {r.reason} after {len(values)} epochs" for r, values in chosen],
    )


def _one(record: Record, metric: str, label: str, role: Role) -> list[Mark]:
    values = _values(record, metric)
    epochs = list(range(1, len(values) + 1))
    texts = [f"{label}, epoch {epoch}" for epoch in epochs]
    marks: list[Mark] = [Line(label, epochs, values, role, texts)]
    drops = [epoch for epoch in rate_drops(record) if epoch <= len(values)]
    if drops:
        heights = [values[epoch - 1] for epoch in drops]
        said = [f"{label}: the learning rate dropped before epoch {epoch}" for epoch in drops]
        marks.append(Points("", drops, heights, role, said, is_diamond=True))
    return marks


def _rates(data: SweepData) -> Chart:
    marks: list[Mark] = []
    for row, role in zip(data.leaders, COMPARED, strict=False):
        values = _values(data.finals[row.slot], _RATE)
        epochs = list(range(1, len(values) + 1))
        marks.append(Line(f"trial {row.slot}", epochs, values, role, steps=True))
    axes = Axis("epoch", whole=True), Axis(_RATE, log=True, is_tiny=True)
    which = "trials on the front" if data.info.has_front else "the best five"
    return Chart("learning-rates", f"Learning rate of {which}", marks, *axes, size="wide")


def rate_drops(record: Record) -> list[int]:
    """Return the epochs, from 1, that began with a lower learning rate than the one before."""
    rates = record.result.history.get(_RATE, []) if record.result else []
    return [n + 1 for n in range(1, len(rates)) if rates[n] < rates[n - 1]]


def _values(record: Record, metric: str) -> list[Number]:
    history = record.result.history.get(metric, []) if record.result else []
    return [value if value == value and abs(value) != float("inf") else None for value in history]  # noqa: PLR0124
