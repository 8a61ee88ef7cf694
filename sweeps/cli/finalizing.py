"""`sweeps finalize`: is the winner really better? Trained again, on blocks nobody was scored on."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from sweeps.cli.exit_codes import FAILED, INTERRUPTED, OK, TRACKING_INCOMPLETE, WHOLE
from sweeps.cli.options import (
    HomeOption,
    JsonOption,
    SameCodeOption,
    SweepNamesArgument,
    TrackingOption,
    pasteable,
)
from sweeps.cli.results import DataOption
from sweeps.errors import UsageError

if TYPE_CHECKING:
    from sweeps.config.options import RunOptions
    from sweeps.config.sweep import SweepConfig
    from sweeps.confirm.calibrating import Calibration
    from sweeps.confirm.comparison import Verdict
    from sweeps.confirm.finalize import FinalizeOptions, FinalizeResult
    from sweeps.confirm.testing import Tested
    from sweeps.home import Home
    from sweeps.launch import RunResult
    from sweeps.progress import Mode
    from sweeps.records import SweepInfo, Telling

FEWEST_TRIALS: Final = 15
"""With fewer complete trials a space's word is not enough to have its sweep finalised."""


def finalize(
    names: SweepNamesArgument,
    top: Annotated[
        int | None,
        typer.Option(
            metavar="K",
            help="Best distinct configurations (default: as before, at first 5).",
            min=1,
        ),
    ] = None,
    blocks: Annotated[
        int | None,
        typer.Option(
            metavar="S",
            help="Fresh blocks, a multiple of four, 8 or more (default: as before, at first 20).",
            min=8,
        ),
    ] = None,
    control: Annotated[
        int,
        typer.Option(metavar="N", help="Run N random trials too, and confirm their best.", min=0),
    ] = 0,
    refit: Annotated[
        bool,
        typer.Option("--refit", help="Register the winner as trained on all but the test part."),
    ] = False,
    test: Annotated[
        bool, typer.Option("--test", help="Then read the test part, once, for all of them.")
    ] = False,
    again: Annotated[
        str, typer.Option(metavar="WHY", help="Read a test part that was read before.")
    ] = "",
    leave_out: Annotated[
        list[int] | None,
        typer.Option(
            metavar="TRIAL",
            help="A finalist that takes no part, such as one whose trainings fail; may be repeated "
            "(default: as before, unless --top is given).",
        ),
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes.", min=0)] = None,
    data: DataOption = None,
    same_code: SameCodeOption = False,
    home: HomeOption = None,
    tracking_uri: TrackingOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train the best again on fresh blocks, and say who is better, as good, or not to be told.

    The best configurations and the best baseline are trained on the same blocks of images that
    scored no trial, as a sweep of its own (NAME-final): it can be interrupted and goes on.

    With --test, winner, runner-up and baseline of every sweep named are then scored on the test
    part. That is counted: all that is to be asked belongs into one command.
    """
    from sweeps.confirm.confirming import HowToTrain
    from sweeps.confirm.finalize import FinalizeOptions
    from sweeps.confirm.testing import FinalizedSweep, check_one_part, read_test
    from sweeps.home import Home

    if again and not test:
        raise UsageError("--again says why --test reads a test part once more: give --test too")
    found = Home.resolve(home)
    infos = list({(info := found.get(name)).id: info for name in names}.values())
    if test:
        check_one_part(infos)
    how = HowToTrain(workers, tracking_uri, data, "quiet" if as_json else "auto", same_code)
    options = FinalizeOptions(top, blocks, control, refit, how, leave_out or None)
    results = _finalize_all(found, infos, options, show=not as_json)
    code = worst_of(results)
    tested = None
    if test and code in WHOLE:
        tested = read_test(found, [FinalizedSweep(*pair) for pair in results], how, again)
        if tested.tracking_pending:
            code = TRACKING_INCOMPLETE
    if as_json:
        documents = [_document(info, result, tested) for info, result in results]
        print(json.dumps(documents if len(infos) > 1 else documents[0], indent=1))
    elif tested:
        tell([*tested.tellings.values(), *([tested.votes] if tested.votes else [])])
    raise typer.Exit(code)


def _finalize_all(
    home: Home, infos: Sequence[SweepInfo], options: FinalizeOptions, *, show: bool
) -> list[tuple[SweepInfo, FinalizeResult]]:
    """Finalise one sweep after the other, until one is interrupted or fails."""
    from sweeps.confirm.finalize import check
    from sweeps.confirm.finalize import finalize as run_it

    for info in infos[1:]:  # not after the first was trained for hours
        check(home, info, options)
    results = []
    for info in infos:
        results.append((info, run_it(home, info, options)))
        if show:
            _show(results[-1][1])
        elif results[-1][1].failure:
            print(pasteable(f"failed: {results[-1][1].failure}"), file=sys.stderr)
        if exit_code(results[-1][1]) not in WHOLE:
            break
    return results


def is_to_be_finalized(result: RunResult, wanted: bool | None) -> bool:
    """Whether finalising follows: all trials have an outcome, and it is asked for.

    A quick look is not finalised by itself: with few trials there is little to decide.
    """
    summary = result.summary
    if summary.stopped_by is not None or summary.done < summary.asked:
        return False
    says = result.info.space.get("defaults", {}).get("finalize") is not None
    by_itself = says and summary.counts["COMPLETE"] >= FEWEST_TRIALS
    return by_itself if wanted is None else wanted


def check_finalizing(
    config: SweepConfig, asked: RunOptions, wanted: bool | None, progress: Mode
) -> None:
    """Refuse a sweep that finalising will follow, and cannot: before anything is created."""
    by_itself = config.space.defaults.finalize is not None and config.limits.trials >= FEWEST_TRIALS
    if by_itself if wanted is None else wanted:
        from sweeps.confirm.confirmable import check_run
        from sweeps.progress import make_progress

        option = "--finalize" if wanted else "`finalize` of the space (--no-finalize leaves it out)"
        check_run(config, asked.source, option, make_progress(progress).note)


def finalize_after(info: SweepInfo, asked: RunOptions, progress: Mode) -> int:
    """Finalise a sweep that has just become whole, as its space says; return the exit code."""
    from sweeps.confirm.confirming import HowToTrain
    from sweeps.confirm.finalize import FinalizeOptions
    from sweeps.confirm.finalize import finalize as run_it
    from sweeps.home import Home

    says = info.space.get("defaults", {}).get("finalize") or {}
    if progress == "auto":
        print("\nThe best are now confirmed on fresh blocks (--no-finalize leaves that out).")
    how = HowToTrain(asked.workers, asked.tracking_uri, asked.source, progress, asked.same_code)
    result = run_it(Home.resolve(asked.home), info, FinalizeOptions(**says, how=how))
    if progress == "json":
        print(json.dumps({"event": "finalized", **_document(info, result, None)}))
    elif progress != "quiet":
        _show(result)
    return exit_code(result)


def worst_of(results: Sequence[tuple[SweepInfo, FinalizeResult]]) -> int:
    """Return the exit code of all: the last is the one that was interrupted or failed."""
    codes = [exit_code(result) for _, result in results]
    return codes[-1] if codes[-1] not in WHOLE else max(codes)


def exit_code(result: FinalizeResult) -> int:
    """Return how the command ends: a confirmation that is not whole has failed."""
    if result.stopped_by in INTERRUPTED:
        return INTERRUPTED[result.stopped_by]
    if not result.tellings or result.failure:
        return FAILED
    return TRACKING_INCOMPLETE if result.tracking_pending else OK


def _show(result: FinalizeResult) -> None:
    """Print what finalising found out, and why it found out no more."""
    if result.tellings or not result.failure:
        tell(result.tellings)
    if result.failure:
        print(pasteable(f"failed: {result.failure}"), file=sys.stderr)


def tell(tellings: Sequence[Telling]) -> None:
    """Print what was found out."""
    from sweeps.cli.console import Terminal
    from sweeps.render.sections.verdict import telling_section
    from sweeps.render.terminal import render_sections

    if tellings:
        Terminal().print(render_sections([telling_section(t) for t in tellings]), crop=False)
    else:
        print("no verdict yet: the same command goes on")


def _document(info: SweepInfo, result: FinalizeResult, tested: Tested | None) -> dict[str, Any]:
    verdict = result.judged.verdict if result.judged else None
    gain = verdict.gain_over_control if verdict else None
    return {
        "sweep": info.name,
        "confirmation": result.confirmation.name if result.confirmation else None,
        "blocks": verdict.blocks if verdict else 0,
        "settled": verdict.is_settled if verdict else None,
        "recommended": verdict.recommended.finalist.label if verdict else None,
        "gain_over_control": [gain.value, *gain.interval()] if gain else None,
        "standings": _standings(verdict) if verdict else [],
        "calibration": {label: _calibration(one) for label, one in result.calibration.items()},
        "test": _test_document(tested, info) if tested else None,
        "failure": result.failure,
        "told": [{"lead": told.lead, "lines": list(told.lines)} for told in result.tellings],
    }


def _test_document(tested: Tested, info: SweepInfo) -> dict[str, Any]:
    told, reading = tested.tellings[info.id], tested.reading
    return {
        "reading": reading.number,
        "digest": reading.digest,
        "lead": told.lead,
        "columns": list(told.columns),
        "rows": [list(row) for row in told.rows],
        "lines": list(told.lines),
        "votes": _votes_document(tested.votes) if tested.votes else None,
    }


def _calibration(calibration: Calibration) -> dict[str, Any]:
    measures = {
        name: {
            "before": [measure.before.value, *measure.before.interval()],
            "after": [measure.after.value, *measure.after.interval()],
            "change": [measure.change.value, *measure.change.interval()],
            "verdict": measure.word,
        }
        for name, measure in calibration.measures.items()
    }
    temperatures = [calibration.temperature, calibration.lowest, calibration.highest]
    return {"temperature": temperatures, **measures}


def _votes_document(votes: Telling) -> dict[str, Any]:
    rows = [list(row) for row in votes.rows]
    return {"lead": votes.lead, "columns": list(votes.columns), "rows": rows, "note": votes.note}


def _standings(verdict: Verdict) -> list[dict[str, Any]]:
    return [
        {
            "finalist": s.finalist.label,
            "slot": s.finalist.slot,
            "accuracy": s.mean.value,
            "accuracy_interval": list(s.mean.interval()),
            "searched": s.finalist.searched,
            "leader_ahead_by": s.behind.value if s.behind else None,
            "interval": [s.low, s.high] if s.behind else None,
            "probability_leader_better": s.chance,
            "verdict": s.word,
            "blocks_needed": s.more_blocks,
        }
        for s in verdict.standings
    ]
