"""Chooses a few points that were good on other data: one of them is likely to be good on the next.

The choice is greedy (Feurer et al. 2015, "Initializing Bayesian hyperparameter optimization via
meta-learning"; Pfisterer et al. 2021, "Learning multiple defaults"): each next point is the one
that lowers most the least regret so far, in the mean over the data sets; where none does, it is the
best of the others. A regret is 0 for the best of a data set and 1 for the median, and it is capped,
so that one data set does not decide.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from search_spaces.parameters import Value
from search_spaces.space import Space
from search_spaces.values import Categorical, Sampled

POINTS: Final = 5
"""Points of a portfolio, at most."""
CAP: Final = 2.0
"""Regret that counts as much as any greater one."""
CANDIDATES: Final = 20
"""Best points of each data set, of which a portfolio may have some."""
NEIGHBOURS: Final = 5
"""Points whose regrets estimate that of a point which was not tried on their data."""


@dataclass(frozen=True)
class TriedPoints:
    """Points that were tried on one data set, by one sweep or by several.

    Attributes:
        points: The points, all of one space.
        values: (points,) what each brought, lower is better; NaN if it diverged.
    """

    points: Sequence[Mapping[str, Value]]
    values: NDArray[np.float64]


def choose(tasks: Sequence[TriedPoints], space: Space, most: int = POINTS) -> list[tuple[int, int]]:
    """Return the task of each point of a portfolio and its place there, in the order to be tried.

    Each task tried other points, and has a value that is not NaN. The regret of a point where it
    was not tried is estimated from the nearest points there, weighted by their nearness. The
    baselines of the space, which are tried anyway, are none of them, and no point is there twice.
    """
    regrets = [regrets_of(task.values) for task in tasks]
    places = [[_place(params, space) for params in task.points] for task in tasks]
    columns = sorted({column for task in places for place in task for column in place})
    rows = [
        np.array([[place.get(column, _ABSENT) for column in columns] for place in task])
        for task in places
    ]
    taken = list(space.baselines.values())
    candidates = []
    for task, own in enumerate(regrets):
        left = CANDIDATES
        for place in np.argsort(own, kind="stable").tolist():
            params = tasks[task].points[place]
            if left and params not in taken:
                candidates.append((task, place))
                taken.append(params)
                left -= 1
    if not candidates:
        return []
    wanted = np.array([rows[task][point] for task, point in candidates])
    estimates = [_estimated(wanted, *known) for known in zip(rows, regrets, strict=True)]
    return [candidates[row] for row in greedy(np.transpose(estimates), most)]


def greedy(regrets: NDArray[np.float64], most: int = POINTS) -> list[int]:
    """Return the rows of a portfolio of (points, tasks) regrets, in the order to be tried."""
    capped = np.minimum(regrets, CAP)
    least = np.full(capped.shape[1], np.inf)
    chosen: list[int] = []
    while len(chosen) < min(most, len(capped)):
        together = np.minimum(capped, least).mean(axis=1)
        together[chosen] = np.inf
        best = int(np.lexsort((capped.mean(axis=1), together))[0])
        chosen.append(best)
        least = np.minimum(least, capped[best])
    return chosen


def regrets_of(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (points,) regrets of one task's values, lower is better; NaN counts as `CAP`."""
    known = values[np.isfinite(values)]
    best, scale = known.min(), np.median(known) - known.min()
    shares = (values - best) / scale if scale > 0 else np.where(values > best, CAP, 0.0)
    return np.where(np.isfinite(values), np.minimum(shares, CAP), CAP)


_ABSENT: Final = -1.0
"""Where a parameter that is not active lies: farther from all values than these from each other."""
_NOTHING: Final = 1e-9


def _place(params: Mapping[str, Value], space: Space) -> dict[str, float]:
    """Return where a point lies: of a number its share of the range, of a choice a column."""
    place: dict[str, float] = {}

    def answer(name: str, domain: Sampled) -> Value:
        value = domain.accept(params[name])
        if isinstance(domain, Categorical):
            # Two columns differ by a half each where choices do, with `_ABSENT` for the others.
            place[f"{name}={value!r}"] = _ABSENT + 0.5
        else:
            assert isinstance(value, int | float)
            ends = (domain.low, domain.high, value)
            low, high, own = (math.log(end) if domain.log else float(end) for end in ends)
            place[name] = (own - low) / (high - low) if high > low else 0.0
        return value

    space.walk(answer)
    return place


def _estimated(
    wanted: NDArray[np.float64], places: NDArray[np.float64], regrets: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the (wanted,) regrets likely by the nearest points; a tried point keeps its own."""
    apart = np.abs(wanted[:, None] - places[None]).sum(axis=2)
    near = np.argsort(apart, axis=1, kind="stable")[:, :NEIGHBOURS]
    weights = 1 / np.maximum(np.take_along_axis(apart, near, axis=1), _NOTHING)
    return np.asarray(np.average(regrets[near], axis=1, weights=weights))
