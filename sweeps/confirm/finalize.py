"""Finalises a sweep: finalists on fresh blocks, the luck of its best, the verdict kept."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from sweeps.confirm.calibrating import Calibration, measure_calibration
from sweeps.confirm.comparison import FOLDS, Judged, judge
from sweeps.confirm.confirmable import (
    blocks_experiment,
    check_code,
    check_data,
    check_offers,
    tells_luck,
    why_no_control,
    why_no_parts,
    why_no_refit,
    why_no_verdict,
)
from sweeps.confirm.confirming import (
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
    trained_with,
)
from sweeps.confirm.ensembles import classes_of, tell_all_voting
from sweeps.confirm.finalists import Finalist, choose_finalists, leave_out
from sweeps.confirm.luck import measure_luck, run_control
from sweeps.confirm.sections import About, tell_calibration, tell_luck, tell_verdict
from sweeps.confirm.trying import OnBlocks, try_blocks
from sweeps.errors import UsageError
from sweeps.experiment import Experiment, PreparedData
from sweeps.experiments.code import is_shipped
from sweeps.experiments.loading import experiment_folder
from sweeps.home import Home
from sweeps.progress import make_progress
from sweeps.records import Conclusions, Finalized, Record, SweepInfo, Telling, need_one_objective
from sweeps.tracking.address import resolve_tracking_uri
from sweeps.tracking.sync import show_conclusions

TOP: Final = 5
BLOCKS: Final = 20


@dataclass(frozen=True)
class FinalizeOptions:
    """What is asked for; see `sweeps finalize --help`.

    `top` and `blocks` that are None are as the sweep was finalised before: what is trained is used
    again. If it was not, they are `TOP` and `BLOCKS`. `leave_out`, trials that take no part, is
    likewise as before if neither it nor `top` is given.
    """

    top: int | None = None
    blocks: int | None = None
    control: int = 0
    refit: bool = False
    how: HowToTrain = field(default_factory=HowToTrain)
    leave_out: Sequence[int] | None = None


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
        failure: Why something asked for is not there, and does not come by asking again; with the
            ways out. None if nothing is missing, or it was interrupted.
    """

    confirmation: Confirmation | None
    judged: Judged | None
    tellings: Sequence[Telling]
    stopped_by: str | None
    tracking_pending: int
    calibration: Mapping[str, Calibration] = field(default_factory=dict)
    failure: str | None = None


@dataclass(frozen=True)
class Checked:
    """What can be finalised.

    Attributes:
        experiment: What trains on blocks.
        data: The data.
        finalists: Who takes part.
        left_out: Who would, but for `leave_out`.
        top: How many of the best were chosen from.
        blocks: On how many blocks they are trained.
    """

    experiment: Experiment
    data: PreparedData
    finalists: Sequence[Finalist]
    left_out: Sequence[Finalist]
    top: int
    blocks: int

    def tells_luck(self) -> bool:
        """Whether the luck of the search's best can be told: it takes part, and is trained so."""
        return tells_luck(self.experiment) and any(f.place == 1 for f in self.finalists)


@dataclass(frozen=True)
class _Found:
    """What the trainings of a confirmation say.

    Attributes:
        confirmation: What was run.
        sweep: As which sweep.
        judged: The verdict.
        again: Trainings on the search's own split.
        others: What else there is to tell.
    """

    confirmation: Confirmation
    sweep: SweepInfo
    judged: Judged
    again: Sequence[Record]
    others: Sequence[Telling]

    @property
    def winner(self) -> Finalist:
        return self.judged.verdict.recommended.finalist


def check(home: Home, info: SweepInfo, options: FinalizeOptions) -> Checked:
    """Refuse a sweep that cannot be finalised, before anything is begun.

    Raises:
        UsageError: It is running, its experiment was edited since, there is nothing to compare, or
            nothing to compare it on, images would count unequally, or what trains on blocks lacks
            what it is asked for.
    """
    before = Conclusions(home.store(info.id).folder).finalized()
    top = options.top or (before and before.top) or TOP
    blocks = options.blocks or (before and before.blocks) or BLOCKS
    if blocks % FOLDS:
        raise UsageError(f"--blocks {blocks}: give a multiple of four, so that all images count")
    need_one_objective(info)
    if home.is_running(info.id):
        raise UsageError(f"sweep {info.name!r} is running: finalize it when it has ended")
    store = home.store(info.id)
    experiment, data = check_data(home, info, options.how.data)
    best = choose_finalists(info, store.read_all(), top)
    trials = options.leave_out
    if trials is None:
        as_before = before.left_out if before and options.top is None else ()
        trials = [finalist.slot for finalist in best if finalist.label in as_before]
    finalists = leave_out(info, best, trials) if trials else best
    left_out = [finalist for finalist in best if finalist not in finalists]
    checked = Checked(experiment, data, finalists, left_out, top, blocks)
    trained = trained_with(home, info, finalists, blocks, left_out)
    luck = checked.tells_luck()
    is_whole = is_trained(home, info, trained, blocks, with_luck=luck)
    if options.control or options.refit or not is_whole:
        check_code(store, info, same_code=options.how.same_code)
    names = {name for finalist in finalists for name in finalist.config}
    check_offers(info.experiment, experiment, names, blocks, refit=options.refit)
    path = blocks_experiment(home, info)
    if not (is_whole or is_shipped(path, experiment)):
        folder = experiment_folder(info, home.records)
        own = OnBlocks(path, folder, experiment, data, options.how.workers)
        note = make_progress(options.how.progress).note
        try_blocks(own, [finalist.config for finalist in finalists], note)
    return checked


def finalize(home: Home, info: SweepInfo, options: FinalizeOptions) -> FinalizeResult:
    """Train the finalists on fresh blocks, and keep what that says of them.

    Raises:
        UsageError: See `check`; nothing was begun. Or what was trained cannot be judged; it is
            kept.
    """
    checked = check(home, info, options)
    classes = classes_of(checked.experiment, checked.data)
    finalists, blocks = list(checked.finalists), checked.blocks
    ran: list[Ran] = []
    if options.control:
        control = run_control(home, info, options.control, options.how)
        ran.append(control.ran)
        if control.ran.stopped_by or control.finalist is None:
            failure = None if control.ran.is_interrupted else why_no_control(home, control.ran.info)
            return _result(None, None, (), ran, failure=failure)
        finalists.append(control.finalist)
    confirmation = plan_confirmation(home, info, finalists, blocks, checked.left_out)
    home.publish(info.id)  # its space: another host goes on with the same confirmation
    confirmed = run_confirmation(confirmation, home, options.how)
    ran.append(confirmed)
    again: list[Record] = []
    if confirmed.stopped_by is None and checked.tells_luck():
        ran.append(run_again(confirmation, home, options.how))
        again = home.store(ran[-1].info.id).read_all()
    store = home.store(confirmed.info.id)
    try:
        judged = judge(store, finalists, blocks, [f.label for f in checked.left_out])
        if judged is None or confirmed.stopped_by or ran[-1].is_interrupted:
            failure = None if any(one.is_interrupted for one in ran) else why_no_verdict(
                info.name, confirmed.info.name, store.read_all(), finalists,
                is_whole=confirmed.stopped_by is None, more=_more(home, info, checked),
            )  # fmt: skip
            return _result(confirmation, judged, (), ran, failure=failure)
        measured = measure_calibration(judged, checked.experiment)
        others = [tell_calibration(judged.verdict, measured)] if measured else []
        others += tell_all_voting(info, judged, classes)
    except UsageError as error:
        raise UsageError(f"{error}\n{_kept(confirmed.info)}") from error
    found = _Found(confirmation, confirmed.info, judged, again, others)
    tellings, failure = _conclude(home, info, checked, found), None
    if options.refit and find_refit(home, confirmation, found.winner) is None:
        warmth = measured[found.winner.label].temperature if measured else None
        ran.append(_refit(home, found, options.how, warmth))
        if find_refit(home, confirmation, found.winner) is not None:
            tellings = _conclude(home, info, checked, found)
        elif ran[-1].is_interrupted:
            return _result(confirmation, judged, (), ran)
        else:
            failure = why_no_refit(home, ran[-1].info, found.winner.label)
    tracking_uri = resolve_tracking_uri(home.path, options.how.tracking_uri)
    pending = show_conclusions(home, info, tracking_uri, options.how.data)
    result = _result(confirmation, judged, tellings, ran, pending, failure)
    return dataclasses.replace(result, calibration=measured)


def _more(home: Home, info: SweepInfo, checked: Checked) -> int:
    """Return how many configurations of the search take no part."""
    records = home.store(info.id).read_all()
    everyone = choose_finalists(info, records, len(records))
    return len(everyone) - len(checked.finalists) - len(checked.left_out)


def _conclude(home: Home, info: SweepInfo, checked: Checked, found: _Found) -> list[Telling]:
    """Keep what a confirmation came to; return what it says."""
    judged, winner = found.judged, found.winner
    refit = find_refit(home, found.confirmation, winner)  # also of an earlier command
    # Else fixed beforehand: the first block, whichever scored best.
    spec = (refit[1] if refit else judged.trainings.found[judged.blocks[0], winner.label]).spec
    about = _about(home, info, found, refit[0].name if refit else None, checked.left_out)
    luck = measure_luck(judged, found.again)
    tellings = [tell_verdict(about, judged.verdict)]
    if luck is not None:
        tellings.append(tell_luck(luck, why_no_parts(home, found.again) if found.again else ""))
    tellings += found.others
    labels = [finalist.label for finalist in checked.left_out]
    where = found.sweep.id, spec.sweep, spec.key
    concluded = Finalized(*where, winner.label, tellings, checked.top, checked.blocks, labels)
    Conclusions(home.store(info.id).folder).keep(concluded)
    return tellings


def _refit(home: Home, found: _Found, how: HowToTrain, temperature: float | None) -> Ran:
    epochs = _epochs(found.judged)
    return run_refit(
        found.confirmation, home, how, found.winner, epochs=epochs, temperature=temperature
    )


def _kept(confirmation: SweepInfo) -> str:
    name = shlex.quote(confirmation.name)
    return (
        f"No verdict, but its trainings are kept (sweep {confirmation.name!r}): once the "
        "experiment is mended, the same command judges them, and trains nothing. Only if what "
        f"they kept is wrong, have them made anew: `sweeps delete {name}`"
    )


def _epochs(judged: Judged) -> int:
    """Return the median best epoch of the winner over blocks."""
    label = judged.verdict.recommended.finalist.label
    results = [judged.trainings.found[block, label].result for block in judged.blocks]
    epochs = [r.metrics.get("best_epoch") for r in results if r is not None]
    known = [epoch for epoch in epochs if epoch is not None]
    if not known:
        raise UsageError(
            f"--refit: the trainings of {label} do not say 'best_epoch', for how long to train "
            "(see `Confirms` in sweeps/capabilities.py); the verdict is kept"
        )
    return round(median(known))


def _about(
    home: Home, info: SweepInfo, found: _Found, refit: str | None, left_out: Sequence[Finalist]
) -> About:
    trials = len({record.spec.slot for record in home.store(info.id).read_all()})
    confirmation = found.confirmation
    others = other_confirmations(home, info, confirmation)
    labels = [finalist.label for finalist in left_out]
    names = info.name, trials, confirmation.name
    return About(*names, confirmation.blocks, others, refit, labels)


def _result(
    confirmation: Confirmation | None,
    judged: Judged | None,
    tellings: Sequence[Telling],
    ran: Sequence[Ran],
    pending: int = 0,
    failure: str | None = None,
) -> FinalizeResult:
    stopped = next((r.stopped_by for r in ran if r.is_interrupted), None)
    missing = sum(result.tracking_pending for result in ran) + pending
    return FinalizeResult(confirmation, judged, tellings, stopped, missing, failure=failure)
