"""`sweeps retry`: failed trials are run again, once their cause is mended."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweeps.cli.exit_codes import FAILED, INTERRUPTED, exit_code
from sweeps.cli.options import EventsOption, QuietOption, SweepArgument, asks, mode_of
from sweeps.config.options import RunOptions

if TYPE_CHECKING:
    from sweeps.manage.retrying import Retried


@asks(
    *("workers", "executor", "trust_cluster", "resources", "trial_timeout", "retries"),
    *("max_failures_in_row", "data", "same_code", "home", "tracking_uri"),
)
def retry(
    asked: RunOptions,
    name: SweepArgument,
    trials: Annotated[
        list[int] | None,
        typer.Argument(metavar="[TRIAL]...", help="Their numbers (default: all that failed)."),
    ] = None,
    quiet: QuietOption = False,
    as_json: EventsOption = False,
) -> None:
    """Run failed trials again, once their cause is mended; exit 1 if one fails again.

    Each gets its next attempt, with the same parameters and seed. Trials that were proposed
    meanwhile stay as they are; later ones see the new outcomes. Interrupted, the same command or
    the next `sweeps run` goes on.
    """
    from sweeps.home import Home
    from sweeps.manage.retrying import retry as run_again

    found = Home.resolve(asked.home)
    progress = mode_of(quiet=quiet, as_json=as_json)
    retried = run_again(
        found, found.get(name), trials or [], replace(asked, space=name), progress=progress
    )
    if not (as_json or quiet):
        _tell(retried, asked.home)
    raise typer.Exit(_exit_code(retried))


def _tell(retried: Retried, home: str | Path | None) -> None:
    from sweeps.wording import counted

    summary = retried.result.summary
    ended = len(retried.trials) - len(retried.failed)
    print(f"{ended} of {counted(len(retried.trials), 'trial')} that had failed ended well now")
    if summary.done < summary.asked:
        print(
            f"{summary.done} of {summary.asked} trials have an outcome: repeat the `sweeps run` "
            "of this sweep to go on"
        )
    option = f" --home {shlex.quote(str(home))}" if home else ""
    print(f"every trial: sweeps trials {shlex.quote(summary.name)}{option}")


def _exit_code(retried: Retried) -> int:
    summary = retried.result.summary
    if summary.stopped_by in INTERRUPTED:
        return INTERRUPTED[summary.stopped_by]
    if retried.failure:
        print(f"failed: {retried.failure}", file=sys.stderr)
        return FAILED
    return exit_code(summary, strict=False, fail_under=None)
