"""`sweeps status`, `stop`, `pause`, `resume`: for sweeps that run elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final

import typer

from sweeps.cli.console import FAILED, answered
from sweeps.cli.options import (
    CsvOption,
    HomeOption,
    JsonOption,
    QuietOption,
    SweepArgument,
    find_sweep,
    how_to_go_on,
    mode_of,
    pasteable,
)
from sweeps.cli.results import listed
from sweeps.errors import UsageError
from sweeps.runner.control import PAUSE, STOP, STOP_NOW, ask, asked_of, cancelling, withdraw
from sweeps.workspace.clock import now_ms

if TYPE_CHECKING:
    from sweeps.home import Home
    from sweeps.progress import Mode
    from sweeps.records import SweepInfo


LOOK_SECONDS: Final = 0.5
LONGEST_STOP_SECONDS: Final = 10.0
LONGEST_CANCEL_SECONDS: Final = 10.0
"""A trial ends at its next epoch; a trial with longer epochs ends after the command does."""
_STATUS: Final = ("name", "id", "done", "asked", "metric", "best", "front", "owner", "paused")


def status(
    name: Annotated[str | None, typer.Argument(help="A sweep to follow (default: none).")] = None,
    home: HomeOption = None,
    quiet: QuietOption = False,
    csv: CsvOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the sweeps that are running; or follow one.

    A sweep that is named is followed to its end; Ctrl-C ends the following only. With --json a line
    is printed for each event then.
    """
    from sweeps.home import Home
    from sweeps.wording import counted

    if name is not None:
        if csv is not None:
            raise UsageError("--csv: a sweep that is followed is no table; leave out one of them")
        _follow(*find_sweep(home, name), mode_of(quiet=quiet, as_json=as_json))
        return
    found = Home.resolve(home)
    running = listed(found, [info for info in found.sweeps() if found.is_running(info.id)])
    rows = [
        {
            **{name: value for name, value in row.to_dict().items() if name in _STATUS},
            "owner": found.owner(row.id),
            "paused": PAUSE in asked_of(found.store(row.id)),
        }
        for row in running
    ]
    if answered(rows, rows, as_json=as_json, csv=csv, columns=_STATUS):
        return
    for row in rows:
        best = "no best yet" if row["best"] is None else f"{row['metric']} {row['best']:.4f}"
        if row["front"] is not None:
            best = f"{counted(row['front'], 'trial')} on the Pareto front"
        paused = ", paused" if row["paused"] else ""
        print(
            f"{row['name']}: {row['done']} of {row['asked']} done, {best}; {row['owner']}{paused}"
        )
    if not rows:
        print(f"nothing runs in {found.path}")


def _follow(found: Home, info: SweepInfo, mode: Mode) -> None:
    from sweeps.analysis.data import SweepData
    from sweeps.progress import make_progress
    from sweeps.progress.tally import Tally

    store, shown = found.store(info.id), make_progress(mode)
    records = store.read_all()
    try:
        shown.started(Tally(info, store.state().requested or 0, records))
        known = {record.key for record in records}
        is_over = was_paused = False
        while not is_over:
            found.refresh(info.id)
            is_over = not found.is_running(info.id)  # before looking, so that nothing is missed
            for key in sorted(store.state().ended.keys() - known):
                record = store.read(key)
                records.append(record)
                known.add(key)
                shown.trial_finished(record)
            is_paused = PAUSE in asked_of(store)
            if is_paused != was_paused:
                shown.note("paused; `sweeps resume` goes on" if is_paused else "goes on")
            was_paused = is_paused
            if not is_over:
                time.sleep(LOOK_SECONDS)
        data, began = SweepData.read(info, store, records=records), store.state().starts
        summary = data.summary
        if data.ending is None and began:  # it was killed
            summary = replace(summary, seconds=(now_ms() - began[-1].began_at) / 1000)
        shown.trials_ended(summary)
        shown.finished(summary)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
    finally:
        shown.close()


def stop(
    name: SweepArgument,
    trial: Annotated[
        int | None, typer.Argument(help="Number of the one trial to end.", min=0)
    ] = None,
    now: Annotated[
        bool, typer.Option("--now", help="Do not wait for the epoch; like Ctrl-C twice.")
    ] = False,
    home: HomeOption = None,
) -> None:
    """Stop a running sweep as Ctrl-C does, or one trial of it.

    The command waits until the sweep has ended; the same command as before goes on with it. A trial
    that is named ends at its next epoch: it counts as pruned, and is not run again.
    """
    if trial is not None:
        if now:
            raise UsageError(f"--now: trial {trial} ends at its next epoch; leave --now out")
        _cancel(*_running(name, home), trial)
        return
    found, info = find_sweep(home, name)
    if not found.is_running(info.id):
        print(f"sweep {info.name!r} is not running")
        return
    store = found.store(info.id)
    ask(store, STOP_NOW if now else STOP)
    if _wait(lambda: not found.is_running(info.id), LONGEST_STOP_SECONDS):
        withdraw(store, [STOP, STOP_NOW])  # it may have ended of itself meanwhile
        print(_how_it_ended(found, info))
        return
    print(f"sweep {info.name!r} does not end: it is run by {found.owner(info.id)}")
    raise typer.Exit(FAILED)


def _how_it_ended(found: Home, info: SweepInfo) -> str:
    store = found.store(info.id)
    done = len({record.trial for record in store.read_all() if record.ends_trial})
    asked, ending = store.state().requested or 0, store.state().finished
    if done >= asked or (ending is not None and ending.status == "FINISHED"):
        return f"sweep {info.name!r} has ended by itself: {done} of {asked} trials are done"
    again = how_to_go_on(found, info.id, "the command that began it")
    return f"sweep {info.name!r} has stopped; {again} goes on"


def pause(name: SweepArgument, home: HomeOption = None) -> None:
    """Begin no further trial; trials that run end normally."""
    found, info = _running(name, home)
    ask(found.store(info.id), PAUSE)
    print(pasteable(f"sweep {info.name!r} begins no trial until `sweeps resume {info.name}`"))


def resume(name: SweepArgument, home: HomeOption = None) -> None:
    """Let a paused sweep go on."""
    found, info = _running(name, home)
    store = found.store(info.id)
    was_paused = PAUSE in asked_of(store)
    withdraw(store, [PAUSE])
    print(f"sweep {info.name!r} goes on" if was_paused else f"sweep {info.name!r} is not paused")


def _cancel(found: Home, info: SweepInfo, trial: int) -> None:
    from sweeps.records import Record

    store = found.store(info.id)

    def outcome() -> Record | None:
        found.refresh(info.id)
        records = store.read_all(report=lambda line: None)
        return next((r for r in records if r.trial == trial and r.ends_trial), None)

    ended = outcome()
    if ended is not None:
        raise UsageError(f"trial {trial} of sweep {info.name!r} has ended: {ended.reason}")
    begun = store.state().asked
    if trial not in begun:
        last = f"the last one is {max(begun)}" if begun else "there is none yet"
        raise UsageError(f"trial {trial} of sweep {info.name!r} was not begun; {last}")
    ask(store, cancelling(trial))
    is_paused = PAUSE in asked_of(store)
    _wait(lambda: outcome() is not None, 2.0 if is_paused else LONGEST_CANCEL_SECONDS)
    ended = outcome()
    if ended is not None:
        print(f"trial {trial}: {ended.reason}")
    elif is_paused:
        print(f"trial {trial} ends at its next epoch, or when it begins: the sweep is paused")
    else:
        print(f"trial {trial} ends at its next epoch")


def _running(name: str, home: str | None) -> tuple[Home, SweepInfo]:
    found, info = find_sweep(home, name)
    if not found.is_running(info.id):
        again = how_to_go_on(found, info.id, "the `sweeps run` that began it")
        raise UsageError(
            f"sweep {info.name!r} is not running; `sweeps status` lists what is, and {again} "
            "goes on with it"
        )
    return found, info


def _wait(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= end:
            return False
        time.sleep(0.1)
    return True
