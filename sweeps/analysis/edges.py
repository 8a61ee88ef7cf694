"""Finds the edges of the space that the best trials touch, and ranges worth narrowing to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    json_to_distribution,
)

from sweeps.analysis.data import SweepData
from sweeps.wording import format_value

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
    """Return the position of a value in its range, from 0 to 1."""
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
