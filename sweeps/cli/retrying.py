"""`sweeps retry`: failed trials are run again, once their cause is mended."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from sweeps.cli.cluster import ExecutorOption, ResourcesOption, TrustOption, parse_resources
from sweeps.cli.exit_codes import FAILED, INTERRUPTED, exit_code
from sweeps.cli.options import (
    EventsOption,
    HomeOption,
    MaxFailuresOption,
    QuietOption,
    SameCodeOption,
    SweepArgument,
    TrackingOption,
    TrialTimeoutOption,
    WorkersOption,
    parse_retries,
    pasteable,
)
from sweeps.cli.results import DataOption
from sweeps.config.options import RunOptions

if TYPE_CHECKING:
    from sweeps.manage.retrying import Retried
    from sweeps.progress import Mode


def retry(
    name: SweepArgument,
    trials: Annotated[
        list[int] | None,
        typer.Argument(metavar="[TRIAL]...", help="Their numbers (default: all that failed)."),
    ] = None,
    workers: WorkersOption = None,
    executor: ExecutorOption = None,
    trust_cluster: TrustOption = False,
    resources: ResourcesOption = None,
    trial_timeout: TrialTimeoutOption = None,
    retries: Annotated[
        list[str] | None,
        typer.Option(metavar="REASON=N,...", help="As for `sweeps run`, counted from now on."),
    ] = None,
    max_failures_in_row: MaxFailuresOption = None,
    data: DataOption = None,
    same_code: SameCodeOption = False,
    home: HomeOption = None,
    tracking_uri: TrackingOption = None,
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

    found = Home.resolve(home)
    asked = RunOptions(
        space=name,
        trial_timeout=trial_timeout,
        retries=parse_retries(retries or []),
        max_failures_in_row=max_failures_in_row,
        data=data,
        same_code=same_code,
        workers=workers,
        executor=executor,
        trust_cluster=trust_cluster,
        resources=parse_resources(resources or []),
        home=home,
        tracking_uri=tracking_uri,
    )
    progress: Mode = "json" if as_json else "quiet" if quiet else "auto"
    retried = run_again(found, found.get(name), trials or [], asked, progress=progress)
    if not (as_json or quiet):
        _tell(retried)
    raise typer.Exit(_exit_code(retried))


def _tell(retried: Retried) -> None:
    from sweeps.wording import counted

    summary = retried.result.summary
    ended = len(retried.trials) - len(retried.failed)
    print(f"{ended} of {counted(len(retried.trials), 'trial')} that had failed ended well now")
    if summary.done < summary.asked:
        print(
            f"{summary.done} of {summary.asked} trials have an outcome: repeat the `sweeps run` "
            "of this sweep to go on"
        )
    print(pasteable(f"every trial: `sweeps trials {shlex.quote(summary.name)}`"))


def _exit_code(retried: Retried) -> int:
    summary = retried.result.summary
    if summary.stopped_by in INTERRUPTED:
        return INTERRUPTED[summary.stopped_by]
    if retried.failure:
        print(pasteable(f"failed: {retried.failure}"), file=sys.stderr)
        return FAILED
    return exit_code(summary, strict=False, fail_under=None)
