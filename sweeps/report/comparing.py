"""Trials side by side, of one sweep or several: what differs, and by how much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sweeps.records import Record
from sweeps.records.confusion import best_confusion, class_names
from sweeps.report.blocks import Block, Section, Table, Text
from sweeps.report.charts.chart import Axis, Chart, Line, Mark
from sweeps.report.charts.palette import COMPARED
from sweeps.report.data import SweepData
from sweeps.report.findings.pairs import Difference, paired_difference, rightness
from sweeps.report.numbers import format_difference, format_metric, format_value
from sweeps.report.page import render_page
from sweeps.report.sections.confusion import confusion_chart, difference_chart, recall_chart
from sweeps.report.slots import SlotRow
from sweeps.report.summary import NOT_CONFIRMED

MOST = len(COMPARED)
"""So many can be told apart by colour."""


@dataclass(frozen=True)
class Contestant:
    """One trial that is compared.

    Attributes:
        label: What it is called: `mlp:7`.
        data: Its sweep.
        row: Its outcome.
    """

    label: str
    data: SweepData
    row: SlotRow

    @property
    def record(self) -> Record:
        """Its deciding attempt, with arrays."""
        return self.data.full(self.row.slot)


def render_comparison(contestants: Sequence[Contestant]) -> str:
    """Return a comparison as one HTML page."""
    title = " against ".join(contestant.label for contestant in contestants)
    return render_page(title, "differences are to the first", comparison(contestants))


def comparison(contestants: Sequence[Contestant]) -> list[Section]:
    """Return the sections of a comparison.

    Args:
        contestants: Two to `MOST` of them; the others are compared with the first.
    """
    records = [contestant.record for contestant in contestants]
    made = [
        _outcomes(contestants, records),
        _parameters(contestants, records),
        _metrics(contestants),
        _curves(contestants, records),
        _confusion(contestants, records),
    ]
    return [section for section in made if section is not None]


def _outcomes(contestants: Sequence[Contestant], records: Sequence[Record]) -> Section:
    goals = {c.data.info.objectives for c in contestants}
    shared = goals.pop() if len(goals) == 1 else ()
    values = [one.metric for one in shared] or ["objective"]
    columns = ["", *values, "ended", "epochs", "seconds", "origin"]
    cells = [
        [
            c.label,
            c.row.state if c.row.objective is None else format_metric(c.row.objective),
            *(
                "" if c.row.objective is None else format_metric(c.row.metrics[n])
                for n in values[1:]
            ),
            c.row.reason,
            str(c.row.epochs or ""),
            f"{c.row.seconds:.1f}",
            c.row.origin,
        ]
        for c in contestants
    ]
    blocks: list[Block] = [Table(columns, cells)]
    blocks += [Text(line) for line in _told_apart(contestants, records)]
    status = "observed, not confirmed" if len(values) > 1 else NOT_CONFIRMED
    blocks.append(Text(f"Each was trained once: {status}.", "note"))
    return Section("outcomes", "Who is better", blocks)


def _told_apart(contestants: Sequence[Contestant], records: Sequence[Record]) -> list[str]:
    first, *others = zip(contestants, records, strict=True)
    samples = first[0].data.samples
    if samples is None:
        return []
    right = rightness(first[1], samples.labels)
    lines = []
    for contestant, record in others:
        if record.data.get("split_digest") != first[1].data.get("split_digest"):
            lines.append(f"{contestant.label} was scored on other data than {first[0].label}.")
            continue
        other = rightness(record, samples.labels)
        if right is not None and other is not None:
            difference = paired_difference(other, right)
            lines.append(_sentence(contestant.label, first[0].label, difference))
    return lines


def _sentence(label: str, first: str, difference: Difference) -> str:
    verdict = "they can be told apart" if difference.is_told_apart else "they cannot be told apart"
    return (
        f"{label} against {first}, on the same {difference.n} validation samples: "
        f"{100 * difference.difference:+.1f} points, 95 % interval {100 * difference.low:+.1f} to "
        f"{100 * difference.high:+.1f}; right alone on {difference.only_first}, the other on "
        f"{difference.only_second}: {verdict}."
    )


def _parameters(contestants: Sequence[Contestant], records: Sequence[Record]) -> Section:
    configs = [{**record.spec.config, **record.params} for record in records]
    names = list(dict.fromkeys(name for config in configs for name in config))
    rows = []
    for name in names:
        cells = [format_value(c[name]) if name in c else "" for c in configs]
        if len(set(cells)) > 1:
            rows.append([name, *cells])
    block: Block = Text("Every parameter is the same.")
    if rows:
        block = Table(["parameter", *(c.label for c in contestants)], rows)
    return Section("parameters", "Parameters that differ", [block])


def _metrics(contestants: Sequence[Contestant]) -> Section | None:
    first, *others = contestants
    names = list(dict.fromkeys(name for c in contestants for name in c.row.metrics))
    rows = []
    for name in names:
        values = [c.row.metrics.get(name) for c in contestants]
        cells = [name, *("" if value is None else format_metric(value) for value in values)]
        for value in values[1:]:
            known = value is not None and values[0] is not None
            cells.append(format_difference(name, value, values[0]) if known else "")  # type: ignore[arg-type]
        rows.append(cells)
    if not rows:
        return None
    columns = ["metric", *(c.label for c in contestants)]
    columns += [f"{other.label} - {first.label}" for other in others]
    return Section("metrics", "Metrics", [Table(columns, rows)])


def _curves(contestants: Sequence[Contestant], records: Sequence[Record]) -> Section | None:
    wanted = [first_metric for c in contestants if (first_metric := c.data.info.epoch_metric)]
    charts = []
    for metric in dict.fromkeys([*wanted, "val_loss", "loss", "learning_rate"]):
        marks: list[Mark] = []
        for contestant, record, role in zip(contestants, records, COMPARED, strict=False):
            values = record.result.history.get(metric, []) if record.result else []
            finite = [value if abs(value) < float("inf") else None for value in values]
            if finite:
                epochs = list(range(1, len(finite) + 1))
                texts = [f"{contestant.label}, epoch {epoch}" for epoch in epochs]
                marks.append(Line(contestant.label, epochs, finite, role, texts))
        if marks:
            is_rate = metric == "learning_rate"
            axes = Axis("epoch", whole=True), Axis(metric, log=is_rate, is_tiny=is_rate)
            charts.append(Chart(f"curves-{metric}", metric, marks, *axes))
    return Section("curves", "Learning curves", charts) if charts else None


def _confusion(contestants: Sequence[Contestant], records: Sequence[Record]) -> Section | None:
    found = [
        (contestant.label, counts)
        for contestant, record in zip(contestants, records, strict=True)
        if (counts := best_confusion(record)) is not None
    ]
    if len(found) < len(contestants) or len({len(counts) for _, counts in found}) > 1:
        return None
    (first, base), *others = found
    names = class_names(records[0], len(base))
    if any(class_names(record, len(base)) != names for record in records):
        return None
    charts = [confusion_chart("confusion-first", first, base, names)]
    for number, (label, counts) in enumerate(others, 2):
        title = f"{label} minus {first}"
        charts.append(difference_chart(f"confusion-{number}", title, counts - base, names))
    return Section("confusion", "Confusion", [*charts, recall_chart(found, names, COMPARED)])
