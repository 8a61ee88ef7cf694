"""Findings of a report: edges that the best trials touch, and differences between trials.

Trials are compared sample by sample.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    json_to_distribution,
)

from search_spaces.objectives import Objective
from sweeps.analysis.confusion import best_confusion, class_names
from sweeps.analysis.data import SweepData, logits
from sweeps.analysis.rows import TrialRow
from sweeps.interval import Interval, Z, wilson
from sweeps.records import Record
from sweeps.wording import counted, format_ends, format_metric, format_value, in_a_row

Domain = CategoricalDistribution | FloatDistribution | IntDistribution

_MARGIN = 0.05
_OF_THE_BEST = 5
_FEWEST_TRIALS = 10


@dataclass(frozen=True)
class Edge:
    """A range whose end the best trials touch.

    Attributes:
        name: The parameter.
        end: The end: `lowest` or `highest`.
        bound: The value at that end.
        touching: Number of best trials that lie within a twentieth of the range from it.
        of: Number of best trials that have the parameter.
    """

    name: str
    end: str
    bound: float
    touching: int
    of: int

    def sentence(self) -> str:
        """Return the finding and the advice as a sentence."""
        return (
            f"{self.touching} of the best {self.of} trials have {self.name} at the {self.end} end "
            f"of its range ({format_value(self.bound)}): a wider range may hold better ones."
        )


def edges(data: SweepData) -> list[Edge]:
    """Return the ends that most of the best five trials touch; none with fewer than ten trials."""
    if len(data.ranking) < _FEWEST_TRIALS:
        return []
    best = [data.finals[row.trial] for row in data.ranking[:_OF_THE_BEST]]
    found = []
    for name in data.varied:
        having = [record for record in best if name in record.params]
        if len(having) < _OF_THE_BEST - 1:
            continue
        domain = domain_of(data, name)
        if isinstance(domain, CategoricalDistribution):
            continue
        if isinstance(domain, IntDistribution) and domain.high - domain.low < 1 / _MARGIN:
            continue  # of a few whole numbers, an end is nothing special
        places = [_place(float(record.params[name]), domain) for record in having]  # type: ignore[arg-type]
        for end, bound, near in (
            ("lowest", domain.low, [place < _MARGIN for place in places]),
            ("highest", domain.high, [place > 1 - _MARGIN for place in places]),
        ):
            if sum(near) > len(having) / 2:
                found.append(Edge(name, end, float(bound), sum(near), len(having)))
    return found


def _place(value: float, domain: FloatDistribution | IntDistribution) -> float:
    low, high = float(domain.low), float(domain.high)
    if domain.log:
        low, high, value = math.log(low), math.log(high), math.log(value)
    return (value - low) / (high - low) if high > low else 0.5


def narrowed(data: SweepData, names: Sequence[str]) -> list[str]:
    """Return `--set` options that restrict parameters to the range of the best quarter of trials.

    An end of the space within a twentieth of the range from that stays: better ones may lie there.

    Args:
        data: The sweep.
        names: The parameters worth narrowing.
    """
    best = data.ranking[: max(_OF_THE_BEST, len(data.ranking) // 4)]
    options = []
    for name in names:
        domain = domain_of(data, name)
        values = [row.params[name] for row in best if name in row.params]
        numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
        if isinstance(domain, CategoricalDistribution) or len(numbers) < _OF_THE_BEST:
            continue
        low, high = min(numbers), max(numbers)
        if low < high:
            ends = (
                str(domain.low) if _place(low, domain) < _MARGIN else _rounded(low),
                str(domain.high) if _place(high, domain) > 1 - _MARGIN else _rounded(high),
            )
            options.append(f"{name}={'..'.join(ends)}")
    return options


def _rounded(value: float) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def domain_of(data: SweepData, name: str) -> Domain:
    """Return the domain of a parameter in the newest trial that has it.

    Raises:
        KeyError: No trial has it.
    """
    for trial in sorted(data.finals, reverse=True):
        text = data.finals[trial].distributions.get(name)
        if text is not None:
            domain = json_to_distribution(text)
            assert isinstance(domain, CategoricalDistribution | FloatDistribution | IntDistribution)
            return domain
    raise KeyError(name)


_MOST_TIED: Final = 3
"""Most classes of a tie that are named."""


@dataclass(frozen=True, kw_only=True)
class AccuracyDifference(Interval):
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


def paired_difference(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> AccuracyDifference:
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
    return AccuracyDifference(
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


def leader_against(data: SweepData, trials: Sequence[int]) -> dict[int, AccuracyDifference]:
    """Compare the best trial with others of its sweep; those without logits are left out."""
    if data.samples is None or not data.ranking:
        return {}
    labels = data.samples.labels
    leader = rightness(data.full(data.ranking[0].trial), labels)
    compared: dict[int, AccuracyDifference] = {}
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
    """

    row: TrialRow
    values: tuple[float, ...]
    intervals: tuple[Interval | None, ...]


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
    found = []
    for row in sorted(rows, key=lambda row: -gains[row.trial]):
        record = data.full(row.trial)
        values = row.values(objectives) or ()
        intervals = tuple(
            interval_of(record, objective, value)
            for objective, value in zip(objectives, values, strict=True)
        )
        found.append(OnFront(row, values, intervals))
    return found


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
