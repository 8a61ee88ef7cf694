"""Enqueues points as the next trials of a sweep: given ones, or the best of a sweep."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from search_spaces.errors import SpaceError
from search_spaces.mapping import counterpart, point_of
from search_spaces.parameters import Value
from search_spaces.space import Space
from sweeps.config.sweep import SPLIT_SEED
from sweeps.errors import UsageError
from sweeps.experiment import Experiment
from sweeps.experiments.loading import recorded_experiment, recorded_space
from sweeps.home import Home
from sweeps.journal import Asked, Record, SweepState
from sweeps.journal.events import LAST_EPOCH
from sweeps.records import Longer, SweepInfo, leading
from sweeps.records.enqueued import EPOCHS, enqueue
from sweeps.records.schema import warn
from sweeps.study.points import point_key

_Point = tuple[Mapping[str, Value], str]
"""Parameters, and where they came from."""


@dataclass(frozen=True)
class EnqueuedTrial:
    """One point that was to be queued.

    Attributes:
        params: Every parameter that is active at the point.
        state: `queued`: by this call; `waiting`: it was in the queue before; `a trial`: the sweep
            has a trial at this point.
        number: Its number in the queue, from 1; for `a trial`, the trial number, from 0.
        origin: Where it came from.
    """

    params: Mapping[str, Value]
    state: Literal["queued", "waiting", "a trial"]
    number: int
    origin: str = "enqueued"


@dataclass(frozen=True)
class Enqueued:
    """Points that were to be queued, and what became of each.

    Attributes:
        trials: The points, in the order in which they were given.
        left_out: The best trials that were not queued: a line each, with the reason.
        is_running: Whether the sweep runs now; if not, its next start runs the queued points.
    """

    trials: tuple[EnqueuedTrial, ...]
    left_out: tuple[str, ...]
    is_running: bool


def enqueue_point(
    home: Home, info: SweepInfo, given: Mapping[str, Any], known: Mapping[str, Value]
) -> Enqueued:
    """Queue the point of a trial (`known`, or empty) with other values; see `sweeps.enqueue`."""
    space, experiment = _target(home, info)
    try:
        params, config = point_of(space, {**known, **given})
        experiment.check(config)
    except (SpaceError, ValueError) as error:
        raise UsageError(f"point: {error}") from None
    measures: Mapping[str, float] = {}
    if space.constraints and experiment.measures:
        data = experiment.prepare(None, SPLIT_SEED)
        if data.digest == info.fingerprint.get("data"):  # else the sweep has other data
            measures = experiment.measure(config, data)
    broken = space.feasible({**config, **params, **measures})
    if broken:
        raise UsageError(f"point: breaks a constraint: {'; '.join(broken)}")
    unused = sorted(given.keys() - params.keys())
    if unused:
        raise UsageError(
            f"point: {', '.join(unused)} is no parameter here; active are {', '.join(params)}"
        )
    return _queue(home, info, [(params, "enqueued")], [])


def enqueue_best_of(home: Home, info: SweepInfo, source: SweepInfo, top: int) -> Enqueued:
    """Queue the best trials of another sweep, or its Pareto front; see `sweeps.enqueue`."""
    _check_count("--top", top)
    space, experiment = _target(home, info)
    left_out: list[str] = []
    points: list[_Point] = []
    for one in _complete(home, source)[:top]:
        try:
            params = counterpart(space, one.params, one.config, experiment.parameters)
            points.append((params, f"enqueued, {source.name} trial {one.trial}"))
        except SpaceError as error:
            why = f"does not lie in the space: {error}"
            left_out.append(f"trial {one.trial} of {source.name!r} {why}")
    if not points:
        reasons = "".join(f"\n  {line}" for line in left_out)
        raise UsageError(
            f"none of them lies in the space of {info.name!r}; nothing was queued{reasons}"
        )
    return _queue(home, info, points, left_out)


def enqueue_longer_of(
    home: Home,
    info: SweepInfo,
    more: int,
    *,
    trial: int | None = None,
    top: int = 1,
    target: tuple[Space, Experiment] | None = None,
) -> Enqueued:
    """Queue trials of a sweep with more epochs, one or the best; see `sweeps.enqueue`.

    Trials that its present space would configure otherwise are left out. `target` is its present
    space and its experiment, if they are loaded already.

    Raises:
        UsageError: The experiment has no parameter `epochs`, the space searches it, or none of the
            trials was ended by its last epoch.
    """
    space, experiment = target or _target(home, info)
    _check_count("--more-epochs", more)
    _check_count("--top", top)
    if EPOCHS not in experiment.parameters:
        raise UsageError(
            f"--more-epochs {more}: the experiment of sweep {info.name!r} has no parameter "
            f"{EPOCHS!r}, so nothing says how long it trains"
        )
    records = _complete(home, info)
    chosen = [one for one in records if trial in {None, one.trial}][:top]
    if not chosen:
        raise UsageError(f"sweep {info.name!r} has no complete trial {trial}")
    left_out: list[str] = []
    points: list[_Point] = []
    for record in chosen:
        try:
            points.append(_longer(info, space, experiment, record, more))
        except SpaceError as error:
            left_out.append(str(error))
    if not points:
        others = trial is None and any(one.reason == LAST_EPOCH for one in records[len(chosen) :])
        if others:
            words = f"{shlex.quote(info.name)} --more-epochs {more} --top {len(records)}"
            left_out.append(f"every trial that its last epoch ended: `sweeps enqueue {words}`")
        raise UsageError("\n".join(left_out))
    return _queue(home, info, points, left_out)


def _complete(home: Home, info: SweepInfo) -> list[Record]:
    """Return the complete trials of a sweep, the best first; of several objectives the front."""
    records = leading(home.store(info.id).read_all(), info.objectives)
    if not records:
        raise UsageError(f"sweep {info.name!r} has no complete trial yet")
    return records


def _longer(
    info: SweepInfo, space: Space, experiment: Experiment, record: Record, more: int
) -> _Point:
    """Return a trial with more epochs.

    Raises:
        SpaceError: It would not train them.
    """
    trial, known = record.trial, experiment.parameters[EPOCHS]
    epochs = int(str(record.config.get(EPOCHS, known.default)))
    if EPOCHS in record.params:
        raise UsageError(
            f"sweep {info.name!r} searches {EPOCHS!r}: queue a point with more of them, "
            f"`sweeps enqueue {shlex.quote(info.name)} --like {trial} {EPOCHS}={epochs + more}`"
        )
    if record.reason != LAST_EPOCH:
        why = record.reason.replace("_", " ")
        raise SpaceError(f"trial {trial}: {why} ended it, not its last epoch ({epochs})")
    before = Longer.of(record.origin)
    longer = Longer(trial if before is None else before.trial, epochs + more)
    if known.high is not None and longer.epochs > known.high:
        raise UsageError(
            f"--more-epochs {more}: trial {trial} would train {longer.epochs} epochs; "
            f"at most {known.high:g} are allowed"
        )
    try:
        experiment.check(longer.configuration(record.config))
    except ValueError as error:
        raise UsageError(f"--more-epochs {more}: {error}") from None
    try:
        _, config = point_of(space, record.params)
        has_changed = longer.configuration(config) != longer.configuration(record.config)
    except SpaceError:
        has_changed = True
    if has_changed:
        raise SpaceError(f"trial {trial}: the space of the sweep has changed since it was trained")
    return record.params, longer.origin


def _check_count(option: str, number: int) -> None:
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise UsageError(f"{option} {number!r}: give a whole number from 1 on")


def _target(home: Home, info: SweepInfo) -> tuple[Space, Experiment]:
    """Return the space and the experiment of the sweep that gets the trials."""
    records = home.sweeps_folder
    return recorded_space(info, records), recorded_experiment(info, records)


def _queue(
    home: Home, info: SweepInfo, points: Sequence[_Point], left_out: Sequence[str]
) -> Enqueued:
    home.check_writable()
    store = home.store(info.id)
    known = _known(store.state(warn))
    found = []
    with home.exclusive():  # so that two hosts never give the same number in the queue
        for params, origin in points:
            key = _key(params, origin)
            if key in known:
                found.append(known[key])
                continue
            (queued,) = enqueue(store, params, origin=origin)
            found.append(EnqueuedTrial(params, "queued", queued.point, origin))
            known[key] = replace(found[-1], state="waiting")
    return Enqueued(tuple(found), tuple(left_out), home.is_running(info.id))


def _known(state: SweepState) -> dict[str, EnqueuedTrial]:
    """Return, by point key, the points that are trials or queued already."""
    known: dict[str, EnqueuedTrial] = {}
    trials: dict[int, Record | Asked] = {one.trial: one for one in state.ended.values()}
    for number, one in sorted({**trials, **state.asked}.items()):
        trial = EnqueuedTrial(one.params, "a trial", number, one.origin)
        known[_key(one.params, one.origin)] = trial
    for number, point in sorted(state.points.items()):
        waiting = EnqueuedTrial(point.params, "waiting", number, point.origin)
        known.setdefault(_key(point.params, point.origin), waiting)
    return known


def _key(params: Mapping[str, Value], origin: str) -> str:
    """Return a text that is equal for equal trainings, but for their seed."""
    return origin if Longer.of(origin) else point_key(params)
