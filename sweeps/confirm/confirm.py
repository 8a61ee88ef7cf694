"""Confirms a sweep: trains finalists on fresh folds, compares them and keeps the verdict."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from statistics import median

import msgspec

from search_spaces.objectives import is_function, is_script
from search_spaces.space import Confirming
from sweeps.capabilities import FOLDS_A_REPEAT
from sweeps.config.options import WhatToConfirm, check_options
from sweeps.confirm.access_log import judged_by
from sweeps.confirm.best import LOOKS, looks
from sweeps.confirm.calibration import measure_calibration
from sweeps.confirm.checks import (
    OnFolds,
    asked_by,
    check_code,
    check_data,
    check_offers,
    experiment_on_folds,
    searched_by,
    test_set_of,
    try_folds,
    why_no_control,
    why_no_refit,
    why_no_verdict,
)
from sweeps.confirm.comparison import (
    FIRST,
    FIRST_IF_QUICK,
    Comparison,
    Trainings,
    compare_finalists,
    gone_on,
    margin_of,
    measure_selection_bias,
    most_going_on,
)
from sweeps.confirm.ensemble import selected
from sweeps.confirm.finalists import (
    ACCURACY,
    Finalist,
    Scored,
    choose_finalists,
    leave_out,
    on_fresh,
)
from sweeps.confirm.planning import (
    Confirmation,
    HowToTrain,
    Ran,
    begun_with,
    control_of,
    find_refit,
    other_confirmations,
    plan_confirmation,
    run_confirmation,
    run_control,
    run_refit,
    trained_with,
)
from sweeps.confirm.verifying import Verifier
from sweeps.errors import UsageError
from sweeps.executors.local.fork_server import one_fork_server
from sweeps.experiment import Experiment, PreparedData
from sweeps.experiments.code import is_shipped
from sweeps.experiments.loading import check_installed, experiment_folder
from sweeps.home import Home
from sweeps.progress import Stages, as_one, make_progress
from sweeps.records import (
    Conclusions,
    ConfirmationRecord,
    Record,
    SweepInfo,
    counted_start,
    heard,
    need_one_objective,
    ranked,
)
from sweeps.records.conclusions import (
    CalibrationConclusion,
    Conclusion,
    EnsembleConclusion,
    LeftAfter,
    Method,
    VerdictConclusion,
    VerificationConclusion,
    newest,
)
from sweeps.tracking.address import resolve_tracking_uri
from sweeps.tracking.sync import show_conclusions
from sweeps.wording import counted
from sweeps.workspace.clock import Stopwatch


@dataclass(frozen=True)
class ConfirmOptions(WhatToConfirm):
    """What is to be confirmed, and how it is trained.

    `is_asked_for` confirms a sweep whose space says `confirm: none`; so does `folds`.
    """

    how: HowToTrain = field(default_factory=HowToTrain)
    is_asked_for: bool = False


@dataclass
class ConfirmResult:
    """The result of a confirmation, as far as it has come.

    Attributes:
        confirmation: The confirmation; None if it was not reached.
        comparison: The comparison; None before two repeats of folds are whole.
        conclusions: All conclusions; empty if the confirmation is not whole.
        stopped_by: Why it ended early; None if it is whole.
        tracking_pending: Number of runs that MLflow lacks.
        failure: Why a result that was asked for is missing although the same command would not
            bring it, with the ways out; None if nothing is missing, or it was interrupted.
        is_served: Whether the experiment serves models, so that MLflow has the champion.
        has_test_set: Whether there is a test set to evaluate.
        is_in_force: Whether the champion of the sweep is now that of these conclusions.
        said: What became of an earlier champion, in a line; empty if there was none.
    """

    confirmation: Confirmation | None = None
    comparison: Comparison | None = None
    conclusions: Sequence[Conclusion] = ()
    stopped_by: str | None = None
    tracking_pending: int = 0
    failure: str | None = None
    is_served: bool = False
    has_test_set: bool = False
    is_in_force: bool = False
    said: str = ""


@dataclass(frozen=True)
class Confirmable:
    """A sweep that can be confirmed, as `check` found it.

    Attributes:
        experiment: The experiment that trains on folds.
        finalists: The finalists that take part.
        left_out: The finalists that `leave_out` excludes.
        top: Number of best trials that the finalists were chosen from.
        folds: Number of folds to train on.
        first: All finalists are trained on so many at first, see `gone_on`; None: on all.
        control: Number of random trials whose best one takes part, too.
        most: Number of folds that can be asked for later: that of the last look, unless the
            experiment has fewer.
        fresh: Number of the drawing of folds.
        margin: The difference that does not matter.
    """

    experiment: Experiment
    data: PreparedData
    finalists: Sequence[Finalist]
    left_out: Sequence[Finalist]
    top: int
    folds: int
    first: int | None
    control: int
    most: int
    scored: Scored
    margin: float
    fresh: int

    @property
    def on_first(self) -> int:
        """Number of folds that all finalists are trained on."""
        return self.folds if self.first is None else min(self.first, self.folds)


def check(home: Home, info: SweepInfo, options: ConfirmOptions) -> Confirmable:
    """Refuse a sweep that cannot be confirmed, before anything is begun.

    Raises:
        UsageError: The sweep is running, its experiment was edited since, it has fewer than two
            finalists, there are no fresh folds or their number is no multiple of four, or the
            experiment on folds lacks something that the confirmation needs.
    """
    check_options(options)
    before, says = Conclusions(home.store(info.id)).confirmed(), asked_by(info)
    top = options.top or (before and before.top) or says.top
    folds = options.folds or (before and before.folds) or says.folds
    if folds % FOLDS_A_REPEAT:
        raise UsageError(f"--folds {folds}: give a multiple of four, so that all samples count")
    first = _first(options, before)
    _check_asked_for(info, says, options)
    need_one_objective(info)
    if home.is_running(info.id):
        raise UsageError(f"sweep {info.name!r} is running: confirm it when it has ended")
    store = home.store(info.id)
    path, scored = experiment_on_folds(home, info)
    experiment, data = check_data(home, info, options.how.about(info).data)
    best = choose_finalists(info, store.read_all(), top, scored)
    scored = scored.in_unit_of(best)
    _check_margin(options.margin, scored)
    fresh = before.fresh if options.fresh is None and before else options.fresh or 0
    check_offers(info.experiment, experiment, fresh, refit=options.refit)
    best = [on_fresh(one, fresh) for one in best]
    finalists = _taking_part(info, best, options, before)
    left_out = [finalist for finalist in best if finalist not in finalists]
    margin = options.margin or _margin_before(before, scored) or says.margin
    margin = margin_of(finalists, scored) if margin is None else margin
    known, best_of_random = control_of(home, info, before, scored)
    control = known if options.control is None else options.control
    checked = Confirmable(
        experiment, data, finalists, left_out, top, folds, first, control,
        max(folds, LOOKS[-1]), scored, margin, fresh,
    )  # fmt: skip
    random = [on_fresh(best_of_random, fresh)] if best_of_random and control == known else []
    is_whole = is_trained(home, info, checked, [*finalists, *random])
    if (control and not random) or options.refit or not is_whole:
        check_installed(experiment, path)
        check_code(store, info, same_code=options.how.same_code)
    searched = searched_by(store, info)
    has_nothing_to_try = is_function(info.experiment) or (
        is_script(info.experiment) and searched is None
    )
    if not (is_whole or is_shipped(path, experiment) or has_nothing_to_try):
        folder = experiment_folder(info, home.sweeps_folder)
        own = OnFolds(path, folder, experiment, data, options.how.workers, scored, searched)
        note = make_progress(options.how.progress).note
        try_folds(own, [finalist.config for finalist in finalists], note)
    return checked


def _first(options: ConfirmOptions, before: ConfirmationRecord | None) -> int | None:
    """Return on how many folds all finalists are trained at first; None: on all."""
    if options.quick and options.every:
        raise UsageError("--quick and --all: give one of them")
    if options.quick or options.every:
        return FIRST_IF_QUICK if options.quick else None
    return FIRST if before is None else before.first


def is_trained(
    home: Home, info: SweepInfo, checked: Confirmable, finalists: Sequence[Finalist]
) -> bool:
    """Whether every training of a confirmation has an outcome, so that nothing is left to train."""
    left_out = [finalist.label for finalist in checked.left_out]
    trained = trained_with(home, info, finalists, checked.folds, checked.left_out)
    store = begun_with(home, info, trained, checked.folds)
    if store is None:
        return False
    trainings = Trainings.read(store, left_out, checked.scored)
    going = list(finalists)
    if checked.on_first < checked.folds:
        with suppress(UsageError):  # they are not, or cannot be compared
            going, _ = gone_on(trainings, finalists, checked.on_first) or (going, [])
    return trainings.have(going, checked.folds)


def _check_asked_for(info: SweepInfo, says: Confirming, options: ConfirmOptions) -> None:
    """Refuse a sweep whose space says `confirm: none` unless an option asks for it."""
    if says.is_off and not (options.is_asked_for or options.folds):
        name = shlex.quote(info.name)
        raise UsageError(
            f"sweep {info.name!r} is not to be confirmed: its space says `confirm: none`; to do it "
            f"all the same, say on how many folds: `sweeps confirm {name} --folds {says.folds}`"
        )


def _taking_part(
    info: SweepInfo,
    best: Sequence[Finalist],
    options: ConfirmOptions,
    before: ConfirmationRecord | None,
) -> Sequence[Finalist]:
    trials = options.leave_out
    if trials is None:
        as_before = before.left_out if before and options.top is None else ()
        trials = [finalist.trial for finalist in best if finalist.label in as_before]
    return leave_out(info, best, trials) if trials else best


@one_fork_server()
def confirm(
    home: Home,
    info: SweepInfo,
    options: ConfirmOptions,
    answer: Callable[[ConfirmResult], None] = lambda result: None,
) -> ConfirmResult:
    """Train the finalists on fresh folds, and keep the conclusions.

    `answer` is called with the result once there are conclusions; what MLflow lacks of them is not
    known before the return.

    Raises:
        UsageError: See `check`; nothing was begun. Or the trainings kept arrays that cannot be
            compared; the trainings stay.
    """
    watch = Stopwatch()
    options = replace(options, how=options.how.about(info))
    checked = check(home, info, options)
    with counted_start(home.store(info.id), watch):
        with (
            as_one(options.how.progress, _count_trainings(options, checked)) as shown,
            Verifier(checked.experiment, options.how.data) as verifier,
        ):
            how = replace(options.how, progress=shown)
            work = _Work(home, info, replace(options, how=how), checked, verifier)
            try:
                finalists = work.choose()
                work.train(finalists)
                work.compare_finalists()
                work.conclude()
                if options.refit and work.find_refit() is None:
                    work.refit()
                conclusions = work.verify()
            except _EndedError as ended:
                work.result.failure = ended.failure
                return work.result
        result, source = work.result, options.how.data
        result.conclusions = conclusions
        result.has_test_set = test_set_of(checked.experiment, source) is not None
        answer(result)
        tracking_uri = resolve_tracking_uri(home.path, options.how.tracking_uri)
        result.tracking_pending += show_conclusions(home, info, tracking_uri, source)
        return result


def _count_trainings(
    options: ConfirmOptions, checked: Confirmable, going: int | None = None
) -> int:
    """Return the number of trainings of a confirmation, those that were made before included.

    `going` are the finalists that go on after the first folds; None: as many as may.
    """
    control = bool(checked.control)
    going = most_going_on(checked.finalists) + control if going is None else going
    on_folds = checked.on_first * (len(checked.finalists) + control)
    on_folds += (checked.folds - checked.on_first) * going
    return on_folds + checked.control + options.refit


def lacks(new: ConfirmationRecord, before: ConfirmationRecord) -> str:
    """Return what a confirmation lacks beside the one in force; empty if it may take its place.

    It may if the sweep has more trials by now, so that there are others to confirm. Otherwise it
    needs as many folds, and every finalist. Conclusions in words cannot be compared.
    """
    old, own = before.verdict, new.verdict
    if old is None or own is None or own.trials > old.trials:
        return ""
    found, wanted = (
        dict.fromkeys(
            "the best of random trials" if one.is_control else one.finalist
            for one in verdict.standings
        )
        for verdict in (own, old)
    )
    if old.left_after:  # of the same finalists others may be left after the first folds
        found |= dict.fromkeys(one.finalist for one in own.left_after)
    missing = [label for label in wanted if label not in found]
    said = [f"has {own.folds} folds in place of {old.folds}"] if own.folds < old.folds else []
    said += [f"is without {', '.join(missing)}"] if missing else []
    return " and ".join(said)


def restore(home: Home, info: SweepInfo, how: HowToTrain) -> tuple[str, int]:
    """Bring back the champion that the newest confirmation replaced.

    Returns:
        What was the champion and what is now, in a line; and the number of runs that MLflow lacks.

    Raises:
        UsageError: No champion was replaced, or its confirmation was deleted.
    """
    home.check_writable()
    kept = Conclusions(home.store(info.id))
    before, now = kept.before(), kept.confirmed()
    if before is None:
        raise UsageError(
            f"--restore: no earlier champion of {info.name!r} was replaced, or its confirmation "
            "was deleted; nothing was changed"
        )
    kept.keep(before)
    was = f"was {now.finalist}, and " if now else ""
    called = home.get(before.confirmation).name
    uri = resolve_tracking_uri(home.path, how.tracking_uri)
    pending = show_conclusions(home, info, uri, how.data)
    return f"the champion of {info.name} {was}is {before.finalist} again ({called})", pending


class _EndedError(Exception):
    """Raised by a step without which no other step can follow.

    `failure` is the explanation; None if the step was interrupted.
    """

    def __init__(self, failure: str | None) -> None:
        super().__init__(failure)
        self.failure = failure


class _Work:
    """A confirmation in progress, in six steps: choose, train, compare, conclude, refit, verify."""

    _confirmation: Confirmation
    _going: Sequence[Finalist]
    _left_after: Sequence[LeftAfter] = ()
    _ran: Ran
    _comparison: Comparison
    _calibration: CalibrationConclusion | None
    _concluded: ConfirmationRecord

    def __init__(
        self,
        home: Home,
        info: SweepInfo,
        options: ConfirmOptions,
        checked: Confirmable,
        verifier: Verifier,
    ) -> None:
        experiment = checked.experiment
        self.result = ConfirmResult(
            is_served=hasattr(experiment, "signature") and hasattr(experiment, "predict")
        )
        self._home, self._info, self._options, self._checked = home, info, options, checked
        self._verifier = verifier
        self._shown = _count_trainings(options, checked)
        self._left_out = [finalist.label for finalist in checked.left_out]

    def _take(self, ran: Ran) -> None:
        """Take into account how a sweep of the confirmation has ended."""
        self.result.tracking_pending += ran.tracking_pending
        if ran.is_interrupted:
            self.result.stopped_by = ran.stopped_by

    def choose(self) -> list[Finalist]:
        """Return the finalists to train on folds, and the best of random trials if asked for."""
        finalists, home, options = list(self._checked.finalists), self._home, self._options
        if self._checked.control:
            trials, scored = self._checked.control, self._checked.scored
            ran, best = run_control(home, self._info, trials, options.how, scored)
            self._take(ran)
            if ran.stopped_by or best is None:
                raise _EndedError(None if ran.is_interrupted else why_no_control(home, ran.info))
            finalists.append(on_fresh(best, self._checked.fresh))
        return finalists

    def train(self, finalists: Sequence[Finalist]) -> None:
        """Train the finalists on folds; what verifies the champion gets ready beside that."""
        home, checked = self._home, self._checked
        self._confirmation = self.result.confirmation = plan_confirmation(
            home, self._info, finalists, checked.folds, checked.left_out, checked.most
        )
        if not is_trained(home, self._info, checked, finalists):
            store = home.store(self._info.id)
            best = next(iter(ranked(store.read_all(), self._info.direction)))
            self._verifier.begin(store, best, self._confirmation.space.experiment)
        self._going = finalists
        self._run(checked.on_first)
        if checked.on_first < checked.folds and self._ran.stopped_by is None:
            self._leave_out_after()
            self._run(checked.folds)
        if self._options.how.stop_by is not None and self._ran.stopped_by == "timeout":
            self._take_fewer_folds()
        self._take(self._ran)

    def _run(self, folds: int) -> None:
        how = self._options.how
        self._ran = run_confirmation(self._confirmation, self._home, how, self._going, folds)

    @property
    def _trainings(self) -> Trainings:
        store = self._home.store(self._ran.info.id)
        return Trainings.read(store, self._left_out, self._checked.scored)

    def _leave_out_after(self) -> None:
        """Leave out those that do not go on after the first folds; say so."""
        try:
            found = gone_on(self._trainings, self._going, self._checked.on_first)
        except UsageError as error:
            raise UsageError(f"{error}\n{_kept(self._ran.info)}") from error
        assert found is not None, "they were trained on the first folds"
        self._going, self._left_after = found
        self._left_out = [*self._left_out, *(one.finalist for one in self._left_after)]
        if isinstance(shown := self._options.how.progress, Stages):
            self._grow(shown)
            if self._left_after and not self._trainings.have(self._going, self._checked.folds):
                names = ", ".join(finalist.label for finalist in self._going)
                shown.note(f"after {self._checked.on_first} folds {names} go on")

    def _grow(self, shown: Stages) -> None:
        """Correct the number of trainings that are shown."""
        now = _count_trainings(self._options, self._checked, len(self._going))
        shown.grow(now - self._shown)
        self._shown = now

    def _take_fewer_folds(self) -> None:
        """Take the folds that the finalists were trained on, if two repeats or more are whole."""
        checked, trainings = self._checked, self._trainings
        numbers = range(2 * FOLDS_A_REPEAT, checked.folds, FOLDS_A_REPEAT)
        whole = [folds for folds in numbers if trainings.have(self._going, folds)]
        if not whole:
            return
        folds = whole[-1]
        self._checked = replace(checked, folds=folds)
        self._confirmation = self.result.confirmation = replace(self._confirmation, folds=folds)
        if isinstance(shown := self._options.how.progress, Stages):
            self._grow(shown)
            shown.note(f"the budget ends: {folds} folds in place of {checked.folds}")
        self._ran = replace(self._ran, stopped_by=None)

    def compare_finalists(self) -> None:
        """Compare the finalists that are left, once all trainings are there."""
        sweep, checked, finalists = self._ran.info, self._checked, self._going
        store = self._home.store(sweep.id)
        try:
            comparison = compare_finalists(
                store,
                finalists,
                checked.folds,
                self._left_out,
                checked.margin,
                checked.scored,
                self._left_after,
            )
            self.result.comparison = comparison
            if comparison is None or self._ran.stopped_by:
                if self.result.stopped_by:
                    raise _EndedError(None)
                failure = why_no_verdict(
                    self._info.name,
                    sweep.name,
                    store.read_all(),
                    finalists,
                    is_whole=self._ran.stopped_by is None,
                    more=_more(self._home, self._info, checked),
                )
                raise _EndedError(failure)
            self._comparison = comparison
            self._calibration = measure_calibration(comparison, checked.experiment, checked.data)
        except UsageError as error:
            raise UsageError(f"{error}\n{_kept(sweep)}") from error

    def find_refit(self) -> tuple[SweepInfo, Record] | None:
        """Return the champion's training on all but the test set, also of an earlier command."""
        return find_refit(self._home, self._confirmation, self._comparison.champion)

    def conclude(self) -> None:
        """Keep the conclusions of the confirmation."""
        comparison, checked, refit = self._comparison, self._checked, self.find_refit()
        # Without a refit, the champion is the first training that is complete, whatever it scored.
        trainings = comparison.champions_trainings
        first = next(record for record in trainings if record.outcome == "complete")
        trained_in, champion = refit or (self._ran.info, first)
        # The best was selected by the objective, on the samples that give its accuracy: both are
        # biased. Of other metrics that is not known, nor where the search trained on fewer samples.
        is_selected = checked.scored.metric in {ACCURACY.metric, self._info.metric}
        is_selected &= not getattr(checked.experiment, "searches_on_less", False)
        verdict = self._verdict(refit[0].name if refit else None)
        found = (
            verdict,
            measure_selection_bias(comparison) if is_selected else None,
            self._calibration,
            self._ensemble(verdict),
            self._verified_before(trained_in, champion),
        )
        conclusions: list[Conclusion] = [one for one in found if one is not None]
        self._concluded = ConfirmationRecord(
            confirmation=self._ran.info.id,
            trained_in=trained_in.id,
            champion=champion.key,
            finalist=comparison.verdict.champion,
            top=checked.top,
            folds=checked.folds,
            left_out=[finalist.label for finalist in checked.left_out],
            conclusions=conclusions,
            fresh=checked.fresh,
            first=checked.first,
        )
        self._keep(self._concluded)

    def _ensemble(self, verdict: VerdictConclusion) -> EnsembleConclusion | None:
        """Return the conclusion about an ensemble of the search's trials; None without one.

        The verdict does not depend on it, and `sweeps best --ensemble` says why there is none.
        """
        checked, store = self._checked, self._home.store(self._info.id)
        with suppress(UsageError):
            experiment, data = checked.experiment, checked.data
            return selected(store, self._info, experiment, data, verdict).conclusion
        return None

    def _keep(self, concluded: ConfirmationRecord) -> None:
        """Keep the conclusion, unless the one in force says more; say what becomes of that one."""
        kept = Conclusions(self._home.store(self._info.id))
        before = heard(kept.confirmed)
        lacking = "" if before is None or self._options.replace else lacks(concluded, before)
        self.result.is_in_force = not lacking
        if not lacking:
            kept.keep(concluded)
        if before is None:
            return
        name, new = shlex.quote(self._info.name), concluded.finalist
        if lacking:
            self.result.said = (
                f"The champion stays {before.finalist} ({self._where(before)}), since this "
                f"confirmation {lacking}. To take {new} all the same, repeat this command with "
                "--replace: nothing is trained twice"
            )
        elif before.confirmation != concluded.confirmation:
            self.result.said = (
                f"The champion was {before.finalist} ({self._where(before)}), and is {new} now "
                f"({self._where(concluded)}). To go back: `sweeps confirm {name} --restore`"
            )

    def _where(self, confirmed: ConfirmationRecord) -> str:
        name = self._home.get(confirmed.confirmation).name
        return f"{name}, {counted(confirmed.folds or 0, 'fold')}"

    def _verified_before(
        self, trained_in: SweepInfo, champion: Record
    ) -> VerificationConclusion | None:
        """Return the verification of a champion that is in force already; None if it is to do."""
        before = heard(Conclusions(self._home.store(self._info.id)).confirmed)
        if before is None or before.trained_in != trained_in.id or before.champion != champion.key:
            return None
        known = newest(before.conclusions, VerificationConclusion)
        return known if known is not None and known.found == "verified" else None

    def verify(self) -> Sequence[Conclusion]:
        """Verify the champion, unless it was; return all conclusions.

        They are kept by now, so that whoever does not wait for this loses nothing else.
        """
        concluded = self._concluded
        if newest(concluded.conclusions, VerificationConclusion) is None:
            store = self._home.store(concluded.trained_in)
            note = make_progress(self._options.how.progress).note
            found = self._verifier.verify(store, concluded.champion, note)
            if found is not None:
                conclusions = [*concluded.conclusions, found]
                concluded = msgspec.structs.replace(concluded, conclusions=conclusions)
                self._keep(concluded)
        return concluded.conclusions

    def refit(self) -> None:
        """Train the champion on all but the test set, and conclude again with that model."""
        champion, measured = self._comparison.champion, self._calibration
        ran = run_refit(
            self._confirmation,
            self._home,
            self._options.how,
            champion,
            epochs=_epochs(self._comparison),
            temperature=measured.finalists[champion.label].temperature if measured else None,
        )
        self._take(ran)
        if self.find_refit() is None:
            if ran.is_interrupted:
                raise _EndedError(None)
            self.result.failure = why_no_refit(self._home, ran.info, champion.label)
        self.conclude()

    def _verdict(self, refit: str | None) -> VerdictConclusion:
        comparison, confirmation = self._comparison, self._confirmation
        folds = len(comparison.folds)
        method: Method = "samples and seeds"
        if comparison.outcomes.samples is None:
            is_ordered = getattr(self._checked.experiment, "ordered", False)
            method = "rolling origin" if is_ordered else "folds"
        records = self._home.store(self._info.id).read_all()
        return VerdictConclusion(
            **msgspec.structs.asdict(comparison.verdict),
            sweep=self._info.name,
            trials=len({record.trial for record in records}),
            confirmation=confirmation.name,
            folds=folds,
            folds_asked=confirmation.folds,
            others=other_confirmations(self._home, self._info, confirmation),
            refit=refit,
            left_out=[finalist.label for finalist in self._checked.left_out],
            left_after=self._left_after,
            looks=list(looks(folds)),
            judged=judged_by(self._home, self._info),
            fresh=self._checked.fresh,
            control_trials=self._checked.control,
            metric=comparison.trainings.scored.metric,
            method=method,
        )


def _check_margin(margin: float | None, scored: Scored) -> None:
    if margin is None:
        return
    is_share = scored.unit == "share"
    if not margin > 0 or (is_share and margin >= 1):
        wanted = "between 0 and 1, such as 0.005 for half a point" if is_share else "above 0"
        raise UsageError(f"--margin {margin:g}: give a difference of {scored.called} {wanted}")


def _margin_before(before: ConfirmationRecord | None, scored: Scored) -> float | None:
    verdict = before.verdict if before else None
    return verdict.margin if verdict and verdict.metric == scored.metric else None


def _more(home: Home, info: SweepInfo, checked: Confirmable) -> int:
    """Return the number of configurations of the search that take no part."""
    records = home.store(info.id).read_all()
    everyone = choose_finalists(info, records, len(records), checked.scored)
    return len(everyone) - len(checked.finalists) - len(checked.left_out)


def _kept(confirmation: SweepInfo) -> str:
    name = shlex.quote(confirmation.name)
    return (
        f"No verdict, but its trainings are kept (sweep {confirmation.name!r}): once the "
        "experiment is mended, the same command compares them, and trains nothing. Only if what "
        f"they kept is wrong, have them made anew: `sweeps delete {name}`"
    )


def _epochs(comparison: Comparison) -> int:
    """Return the median best epoch of the champion over folds; 1 where trainings have no epochs."""
    results = [record.result for record in comparison.champions_trainings if record.result]
    epochs = [result.metrics.get("best_epoch") for result in results]
    known = [epoch for epoch in epochs if epoch is not None]
    if not known and all(len(curve) < 2 for one in results for curve in one.history.values()):
        return 1
    if not known:
        raise UsageError(
            f"--refit: the trainings of {comparison.verdict.champion} do not say 'best_epoch', for "
            "how long to train (see `SupportsRefit` in sweeps/capabilities.py); the "
            "verdict is kept"
        )
    return round(median(known))
