"""Compares trials sample by sample, and finds the class with the lowest recall."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sweeps.analysis.data import SweepData, logits
from sweeps.interval import Interval, Z
from sweeps.records import Record
from sweeps.records.confusion import best_confusion, class_names


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
    """The class with the lowest recall.

    Attributes:
        name: The class.
        recall: Share of its samples that are recognised, from 0 to 1.
        taken_for: The class that it is most often mistaken for; empty without mistakes.
    """

    name: str
    recall: float
    taken_for: str

    @property
    def remark(self) -> str:
        """The text `, most often taken for ...` to put after the recall; empty without mistakes."""
        return f", most often taken for {self.taken_for}" if self.taken_for else ""


def worst_class(data: SweepData) -> WorstClass | None:
    """Return the class of the lowest recall in the chosen trial; None if it does not classify."""
    if data.chosen is None:
        return None
    best = data.full(data.chosen.trial)
    counts = best_confusion(best)
    if counts is None:
        return None
    names = class_names(best, len(counts))
    recalls = [row[i] / row.sum() if row.sum() else 1.0 for i, row in enumerate(counts)]
    worst = min(range(len(names)), key=lambda i: recalls[i])
    mistaken = counts[worst].copy()
    mistaken[worst] = 0
    taken_for = names[int(mistaken.argmax())] if mistaken.any() else ""
    return WorstClass(names[worst], float(recalls[worst]), taken_for)
