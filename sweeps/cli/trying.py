"""`sweeps try`: queue a hunch, or another sweep's best, as the next trial."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from sweeps.cli.options import HomeOption, SweepArgument, parse_options
from sweeps.errors import UsageError

if TYPE_CHECKING:
    from search_spaces.parameters import Value
    from search_spaces.space import Space
    from sweeps.experiment import Experiment
    from sweeps.home import Home
    from sweeps.records import Hunches, SweepInfo


class _Point(NamedTuple):
    params: Mapping[str, Value]
    origin: str


def try_point(
    name: SweepArgument,
    values: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME=VALUE]...", help="Every parameter of the point."),
    ] = None,
    like: Annotated[
        str | None,
        typer.Option(metavar="TRIAL", help="What is not given is as in this trial, or in `best`."),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="SWEEP", help="Its best trials, or its Pareto front, instead."
        ),
    ] = None,
    top: Annotated[int, typer.Option(help="How many of them.", min=1)] = 5,
    home: HomeOption = None,
) -> None:
    """Queue a point as the next trial of a sweep, also while it runs; it counts as a trial.

    Where no trial is left, one more is added. The same point is queued once.
    """
    from sweeps.home import Home
    from sweeps.records import Hunches

    found = Home.resolve(home)
    info = found.get(name)
    if (source is None) == (not values and like is None):
        raise UsageError("give a point (name=value ...) or --from SWEEP, one of both")
    space, experiment = _space_of(found, info)
    if source is None:
        points = [_given(found, info, space, experiment, values or [], like)]
    else:
        points = list(_best_of(found, source, top, space, experiment))
    hunches = Hunches(found.store(info.id).folder)
    known = _known(found, info, hunches)
    if not points:
        raise UsageError(f"none of them lies in the space of {info.name!r}; nothing was queued")
    with found.exclusive():  # hosts agree on the numbers of hunches
        count = sum(_queue(hunches, point, known) for point in points)
        found.publish(info.id)
    if count and not found.is_running(info.id):
        print(f"sweep {info.name!r} is not running: the next `sweeps run` tries what is queued")


def _queue(hunches: Hunches, point: _Point, known: dict[str, str]) -> bool:
    from sweeps.study.proposals import point_key

    shown = " ".join(f"{key}={value}" for key, value in point.params.items())
    key = point_key(point.params)
    if key in known:
        print(f"{known[key]}: {shown}")
        return False
    known[key] = f"queued already, as hunch {hunches.add(point.params, point.origin).number}"
    print(f"queued: {shown}")
    return True


def _space_of(home: Home, info: SweepInfo) -> tuple[Space, Experiment]:
    from search_spaces.space import Space
    from sweeps.experiment_loading import experiment_folder, load_experiment

    directory = experiment_folder(info, home.records)
    return (
        Space.from_dict(info.space, directory=directory),
        load_experiment(info.experiment, directory),
    )


def _given(
    home: Home,
    info: SweepInfo,
    space: Space,
    experiment: Experiment,
    values: list[str],
    like: str | None,
) -> _Point:
    from sweeps.api import Sweep

    params: dict[str, Value] = {}
    if like is not None:
        sweep = Sweep(home, info)
        if like != "best" and not like.isdecimal():
            raise UsageError(f"--like {like!r}: write the number of a trial, or best")
        params = (sweep.best() if like == "best" else sweep.trial(int(like))).params
    given = parse_options(values, "point")
    digest = str(info.fingerprint.get("data", ""))
    return _Point(_checked(space, experiment, {**params, **given}, given, digest), "tried")


def _best_of(
    home: Home, source: str, top: int, space: Space, experiment: Experiment
) -> Iterator[_Point]:
    """Yield the best trials of another sweep that lie in this space, and name those that do not."""
    from search_spaces.counterparts import counterpart
    from search_spaces.errors import SpaceError
    from sweeps.records import leading

    other = home.get(source)
    best = leading(home.store(other.id).read_all(), other.objectives)[:top]
    if not best:
        raise UsageError(f"sweep {other.name!r} has no complete trial yet")
    for record in best:
        slot = record.spec.slot
        try:
            point = counterpart(space, record.params, record.spec.config, experiment.parameters)
        except SpaceError as error:
            print(f"trial {slot} of {other.name!r} does not lie in the space: {error}")
        else:
            yield _Point(point, f"tried, {other.name} trial {slot}")


def _checked(
    space: Space,
    experiment: Experiment,
    params: Mapping[str, Value],
    given: Mapping[str, Value],
    digest: str,
) -> dict[str, Value]:
    """Return the point these values make, or say what is missing, too much, or out of range."""
    from search_spaces.counterparts import point_of
    from search_spaces.errors import SpaceError

    try:
        point, config = point_of(space, params)
    except SpaceError as error:
        raise UsageError(f"point: {error}") from None
    unused = sorted(given.keys() - point.keys())
    if unused:
        raise UsageError(
            f"point: {', '.join(unused)} is no parameter here; active are {', '.join(point)}"
        )
    try:
        experiment.check(config)
    except ValueError as error:
        raise UsageError(f"point: {error}") from None
    broken = space.feasible({**config, **point, **_measures(space, experiment, config, digest)})
    if broken:
        raise UsageError(f"point: breaks a constraint: {'; '.join(broken)}")
    return point


def _measures(
    space: Space, experiment: Experiment, config: Mapping[str, Value], digest: str
) -> Mapping[str, float]:
    """Return what constraints need; nothing if the experiment's own data are not the sweep's."""
    from sweeps.config import SPLIT_SEED

    if not space.constraints or not experiment.measures:
        return {}
    data = experiment.prepare(None, SPLIT_SEED)
    return experiment.measure(config, data) if data.digest == digest else {}


def _known(home: Home, info: SweepInfo, hunches: Hunches) -> dict[str, str]:
    """Return what became of each point that is a trial, or is queued, already."""
    from sweeps.study.proposals import point_key
    from sweeps.study.storage import stored_slots

    known = {
        point_key(slot.params): f"is trial {slot.number} already"
        for slot in stored_slots(home.studies, info.study_name)
    }
    for hunch in hunches.all():
        known.setdefault(point_key(hunch.params), f"queued already, as hunch {hunch.number}")
    return known
