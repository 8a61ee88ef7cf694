"""`sweeps status` and `sweeps watch`: what runs where, and how far it has come."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated, Final

import typer

from sweeps.cli.options import HomeOption, JsonOption, SweepArgument

if TYPE_CHECKING:
    from sweeps.home import Home
    from sweeps.progress import Progress
    from sweeps.records import SweepInfo
    from sweeps.workspace.control_files import Steering

LOOK_SECONDS: Final = 0.5


def status(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the sweeps that are running: where, since when, how far."""
    from sweeps.home import Home
    from sweeps.wording import counted

    found = Home.resolve(home)
    rows = [_row(found, i) for i in found.sweeps() if found.is_running(i.id)]
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    for row in rows:
        best = "no best yet" if row["best"] is None else f"{row['metric']} {row['best']:.4f}"
        if row["front"] is not None:
            best = f"{counted(int(str(row['front'])), 'trial')} on the Pareto front"
        paused = ", paused" if row["paused"] else ""
        print(
            f"{row['name']}: {row['done']} of {row['asked']} done, {best}; {row['owner']}{paused}"
        )
    if not rows:
        print(f"nothing runs in {found.path}")


def watch(
    name: SweepArgument,
    home: HomeOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say failures only.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per event.")] = False,
) -> None:
    """Follow a sweep that runs elsewhere, until it ends; Ctrl-C ends the watching only."""
    from sweeps.analysis.summary import summarize
    from sweeps.home import Home
    from sweeps.progress import make_progress
    from sweeps.workspace.control_files import Steering

    found = Home.resolve(home)
    info = found.get(name)
    store = found.store(info.id)
    shown = make_progress("json" if as_json else "quiet" if quiet else "auto")
    records = store.read_all()
    began = time.monotonic()
    try:
        shown.started(info, store.asked() or 0, records)
        known = {record.spec.key for record in records}
        is_over = was_paused = False
        while not is_over:
            found.refresh(info.id)
            is_over = not found.is_running(info.id)  # before looking, so that nothing is missed
            for key in sorted({path.stem for path in store.paths()} - known):
                record = store.read(key)
                records.append(record)
                known.add(key)
                shown.trial_finished(record)
            was_paused = _tell_pause(Steering(store.folder), was_paused, shown)
            if not is_over:
                time.sleep(LOOK_SECONDS)
        ending = store.ending()
        shown.finished(
            summarize(
                info,
                records,
                asked=store.asked() or 0,
                seconds=time.monotonic() - began,
                stopped_by=ending.stopped_by if ending else None,
            )
        )
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
    finally:
        shown.close()


def _tell_pause(steering: Steering, was_paused: bool, shown: Progress) -> bool:
    from sweeps.workspace.control_files import PAUSE

    is_paused = PAUSE in steering.asked()
    if is_paused != was_paused:
        shown.note("paused; `sweeps resume` goes on" if is_paused else "goes on")
    return is_paused


def _row(home: Home, info: SweepInfo) -> dict[str, object]:
    from sweeps.analysis.rows import best_row, front_rows, slot_rows
    from sweeps.workspace.control_files import PAUSE, Steering

    store = home.store(info.id)
    records = store.read_all()
    rows = slot_rows(records)
    best = None if info.has_front else best_row(rows, info.direction)
    return {
        "name": info.name,
        "id": info.id,
        "done": len({record.spec.slot for record in records if record.ends_slot}),
        "asked": store.asked(),
        "metric": info.metric,
        "best": best.objective if best else None,
        "front": len(front_rows(rows, info.objectives)) if info.has_front else None,
        "owner": home.owner(info.id),
        "paused": PAUSE in Steering(store.folder).asked(),
    }
