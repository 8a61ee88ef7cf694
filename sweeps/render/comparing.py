"""Compares trials of one sweep or several: parameters, metrics, curves and confusion counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeps.analysis.data import SweepData, read_sweep
from sweeps.analysis.paired_differences import Difference, paired_difference, rightness
from sweeps.analysis.rows import TrialRow
from sweeps.analysis.summary import NOT_CONFIRMED
from sweeps.errors import UsageError
from sweeps.records import Record, RecordStore, SweepInfo
from sweeps.records.confusion import best_confusion, class_names
from sweeps.render.page import render_page
from sweeps.render.section import COMPARED, Axis, Block, Chart, Line, Mark, Section, Table, Text
from sweeps.render.sections.classes import confusion_chart, difference_chart, recall_chart
from sweeps.wording import (
    figure,
    format_difference,
    format_metric,
    format_value,
    gain_in_words,
)

if TYPE_CHECKING:
    import pandas as pd

    from search_spaces.parameters import Value

MOST = len(COMPARED)
"""Most trials that are compared: so many can be told apart by colour."""


@dataclass(frozen=True)
class Contestant:
    """One trial that is compared.

    Attributes:
        label: Its label, such as `mlp:7`.
        data: Its sweep.
        row: Its outcome.
    """

    label: str
    data: SweepData
    row: TrialRow

    @property
    def record(self) -> Record:
        """Its deciding attempt, with arrays."""
        return self.data.full(self.row.trial)

    def ahead_of(self, other: Contestant) -> float | None:
        """Return its objective minus another's; None if one has none, or they differ in kind."""
        one, two = self.row.objective, other.row.objective
        is_same = self.data.info.metric == other.data.info.metric and self is not other
        return one - two if is_same and one is not None and two is not None else None

    @property
    def is_champion(self) -> bool:
        """Whether its sweep is confirmed, and it is the champion."""
        champion = self.data.summary.champion
        return champion is not None and champion.trial == self.row.trial


@dataclass(frozen=True)
class Comparison:
    """Trials side by side; the others are compared with the first.

    Attributes:
        labels: Their labels, such as `mlp:7`.
        contestants: The trials.
    """

    labels: tuple[str, ...]
    contestants: tuple[Contestant, ...] = field(repr=False)

    @cached_property
    def records(self) -> list[Record]:
        """Their deciding attempts, with arrays."""
        return [contestant.record for contestant in self.contestants]

    @property
    def differences(self) -> dict[str, Difference | None]:
        """The accuracy of each other trial minus the first's on the same samples, by label.

        None if the samples are not available, if they differ, or without classification.
        """
        found = differences_to_first(self.contestants, self.records)
        return dict(zip(self.labels[1:], found, strict=True))

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return a mapping a trial, for JSON and CSV.

        These are its label, its row as `sweeps trials --json` has it, `champion` (whether it is
        that of its sweep), and `difference`: its objective minus the first's, and its accuracy
        minus the first's on the same samples with the interval, as far as that is known.
        """
        found = [None, *self.differences.values()]
        return [
            {
                "label": one.label,
                **one.row.to_dict(),
                "champion": one.is_champion,
                "difference": {
                    "objective": one.ahead_of(self.contestants[0]),
                    "accuracy": difference
                    and {**asdict(difference), "told_apart": difference.is_told_apart},
                },
            }
            for one, difference in zip(self.contestants, found, strict=True)
        ]

    def parameters(self) -> pd.DataFrame:
        """Return the parameters that differ: one row a parameter, one column a label."""
        configurations = [_configuration(record) for record in self.records]
        cells = _parameter_cells(configurations)
        differing = [name for name, row in cells.items() if len(set(row)) > 1]
        values = {name: [one.get(name) for one in configurations] for name in differing}
        return _frame(values, self.labels)

    def metrics(self) -> pd.DataFrame:
        """Return the headline metrics: one row a metric, one column a label."""
        names = dict.fromkeys(name for c in self.contestants for name in c.row.metrics)
        values = {name: [c.row.metrics.get(name) for c in self.contestants] for name in names}
        return _frame(values, self.labels)

    def report(self, file: str | Path) -> Path:
        """Write the comparison as one HTML page, as `sweeps compare -o` does; return its path."""
        Path(file).write_text(render_comparison(self.contestants), encoding="utf-8")
        return Path(file).resolve()


def _frame(rows: dict[str, Any], labels: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame.from_dict(rows, orient="index", columns=list(labels))


def compare(
    trials: Sequence[tuple[SweepInfo, RecordStore, int | None]],
    source: str | None = None,
    complain: Callable[[str], None] = lambda line: None,
) -> Comparison:
    """Read some trials and compare them.

    Args:
        trials: Sweep, its records and the number of the trial; None for the best observed.
        source: Source of their data; None for the experiment's own.
        complain: Receives a line if the samples of a sweep are not available.

    Raises:
        UsageError: A trial does not exist, a sweep has no best trial, or the number of trials is
            not allowed.
    """
    if not 2 <= len(trials) <= MOST:
        raise UsageError(f"compare: give 2 to {MOST} sweeps or trials, received {len(trials)}")
    contestants = tuple(
        _contestant(read_sweep(info, store, source, complain), trial)
        for info, store, trial in trials
    )
    return Comparison(tuple(one.label for one in contestants), contestants)


def _contestant(data: SweepData, trial: int | None) -> Contestant:
    label = data.info.name
    if trial is not None:
        found = next((row for row in data.rows if row.trial == trial), None)
        if found is None or found.trial not in data.finals:
            raise UsageError(f"sweep {label!r} has no trial {trial} with an outcome")
        return Contestant(f"{label}:{found.trial}", data, found)
    if not data.ranking:
        raise UsageError(f"sweep {label!r} has no complete trial yet; name one: {label}:0")
    if data.info.has_front:
        front = ", ".join(f"{label}:{row.trial}" for row in data.summary.front)
        raise UsageError(
            f"sweep {label!r} has several objectives, so no trial is best; name one of its "
            f"Pareto front: {front or 'empty yet'}"
        )
    row = data.ranking[0]
    return Contestant(f"{label}:{row.trial}", data, row)


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
    goals = [one.metric for c in contestants for one in c.data.info.objectives]
    metrics = list(dict.fromkeys(goals))
    columns = ["", *metrics, "ended", "epochs", "seconds", "origin"]
    cells = [
        [
            c.label,
            *(_worth(c, metric) for metric in metrics),
            c.row.reason,
            str(c.row.epochs or ""),
            f"{c.row.seconds:.1f}",
            c.row.origin,
        ]
        for c in contestants
    ]
    blocks: list[Block] = [Table(columns, cells)]
    blocks += [Text(line) for line in _told_apart(contestants, records)]
    are_several = any(len(c.data.info.objectives) > 1 for c in contestants)
    blocks.append(Text(f"Each was trained once{_confirmed(contestants, are_several)}.", "note"))
    return Section("outcomes", "Who leads in the search", blocks)


def _worth(contestant: Contestant, metric: str) -> str:
    """Return what a trial has of an objective, its own or another's; its state if it has none."""
    row, is_own = contestant.row, metric == contestant.data.info.metric
    value = row.objective if is_own else row.metrics.get(metric)
    if value is None:
        return row.state if is_own else ""
    return format_metric(value)


def _confirmed(contestants: Sequence[Contestant], are_several: bool) -> str:
    """Return what the confirmations of the sweeps say of the trials, as the end of a sentence."""
    champions = {c.data.info.name: c.data.summary.champion for c in contestants}
    said = [
        f"the champion of {name}, confirmed on fresh folds, is {champion.finalist}"
        + ("" if champion.score is None else f" ({figure(champion.score, champion.unit)} there)")
        for name, champion in champions.items()
        if champion is not None
    ]
    if not said:
        return ": observed, not confirmed" if are_several else f": {NOT_CONFIRMED}"
    left = [name for name, champion in champions.items() if champion is None]
    said += [f"{', '.join(left)}: {NOT_CONFIRMED}"] if left else []
    return f"; {'; '.join(said)}"


def _told_apart(contestants: Sequence[Contestant], records: Sequence[Record]) -> list[str]:
    if contestants[0].data.samples is None:
        return []
    first, lines = contestants[0].label, []
    found = differences_to_first(contestants, records)
    for one, record, difference in zip(contestants[1:], records[1:], found, strict=True):
        if not _has_same_split(record, records[0]):
            lines.append(f"{one.label} was scored on other data than {first}.")
        elif difference is not None:
            lines.append(_sentence(one.label, first, difference))
    return lines


def differences_to_first(
    contestants: Sequence[Contestant], records: Sequence[Record]
) -> list[Difference | None]:
    """Return the accuracy of each other trial minus the first's, on the same validation samples.

    Returns:
        One difference a trial after the first; None where the samples are not the same.
    """
    samples = contestants[0].data.samples
    if samples is None:
        return [None] * (len(records) - 1)
    right = rightness(records[0], samples.labels)
    found = []
    for record in records[1:]:
        same = _has_same_split(record, records[0])
        other = rightness(record, samples.labels) if same else None
        both = right is not None and other is not None
        found.append(paired_difference(other, right) if both else None)  # type: ignore[arg-type]
    return found


def _has_same_split(one: Record, other: Record) -> bool:
    return bool(one.data.get("split_digest") == other.data.get("split_digest"))


def _sentence(label: str, first: str, difference: Difference) -> str:
    verdict = "neither leads beyond luck of the samples"
    if difference.is_told_apart:
        leader = label if difference.value > 0 else first
        verdict = f"{leader} leads on the validation set"
    return (
        f"{label} against {first}, on the same {difference.n} validation samples: "
        f"{gain_in_words(difference)}; right alone on {difference.only_first}, the other on "
        f"{difference.only_second}: {verdict}."
    )


def _parameters(contestants: Sequence[Contestant], records: Sequence[Record]) -> Section:
    cells = _parameter_cells([_configuration(record) for record in records])
    rows = [[name, *row] for name, row in cells.items() if len(set(row)) > 1]
    block: Block = Text("Every parameter is the same.")
    if rows:
        block = Table(["parameter", *(c.label for c in contestants)], rows)
    return Section("parameters", "Parameters that differ", [block])


def _configuration(record: Record) -> dict[str, Value]:
    return {**record.spec.config, **record.params}


def _parameter_cells(configurations: Sequence[Mapping[str, Value]]) -> dict[str, list[str]]:
    """Return the texts of every parameter; empty where a configuration lacks it."""
    names = dict.fromkeys(name for one in configurations for name in one)
    return {
        name: [format_value(one[name]) if name in one else "" for one in configurations]
        for name in names
    }


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
