"""Ranks the trials of a sweep by one objective, and finds the Pareto front of several.

The front is never stored: it is computed from records wherever it is shown. With several objectives
there is no best trial. So no model is registered, no pruner and no `--target` is accepted, the
weights of the front are kept, and `--stop-after` counts trials that do not change the front.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, TypeVar, cast

import numpy as np

from search_spaces.objectives import Objective
from sweeps.errors import UsageError
from sweeps.journal.events import Record
from sweeps.records.sweep import SweepInfo


def ranked(records: Iterable[Record], direction: Literal["maximize", "minimize"]) -> list[Record]:
    """Return the records of complete trials, the best first; equal ones by trial number."""
    sign = -1 if direction == "maximize" else 1
    final = {record.trial: record for record in records if record.ends_trial}
    complete = [(r.objective, r) for r in final.values() if r.objective is not None]
    return [r for _, r in sorted(complete, key=lambda pair: (sign * pair[0], pair[1].trial))]


T = TypeVar("T")
Values = tuple[float, ...]
"""One value per objective, in the order of the objectives."""


def values_of(record: Record, objectives: Sequence[Objective]) -> Values | None:
    """Return the values of an attempt; None unless it is complete and has a value for each."""
    metrics = record.trained.metrics if record.trained else {}
    return values_among(record.objective, metrics, objectives)


def values_among(
    first: float | None, metrics: Mapping[str, float], objectives: Sequence[Objective]
) -> Values | None:
    """Return the values: the first as given, the others from `metrics`; None if one is missing."""
    values = (first, *[metrics.get(one.metric) for one in objectives[1:]])
    return None if None in values else cast("Values", values)


def gains_of(values: Values, objectives: Sequence[Objective]) -> Values:
    """Return values turned so that greater is better in each."""
    return tuple(one.gain(value) for one, value in zip(objectives, values, strict=True))


def covers(gains: Values, others: Values) -> bool:
    """Whether `gains` are at least as good as `others` in every objective."""
    return all(one >= other for one, other in zip(gains, others, strict=True))


def front_of(
    items: Iterable[T], values: Callable[[T], Values | None], objectives: Sequence[Objective]
) -> list[T]:
    """Return the items that no other one dominates, the best by the first objective first.

    One dominates another if it is at least as good in every objective and better in one. Items of
    equal values stay in their order. An item without values does not take part.
    """
    valued = [(found, item) for item in items if (found := values(item))]
    if len(objectives) == 1:  # sooner than below, of 100,000 trials
        gain = objectives[0].gain
        best = max((gain(first) for (first,), _ in valued), default=None)
        return [item for (first,), item in valued if gain(first) == best]
    worth = [(gains_of(found, objectives), item) for found, item in valued]
    distinct = sorted({gains for gains, _ in worth}, reverse=True)
    front = np.empty((len(distinct), len(objectives)))
    there: set[Values] = set()
    for gains in distinct:  # in this order no item is dominated by a later one
        known = len(there)
        if not (front[:known] >= gains).all(axis=1).any():
            front[known] = gains
            there.add(gains)
    chosen = [(gains, item) for gains, item in worth if gains in there]
    return [item for _, item in sorted(chosen, key=lambda pair: pair[0], reverse=True)]


def pareto_front(records: Iterable[Record], objectives: Sequence[Objective]) -> list[Record]:
    """Return the records of the trials on the front, the best by the first objective first."""
    complete = ranked(records, objectives[0].direction)
    return front_of(complete, lambda record: values_of(record, objectives), objectives)


def leading(records: Iterable[Record], objectives: Sequence[Objective]) -> list[Record]:
    """Return the records of complete trials: the front, then the others by the first objective."""
    complete = ranked(records, objectives[0].direction)
    known = [record for record in complete if values_of(record, objectives) is not None]
    front = pareto_front(known, objectives)
    return list({record.key: record for record in (*front, *known)}.values())


def worth_keeping(
    records: Iterable[Record], objectives: Sequence[Objective], count: int
) -> list[Record]:
    """Return the records whose weights are kept: the front and the best `count`.

    The best are those by the first objective. A sweep of one objective keeps the best `count` only.
    """
    complete = ranked(records, objectives[0].direction)
    front = pareto_front(complete, objectives) if len(objectives) > 1 else []
    return list({record.key: record for record in (*front, *complete[:count])}.values())


def need_one_objective(info: SweepInfo) -> None:
    """Refuse a sweep that has no best trial.

    Raises:
        UsageError: It has several objectives.
    """
    if info.has_front:
        metrics = ", ".join(one.metric for one in info.objectives)
        raise UsageError(
            f"sweep {info.name!r} has several objectives ({metrics}), so no trial of it is best; "
            f"take one of its Pareto front: `sweeps best {info.name}`, or Sweep.pareto_front()"
        )
