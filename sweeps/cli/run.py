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
from typing import TYPE_CHECKING, Annotated

import typer

from sweeps.cli.confirming import (
    check_confirming,
    confirm_after,
    is_to_be_confirmed,
    reserving_for,
)
from sweeps.cli.console import (
    FAILED,
    INTERRUPTED,
    OK,
    TRACKING_INCOMPLETE,
    WHOLE,
    answering_first,
    complain,
)
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
    place_options,
)
from sweeps.config.options import OPTIONS, RETRY_OPTIONS, RunOptions, default_of, option_of
from sweeps.wording import counted, first_line
from sweeps.workspace import clock
from sweeps.workspace.addresses import redacted

if TYPE_CHECKING:
    from sweeps.analysis.summary import Summary
    from sweeps.api import Sweep
    from sweeps.home import Home
    from sweeps.launch import RunResult
    from sweeps.progress import Mode
    from sweeps.records.sweep import SweepInfo
    from sweeps.runner.enqueuing import Enqueued


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
    watch = clock.command or clock.Stopwatch()
    from sweeps.config.resolving import resolve
    from sweeps.executors.local.fork_server import one_fork_server

    progress = mode_of(quiet=quiet, as_json=json, verbose=verbose)
    config = resolve(asked)  # a mistake is said before what launches is imported
    from sweeps.launch import Timing, run_config
    from sweeps.tracking.address import resolve_tracking_uri

    answer = partial(_answer, asked=asked, confirm=confirm, strict=strict, progress=progress)
    # The answer names the address on a server, which may be away: only the end tells.
    is_server = resolve_tracking_uri(config.home.path, asked.tracking_uri).startswith("http")
    with one_fork_server():
        check_confirming(config, asked, wanted=confirm, progress=progress)
        with answering_first(progress) as give:
            result = run_config(
                config,
                asked,
                progress=progress,
                has_failed=lambda summary: failure(summary, strict, asked.fail_under) is not None,
                timing=Timing(
                    watch=watch,
                    reserving=reserving_for(config, confirm),
                    command=command_line(asked),
                    answer=lambda found: give(lambda: None if is_server else answer(found)),
                ),
            )
            _conclude(result.summary, gate_line(result.summary, strict, asked.fail_under))
        if is_server:
            answer(result)
        code = exit_code(result.summary, strict=strict, fail_under=asked.fail_under)
        if code in WHOLE and is_to_be_confirmed(result, confirm):
            more = f"{command_line(asked)} --trials {2 * result.summary.done} {place_options()}"
            code = confirm_after(result, asked, progress=progress, more=more.strip()) or code
    if progress in {"auto", "verbose"} and result.budget is not None:
        print(result.budget.ended_line())
    if config.parallelism.workers:  # else trials ran in here, and may have left something to end
        gc.freeze()  # to look for garbage in MLflow takes half a second
    raise typer.Exit(code)


def _answer(
    result: RunResult, *, asked: RunOptions, confirm: bool | None, strict: bool, progress: Mode
) -> None:
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
            home_option=place_options(),
            run_command=command_line(asked),
            ui_option=tracking,
            ui_address="" if summary.tracking_pending else _ui_address(asked, result.info),
            is_last=is_last,
            verbose=progress == "verbose",
        )
        Terminal().print(text, crop=False)
    if reason := failure(summary, strict, bound):
        complain(f"failed: {reason}")
    elif progress in {"auto", "verbose"} and (gate := gate_line(summary, strict, bound)):
        print(pasteable(gate))


def _conclude(summary: Summary, gate: str | None) -> None:
    """Say what MLflow lacks, and add the summary to that of a GitHub job."""
    from sweeps.render.markdown import render_markdown

    step_summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if step_summary:
        try:
            with Path(step_summary).open("a", encoding="utf-8") as file:
                file.write(render_markdown(summary, gate))
        except OSError as error:
            print(f"no step summary: {error}", file=sys.stderr)
    if summary.tracking_pending:
        complain(
            f"tracking incomplete: {counted(summary.tracking_pending, 'run')} missing or "
            f"incomplete in MLflow ({summary.tracking_error or 'it was not ready yet'}); nothing "
            "is lost, `sweeps sync` or the same command sends them"
        )
    for line in summary.deleted:
        complain(line)


def _ui_address(asked: RunOptions, info: SweepInfo) -> str:
    """Return the address of the sweep on a tracking server; empty for a database without a UI."""
    from sweeps.home import home_folder
    from sweeps.tracking.address import resolve_tracking_uri
    from sweeps.tracking.reading import server_address

    # The folder alone: a database that hosts share may be away at this moment.
    uri = resolve_tracking_uri(home_folder(asked.home), asked.tracking_uri)
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


def exit_code(summary: Summary, *, strict: bool, fail_under: float | None) -> int:
    """Return the exit code of a run.

    Args:
        summary: How it ended.
        strict: Whether a failed trial fails the run.
        fail_under: Worst acceptable best objective: a lower bound when it is maximised, an upper
            bound when it is minimised.
    """
    if summary.stopped_by in INTERRUPTED:
        return INTERRUPTED[summary.stopped_by]
    if failure(summary, strict, fail_under):
        return FAILED
    return TRACKING_INCOMPLETE if summary.tracking_pending or summary.deleted else OK


def failure(summary: Summary, strict: bool, fail_under: float | None) -> str | None:
    """Return why the run has failed: too many trials did, `--strict`, `--fail-under`."""
    if summary.failure_cause or summary.all_failed:
        return _too_many(summary)
    failed = summary.counts["FAILED"]
    if strict and failed:
        return f"{failed} of {counted(summary.done, 'trial')} failed (--strict)"
    if fail_under is None:
        return None
    best = summary.best.objective if summary.best else None
    if best is None:
        return "no trial is complete, so --fail-under cannot be met"
    worse = best < fail_under if summary.direction == "maximize" else best > fail_under
    return _against_bound(summary, best, fail_under) if worse else None


def gate_line(summary: Summary, strict: bool, fail_under: float | None) -> str | None:
    """Return `failed: ...` or `passed: ...`, and what that was applied to; None without a gate.

    An interrupted run has decided nothing.
    """
    if summary.stopped_by in INTERRUPTED:
        return None
    if reason := failure(summary, strict, fail_under):
        return f"failed: {reason}"
    said = ["no trial failed (--strict)"] if strict else []
    best = summary.best.objective if summary.best else None
    if fail_under is not None and best is not None:
        said.append(_against_bound(summary, best, fail_under, no="not "))
    return f"passed: {'; '.join(said)}" if said else None


def _against_bound(summary: Summary, best: float, bound: float, *, no: str = "") -> str:
    side, good = ("below", "higher") if summary.direction == "maximize" else ("above", "lower")
    text = f"best {summary.metric} {best:.4g} is {no}{side} the bound {bound:g} (--fail-under; "
    text += f"{good} is better"
    if "accuracy" in summary.metric and side == "below" and 0 <= best <= 1 < bound <= 100:
        text += f"; if it is a share from 0 to 1, no trial reaches {bound:g}: write {bound / 100:g}"
    return f"{text})"


def _too_many(summary: Summary) -> str:
    again = f"`sweeps retry {shlex.quote(summary.name)}`"
    if summary.failure_cause:
        return (
            f"{summary.failure_cause}; mend the cause, have them run again ({again}), and repeat "
            "the command to go on (--max-failures-in-row N allows more, 0 any number)"
        )
    reasons = ", ".join(f"{reason} {count}" for reason, count in summary.failures.items())
    some = "the only trial" if summary.done == 1 else f"all {summary.done} trials"
    if summary.first_error is None:
        return f"{some} failed ({reasons})"
    return (
        f"{some} failed ({reasons}), the first with: {summary.first_error}; mend the cause, then "
        f"{again}"
    )


@asks(*RETRY_OPTIONS)
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
    from sweeps.manage.lifecycle import retry as run_again

    found = Home.resolve(asked.home)
    progress = mode_of(quiet=quiet, as_json=as_json, verbose=verbose)
    asked = replace(asked, space=name)
    info = found.get(name)
    summary, again, failed = run_again(found, info, trials or [], asked=asked, progress=progress)
    all_of_them = counted(len(again), "trial")
    if not (as_json or quiet):
        print(f"{len(again) - len(failed)} of {all_of_them} that had failed ended well now")
        _tell_what_is_left(found, summary)
    if failed and summary.stopped_by not in INTERRUPTED:
        numbers = ", ".join(str(record.trial) for record in failed)
        why = first_line(failed[0].error or "")
        complain(f"failed: {len(failed)} of {all_of_them} failed again ({numbers}): {why}")
        raise typer.Exit(FAILED)
    raise typer.Exit(exit_code(summary, strict=False, fail_under=None))


def _tell_what_is_left(home: Home, summary: Summary) -> None:
    if summary.done < summary.asked:
        again = how_to_go_on(home, summary.id, "the `sweeps run` of this sweep")
        print(f"{summary.done} of {summary.asked} trials have an outcome: repeat {again} to go on")
    print(pasteable(f"every trial: `sweeps trials {shlex.quote(summary.name)}`"))


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
    from sweeps.api import Sweep, queue

    sweep = Sweep(*find_sweep(home, name))
    number = int(like) if like is not None and like.isdecimal() and len(like) < 10 else like
    enqueued = queue(
        sweep,
        parse_options(values or [], "point"),
        like=number,
        source=None if source is None else sweep.home.get(source),
        more_epochs=more_epochs,
        top=top,
    )
    _tell_enqueued(sweep, enqueued)


def _tell_enqueued(sweep: Sweep, enqueued: Enqueued) -> None:
    from sweeps.records import Longer
    from sweeps.wording import printable

    for line in enqueued.left_out:
        print(printable(line))
    for one in enqueued.trials:
        longer = Longer.of(one.origin)
        values = one.params if longer is None else longer.configuration(one.params)
        shown = " ".join(f"{key}={value}" for key, value in values.items())
        state = {
            "queued": "queued",
            "waiting": f"queued already, as point {one.number}",
            "a trial": f"is trial {one.number} already",
        }[one.state]
        print(printable(f"{state}: {shown}"))
    if any(one.state == "queued" for one in enqueued.trials) and not enqueued.is_running:
        again = how_to_go_on(sweep.home, sweep.info.id, "the next `sweeps run`")
        print(f"sweep {sweep.name!r} is not running: {again} tries what is queued")
