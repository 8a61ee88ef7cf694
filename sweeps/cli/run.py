"""`sweeps run`, `retry`, `enqueue`: launch a sweep or finish it; run trials again, or add some."""

from __future__ import annotations

import gc
import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sweeps.cli.confirming import (
    check_confirming,
    confirm_after,
    is_to_be_confirmed,
    reserving_for,
)
from sweeps.cli.console import answering_first
from sweeps.cli.exit_codes import FAILED, INTERRUPTED, WHOLE, exit_code, failure, gate_line
from sweeps.cli.options import (
    EventsOption,
    HomeOption,
    QuietOption,
    SweepArgument,
    VerboseOption,
    asks,
    find_sweep,
    how_to_go_on,
    mode_of,
    parse_options,
    pasteable,
    storage_option,
)
from sweeps.config.options import OPTIONS, RunOptions, default_of, option_of
from sweeps.errors import UsageError
from sweeps.workspace.addresses import redacted
from sweeps.workspace.clock import command_watch

if TYPE_CHECKING:
    from sweeps.analysis.summary import Summary
    from sweeps.api import Sweep
    from sweeps.home import Home
    from sweeps.launch import RunResult
    from sweeps.manage.retrying import Retried
    from sweeps.progress import Mode
    from sweeps.records.record import SweepInfo
    from sweeps.runner.enqueuing import Enqueued, EnqueuedTrial


@asks()
def run(
    asked: RunOptions,
    confirm: Annotated[
        bool | None,
        typer.Option(
            help="Confirm the best on fresh folds when all trials have an outcome (default: as "
            "the space says, from 15 complete trials on)."
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 if a trial failed.")] = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    json: EventsOption = False,
) -> None:
    """Launch a sweep, or finish the one of that name.

    Ctrl-C stops after the running epoch; the same command goes on where it stopped.
    """
    # Here and not above: `sweeps --help` need not wait for Optuna's storages.
    watch = command_watch()
    from sweeps.config.resolving import resolve
    from sweeps.executors.local.fork_server import one_fork_server
    from sweeps.launch import Timing, run_config
    from sweeps.tracking.address import resolve_tracking_uri

    fail_under = asked.fail_under
    progress = mode_of(quiet=quiet, as_json=json, verbose=verbose)
    config = resolve(asked)

    answer = partial(_answer, asked, confirm, strict, progress)
    # The answer names the address on a server, which may be away: only the end tells.
    is_server = resolve_tracking_uri(config.home.path, asked.tracking_uri).startswith("http")
    with one_fork_server():
        check_confirming(config, asked, confirm, progress)
        with answering_first(progress) as give:
            result = run_config(
                config,
                asked,
                progress=progress,
                has_failed=lambda summary: failure(summary, strict, fail_under) is not None,
                timing=Timing(
                    watch,
                    reserving_for(config, confirm),
                    command_line(asked),
                    lambda result: give(lambda: None if is_server else answer(result)),
                ),
            )
            _conclude(result.summary, gate_line(result.summary, strict, fail_under))
        if is_server:
            answer(result)
        summary = result.summary
        code = exit_code(summary, strict=strict, fail_under=fail_under)
        if code in WHOLE and is_to_be_confirmed(result, confirm):
            more = f"{command_line(asked)} --trials {2 * summary.done}"
            code = (
                confirm_after(result, asked, progress, f"{more} {_home_option(asked)}".strip())
                or code
            )
    if progress in {"auto", "verbose"} and result.budget is not None:
        print(result.budget.ended_line())
    if config.parallelism.workers:  # else trials ran in here, and may have left something to end
        gc.freeze()  # to look for garbage in MLflow takes half a second
    raise typer.Exit(code)


def _answer(
    asked: RunOptions, confirm: bool | None, strict: bool, progress: Mode, result: RunResult
) -> None:
    """Print what the sweep has found."""
    from sweeps.cli.console import Terminal
    from sweeps.render.summaries import render_text

    summary, bound = result.summary, asked.fail_under
    if progress in {"auto", "verbose"}:
        code = exit_code(summary, strict=strict, fail_under=bound)
        is_last = code not in WHOLE or not is_to_be_confirmed(result, confirm)
        store = redacted(asked.tracking_uri or "")
        tracking = shlex.join(["--tracking-uri", store]) if store else ""
        text = render_text(
            summary,
            home_option=_home_option(asked),
            run_command=command_line(asked),
            ui_option=tracking,
            ui_address="" if summary.tracking_pending else _ui_address(asked, result.info),
            is_last=is_last,
            verbose=progress == "verbose",
        )
        Terminal().print(text, crop=False)
    if reason := failure(summary, strict, bound):
        print(pasteable(f"failed: {reason}"), file=sys.stderr)
    elif progress in {"auto", "verbose"} and (gate := gate_line(summary, strict, bound)):
        print(pasteable(gate))


def _conclude(summary: Summary, gate: str | None) -> None:
    """Say what MLflow lacks, and add the summary to that of a GitHub job."""
    from sweeps.render.markdown import render_markdown
    from sweeps.wording import counted

    step_summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if step_summary:
        try:
            with Path(step_summary).open("a", encoding="utf-8") as file:
                file.write(render_markdown(summary, gate))
        except OSError as error:
            print(f"no step summary: {error}", file=sys.stderr)
    if summary.tracking_pending:
        print(
            f"tracking incomplete: {counted(summary.tracking_pending, 'run')} missing or "
            f"incomplete in MLflow ({summary.tracking_error or 'it was not ready yet'}); nothing "
            f"is lost, {pasteable('`sweeps sync`')} or the same command sends them",
            file=sys.stderr,
        )
    for line in summary.deleted:
        print(pasteable(line), file=sys.stderr)


def _home_option(asked: RunOptions) -> str:
    """Return the options that name the home and the storage, as far as they were given."""
    home = f"--home {shlex.quote(str(asked.home))}" if asked.home else ""
    return " ".join(option for option in (home, storage_option()) if option)


def _ui_address(asked: RunOptions, info: SweepInfo) -> str:
    """Return the address of the sweep on a tracking server; empty for a database without a UI."""
    from sweeps.home import Home
    from sweeps.tracking.address import resolve_tracking_uri
    from sweeps.tracking.reading import server_address

    uri = resolve_tracking_uri(Home.resolve(asked.home).path, asked.tracking_uri)
    if not uri.startswith("http"):
        return ""
    try:
        return server_address(uri, info)
    except Exception:  # the server has just gone away; the printed command asks it again
        return ""


def command_line(asked: RunOptions) -> str:
    """Return the command that continues this sweep, without `--trials` and `--home`."""
    words = ["sweeps", "run", str(asked.space)]
    for name, declared in OPTIONS.items():
        value, option = getattr(asked, name), option_of(name)
        if not declared.goes_on or value == default_of(name):
            continue
        if isinstance(value, bool):
            words.append(option if value else option.replace("--", "--no-", 1))
            continue
        if isinstance(value, Mapping):
            value = [f"{key}={entry}" for key, entry in value.items()]
        if name == "tracking_uri":
            value = redacted(str(value))
        values = value if isinstance(value, list | tuple) else [value]
        words += [word for entry in values for word in (option, str(entry))]
    return shlex.join(words)


# `sweeps retry`: failed trials are run again, once their cause is mended.


@asks(
    *("workers", "executor", "trust_cluster", "resources", "trial_timeout", "retries"),
    *("max_failures_in_row", "checkpoint_every", "data", "same_code", "home", "tracking_uri"),
)
def retry(
    asked: RunOptions,
    name: SweepArgument,
    trials: Annotated[
        list[int] | None,
        typer.Argument(metavar="[TRIAL]...", help="Their numbers (default: all that failed)."),
    ] = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    as_json: EventsOption = False,
) -> None:
    """Run failed trials again, once their cause is mended.

    Exit code 1 if one fails again. Each gets its next attempt, with the same parameters and seed.
    Trials that were proposed meanwhile stay as they are; later ones see the new outcomes.
    Interrupted, the same command or the next `sweeps run` goes on.
    """
    from sweeps.home import Home
    from sweeps.manage.retrying import retry as run_again

    found = Home.resolve(asked.home)
    progress = mode_of(quiet=quiet, as_json=as_json, verbose=verbose)
    retried = run_again(
        found, found.get(name), trials or [], replace(asked, space=name), progress=progress
    )
    if not (as_json or quiet):
        _tell_retried(found, retried)
    raise typer.Exit(_exit_code(retried))


def _tell_retried(home: Home, retried: Retried) -> None:
    from sweeps.wording import counted

    summary = retried.result.summary
    ended = len(retried.trials) - len(retried.failed)
    print(f"{ended} of {counted(len(retried.trials), 'trial')} that had failed ended well now")
    if summary.done < summary.asked:
        again = how_to_go_on(home, summary.id, "the `sweeps run` of this sweep")
        print(f"{summary.done} of {summary.asked} trials have an outcome: repeat {again} to go on")
    print(pasteable(f"every trial: `sweeps trials {shlex.quote(summary.name)}`"))


def _exit_code(retried: Retried) -> int:
    summary = retried.result.summary
    if summary.stopped_by in INTERRUPTED:
        return INTERRUPTED[summary.stopped_by]
    if retried.failure:
        print(pasteable(f"failed: {retried.failure}"), file=sys.stderr)
        return FAILED
    return exit_code(summary, strict=False, fail_under=None)


# `sweeps enqueue`: queues a point, or the best trials of another sweep, as the next trials.


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
    more_epochs: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Queue its own best trials, or that of --like, with N epochs more: same "
            "parameters, same seed.",
        ),
    ] = None,
    top: Annotated[int, typer.Option(help="Number of best trials.", min=1)] = 5,
    home: HomeOption = None,
) -> None:
    """Queue a point as the next trial, also while a sweep runs.

    It counts as a trial. If no trial is left, one more is added. The same point is queued only
    once.
    """
    from sweeps.api import Sweep, trial_like
    from sweeps.runner.enqueuing import enqueue_best_of, enqueue_longer_of, enqueue_point

    has_point = bool(values) or (like is not None and more_epochs is None)
    if sum((has_point, source is not None, more_epochs is not None)) != 1:
        raise UsageError(
            "give a point (name=value ...), --from SWEEP or --more-epochs N, one of them"
        )
    found, info = find_sweep(home, name)
    sweep = Sweep(found, info)
    known = trial_like(sweep, _trial(like))
    if more_epochs is not None:
        enqueued = enqueue_longer_of(
            found, info, more_epochs, None if known is None else known.number, top
        )
    elif source is None:
        given = parse_options(values or [], "point")
        enqueued = enqueue_point(found, info, given, known.params if known else {})
    else:
        enqueued = enqueue_best_of(found, info, found.get(source), top)
    _tell_enqueued(sweep, enqueued)


def _trial(like: str | None) -> int | Literal["best"] | None:
    if like is None:
        return None
    if like == "best":
        return "best"
    if not (like.isdecimal() and len(like) < 10):
        raise UsageError(f"--like {like!r}: write the number of a trial, or best")
    return int(like)


def _tell_enqueued(sweep: Sweep, enqueued: Enqueued) -> None:
    from sweeps.records import Longer
    from sweeps.wording import printable

    for line in enqueued.left_out:
        print(printable(line))
    for one in enqueued.trials:
        longer = Longer.of(one.origin)
        values = one.params if longer is None else longer.configuration(one.params)
        shown = " ".join(f"{key}={value}" for key, value in values.items())
        print(printable(f"{_state(one)}: {shown}"))
    if any(one.state == "queued" for one in enqueued.trials) and not enqueued.is_running:
        again = how_to_go_on(sweep.home, sweep.info.id, "the next `sweeps run`")
        print(f"sweep {sweep.name!r} is not running: {again} tries what is queued")


def _state(one: EnqueuedTrial) -> str:
    if one.state == "a trial":
        return f"is trial {one.number} already"
    return "queued" if one.state == "queued" else f"queued already, as point {one.number}"
