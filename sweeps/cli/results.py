"""`sweeps list`, `best`, `trials`: what sweeps have found; reads only, needs no TensorFlow."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TextIO

import typer

from sweeps.cli.options import HomeOption, JsonOption, SweepArgument
from sweeps.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from sweeps.analysis.rows import SlotRow
    from sweeps.records import SweepInfo


WIDE_CHARACTERS: Final = 100


def list_sweeps(
    show_all: Annotated[bool, typer.Option("--all", "-a", help="Archived ones, too.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the sweeps of a home, the newest first."""
    from sweeps.analysis.listing import listing_rows, render_listing
    from sweeps.home import Home
    from sweeps.records import heard

    found = Home.resolve(home)
    infos = [info for info in found.sweeps() if show_all or not found.store(info.id).is_archived]
    rows = listing_rows(
        [(i, records) for i in infos if (records := heard(found.store(i.id).read_all)) is not None],
        asked={i.id: n for i in infos if (n := found.store(i.id).asked()) is not None},
        running={i.id for i in infos if found.is_running(i.id)},
        archived={i.id for i in infos if found.store(i.id).is_archived},
    )
    if as_json:
        print(json.dumps([row.to_dict() for row in rows], indent=1))
    elif rows:
        console = _console()
        console.print(render_listing(rows, is_wide=console.width >= WIDE_CHARACTERS))
    else:
        print(f"no sweeps in {found.path} yet; begin with: sweeps run smoke")


def best(name: SweepArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show the best trial observed (not confirmed), or the Pareto front of several objectives."""
    from sweeps.analysis.summary import summarize
    from sweeps.home import Home
    from sweeps.records import Conclusions
    from sweeps.render.summaries import render_best

    found = Home.resolve(home)
    info = found.get(name)
    records = found.store(info.id).read_all()
    asked = found.store(info.id).asked() or 0
    summary = summarize(info, records, asked=asked, seconds=0.0, stopped_by=None)
    tellings = Conclusions(found.store(info.id).folder).tellings()
    if as_json:
        told = [{"title": told.title, "lead": told.lead} for told in tellings]
        print(json.dumps({**summary.to_dict(), "finalized": told}, indent=1))
    else:
        _console().print(render_best(summary, tellings), crop=False)


def trials(
    name: SweepArgument,
    trial: Annotated[
        int | None, typer.Argument(help="Show this one, with all that is known of it.", min=0)
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write CSV to FILE; - for stdout.")
    ] = None,
    parquet: Annotated[Path | None, typer.Option(metavar="FILE", help="Write Parquet.")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show every trial of a sweep, one row a slot; or one of them."""
    from sweeps.analysis.rows import front_rows, slot_rows
    from sweeps.analysis.table import write_csv
    from sweeps.home import Home
    from sweeps.render.summaries import render_trial, render_trials

    found = Home.resolve(home)
    info = found.get(name)
    store = found.store(info.id)
    records = store.read_all()
    rows = slot_rows(records)
    front = {row.slot for row in front_rows(rows, info.objectives)}
    if trial is not None:
        rows = [row for row in rows if row.slot == trial]
        if not rows:
            raise UsageError(f"sweep {info.name!r} has no trial {trial}")
    if parquet is not None:
        _write_parquet(rows, info, parquet)
    elif csv is not None and str(csv) != "-":
        with _csv_file(csv) as file:
            write_csv(rows, file, objectives=info.objectives, space=info.space)
        print(f"{len(rows)} trials written to {csv}")
    elif csv is not None:
        write_csv(rows, sys.stdout, objectives=info.objectives, space=info.space)
    elif as_json:
        marks = [{"on_front": row.slot in front} if info.has_front else {} for row in rows]
        documents = [row.to_dict() | mark for row, mark in zip(rows, marks, strict=True)]
        print(json.dumps(documents, indent=1))
    elif trial is not None:
        attempts = [r for r in records if r.spec.slot == trial and r.files_sha256]
        written = store.files(attempts[-1]) if attempts else {}
        where = store.files_path(attempts[-1].spec.key) if attempts else None
        _console().print(render_trial(rows[0], written, where), crop=False)
    else:
        _console().print(render_trials(rows, info.objectives, info.space), crop=False)


def _console() -> Console:
    from sweeps.cli.console import Terminal

    return Terminal()


def _write_parquet(rows: Sequence[SlotRow], info: SweepInfo, path: Path) -> None:
    from sweeps.analysis.table import to_frame

    try:
        to_frame(rows, objectives=info.objectives, space=info.space).to_parquet(path)
    except ImportError:
        raise UsageError("--parquet needs pyarrow: pip install pyarrow") from None
    except OSError as error:
        raise UsageError(f"--parquet {path}: cannot be written ({error.strerror})") from None
    print(f"{len(rows)} trials written to {path}")


def _csv_file(path: Path) -> TextIO:
    try:
        return path.open("w", newline="", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--csv {path}: cannot be written ({error.strerror})") from None
