"""`sweeps stop`, `pause`, `resume`, `cancel`: ask something of a sweep that runs elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Final

import typer

from sweeps.cli.exit_codes import FAILED
from sweeps.cli.options import HomeOption, SweepArgument
from sweeps.errors import UsageError
from sweeps.workspace.control_files import PAUSE, STOP, STOP_NOW, Steering, cancelling

if TYPE_CHECKING:
    from sweeps.home import Home
    from sweeps.records import SweepInfo

LONGEST_STOP_SECONDS: Final = 10.0
LONGEST_CANCEL_SECONDS: Final = 10.0
"""A trial ends at its next epoch; one with longer epochs ends after the command."""


def stop(
    name: SweepArgument,
    now: Annotated[
        bool, typer.Option("--now", help="Do not wait for the epoch: as Ctrl-C twice.")
    ] = False,
    home: HomeOption = None,
) -> None:
    """Stop a running sweep as Ctrl-C does, and wait until it has ended; it can be resumed."""
    from sweeps.home import Home

    found = Home.resolve(home)
    info = found.get(name)
    if not found.is_running(info.id):
        print(f"sweep {info.name!r} is not running")
        return
    steering = Steering(found.store(info.id).folder)
    steering.ask(STOP_NOW if now else STOP)
    found.publish(info.id)
    if _wait(lambda: not found.is_running(info.id), LONGEST_STOP_SECONDS):
        steering.withdraw([STOP, STOP_NOW])  # it may have ended of itself meanwhile
        found.publish(info.id)
        print(f"sweep {info.name!r} has stopped; the command that began it goes on")
        return
    print(f"sweep {info.name!r} does not end: it is run by {found.owner(info.id)}")
    raise typer.Exit(FAILED)


def pause(name: SweepArgument, home: HomeOption = None) -> None:
    """Let a running sweep begin no further trial; those that run end normally."""
    found, info = _running(name, home)
    Steering(found.store(info.id).folder).ask(PAUSE)
    found.publish(info.id)
    print(f"sweep {info.name!r} begins no trial until `sweeps resume {info.name}`")


def resume(name: SweepArgument, home: HomeOption = None) -> None:
    """Let a paused sweep go on."""
    found, info = _running(name, home)
    steering = Steering(found.store(info.id).folder)
    was_paused = PAUSE in steering.asked()
    steering.withdraw([PAUSE])
    found.publish(info.id)
    print(f"sweep {info.name!r} goes on" if was_paused else f"sweep {info.name!r} is not paused")


def cancel(
    name: SweepArgument,
    trial: Annotated[int, typer.Argument(help="Number of the trial.", min=0)],
    home: HomeOption = None,
) -> None:
    """End one running trial at its next epoch; it counts as pruned, and is not run again."""
    from sweeps.records import Record
    from sweeps.study.storage import stored_slots

    found, info = _running(name, home)
    store = found.store(info.id)

    def outcome() -> Record | None:
        found.refresh(info.id)
        records = store.read_all(report=lambda line: None)
        return next((r for r in records if r.spec.slot == trial and r.ends_slot), None)

    ended = outcome()
    if ended is not None:
        raise UsageError(f"trial {trial} of sweep {info.name!r} has ended: {ended.reason}")
    begun = {slot.number for slot in stored_slots(found.studies, info.study_name)}
    if trial not in begun:
        last = f"the last one is {max(begun)}" if begun else "there is none yet"
        raise UsageError(f"trial {trial} of sweep {info.name!r} was not begun; {last}")
    steering = Steering(store.folder)
    steering.ask(cancelling(trial))
    found.publish(info.id)
    is_paused = PAUSE in steering.asked()
    _wait(lambda: outcome() is not None, 2.0 if is_paused else LONGEST_CANCEL_SECONDS)
    ended = outcome()
    if ended is not None:
        print(f"trial {trial}: {ended.reason}")
    elif is_paused:
        print(f"trial {trial} ends at its next epoch, or when it begins: the sweep is paused")
    else:
        print(f"trial {trial} ends at its next epoch")


def _running(name: str, home: str | None) -> tuple[Home, SweepInfo]:
    from sweeps.home import Home

    found = Home.resolve(home)
    info = found.get(name)
    if not found.is_running(info.id):
        raise UsageError(f"sweep {info.name!r} is not running; `sweeps status` lists what is")
    return found, info


def _wait(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= end:
            return False
        time.sleep(0.1)
    return True
