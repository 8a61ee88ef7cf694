"""`sweeps list`, `best`, `trials`, `compare`, `report`: reads only, and needs no TensorFlow."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TextIO

import typer

from sweeps.cli.console import complain
from sweeps.cli.options import HomeOption, JsonOption, SweepArgument, pasteable, place_options
from sweeps.errors import UsageError
from sweeps.workspace.names import trial_of

if TYPE_CHECKING:
    from rich.console import Console

    from sweeps.analysis.rows import SlotRow
    from sweeps.records import SweepInfo


# `sweeps report`: a sweep as one HTML page; reads only, needs no TensorFlow.


DataOption = Annotated[
    str | None,
    typer.Option("--data", metavar="SOURCE", help="Its data, if not the experiment's own."),
]


def report(
    name: SweepArgument,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Default: NAME.html.")
    ] = None,
    figures: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also write every chart as a PNG.")
    ] = None,
    data: DataOption = None,
    home: HomeOption = None,
) -> None:
    """Write a sweep as one HTML page that works offline: who won, how sure that is, what next."""
    from sweeps.analysis.data import read_sweep
    from sweeps.home import Home
    from sweeps.render.reporting import draw_charts, render_report
    from sweeps.render.sections import report_sections

    found = Home.resolve(home)
    info = found.get(name)
    read = read_sweep(info, found.store(info.id), data, complain)
    if not read.records:
        raise UsageError(f"sweep {read.info.name!r} has no trial yet: nothing to report")
    path = output or Path(f"{read.info.name}.html")
    sections = report_sections(read)
    write(path, render_report(read, sections).encode())
    if figures is not None:
        for file, png in draw_charts(sections).items():
            write(figures / file, png)
        print(f"charts in {figures}")
    print(path)


def write(path: Path, content: bytes) -> None:
    """Write a file, making its folder.

    Raises:
        UsageError: It cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror})") from None


# `sweeps compare`: sweeps or trials side by side; reads only, needs no TensorFlow.


def compare(
    names: Annotated[
        list[str],
        typer.Argument(metavar="A B...", help="NAME: the best of a sweep; NAME:7: a trial of it."),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write an HTML page.")
    ] = None,
    data: DataOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare sweeps (each by its best trial) or trials: what differs, by how much, how surely."""
    from sweeps.cli.console import Terminal
    from sweeps.home import Home
    from sweeps.render.comparing import compare as put_side_by_side
    from sweeps.render.comparing import comparison, render_comparison
    from sweeps.render.terminal import render_sections

    found = Home.resolve(home)
    asked = [(found.get(name), number) for name, number in map(trial_of, names)]
    trials = [(info, found.store(info.id), number) for info, number in asked]
    contestants = put_side_by_side(trials, data, complain).contestants
    if as_json:
        print(json.dumps([{"label": c.label, **c.row.to_dict()} for c in contestants], indent=1))
    elif output is None:
        Terminal().print(render_sections(comparison(contestants)), crop=False)
    if output is not None:
        write(output, render_comparison(contestants).encode())
        print(output)


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
        print(pasteable(f"no sweeps in {found.path} yet; begin with: `sweeps run smoke`"))


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
        _console().print(render_best(summary, tellings, home_option=place_options()), crop=False)


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
