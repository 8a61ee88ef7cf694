"""Which class is recognised worst, and what values a parameter could take."""

from __future__ import annotations

from dataclasses import dataclass

from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    json_to_distribution,
)

from sweeps.analysis.data import SweepData
from sweeps.records.confusion import best_confusion, class_names


@dataclass(frozen=True)
class WorstClass:
    """A class and what it is taken for.

    Attributes:
        name: The class.
        recall: Share of it that is recognised, from 0 to 1.
        taken_for: The class it is most often taken for; empty if it never is.
    """

    name: str
    recall: float
    taken_for: str

    @property
    def remark(self) -> str:
        """What it is taken for, to be put after the recall."""
        return f", most often taken for {self.taken_for}" if self.taken_for else ""


def worst_class(data: SweepData) -> WorstClass | None:
    """Return the class of the lowest recall in the best trial; None if it does not classify."""
    if not data.ranking:
        return None
    best = data.full(data.ranking[0].trial)
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


# The values a parameter could take, as the trials of a sweep remember them.


Domain = CategoricalDistribution | FloatDistribution | IntDistribution


def domain_of(data: SweepData, name: str) -> Domain:
    """Return the domain of a parameter, of the newest trial that has it.

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
