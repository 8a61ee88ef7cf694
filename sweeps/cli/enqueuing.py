"""`sweeps enqueue`: queues a point, or the best trials of another sweep, as the next trials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sweeps.cli.options import HomeOption, SweepArgument, parse_options
from sweeps.errors import UsageError

if TYPE_CHECKING:
    from sweeps.runner.enqueuing import Enqueued, EnqueuedTrial


def enqueue(
    name: SweepArgument,
    values: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME=VALUE]...", help="Every parameter of the point."),
    ] = None,
    like: Annotated[
        str | None,
        typer.Option(
            metavar="TRIAL", help="Take values that are not given from this trial, or `best`."
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="SWEEP", help="Queue its best trials, or its Pareto front."),
    ] = None,
    top: Annotated[int, typer.Option(help="Number of best trials.", min=1)] = 5,
    home: HomeOption = None,
) -> None:
    """Queue a point as the next trial, also while a sweep runs.

    It counts as a trial. If no trial is left, one more is added. The same point is queued only
    once.
    """
    from sweeps.api import Sweep
    from sweeps.home import Home
    from sweeps.runner.enqueuing import enqueue_best_of, enqueue_point

    if (source is None) == (not values and like is None):
        raise UsageError("give a point (name=value ...) or --from SWEEP, one of both")
    found = Home.resolve(home)
    sweep = Sweep(found, found.get(name))
    if source is None:
        given = parse_options(values or [], "point")
        enqueued = enqueue_point(sweep, given, _trial(like))
    else:
        enqueued = enqueue_best_of(sweep, found.get(source), top)
    _tell(sweep.name, enqueued)


def _trial(like: str | None) -> int | Literal["best"] | None:
    if like is None:
        return None
    if like == "best":
        return "best"
    if not like.isdecimal():
        raise UsageError(f"--like {like!r}: write the number of a trial, or best")
    return int(like)


def _tell(name: str, enqueued: Enqueued) -> None:
    from sweeps.wording import printable

    for line in enqueued.left_out:
        print(printable(line))
    for one in enqueued.trials:
        shown = " ".join(f"{key}={value}" for key, value in one.params.items())
        print(printable(f"{_state(one)}: {shown}"))
    if any(one.state == "queued" for one in enqueued.trials) and not enqueued.is_running:
        print(f"sweep {name!r} is not running: the next `sweeps run` tries what is queued")


def _state(one: EnqueuedTrial) -> str:
    if one.state == "a trial":
        return f"is trial {one.number} already"
    return "queued" if one.state == "queued" else f"queued already, as point {one.number}"
