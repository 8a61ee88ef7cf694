"""The trials on a Pareto front: values, their intervals, and the difference between neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from search_spaces.objectives import Objective
from sweeps.analysis.data import SweepData
from sweeps.analysis.paired_differences import Difference, paired_difference, rightness
from sweeps.analysis.rows import TrialRow
from sweeps.interval import Interval, wilson
from sweeps.records import Record
from sweeps.records.confusion import best_confusion, class_names
from sweeps.wording import format_ends, format_metric

_ACCURACY: Final = "accuracy"
_RECALL: Final = "recall_"


@dataclass(frozen=True)
class OnFront:
    """A trial that no other one beats in all objectives.

    Attributes:
        row: Its outcome.
        values: Its values, one an objective.
        intervals: The 95 % interval of each value that is a share of samples, for other samples of
            the same kind; None for the others.
        lead: Its accuracy minus that of the next trial on the front, sample by sample; None for the
            last trial, and if no objective is the accuracy on known samples.
    """

    row: TrialRow
    values: tuple[float, ...]
    intervals: tuple[Interval | None, ...]
    lead: Difference | None


def axis_of(objectives: Sequence[Objective]) -> int:
    """Return the index of the objective that orders a front: the first accuracy, else 0."""
    return next((n for n, one in enumerate(objectives) if _ACCURACY in one.metric), 0)


def standings(data: SweepData) -> list[OnFront]:
    """Return the front, the best by the objective of `axis_of` first."""
    objectives, rows = data.info.objectives, data.summary.front
    along = axis_of(objectives)
    gains = {
        row.trial: objectives[along].gain((row.values(objectives) or ())[along]) for row in rows
    }
    rows = tuple(sorted(rows, key=lambda row: -gains[row.trial]))
    records = [data.full(row.trial) for row in rows]
    found = []
    for row, record in zip(rows, records, strict=True):
        values = row.values(objectives) or ()
        intervals = tuple(
            interval_of(record, objective, value)
            for objective, value in zip(objectives, values, strict=True)
        )
        found.append(OnFront(row, values, intervals, None))
    leads = _leads(data, records)
    are_shares = all(trial.intervals[along] for trial in found)  # accuracies on these samples
    if _ACCURACY not in objectives[along].metric or not are_shares:
        return found
    return [replace(trial, lead=lead) for trial, lead in zip(found, leads, strict=True)]


def interval_of(record: Record, objective: Objective, value: float) -> Interval | None:
    """Return the 95 % interval of a share of validation samples (Wilson 1927).

    None if the value is not the accuracy or the recall that the confusion counts of the kept
    weights give: then the metric is something else, whatever its name.

    Args:
        record: The trial's record, with its arrays.
        objective: The metric.
        value: The trial's value of the metric.
    """
    counts = best_confusion(record)
    if counts is None:
        return None
    names, metric = class_names(record, len(counts)), objective.metric
    if _ACCURACY in metric:
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
        ends = f" ({format_ends(interval)})" if interval else ""
        parts.append(f"{objective.metric} {format_metric(value)}{ends}")
    return ", ".join(parts)


def _leads(data: SweepData, records: Sequence[Record]) -> list[Difference | None]:
    if data.samples is None:
        return [None] * len(records)
    right = [rightness(record, data.samples.labels) for record in records]
    return [
        None if one is None or following is None else paired_difference(one, following)
        for one, following in zip(right, [*right[1:], None], strict=True)
    ]
