"""`sweeps rename`, `delete`, `share`, `import`: keeping house."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweeps.cli.exit_codes import TRACKING_INCOMPLETE
from sweeps.cli.options import HomeOption, SweepArgument, TrackingOption
from sweeps.errors import UsageError

if TYPE_CHECKING:
    from sweeps.home import Home
    from sweeps.sync import SyncReport


def rename(
    name: SweepArgument,
    new: Annotated[str, typer.Argument(metavar="NEW", help="Its new name.")],
    home: HomeOption = None,
    tracking_uri: TrackingOption = None,
) -> None:
    """Give a sweep another name, in records and MLflow; its id stays."""
    from sweeps.lifecycle import rename_sweep

    found, uri = _opened(home, tracking_uri)
    report = rename_sweep(found, found.get(name), new, uri)
    print(f"sweep {name!r} is called {new!r} now")
    _tell_tracking(report)


def delete(
    name: SweepArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    home: HomeOption = None,
    tracking_uri: TrackingOption = None,
) -> None:
    """Delete a sweep for good: records, weights, study, and its runs in MLflow."""
    from sweeps.lifecycle import delete_sweep

    found, uri = _opened(home, tracking_uri)
    info = found.get(name)
    count = len(found.store(info.id).paths())
    question = f"delete sweep {info.name!r} with {count} recorded trials"
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(f"{question}: say --yes; nothing was deleted")
        if not typer.confirm(f"{question}?"):
            print("nothing was deleted")
            return
    delete_sweep(found, info, uri)
    print(f"deleted sweep {info.name!r} ({info.id})")


def share(
    name: SweepArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file.")],
    home: HomeOption = None,
) -> None:
    """Write a sweep into one file, for `sweeps import` on another machine."""
    from sweeps.home import Home
    from sweeps.lifecycle import share_sweep

    found = Home.resolve(home)
    info = found.get(name)
    size = share_sweep(found, info, file)
    print(f"sweep {info.name!r} is in {file} ({size / 1e6:.1f} MB); take it in with: sweeps import")


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="From `sweeps share`.")],
    name: Annotated[str | None, typer.Option(help="Another name for it.")] = None,
    home: HomeOption = None,
    tracking_uri: TrackingOption = None,
) -> None:
    """Take in a sweep that was shared: verified, then whole or not at all."""
    from sweeps.lifecycle import import_sweep

    found, uri = _opened(home, tracking_uri)
    info, report = import_sweep(found, file, uri, name)
    print(f"sweep {info.name!r}: {report.records} trials are here")
    _tell_tracking(report)


def _opened(home: str | None, tracking_uri: str | None) -> tuple[Home, str]:
    from sweeps.home import Home
    from sweeps.lifecycle import finish_deletions
    from sweeps.tracking.address import resolve_tracking_uri

    found = Home.resolve(home)
    uri = resolve_tracking_uri(found.path, tracking_uri)
    finish_deletions(found, uri)  # of a process that was killed
    return found, uri


def _tell_tracking(report: SyncReport) -> None:
    if report.pending:
        print(f"MLflow did not take everything ({report.error}); `sweeps sync` sends the rest",
              file=sys.stderr)  # fmt: skip
        raise typer.Exit(TRACKING_INCOMPLETE)
