"""The trials on a Pareto front: what each is worth, how surely, and whether a step along it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from search_spaces.objectives import Objective
from sweeps.records import Record
from sweeps.records.confusion import best_confusion, class_names
from sweeps.report.data import SweepData
from sweeps.report.findings.pairs import Difference, paired_difference, rightness, wilson
from sweeps.report.numbers import format_metric
from sweeps.report.slots import SlotRow

Interval = tuple[float, float]

_RECALL: Final = "recall_"


@dataclass(frozen=True)
class OnFront:
    """A trial that no other one beats in all objectives.

    Attributes:
        row: Its outcome.
        values: What it is worth, one an objective.
        intervals: The 95 % interval of each for other samples of the same kind, where it is a share
            of samples; None where it is none, or is exact.
        lead: How much more accurate it is than the next one on the front, sample by sample; None of
            the last, and where the first objective is no accuracy.
    """

    row: SlotRow
    values: tuple[float, ...]
    intervals: tuple[Interval | None, ...]
    lead: Difference | None


def standings(data: SweepData) -> list[OnFront]:
    """Return the front, the best by the first objective first."""
    objectives = data.info.objectives
    records = [data.full(row.slot) for row in data.summary.front]
    leads = _leads(data, records)
    found = []
    for row, record, lead in zip(data.summary.front, records, leads, strict=True):
        values = row.values(objectives) or ()
        intervals = tuple(
            interval_of(record, objective, value)
            for objective, value in zip(objectives, values, strict=True)
        )
        found.append(OnFront(row, values, intervals, lead))
    return found


def interval_of(record: Record, objective: Objective, value: float) -> Interval | None:
    """Return the 95 % interval of a share of validation samples (Wilson 1927).

    None if the metric is not the accuracy, or a recall, that the confusion counts of the kept
    weights give: then it is something else, whatever its name.

    Args:
        record: Of the trial, with its arrays.
        objective: The metric.
        value: What the trial is worth in it.
    """
    counts = best_confusion(record)
    if counts is None:
        return None
    names, metric = class_names(record, len(counts)), objective.metric
    if "accuracy" in metric:
        right, total = int(counts.trace()), int(counts.sum())
    elif metric.startswith(_RECALL) and metric.removeprefix(_RECALL) in names:
        place = names.index(metric.removeprefix(_RECALL))
        right, total = int(counts[place, place]), int(counts[place].sum())
    else:
        return None
    is_share = total > 0 and abs(right / total - value) < 1e-6
    return wilson(right, total) if is_share else None


def worth(trial: OnFront, objectives: Sequence[Objective]) -> str:
    """Return `best_val_accuracy 0.9320 (0.9142 to 0.9463), parameters 4210`."""
    parts = []
    for objective, value, interval in zip(objectives, trial.values, trial.intervals, strict=True):
        ends = f" ({ends_of(interval)})" if interval else ""
        parts.append(f"{objective.metric} {format_metric(value)}{ends}")
    return ", ".join(parts)


def ends_of(interval: Interval) -> str:
    """Return `0.9142 to 0.9463`."""
    return " to ".join(map(format_metric, interval))


def _leads(data: SweepData, records: Sequence[Record]) -> list[Difference | None]:
    if data.samples is None or "accuracy" not in data.info.metric:
        return [None] * len(records)
    right = [rightness(record, data.samples.labels) for record in records]
    return [
        None if one is None or following is None else paired_difference(one, following)
        for one, following in zip(right, [*right[1:], None], strict=True)
    ]
