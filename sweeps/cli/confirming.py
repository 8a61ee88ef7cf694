"""`sweeps confirm`: trains the best again on fresh folds, and says which is really better."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer

from sweeps.cli.console import (
    FAILED,
    INTERRUPTED,
    OK,
    TRACKING_INCOMPLETE,
    WHOLE,
    answered,
    answering_first,
    complain,
)
from sweeps.cli.options import (
    CsvOption,
    JsonOption,
    SweepNamesArgument,
    VerboseOption,
    asks,
    find_sweep,
    mode_of,
    pasteable,
)
from sweeps.config.options import CONFIRM_OPTIONS, RunOptions, WhatToConfirm, option_of
from sweeps.errors import UsageError
from sweeps.wording import plain_numbers

if TYPE_CHECKING:
    from pathlib import Path

    from sweeps.config.sweep import SweepConfig
    from sweeps.confirm.confirm import ConfirmOptions, ConfirmResult
    from sweeps.confirm.planning import HowToTrain
    from sweeps.home import Home
    from sweeps.launch import RunResult
    from sweeps.progress import Mode
    from sweeps.records import SweepInfo
    from sweeps.records.conclusions import Conclusion
    from sweeps.runner.budget import Reserving

    Confirmed = list[tuple[SweepInfo, ConfirmResult]]
    Tell = Callable[[SweepInfo, ConfirmResult], object] | None


FEWEST_TRIALS: Final = 15
"""With fewer complete trials a sweep is not confirmed by itself, even if its space asks for it."""
ENOUGH: Final = frozenset({None, "budget", "exhausted"})
"""Why a sweep ended that may have all trials it was to have."""
_COMMANDS: Final = 3
"""So many commands follow an answer."""
_HOW_TO_TRAIN: Final = ("workers", "data", "same_code", "tracking_uri")


@asks(*_HOW_TO_TRAIN)
def confirm(
    asked: RunOptions,
    what: WhatToConfirm,
    names: SweepNamesArgument,
    test: Annotated[
        bool, typer.Option("--test", help="Then score the test set, once for all these sweeps.")
    ] = False,
    again: Annotated[
        str, typer.Option(metavar="WHY", help="Reason to score a test set once more.")
    ] = "",
    restore: Annotated[
        bool,
        typer.Option(
            "--restore", help="Bring back the champion that was replaced; trains nothing."
        ),
    ] = False,
    details: Annotated[
        bool, typer.Option("--details", help="Print every table behind the answer, too.")
    ] = False,
    verbose: VerboseOption = False,
    csv: CsvOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train the best again on fresh folds: is the champion better?

    It says which are better, equal, or not told apart yet. The best configurations and the best
    baseline are trained on 8 folds of samples that scored no trial, then the best two there and the
    best baseline on all. They are a sweep of
    their own (NAME-confirmation): interrupt it, and the same command goes on.

    With --test, champion, runner-up and baseline of every sweep named are then scored on the test
    set. Each evaluation is counted, so name all sweeps in one command.
    """
    from sweeps.home import Home

    if again and not test:
        raise UsageError("--again is the reason for one more test-set evaluation: give --test too")
    is_table = as_json or csv is not None
    home = Home.resolve(asked.home)
    infos = home.get_each(names)
    how = _how_to_train(asked, mode_of(quiet=is_table, as_json=False, verbose=verbose))
    if restore:
        _restore(home, infos, how, alone=not test, what=what)
    tell = None if is_table else partial(_tell, home, details=details)
    results, code = _confirm_and_test(home, infos, what, how=how, tell=tell, test=test, again=again)
    if is_table:
        documents = [_document(home, *pair) for pair in results]
        whole = documents if len(infos) > 1 else documents[0]
        table = [{"sweep": one["sweep"], **row} for one in documents for row in one["standings"]]
        answered(whole, table, as_json=as_json, csv=csv)
    raise typer.Exit(code)


def _how_to_train(asked: RunOptions, progress: Mode) -> HowToTrain:
    from sweeps.confirm.planning import HowToTrain

    return HowToTrain(
        workers=asked.workers,
        tracking_uri=asked.tracking_uri,
        data=asked.source,
        progress=progress,
        same_code=asked.same_code,
    )


def _restore(
    home: Home, infos: Sequence[SweepInfo], how: HowToTrain, *, alone: bool, what: WhatToConfirm
) -> NoReturn:
    from sweeps.confirm.confirm import restore

    given = [option_of(name) for name in CONFIRM_OPTIONS if getattr(what, name)]
    if given or not alone:
        named = ", ".join(given if alone else [*given, "--test"])
        raise UsageError(f"--restore trains nothing: leave {named} out")
    pending = 0
    for info in infos:
        said, missing = restore(home, info, how)
        print(said)
        pending += missing
    raise typer.Exit(TRACKING_INCOMPLETE if pending else OK)


def _confirm_and_test(
    home: Home,
    infos: Sequence[SweepInfo],
    what: WhatToConfirm,
    *,
    how: HowToTrain,
    tell: Tell,
    test: bool,
    again: str,
) -> tuple[Confirmed, int]:
    from sweeps.confirm.confirm import ConfirmOptions
    from sweeps.confirm.test_set import check_test_set, evaluate_test_set

    options = ConfirmOptions(**vars(what), how=how)
    if not test:
        results = _confirm_all(home, infos, options, tell=tell)
        return results, worst_of(results)
    check_test_set(home, infos, how.data)
    results = _confirm_all(home, infos, options, tell=None)
    code = worst_of(results)
    if code in WHOLE and not all(result.is_in_force for _, result in results):
        complain("--test: the test set was not scored, since it would not be the champion's score")
        code = FAILED
    elif code in WHOLE and evaluate_test_set(home, results, how, again=again):
        code = TRACKING_INCOMPLETE
    if tell is not None:  # only now, since the answer has the scores as well
        for pair in results:
            tell(*pair)
    return results, code


def _confirm_all(
    home: Home, infos: Sequence[SweepInfo], options: ConfirmOptions, *, tell: Tell
) -> Confirmed:
    """Confirm one sweep after the other, until one is interrupted or fails.

    The answer about each is told before MLflow has it.
    """
    from sweeps.confirm.confirm import check, confirm

    for info in infos[1:]:  # now, and not after the first was trained for hours
        check(home, info, options)
    results: Confirmed = []
    mode = options.how.progress
    with answering_first(mode if isinstance(mode, str) else "quiet") as give:
        for info in infos:

            def answer(found: ConfirmResult, info: SweepInfo = info) -> None:
                give(partial(tell, info, found) if tell else lambda: None)

            found = confirm(home, info, options, answer=answer)
            if not found.conclusions:
                answer(found)
            results.append((info, found))
            if found.failure:
                complain(f"failed: {found.failure}")
            if exit_code(found) not in WHOLE:
                break
    return results


def is_to_be_confirmed(result: RunResult, wanted: bool | None) -> bool:
    """Whether a confirmation follows: all trials have an outcome, and it is asked for.

    A small sweep is not confirmed by itself: with few trials there is little to decide.
    """
    summary = result.summary
    if summary.stopped_by not in ENOUGH or summary.done < summary.asked:
        return False
    says = result.info.space.get("defaults", {}).get("confirm")
    by_itself = (
        says is not None and not says.get("is_off") and summary.counts["COMPLETE"] >= FEWEST_TRIALS
    )
    return by_itself if wanted is None else wanted


def check_confirming(
    config: SweepConfig, asked: RunOptions, *, wanted: bool | None, progress: Mode
) -> None:
    """Refuse, before anything is created, a sweep that is to be confirmed but cannot be."""
    if may_be_confirmed(config, wanted):
        from sweeps.confirm.checks import check_run
        from sweeps.progress import make_progress

        option = "--confirm" if wanted else "`confirm` of the space (--no-confirm leaves it out)"
        check_run(config, asked.source, option, note=make_progress(progress).note)


def may_be_confirmed(config: SweepConfig, wanted: bool | None) -> bool:
    """Whether a confirmation follows if enough trials are complete."""
    by_itself = config.space.defaults.confirms_by_itself and config.limits.trials >= FEWEST_TRIALS
    return by_itself if wanted is None else wanted


def reserving_for(config: SweepConfig, wanted: bool | None) -> Reserving | None:
    """Return what says how much of a budget is kept for the confirmation; None without both."""
    if config.limits.budget_seconds is None or not may_be_confirmed(config, wanted):
        return None
    from sweeps.confirm.planning import reservation

    return reservation(config, FEWEST_TRIALS if wanted is None else 2)


def confirm_after(result: RunResult, asked: RunOptions, *, progress: Mode, more: str) -> int:
    """Confirm a sweep whose trials have all ended, as its space says; return the exit code.

    With a budget, it takes as many finalists and folds as the rest pays for, or is left out.

    Args:
        result: The run of the sweep.
        asked: The options of its run.
        progress: How the confirmation is shown.
        more: The command that runs more trials, for the answer.
    """
    from sweeps.confirm.confirm import ConfirmOptions
    from sweeps.home import Home

    info, is_shown = result.info, progress in {"auto", "verbose"}
    by_hand = f"`sweeps confirm {shlex.quote(info.name)}` does it, however long it takes"
    options = ConfirmOptions(how=_how_to_train(asked, progress), is_asked_for=True)
    if result.budget is not None:
        reserve = result.budget.for_confirmation()
        if not reserve.folds:
            is_known = result.summary.champion is not None and not result.budget.has_trained
            if is_shown and not is_known:
                print(pasteable(f"{reserve.lacking}: {by_hand}"))
            return OK
        stop_by = time.monotonic() + result.budget.most_for_folds(reserve)
        how = replace(options.how, stop_by=stop_by)
        options = replace(options, how=how, top=reserve.top, folds=reserve.folds)
    if is_shown:
        print("The best are now confirmed on fresh folds (--no-confirm leaves that out).")
        sys.stdout.flush()
    home = Home.resolve(asked.home)

    def tell(info: SweepInfo, found: ConfirmResult) -> None:
        if is_shown and found.stopped_by != "timeout":
            print()
            _tell(home, info, found, more=more)

    ((_, found),) = _confirm_all(home, [info], options, tell=tell)
    if progress == "json":
        document = {"event": "confirmed", **_document(home, info, found)}
        print(json.dumps(plain_numbers(document), allow_nan=False))
    if found.stopped_by == "timeout":
        complain(f"the budget ended before a verdict: {by_hand}")
    return exit_code(found)


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


def _tell(
    home: Home,
    info: SweepInfo,
    result: ConfirmResult,
    *,
    more: str = "",
    details: bool = False,
) -> None:
    from sweeps.render.answer import with_commands

    sentences = _answer(home, info, result)
    if not sentences:
        if not result.failure:
            print("no verdict yet: the same command goes on")
        return
    on_test_set = _on_test_set(home, info)
    if details:
        show([*result.conclusions, *on_test_set])
        print()
    name = shlex.quote(info.name)
    confirming = f"sweeps confirm {name}"
    commands = {}
    if result.has_test_set and not on_test_set:
        commands[f"{confirming} --test"] = "a figure on the test set; each is counted"
    commands[f"sweeps report {name}"] = "pictures, curves and mistakes, as one page"
    if more:
        commands[more] = "go on with the search"
    if not details:
        commands[f"{confirming} --details"] = "every table and 95 % interval"
    shown = {  # `more` has its home and stores already
        command if command == more else pasteable(f"`{command}`")[1:-1]: hint
        for command, hint in list(commands.items())[:_COMMANDS]
    }
    for line in with_commands(
        [*map(pasteable, sentences)], shown, pasteable(_next(home, info, result))
    ):
        print(line)
    if result.said:
        print(pasteable(result.said))


def _answer(home: Home, info: SweepInfo, result: ConfirmResult) -> list[str]:
    from sweeps.records import Conclusions
    from sweeps.render.answer import answer

    if not result.conclusions:
        return []
    store = home.store(info.id)
    params = {record.trial: record.params for record in store.read_all()}
    return answer(Conclusions(store).all(), params, is_served=result.is_served)


def _next(home: Home, info: SweepInfo, result: ConfirmResult) -> str:
    """Return whether more trials or more folds pay; empty if that is not known."""
    from sweeps.confirm.next_step import next_steps
    from sweeps.render.answer import next_in_words

    if not result.conclusions or result.comparison is None:
        return ""
    records = [one for one in home.store(info.id).read_all() if one.ends_trial]
    return next_in_words(info.name, **vars(next_steps(result.comparison, records)))


def show(conclusions: Sequence[Conclusion]) -> None:
    """Print conclusions."""
    from sweeps.cli.console import Terminal
    from sweeps.render.sections.confirmed import conclusion_section
    from sweeps.render.summaries import render_sections

    sections = [conclusion_section(conclusion) for conclusion in conclusions]
    Terminal().print(render_sections(sections), crop=False)


def _on_test_set(home: Home, info: SweepInfo) -> list[Conclusion]:
    from sweeps.records import Conclusions
    from sweeps.records.conclusions import TestConclusion

    known = Conclusions(home.store(info.id)).all()
    return [one for one in known if isinstance(one, TestConclusion)]


def _document(home: Home, info: SweepInfo, result: ConfirmResult) -> dict[str, Any]:
    """Return everything in numbers; without a verdict, how the finalists stand so far."""
    from sweeps.records.conclusions import document_of, facts_of

    so_far: dict[str, Any] = {"folds": 0, "settled": None, "champion": None, "standings": []}
    if result.comparison is not None:
        folds = len(result.comparison.folds)
        so_far = {"folds": folds, **facts_of(result.comparison.verdict)}
    documents = map(document_of, [*result.conclusions, *_on_test_set(home, info)])
    found = {document["kind"]: document for document in documents}  # of several the newest
    return {
        **(found.pop("verdict", so_far)),
        "sweep": info.name,
        "confirmation": result.confirmation.name if result.confirmation else None,
        **{kind: found.get(kind) for kind in ("selection_bias", "calibration", "ensemble")},
        "verification": found.get("verification"),
        "test": found.get("test"),
        "in_force": result.is_in_force,
        "said": result.said or None,
        "failure": result.failure,
        "answer": _answer(home, info, result),
        "next": _next(home, info, result) or None,
    }


def show_ensemble(
    name: str, home: str | None, data: str | None, *, csv: Path | None, as_json: bool
) -> None:
    """Select an ensemble of a sweep's trials, and show it; see `sweeps best --ensemble`."""
    from sweeps.confirm.ensemble import how_to_restore, select_ensemble
    from sweeps.records.conclusions import document_of

    found, info = find_sweep(home, name)
    chosen = select_ensemble(found, info, data)
    gone = chosen.gone(found.store(info.id))
    document = {**document_of(chosen.conclusion), "weights_gone": [one.trial for one in gone]}
    if answered(document, document["members"], as_json=as_json, csv=csv):
        return
    show([chosen.conclusion])
    if gone:
        print(pasteable(how_to_restore(info.name, gone)))
