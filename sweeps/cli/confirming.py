"""`sweeps confirm`: trains the best again on fresh folds, and says whether the winner is better."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
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
    from sweeps.confirm.confirm import ConfirmOptions, ConfirmResult
    from sweeps.confirm.test_set import Tested
    from sweeps.home import Home
    from sweeps.launch import RunResult
    from sweeps.progress import Mode
    from sweeps.records import SweepInfo
    from sweeps.records.conclusions import Conclusion


FEWEST_TRIALS: Final = 15
"""With fewer complete trials a sweep is not confirmed by itself, even if its space asks for it."""


def confirm(
    names: SweepNamesArgument,
    top: Annotated[
        int | None,
        typer.Option(
            metavar="K",
            help="Number of best distinct configurations (default: as before, at first 5).",
            min=1,
        ),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            metavar="S",
            help="Fresh folds, a multiple of four, 8 or more (default: as before, at first 20).",
            min=8,
        ),
    ] = None,
    until: Annotated[
        str,
        typer.Option(
            metavar="settled",
            help="Add folds until every finalist is settled, or more data are needed.",
        ),
    ] = "",
    at_most: Annotated[
        int,
        typer.Option(metavar="S", help="Folds at most, with --until settled.", min=20),
    ] = 100,
    margin: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="A difference that does not matter, such as 0.005 (default: as before, at first a "
            "tenth of the best baseline's distance from perfect).",
        ),
    ] = None,
    control: Annotated[
        int,
        typer.Option(metavar="N", help="Also run N random trials, and confirm their best.", min=0),
    ] = 0,
    refit: Annotated[
        bool,
        typer.Option("--refit", help="Register the winner trained on all but the test set."),
    ] = False,
    test: Annotated[
        bool, typer.Option("--test", help="Then score the test set, once for all these sweeps.")
    ] = False,
    again: Annotated[
        str, typer.Option(metavar="WHY", help="Reason to score a test set once more.")
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
    """Train the best again on fresh folds, and say which are better, equal, or not told apart yet.

    The best configurations and the best baseline are trained on the same folds of samples that
    scored no trial. They are a sweep of their own (NAME-confirmation): interrupt it, and the same
    command goes on.

    With --test, winner, runner-up and baseline of every sweep named are then scored on the test
    set. Each evaluation is counted, so name all sweeps in one command.
    """
    from sweeps.confirm.confirm import ConfirmOptions
    from sweeps.confirm.planning import HowToTrain
    from sweeps.confirm.test_set import ConfirmedSweep, check_one_test_set, evaluate_test_set
    from sweeps.home import Home

    if again and not test:
        raise UsageError("--again is the reason for one more test-set evaluation: give --test too")
    if until not in {"", "settled"}:
        raise UsageError(f"--until {until}: allowed is `settled`")
    found = Home.resolve(home)
    infos = list({(info := found.get(name)).id: info for name in names}.values())
    if test:
        check_one_test_set(infos)
    how = HowToTrain(workers, tracking_uri, data, "quiet" if as_json else "auto", same_code)
    most = at_most if until else None
    options = ConfirmOptions(top, folds, control, refit, how, leave_out or None, most, margin)
    results = _confirm_all(found, infos, options, show=not as_json)
    code = worst_of(results)
    tested = None
    if test and code in WHOLE:
        tested = evaluate_test_set(found, [ConfirmedSweep(*pair) for pair in results], how, again)
        if tested.tracking_pending:
            code = TRACKING_INCOMPLETE
    if as_json:
        documents = [_document(info, result, tested) for info, result in results]
        print(json.dumps(documents if len(infos) > 1 else documents[0], indent=1))
    elif tested:
        show([*tested.conclusions.values(), *([tested.votes] if tested.votes else [])])
    raise typer.Exit(code)


def _confirm_all(
    home: Home, infos: Sequence[SweepInfo], options: ConfirmOptions, *, show: bool
) -> list[tuple[SweepInfo, ConfirmResult]]:
    """Confirm one sweep after the other, until one is interrupted or fails."""
    from sweeps.confirm.confirm import check
    from sweeps.confirm.confirm import confirm as run_it

    for info in infos[1:]:  # now, and not after the first was trained for hours
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


def is_to_be_confirmed(result: RunResult, wanted: bool | None) -> bool:
    """Whether a confirmation follows: all trials have an outcome, and it is asked for.

    A small sweep is not confirmed by itself: with few trials there is little to decide.
    """
    summary = result.summary
    if summary.stopped_by is not None or summary.done < summary.asked:
        return False
    says = result.info.space.get("defaults", {}).get("confirm") is not None
    by_itself = says and summary.counts["COMPLETE"] >= FEWEST_TRIALS
    return by_itself if wanted is None else wanted


def check_confirming(
    config: SweepConfig, asked: RunOptions, wanted: bool | None, progress: Mode
) -> None:
    """Refuse, before anything is created, a sweep that is to be confirmed but cannot be."""
    by_itself = config.space.defaults.confirm is not None and config.limits.trials >= FEWEST_TRIALS
    if by_itself if wanted is None else wanted:
        from sweeps.confirm.checks import check_run
        from sweeps.progress import make_progress

        option = "--confirm" if wanted else "`confirm` of the space (--no-confirm leaves it out)"
        check_run(config, asked.source, option, make_progress(progress).note)


def confirm_after(info: SweepInfo, asked: RunOptions, progress: Mode) -> int:
    """Confirm a sweep whose trials have all ended, as its space says; return the exit code."""
    from sweeps.confirm.confirm import ConfirmOptions
    from sweeps.confirm.confirm import confirm as run_it
    from sweeps.confirm.planning import HowToTrain
    from sweeps.home import Home

    says = info.space.get("defaults", {}).get("confirm") or {}
    if progress == "auto":
        print("\nThe best are now confirmed on fresh folds (--no-confirm leaves that out).")
    how = HowToTrain(asked.workers, asked.tracking_uri, asked.source, progress, asked.same_code)
    result = run_it(Home.resolve(asked.home), info, ConfirmOptions(**says, how=how))
    if progress == "json":
        print(json.dumps({"event": "confirmed", **_document(info, result, None)}))
    elif progress != "quiet":
        _show(result)
    return exit_code(result)


def worst_of(results: Sequence[tuple[SweepInfo, ConfirmResult]]) -> int:
    """Return the exit code of the last if it was interrupted or failed, else the worst of all."""
    codes = [exit_code(result) for _, result in results]
    return codes[-1] if codes[-1] not in WHOLE else max(codes)


def exit_code(result: ConfirmResult) -> int:
    """Return the exit code of one sweep; a confirmation that is not complete has failed."""
    if result.stopped_by in INTERRUPTED:
        return INTERRUPTED[result.stopped_by]
    if not result.conclusions or result.failure:
        return FAILED
    return TRACKING_INCOMPLETE if result.tracking_pending else OK


def _show(result: ConfirmResult) -> None:
    """Print the conclusions of a confirmation, and why there are no more."""
    if result.conclusions or not result.failure:
        show(result.conclusions)
    if result.failure:
        print(pasteable(f"failed: {result.failure}"), file=sys.stderr)


def show(conclusions: Sequence[Conclusion]) -> None:
    """Print conclusions."""
    from sweeps.cli.console import Terminal
    from sweeps.render.sections.confirmed import conclusion_section
    from sweeps.render.terminal import render_sections

    if conclusions:
        sections = [conclusion_section(conclusion) for conclusion in conclusions]
        Terminal().print(render_sections(sections), crop=False)
    else:
        print("no verdict yet: the same command goes on")


def _document(info: SweepInfo, result: ConfirmResult, tested: Tested | None) -> dict[str, Any]:
    """Return everything in numbers; without a verdict, how the finalists stand so far."""
    from sweeps.records.conclusions import document_of

    verdict = result.comparison.verdict if result.comparison else None
    so_far = {
        "folds": verdict.folds if verdict else 0,
        "settled": verdict.is_settled if verdict else None,
        "recommended": verdict.recommended.finalist.label if verdict else None,
        "gain_over_control": None,
        "standings": [asdict(one.concluded) for one in verdict.standings] if verdict else [],
    }
    documents = map(document_of, result.conclusions)
    found = {document["kind"]: document for document in documents}
    votes = tested.votes if tested else None
    return {
        **(found.pop("verdict", so_far)),
        "sweep": info.name,
        "confirmation": result.confirmation.name if result.confirmation else None,
        **{kind: found.get(kind) for kind in ("selection_bias", "calibration", "votes")},
        "test": document_of(tested.conclusions[info.id]) if tested else None,
        "test_votes": document_of(votes) if votes else None,
        "failure": result.failure,
    }


# `sweeps ensemble`: would several models, voting, beat the single best? From stored logits.


def ensemble(
    names: SweepNamesArgument,
    top: Annotated[
        int | None,
        typer.Option(
            metavar="K", help="Let the K best finalists vote (default: several choices).", min=2
        ),
    ] = None,
    data: DataOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let the finalists of confirmed sweeps vote, softly and hard, against the single best.

    On each fresh fold those vote that were trained on it; nothing is trained, and no test set
    is read: what an evaluation said of votes before is shown. Several sweeps of the same data vote
    together.
    """
    from sweeps.confirm.ensembles import ensemble as vote
    from sweeps.home import Home
    from sweeps.records.conclusions import document_of

    found = Home.resolve(home)
    infos = list({(info := found.get(name)).id: info for name in names}.values())
    result = vote(found, infos, top, data)
    if as_json:
        tested = [document_of(conclusion) for conclusion in result.tested]
        print(json.dumps({**document_of(result.votes), "test": tested}, indent=1))
    else:
        show([result.votes, *result.tested])
