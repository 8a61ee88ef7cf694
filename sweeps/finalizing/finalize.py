"""Finalises a sweep: finalists on fresh blocks, the luck of its best, the verdict kept."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from sweeps.errors import UsageError
from sweeps.experiment import Experiment, PreparedData
from sweeps.finalizing.calibrating import Calibration, measure_calibration
from sweeps.finalizing.confirmable import check_code, check_data, check_offers, tells_luck
from sweeps.finalizing.confirming import (
    Confirmation,
    HowToTrain,
    Ran,
    find_refit,
    is_trained,
    other_confirmations,
    plan_confirmation,
    run_again,
    run_confirmation,
    run_refit,
)
from sweeps.finalizing.controlling import run_control
from sweeps.finalizing.ensembles import classes_of, tell_all_voting
from sweeps.finalizing.finalists import Finalist, choose_finalists
from sweeps.finalizing.judging import FOLDS, Judged, judge
from sweeps.finalizing.luck import measure_luck
from sweeps.finalizing.telling import About, tell_luck, tell_verdict
from sweeps.finalizing.telling_calibration import tell_calibration
from sweeps.home import Home
from sweeps.records import Conclusions, Finalized, Record, SweepInfo, Telling, need_one_objective
from sweeps.sync import show_conclusions
from sweeps.tracking.address import resolve_tracking_uri

TOP: Final = 5
BLOCKS: Final = 20


@dataclass(frozen=True)
class FinalizeOptions:
    """What is asked for; see `sweeps finalize --help`.

    `top` and `blocks` that are None are as the sweep was finalised before: what is trained is used
    again. If it was not, they are `TOP` and `BLOCKS`.
    """

    top: int | None = None
    blocks: int | None = None
    control: int = 0
    refit: bool = False
    how: HowToTrain = field(default_factory=HowToTrain)


@dataclass(frozen=True)
class FinalizeResult:
    """What came of it.

    Attributes:
        confirmation: What was run.
        judged: What it says; None before two repeats of blocks are whole.
        tellings: The same in words.
        stopped_by: What ended it early, None if it is whole.
        tracking_pending: Runs that MLflow lacks.
        calibration: Of each finalist, by its label; empty where the trainings do not say.
    """

    confirmation: Confirmation | None
    judged: Judged | None
    tellings: Sequence[Telling]
    stopped_by: str | None
    tracking_pending: int
    calibration: Mapping[str, Calibration] = field(default_factory=dict)


def check(
    home: Home, info: SweepInfo, options: FinalizeOptions
) -> tuple[Experiment, PreparedData, list[Finalist]]:
    """Refuse a sweep that cannot be finalised, before anything is begun.

    Returns:
        What trains on blocks, the data, and who is trained.

    Raises:
        UsageError: It is running, its experiment was edited since, there is nothing to compare, or
            nothing to compare it on, images would count unequally, or what trains on blocks lacks
            what it is asked for.
    """
    top, blocks = _as_before(home, info, options)
    if blocks % FOLDS:
        raise UsageError(f"--blocks {blocks}: give a multiple of four, so that all images count")
    need_one_objective(info)
    if home.is_running(info.id):
        raise UsageError(f"sweep {info.name!r} is running: finalize it when it has ended")
    store = home.store(info.id)
    experiment, data = check_data(home, info, options.how.data)
    finalists = choose_finalists(info, store.read_all(), top)
    luck = tells_luck(experiment)
    trains = options.control or options.refit
    if trains or not is_trained(home, info, finalists, blocks, with_luck=luck):
        check_code(store, info)
    names = {name for finalist in finalists for name in finalist.config}
    check_offers(info.experiment, experiment, names, blocks, refit=options.refit)
    return experiment, data, finalists


def finalize(home: Home, info: SweepInfo, options: FinalizeOptions) -> FinalizeResult:
    """Train the finalists on fresh blocks, and keep what that says of them.

    Raises:
        UsageError: See `check`; nothing was begun.
    """
    experiment, data, finalists = check(home, info, options)
    classes = classes_of(experiment, data)
    top, blocks = _as_before(home, info, options)
    ran: list[Ran] = []
    if options.control:
        control = run_control(home, info, options.control, options.how)
        ran.append(control.ran)
        if control.ran.stopped_by or control.finalist is None:
            return _result(None, None, (), ran)
        finalists.append(control.finalist)
    confirmation = plan_confirmation(home, info, finalists, blocks)
    home.publish(info.id)  # its space: another host goes on with the same confirmation
    confirmed = run_confirmation(confirmation, home, options.how)
    ran.append(confirmed)
    again: list[Record] = []
    if confirmed.stopped_by is None and tells_luck(experiment):
        ran.append(run_again(confirmation, home, options.how))
        again = home.store(ran[-1].info.id).read_all()
    try:
        judged = judge(home.store(confirmed.info.id), finalists, blocks)
        if judged is None or ran[-1].stopped_by is not None:
            return _result(confirmation, judged, (), ran)
        measured = measure_calibration(judged, experiment)
        others = [tell_calibration(judged.verdict, measured)] if measured else []
        others += tell_all_voting(info, judged, classes)
    except UsageError as error:
        raise UsageError(f"{error}\n{_kept(confirmed.info)}") from error
    winner = judged.verdict.recommended.finalist

    def conclude() -> list[Telling]:
        refit = find_refit(home, confirmation, winner)  # also of an earlier command
        # Else fixed beforehand: the first block, whichever scored best.
        spec = (refit[1] if refit else judged.trainings.found[judged.blocks[0], winner.label]).spec
        about = _about(home, info, confirmation, refit[0].name if refit else None)
        tellings = [*_tell(about, judged, again), *others]
        where = confirmed.info.id, spec.sweep, spec.key
        concluded = Finalized(*where, winner.label, tellings, top, blocks)
        Conclusions(home.store(info.id).folder).keep(concluded)
        return tellings

    tellings = conclude()
    if options.refit and find_refit(home, confirmation, winner) is None:
        warmth = measured[winner.label].temperature if measured else None
        ran.append(
            run_refit(
                confirmation, home, options.how, winner,
                epochs=_epochs(judged), temperature=warmth,
            )
        )  # fmt: skip
        if find_refit(home, confirmation, winner) is None:
            return _result(confirmation, judged, (), ran)
        tellings = conclude()
    tracking_uri = resolve_tracking_uri(home.path, options.how.tracking_uri)
    pending = show_conclusions(home, info, tracking_uri, options.how.data)
    result = _result(confirmation, judged, tellings, ran, pending)
    return dataclasses.replace(result, calibration=measured)


def _kept(confirmation: SweepInfo) -> str:
    name = shlex.quote(confirmation.name)
    return (
        f"No verdict, but its trainings are kept (sweep {confirmation.name!r}): once the "
        "experiment is mended, the same command judges them, and trains nothing. Only if what "
        f"they kept is wrong, have them made anew: sweeps delete {name}"
    )


def _as_before(home: Home, info: SweepInfo, options: FinalizeOptions) -> tuple[int, int]:
    """Return how many of the best are trained on how many blocks."""
    before = Conclusions(home.store(info.id).folder).finalized()
    top, blocks = (before.top, before.blocks) if before else (None, None)
    return options.top or top or TOP, options.blocks or blocks or BLOCKS


def _epochs(judged: Judged) -> int:
    """Return the median best epoch of the winner over blocks."""
    label = judged.verdict.recommended.finalist.label
    results = [judged.trainings.found[block, label].result for block in judged.blocks]
    return round(median(r.metrics["best_epoch"] for r in results if r is not None))


def _about(home: Home, info: SweepInfo, confirmation: Confirmation, refit: str | None) -> About:
    trials = len({record.spec.slot for record in home.store(info.id).read_all()})
    others = other_confirmations(home, info, confirmation)
    return About(info.name, trials, confirmation.name, confirmation.blocks, others, refit)


def _tell(about: About, judged: Judged, again: Sequence[Record]) -> list[Telling]:
    luck = measure_luck(judged, again)
    return [tell_verdict(about, judged.verdict), *([tell_luck(luck)] if luck else [])]


def _result(
    confirmation: Confirmation | None,
    judged: Judged | None,
    tellings: Sequence[Telling],
    ran: Sequence[Ran],
    pending: int = 0,
) -> FinalizeResult:
    stopped = next((r.stopped_by for r in ran if r.stopped_by), None)
    missing = sum(result.tracking_pending for result in ran) + pending
    return FinalizeResult(confirmation, judged, tellings, stopped, missing)
