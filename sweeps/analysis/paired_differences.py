"""Compares trials sample by sample, and neighbours on a Pareto front."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from search_spaces.objectives import Objective
from sweeps.analysis.data import SweepData, logits
from sweeps.analysis.rows import TrialRow
from sweeps.interval import Interval, Z, wilson
from sweeps.records import Record
from sweeps.records.confusion import best_confusion, class_names
from sweeps.wording import counted, format_ends, format_metric, in_a_row

_MOST_TIED: Final = 3
"""Most classes of a tie that are named."""


@dataclass(frozen=True, kw_only=True)
class Difference(Interval):
    """The accuracy of one model minus another's on the same samples.

    Its interval is for other samples of the same kind, not for other seeds. It does not allow for
    the number of trials among which one was picked.

    Attributes:
        n: Number of samples.
        only_first: Number of samples that only the first got right.
        only_second: Number of samples that only the second got right.
    """

    n: int
    only_first: int
    only_second: int


def paired_difference(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Difference:
    """Return the difference in accuracy of two models on the same samples.

    The interval is Wald's with half a sample added to each of the four cells (Agresti & Min 2005,
    "Simple improved confidence intervals for comparing matched proportions").

    Args:
        first: (n,) whether the first model was right.
        second: (n,) whether the second model was right.
    """
    n = len(first)
    only_first = int(np.sum(first & ~second))
    only_second = int(np.sum(second & ~first))
    b, c, total = only_first + 0.5, only_second + 0.5, n + 2.0
    middle = (b - c) / total
    error = math.sqrt(max((b + c) - (b - c) ** 2 / total, 0.0)) / total
    return Difference(
        n=n,
        only_first=only_first,
        only_second=only_second,
        value=(only_first - only_second) / n,
        low=middle - Z * error,
        high=middle + Z * error,
    )


def rightness(record: Record, labels: NDArray[np.int64]) -> NDArray[np.bool_] | None:
    """Return (n,) whether a trial got each validation sample right; None without its logits."""
    scores = logits(record)
    if scores is None or len(scores) != len(labels):
        return None
    right: NDArray[np.bool_] = scores.argmax(axis=1) == labels
    return right


def leader_against(data: SweepData, trials: Sequence[int]) -> dict[int, Difference]:
    """Compare the best trial with others of its sweep; those without logits are left out."""
    if data.samples is None or not data.ranking:
        return {}
    labels = data.samples.labels
    leader = rightness(data.full(data.ranking[0].trial), labels)
    compared: dict[int, Difference] = {}
    for trial in trials:
        other = rightness(data.full(trial), labels)
        if leader is not None and other is not None:
            compared[trial] = paired_difference(leader, other)
    return compared


@dataclass(frozen=True)
class WorstClass:
    """The class with the lowest recall; several if they share it.

    Attributes:
        names: The class, or all that share the recall.
        recall: Share of its samples that are recognised, from 0 to 1.
        taken_for: The classes that it is most often mistaken for, for each as often; empty without
            mistakes, and of several classes.
        overlapping: Number of other classes whose 95 % intervals (Wilson 1927) overlap its own.
    """

    names: tuple[str, ...]
    recall: float
    taken_for: tuple[str, ...]
    overlapping: int

    @property
    def shown(self) -> str:
        """The class, or `3, 5 and 9 (a tie)`."""
        if len(self.names) == 1:
            return self.names[0]
        few = len(self.names) <= _MOST_TIED
        return f"{in_a_row(self.names) if few else f'{len(self.names)} classes'} (a tie)"

    @property
    def remark(self) -> str:
        """The text to put after the recall: `, most often taken for ...; intervals of ...`."""
        said = f", most often taken for {in_a_row(self.taken_for)}" if self.taken_for else ""
        said += ", as often for each" if len(self.taken_for) > 1 else ""
        if not self.overlapping:
            return said
        others = counted(self.overlapping, "other class", "other classes")
        return f"{said}; intervals of {others} overlap {'theirs' if self.names[1:] else 'its own'}"


def worst_of(counts: NDArray[np.int64], names: Sequence[str]) -> WorstClass | None:
    """Return the class of the lowest recall; None without samples.

    Args:
        counts: (classes, classes), [true, predicted].
        names: Names of the classes.
    """
    recalls = {
        place: wilson(int(row[place]), int(row.sum()))
        for place, row in enumerate(counts)
        if row.any()
    }
    if not recalls:
        return None
    lowest = min(recall.value for recall in recalls.values())
    worst = [place for place, recall in recalls.items() if recall.value == lowest]
    reach = max(recalls[place].high for place in worst)
    overlapping = sum(recall.low <= reach for recall in recalls.values()) - len(worst)
    taken: list[int] = []
    if len(worst) == 1:
        mistaken = counts[worst[0]].copy()
        mistaken[worst[0]] = 0
        taken = np.flatnonzero((mistaken == mistaken.max()) & (mistaken > 0)).tolist()
    found = tuple(names[place] for place in worst)
    return WorstClass(found, lowest, tuple(names[place] for place in taken), overlapping)


def worst_class(data: SweepData) -> WorstClass | None:
    """Return the class of the lowest recall in the chosen trial; None if it does not classify."""
    if data.chosen is None:
        return None
    best = data.full(data.chosen.trial)
    counts = best_confusion(best)
    if counts is None:
        return None
    return worst_of(counts, class_names(best, len(counts)))


# The trials on a Pareto front: values, their intervals, and the difference between neighbours.


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
