"""Which parameters the objective went along with: the order of columns and of scatter charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

BINS: Final = 4
FEWEST_TRIALS: Final = 4


def by_importance(trials: Sequence[Mapping[str, object]], objectives: Sequence[float]) -> list[str]:
    """Return the parameters that vary, the one that tells most about the objective first.

    A parameter's values are grouped (numbers by quartile); its weight is the share of the variance
    of the objective's ranks that lies between the groups, corrected for their number
    (epsilon squared, Kelley 1935). Ranks, since a single collapsed trial outweighs all others.

    Args:
        trials: Parameters of each complete trial, in the order of the space.
        objectives: As many values.
    """
    names = list(dict.fromkeys(name for trial in trials for name in trial))
    varied = [n for n in names if len({repr(trial.get(n)) for trial in trials}) > 1]
    if len(trials) < FEWEST_TRIALS:
        return varied
    ranks = np.argsort(np.argsort(np.asarray(objectives), kind="stable"), kind="stable")
    weights = {name: _weight(_groups([t.get(name) for t in trials]), ranks) for name in varied}
    return sorted(varied, key=lambda name: -weights[name])  # equal ones in the order of the space


def _groups(values: Sequence[object]) -> list[object]:
    """Return the group of each value; trials without the parameter are a group of their own."""
    numbers = [float(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(numbers) < sum(value is not None for value in values) or len(set(numbers)) <= BINS:
        return [repr(value) for value in values]
    edges = np.quantile(numbers, np.linspace(0, 1, BINS + 1)[1:-1])
    return [
        None if value is None else int(np.searchsorted(edges, float(str(value))))
        for value in values
    ]


def _weight(groups: Sequence[object], ranks: NDArray[np.int64]) -> float:
    members: dict[object, list[int]] = {}
    for group, rank in zip(groups, ranks.tolist(), strict=True):
        members.setdefault(group, []).append(rank)
    free = len(ranks) - len(members)
    if free <= 0:
        return 0.0
    total = float(((ranks - ranks.mean()) ** 2).sum())
    within = sum(float(np.var(own)) * len(own) for own in members.values())
    return round(1 - within / free * (len(ranks) - 1) / total, 9)
