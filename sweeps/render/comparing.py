"""Compares trials of one sweep or several: parameters, metrics, curves and confusion counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeps.analysis.confusion import best_confusion, class_names
from sweeps.analysis.data import SweepData, read_sweep
from sweeps.analysis.findings import AccuracyDifference, paired_difference, rightness
from sweeps.analysis.rows import TrialRow
from sweeps.analysis.summary import NOT_CONFIRMED
from sweeps.errors import UsageError
from sweeps.records import Record, RecordStore, SweepInfo
from sweeps.render.page import render_page
from sweeps.render.section import COMPARED, Axis, Block, Chart, Section, Table, Text
from sweeps.render.sections.classes import confusion_chart, difference_chart, recall_chart
from sweeps.render.sections.trials import curve
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

    @cached_property
    def record(self) -> Record:
        """Its deciding attempt, with arrays."""
        return self.data.full(self.row.trial)

    @property
    def is_champion(self) -> bool:
        """Whether its sweep is confirmed, and it is the champion."""
        champion = self.data.summary.champion
        return champion is not None and champion.trial == self.row.trial


@dataclass(frozen=True)
class TrialsCompared:
    """Trials side by side; the others are compared with the first.

    Attributes:
        contestants: The trials.
    """

    contestants: tuple[Contestant, ...]

    def __repr__(self) -> str:
        return f"TrialsCompared(labels={self.labels})"

    @property
    def labels(self) -> tuple[str, ...]:
        """Their labels, such as `mlp:7`."""
        return tuple(one.label for one in self.contestants)

    @property
    def records(self) -> list[Record]:
        """Their deciding attempts, with arrays."""
        return [one.record for one in self.contestants]

    @cached_property
    def differences(self) -> dict[str, AccuracyDifference | None]:
        """The accuracy of each other trial minus the first's on the same samples, by label.

        None if the samples are not available, if they differ, or without classification.
        """
        first, *others = self.contestants
        samples = first.data.samples
        found: dict[str, AccuracyDifference | None] = dict.fromkeys(self.labels[1:])
        right = None if samples is None else rightness(first.record, samples.labels)
        if samples is None or right is None:
            return found
        for one in others:
            if _has_same_split(one, first):
                other = rightness(one.record, samples.labels)
                found[one.label] = None if other is None else paired_difference(other, right)
        return found

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return a mapping a trial, for JSON and CSV.

        These are its label, its row as `sweeps trials --json` has it, `champion` (whether it is
        that of its sweep), and `difference`: its objective minus the first's, and its accuracy
        minus the first's on the same samples with the interval, as far as that is known.
        """
        first, told = self.contestants[0], []
        for one in self.contestants:
            value, other = one.row.objective, first.row.objective
            is_same = one.data.info.metric == first.data.info.metric and one is not first
            has_both = is_same and value is not None and other is not None
            known = None if one is first else self.differences[one.label]
            accuracy = known and {**asdict(known), "told_apart": known.is_told_apart}
            difference = {
                "objective": value - other if has_both else None,  # type: ignore[operator]
                "accuracy": accuracy,
            }
            document = {"label": one.label, **one.row.to_dict(), "champion": one.is_champion}
            told.append({**document, "difference": difference})
        return told

    def parameters(self) -> pd.DataFrame:
        """Return the parameters that differ: one row a parameter, one column a label."""
        configurations = self._configurations()
        differing = self._differing_parameters()
        return self._frame({name: [c.get(name) for c in configurations] for name in differing})

    def metrics(self) -> pd.DataFrame:
        """Return the headline metrics: one row a metric, one column a label."""
        return self._frame(self._metrics())

    def report(self, file: str | Path) -> Path:
        """Write the comparison as one HTML page, as `sweeps compare -o` does; return its path."""
        Path(file).write_text(self.page(), encoding="utf-8")
        return Path(file).resolve()

    def page(self) -> str:
        """Return the comparison as one HTML page."""
        title = " against ".join(self.labels)
        return render_page(title, "differences are to the first", self.sections())

    def sections(self) -> list[Section]:
        """Return the sections of the comparison."""
        columns = ["parameter", *self.labels]
        rows = [[name, *row] for name, row in self._differing_parameters().items()]
        parameters = Table(columns, rows) if rows else Text("Every parameter is the same.")
        made = [
            self._outcomes(),
            Section("parameters", "Parameters that differ", [parameters]),
            self._metrics_section(),
            self._curves(),
            self._confusion(),
        ]
        return [section for section in made if section is not None]

    def _frame(self, rows: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
        import pandas as pd

        return pd.DataFrame.from_dict(dict(rows), orient="index", columns=list(self.labels))

    def _configurations(self) -> list[dict[str, Value]]:
        return [{**record.config, **record.params} for record in self.records]

    def _differing_parameters(self) -> dict[str, list[str]]:
        """Return the texts of the parameters that differ; empty where a configuration lacks it."""
        found = self._configurations()
        cells = {
            name: [format_value(one[name]) if name in one else "" for one in found]
            for name in dict.fromkeys(name for one in found for name in one)
        }
        return {name: row for name, row in cells.items() if len(set(row)) > 1}

    def _metrics(self) -> dict[str, list[float | None]]:
        names = dict.fromkeys(name for one in self.contestants for name in one.row.metrics)
        return {name: [one.row.metrics.get(name) for one in self.contestants] for name in names}

    def _outcomes(self) -> Section:
        goals = (one.metric for c in self.contestants for one in c.data.info.objectives)
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
            for c in self.contestants
        ]
        blocks: list[Block] = [Table(columns, cells)]
        first, *others = self.contestants
        for one in others if first.data.samples is not None else ():
            if not _has_same_split(one, first):
                blocks.append(Text(f"{one.label} was scored on other data than {first.label}."))
            elif (difference := self.differences[one.label]) is not None:
                blocks.append(Text(_sentence(one.label, first.label, difference)))
        blocks.append(Text(f"Each was trained once{self._confirmed()}.", "note"))
        return Section("outcomes", "Who leads in the search", blocks)

    def _confirmed(self) -> str:
        """Return what the confirmations of the sweeps say of the trials, to end a sentence."""
        champions = {c.data.info.name: c.data.summary.champion for c in self.contestants}
        said = []
        for name, champion in champions.items():
            if champion is not None:
                score = champion.score
                there = "" if score is None else f" ({figure(score, champion.unit)} there)"
                of = f"the champion of {name}, confirmed on fresh folds"
                said.append(f"{of}, is {champion.finalist}{there}")
        if not said:
            are_several = any(c.data.info.has_front for c in self.contestants)
            return ": observed, not confirmed" if are_several else f": {NOT_CONFIRMED}"
        left = [name for name, champion in champions.items() if champion is None]
        said += [f"{', '.join(left)}: {NOT_CONFIRMED}"] if left else []
        return f"; {'; '.join(said)}"

    def _metrics_section(self) -> Section | None:
        rows = []
        for name, values in self._metrics().items():
            first, *others = values
            cells = [name, *("" if value is None else format_metric(value) for value in values)]
            for value in others:
                is_known = value is not None and first is not None
                cells.append(format_difference(name, value, first) if is_known else "")  # type: ignore[arg-type]
            rows.append(cells)
        if not rows:
            return None
        columns = ["metric", *self.labels]
        columns += [f"{label} - {self.labels[0]}" for label in self.labels[1:]]
        return Section("metrics", "Metrics", [Table(columns, rows)])

    def _curves(self) -> Section | None:
        wanted = [name for c in self.contestants if (name := c.data.info.epoch_metric)]
        charts = []
        for metric in dict.fromkeys([*wanted, "val_loss", "loss", "learning_rate"]):
            lines = [
                curve(one.record, metric, one.label, role)
                for one, role in zip(self.contestants, COMPARED, strict=False)
            ]
            if marks := [line for line in lines if line.x]:
                is_rate = metric == "learning_rate"
                axes = Axis("epoch", whole=True), Axis(metric, log=is_rate, is_tiny=is_rate)
                charts.append(Chart(f"curves-{metric}", metric, marks, *axes))
        return Section("curves", "Learning curves", charts) if charts else None

    def _confusion(self) -> Section | None:
        found = [
            (one.label, counts)
            for one in self.contestants
            if (counts := best_confusion(one.record)) is not None
        ]
        sizes = {len(counts) for _, counts in found}
        if len(found) < len(self.contestants) or len(sizes) > 1:
            return None
        (first, base), *others = found
        names, *further = (class_names(record, len(base)) for record in self.records)
        if any(other != names for other in further):
            return None
        charts = [confusion_chart("confusion-first", first, base, names)]
        for number, (label, counts) in enumerate(others, 2):
            title = f"{label} minus {first}"
            charts.append(difference_chart(f"confusion-{number}", title, counts - base, names))
        return Section("confusion", "Confusion", [*charts, recall_chart(found, names, COMPARED)])


def compare(
    trials: Sequence[tuple[SweepInfo, RecordStore, int | None]],
    source: str | None = None,
    complain: Callable[[str], None] = lambda line: None,
) -> TrialsCompared:
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
    found = [
        _contestant(read_sweep(info, store, source, complain), trial)
        for info, store, trial in trials
    ]
    return TrialsCompared(tuple(found))


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


def _worth(contestant: Contestant, metric: str) -> str:
    """Return what a trial has of an objective, its own or another's; its state if it has none."""
    row, is_own = contestant.row, metric == contestant.data.info.metric
    value = row.objective if is_own else row.metrics.get(metric)
    if value is None:
        return row.state if is_own else ""
    return format_metric(value)


def _has_same_split(one: Contestant, other: Contestant) -> bool:
    return bool(one.record.data.get("split_digest") == other.record.data.get("split_digest"))


def _sentence(label: str, first: str, difference: AccuracyDifference) -> str:
    verdict = "neither leads beyond luck of the samples"
    if difference.is_told_apart:
        leader = label if difference.value > 0 else first
        verdict = f"{leader} leads on the validation set"
    return (
        f"{label} against {first}, on the same {difference.n} validation samples: "
        f"{gain_in_words(difference)}; right alone on {difference.only_first}, the other on "
        f"{difference.only_second}: {verdict}."
    )
