"""Stores the conclusions about a sweep in its journal, as numbers.

Conclusions are made from the trials of other sweeps (its confirmations), so the same command makes
them again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from sweeps.interval import Interval
from sweeps.journal.events import (
    AttemptKey,
    Confirmed,
    Count,
    Digest,
    Line,
    Record,
    Tested,
    TooLongError,
    json_text,
    need_lines,
)
from sweeps.records.schema import RecordError, Report, heard, warn
from sweeps.records.store import RecordStore
from sweeps.records.sweep import SweepInfo
from sweeps.workspace.files import FormatError

FINALIST, FOLD = "finalist", "block"  # stored names
"""The two parameters of a confirmation's space: the finalist to train, and the fresh fold."""
_REMEDIES: Final = {
    Confirmed: "`sweeps confirm` with --top and --folds as before then makes it again, and trains "
    "nothing twice",
    Tested: "`sweeps confirm --test` makes it again from what was scored",
}
SWEEP_ID: Final = re.compile(r"[0-9]{8}-[0-9a-f]{8}")
_SweepId = Annotated[str, Meta(pattern=rf"^{SWEEP_ID.pattern}\Z")]
_CONFIRMATION: Final = re.compile(rf"({SWEEP_ID.pattern})/finalists-[0-9]+(/[a-z]+(-[0-9]+)?)?$")

Judgement = Literal["leads", "better", "worse", "equivalent", "cannot tell yet"]
MeasureName = Literal["ece", "nll"]
Change = Literal["lower", "higher", "cannot tell"]
Method = Literal["samples and seeds", "folds", "rolling origin"]
Verification = Literal["verified", "unverified", "unchecked"]

_PROSE: Final = frozenset({"reason", "lead", "columns", "rows", "lines", "note"})
"""Members with texts of any length and form; all other texts are lines that can be shown."""


def _need(holds: object, what: str) -> None:
    """Refuse a conclusion whose parts do not fit together; it may have come with an archive."""
    if not holds:
        raise ValueError(f"a conclusion {what}")


class _Part(Struct, frozen=True, forbid_unknown_fields=True):
    """A conclusion, or a part of one; it may have come with an archive."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = () if name in _PROSE else getattr(self, name)
            texts = [value] if isinstance(value, str) else value
            if isinstance(texts, list | tuple | dict):
                need_lines(*(text for text in texts if isinstance(text, str)))


class _OfFinalist(_Part, frozen=True):
    """A part about a finalist, by its label, and its trial in the search."""

    finalist: Line
    trial: Count

    @property
    def is_baseline(self) -> bool:
        """Whether it is a baseline of the search."""
        return self.finalist.startswith("baseline-")

    @property
    def is_control(self) -> bool:
        """Whether it is the best of random trials."""
        return self.finalist.startswith("control-")


class ConfirmedStanding(_OfFinalist, frozen=True):
    """The result of a finalist on fresh folds.

    Attributes:
        accuracy: Its score by the metric of the verdict, in its unit.
        searched: Its score in the search; None where it has none.
        leader_ahead_by: By how much the leader is better, whichever way that is; None for the
            leader. The interval is that of the lead of the best of the others.
        folds_needed: Number of folds that would settle it; None if it is settled, or no sensible
            number would.
        chance_best: Probability that it is the best; those of all finalists sum to 1.
        as_good: Whether it is behind the best by less than the margin.
        diverged: Number of its trainings that diverged; they count by the weights they restored, or
            as a constant prediction, and so do those that failed.
        outlying_folds: Number of folds on which it is far below its others.
        probability_leader_better: None; earlier versions had it.
    """

    accuracy: Interval
    searched: float | None
    leader_ahead_by: Interval | None
    verdict: Judgement
    folds_needed: Count | None
    chance_best: float
    may_be_best: bool
    as_good: bool
    diverged: Count = 0
    failed: Count = 0
    outlying_folds: Count = 0
    probability_leader_better: None = None


class Judged(_Part, frozen=True):
    """How many distinct configurations, of how many sweeps, the data have judged by now.

    `on_machine` says whether all homes of the machine are counted, not one home only.
    """

    finalists: Count
    sweeps: Count
    on_machine: bool


class Components(_Part, frozen=True):
    """The variance components of the leader's leads, by which the next confirmation is planned.

    Attributes:
        fixed: Variance that only more samples reduce, no more folds; median of the leads.
        by_folds: Variance of one fold, which so many folds divide by their number; likewise.
        level: One-sided level, over all looks, at which one of the finalists is told not to be the
            best; it falls with their number.
        numbers: Variance of one fold's number, by which such leads would be compared if no value of
            a sample were known; None where none is.
    """

    fixed: Annotated[float, Meta(ge=0)]
    by_folds: Annotated[float, Meta(ge=0)]
    level: Annotated[float, Meta(gt=0, lt=1)]
    numbers: Annotated[float, Meta(ge=0)] | None = None


class LeftAfter(_OfFinalist, frozen=True):
    """A finalist that was trained on the first folds only, of which no more is said.

    Attributes:
        folds: On how many.
        accuracy: Its mean there, which selected those that went on.
        searched: Its score in the search; None where it has none.
    """

    folds: Count
    accuracy: float
    searched: float | None


class Verdict(_Part, frozen=True):
    """What is found about finalists on the folds that count.

    Attributes:
        settled: Whether the leader is better than every other finalist.
        champion: Label of the finalist to take: the cheapest of the leader and those as good.
        standings: The finalists, the leader first, then by score: those on all folds. Of those that
            may be the best, at most 5 in 100 are missed.
        gain_over_control: By how much the search's best is better than the best of random trials;
            None without those.
        margin: The difference that does not matter.
        quotable: The accuracy of the champion less `quotable_bias`, by which its mean is too high
            for having been selected on these folds; the interval allows for that as well.
        components: None with one finalist.
    """

    settled: bool
    champion: Line
    standings: Sequence[ConfirmedStanding]
    gain_over_control: Interval | None
    margin: float
    quotable: Interval
    quotable_bias: float
    components: Components | None

    def __post_init__(self) -> None:
        super().__post_init__()
        labels = [standing.finalist for standing in self.standings]
        _need(self.champion in labels, "has a champion that is none of its finalists")
        _need(self.gain_over_control is None or self.control, "compares with no random trial")

    @property
    def control(self) -> ConfirmedStanding | None:
        """The best of random trials; None without those."""
        return next((one for one in self.standings if one.is_control), None)


class VerdictConclusion(Verdict, frozen=True, tag_field="kind", tag="verdict"):
    """The conclusion about which finalist is the best. Sweeps are named, finalists by label.

    Attributes:
        folds: Number of folds that count, of those that were asked for.
        others: Other confirmations of the same sweep.
        refit: The sweep that trained the champion on all but the test set; None without.
        looks: Folds at which the verdict may change, up to now; fixed beforehand.
        fresh: Number of the drawing of folds, see `confirm --fresh`.
        control_trials: Number of the random trials.
        method: The sources of chance that intervals allow for: samples and seeds, crossed; or folds
            with one number each, with the corrected variance; of `rolling origin` each fold follows
            what trains it.
        left_after: Finalists that were left out after the first folds, the best first.
    """

    sweep: Line
    trials: Count
    confirmation: Line
    folds: Count
    folds_asked: Count
    others: Sequence[Line]
    refit: Line | None
    left_out: Sequence[Line]
    looks: Sequence[Count]
    judged: Judged
    fresh: Count
    control_trials: Count
    metric: Line = "best_val_accuracy"
    method: Method = "samples and seeds"
    left_after: Sequence[LeftAfter] = ()

    @property
    def baselines(self) -> list[ConfirmedStanding]:
        """The finalists that are baselines."""
        return [one for one in self.standings if one.is_baseline]

    @property
    def finalists(self) -> int:
        """The number of all finalists, those that were left out after the first folds included."""
        return len(self.standings) + len(self.left_after)

    @property
    def is_early(self) -> bool:
        """Whether there are fewer folds than those of the first look."""
        return not self.looks

    @property
    def taken(self) -> ConfirmedStanding:
        """The champion."""
        return next(one for one in self.standings if one.finalist == self.champion)

    @property
    def beats_baselines(self) -> bool:
        """Whether the leader is better than every baseline."""
        return all(one.verdict == "worse" for one in self.baselines)

    @property
    def kept(self) -> ConfirmedStanding:
        """The finalist to work with: the one to take, or the baseline that nothing beats."""
        is_open = self.is_early or self.standings[0].is_baseline or self.beats_baselines
        return self.taken if is_open else self.baselines[0]

    @property
    def figure(self) -> Interval:
        """The figure to quote of the finalist to work with."""
        return self.quotable if self.kept is self.taken else self.kept.accuracy


class SelectionBiasConclusion(_Part, frozen=True, tag_field="kind", tag="selection_bias"):
    """By how much the search's best looks better there (`searched`) than on fresh folds."""

    finalist: Line
    searched: float
    fresh: float
    total: Interval


class Measure(_Part, frozen=True):
    """One measure of the error of probabilities: mean over folds, with crossed error.

    It is measured at temperature 1, and at the fitted one. `change` is after minus before, sample
    by sample; negative is better. `verdict` is the side of 0 on which its interval lies; `cannot
    tell` with fewer than eight folds.
    """

    before: Interval
    after: Interval
    change: Interval
    verdict: Change


class Calibration(_Part, frozen=True):
    """The effect of temperatures on one finalist: of the geometric mean over its trainings."""

    temperature: float
    lowest: float
    highest: float
    measures: Mapping[MeasureName, Measure]


class CalibrationConclusion(_Part, frozen=True, tag_field="kind", tag="calibration"):
    """The conclusion about temperatures: each finalist by its label, the leader first."""

    champion: Line
    finalists: Mapping[str, Calibration]

    def __post_init__(self) -> None:
        super().__post_init__()
        _need(self.champion in self.finalists, "has a champion that is none of its finalists")


class EnsembleMember(_Part, frozen=True):
    """A trial of the search, as a member of an ensemble.

    Attributes:
        weight: Its weight; those of all members sum to 1, that of a trial that is none is 0.
        searched: Its score in the search, by the metric that ranks trials.
        parameters: Number of its weights; 0 if that is not known.
        train_seconds: Seconds that its training took; 0 if that is not known.
    """

    trial: Count
    weight: float
    searched: float
    parameters: float
    train_seconds: float


class EnsembleConclusion(_Part, frozen=True, tag_field="kind", tag="ensemble"):
    """Whether an ensemble of the search's trials is better than its best trial.

    Figures are cross-fitted: selected on a part of the validation samples, scored on the other.

    Attributes:
        members: The members, the heaviest first.
        best: The best trial.
        accuracy: The score of such an ensemble, by the `metric`.
        best_accuracy: The score of the best trial.
        ahead_by: By how much the ensemble is better; for other samples, in pairs.
        margin: The difference that does not matter.
        selected_by: The metric by which members and best trial are selected.
        candidates: Number of trials that they were selected from.
        samples: Number of validation samples.
    """

    members: Annotated[Sequence[EnsembleMember], Meta(min_length=1)]
    best: EnsembleMember
    accuracy: Interval
    best_accuracy: Interval
    ahead_by: Interval
    margin: float
    metric: Line
    selected_by: Line
    candidates: Count
    samples: Count

    @property
    def pays(self) -> bool:
        """Whether it is better, and by more than the margin."""
        return self.ahead_by.low > 0 and self.ahead_by.value > self.margin

    @property
    def times(self) -> float:
        """Its size, and so about the time of an answer, as a multiple of the best trial's."""
        sizes = [member.parameters for member in self.members]
        if not (all(sizes) and self.best.parameters):
            return float(len(sizes))
        return sum(sizes) / self.best.parameters


class AtEvaluation(_Part, frozen=True):
    """The evaluation of a test set that a conclusion comes from, see `Evaluation`.

    It is one `of` so many by now. For `on_machine` see `Judged`.
    """

    number: Count
    of: Count
    digest: Digest
    day: Line
    reason: str
    on_machine: bool = False


class TestedFinalist(_Part, frozen=True):
    """A finalist on the test set: its score, by the metric of the evaluation, over its trainings.

    `role` is `champion`, `runner-up` or `baseline`. The champion may be ahead either way.
    """

    role: Line
    finalist: Line
    accuracy: Interval
    champion_ahead_by: Interval | None


class FilesCompared(_Part, frozen=True):
    """Samples that only one of the two files got right, by the exact test of McNemar (1947)."""

    baseline: Line
    only_champion: Count
    only_baseline: Count
    p_value: float


class TestConclusion(_Part, frozen=True, tag_field="kind", tag="test"):
    """The conclusion of a test-set evaluation about one sweep.

    Attributes:
        trainings: Number of trainings of each finalist; the champion is the first.
        files: The champion's file against the baseline's; None without a baseline.
        refit_accuracy: Score of the champion's refit on everything else; None without one.
        is_by_sample: Whether it is known for each sample; else it is one number per training, and
            intervals do not allow for the choice of samples.
    """

    evaluation: AtEvaluation
    trainings: Count
    samples: Count
    finalists: Annotated[Sequence[TestedFinalist], Meta(min_length=1)]
    files: FilesCompared | None
    refit_accuracy: float | None
    metric: Line = "best_val_accuracy"
    is_by_sample: bool = True


class VerificationConclusion(_Part, frozen=True, tag_field="kind", tag="verification"):
    """Whether the champion's model, rebuilt from its record, answers as it was recorded.

    Attributes:
        found: Whether it does; `unchecked` if nothing could be compared.
        samples: Number of samples whose answers agree.
        difference: The largest difference between an answer and the recorded one; None if it is not
            known, or no finite number.
        reason: Why it is not verified, or why the model of a verified one was not saved.
    """

    found: Verification
    samples: Count = 0
    difference: float | None = None
    reason: Line = ""


class WordedConclusion(_Part, frozen=True, tag_field="kind", tag="stored in words"):
    """A conclusion in words: as an earlier version kept it, without numbers, or to be shown.

    `anchor` is its address on a page, `lead` the most important sentence, `note` on the method.
    """

    anchor: Line
    title: Line
    lead: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    lines: Sequence[str] = ()
    note: str = ""


Conclusion = (
    WordedConclusion | VerdictConclusion | SelectionBiasConclusion | CalibrationConclusion
    | EnsembleConclusion | TestConclusion | VerificationConclusion
)  # fmt: skip

Kind = TypeVar("Kind")


def newest(conclusions: Sequence[Conclusion], kind: type[Kind]) -> Kind | None:
    """Return the newest conclusion of a kind; None without one."""
    return next((one for one in reversed(conclusions) if isinstance(one, kind)), None)


def document_of(conclusion: Conclusion) -> dict[str, Any]:
    """Return a conclusion for JSON; of one that was stored in words, only the title."""
    if isinstance(conclusion, WordedConclusion):
        return {"kind": "stored in words", "title": conclusion.title}
    return facts_of(conclusion)


def facts_of(part: _Part) -> dict[str, Any]:
    """Return a conclusion, or a part of one, as values for JSON."""
    facts: dict[str, Any] = msgspec.to_builtins(part, enc_hook=float)  # NumPy's numbers
    return facts


class ConfirmationRecord(_Part, frozen=True):
    """The conclusion of a confirmation.

    Attributes:
        trained_in: Id of the sweep that trained the champion: the confirmation, or a refit.
        champion: The attempt whose model is the champion; its label is `finalist`.
        top: Number of best trials that were finalists; earlier versions kept none, and no `folds`.
        conclusions: The conclusions, in numbers; those of earlier versions in words.
        first: All finalists were trained on so many folds at first; None: on all.
    """

    confirmation: _SweepId
    trained_in: _SweepId
    champion: AttemptKey
    finalist: Line
    top: Count | None = None
    folds: Count | None = None
    left_out: Sequence[Line] = ()
    conclusions: Sequence[Conclusion] = ()
    fresh: Count = 0
    first: Count | None = None

    @property
    def verdict(self) -> VerdictConclusion | None:
        """The verdict; None where it is in words."""
        return newest(self.conclusions, VerdictConclusion)


def without_votes(document: Any) -> Any:
    """Return the conclusion of a confirmation without what earlier versions kept about votes."""
    kept = document.get("conclusions") if isinstance(document, dict) else None
    if not isinstance(kept, list):
        return document
    told = [one for one in kept if not (isinstance(one, dict) and one.get("kind") == "votes")]
    return {**document, "conclusions": told}


def confirmed_by(directory: str | Path | None) -> str | None:
    """Return the id of the sweep that a confirmation in this folder confirms; None for a search."""
    found = _CONFIRMATION.search(Path(directory or "").as_posix())
    return found[1] if found else None


def without_place(directory: str | None) -> str | None:
    """Return the part of a confirmation's folder that names no place on one machine; see above."""
    found = _CONFIRMATION.search(Path(directory or "").as_posix())
    return found[0] if found else None


def is_finalist(info: SweepInfo, record: Record) -> bool:
    """Whether an attempt is a finalist's complete training on fold 0, as the champion may be."""
    if confirmed_by(info.directory) is None or record.outcome != "complete":
        return False
    return FINALIST in record.params and record.params.get(FOLD) == 0


class Conclusions:
    """The conclusions about one sweep."""

    def __init__(self, store: RecordStore) -> None:
        self._store = store

    def confirmed(self) -> ConfirmationRecord | None:
        """Return the newest confirmation's conclusion; None if there is none, or it was deleted.

        Raises:
            RecordError: It is damaged.
        """
        events = self._store.state().confirmed
        return self._unless_deleted(self._read(events[-1], ConfirmationRecord)) if events else None

    def before(self) -> ConfirmationRecord | None:
        """Return the conclusion that the newest one replaced; see `confirmed`."""
        found = [self._read(one, ConfirmationRecord) for one in self._store.state().confirmed]
        others = [one for one in found if one.confirmation != found[-1].confirmation]
        return self._unless_deleted(others[-1]) if others else None

    def _unless_deleted(self, found: ConfirmationRecord) -> ConfirmationRecord | None:
        return found if self._store.beside(found.confirmation).folder.is_dir() else None

    def _read(self, event: Confirmed | Tested, kind: Any) -> Any:
        document = self._store.document(event.conclusion, event.text)
        try:
            if document is None:
                raise FormatError(f"its text {event.text} is lost")
            return msgspec.convert(without_votes(document), kind)
        except ValueError as error:
            what = f"{self._store.journal.path}: event {event.number} is damaged"
            raise RecordError(f"{what} ({error}); {_REMEDIES[type(event)]}") from None

    def keep(self, confirmed: ConfirmationRecord) -> None:
        """Keep the conclusion of a confirmation, in place of an earlier one (see `before`).

        Raises:
            StoreError: It cannot be written.
        """
        self._append(Confirmed(conclusion=facts_of(confirmed)))

    def _append(self, event: Confirmed | Tested) -> None:
        try:
            self._store.append(event)
        except TooLongError:
            text = self._store.keep_text(json_text(event.conclusion).encode())
            self._store.append(msgspec.structs.replace(event, conclusion={}, text=text))

    def keep_tested(self, evaluation: str, conclusion: Conclusion) -> None:
        """Keep the result of the evaluation of that name, in place of an earlier one.

        Raises:
            StoreError: It cannot be written.
        """
        facts = facts_of(conclusion)
        known = self._store.state().tested.get((evaluation, False))
        was = known and self._store.document(known.conclusion, known.text)
        if json_text(was) != json_text(facts):
            self._append(Tested(evaluation=evaluation, is_vote=False, conclusion=facts))

    def all(self, report: Report = warn) -> list[Conclusion]:
        """Return all conclusions, those of the confirmation first; each damaged one is reported."""
        confirmed = heard(self.confirmed, report)
        return [*(confirmed.conclusions if confirmed else ()), *self.tested(report).values()]

    def tested(self, report: Report = warn) -> dict[str, Conclusion]:
        """Return the results on the test set, by the evaluation's name."""
        # Those about votes are of earlier versions.
        events = sorted(self._store.state().tested.items())
        known = {name: one for (name, is_vote), one in events if not is_vote}
        found = {
            name: heard(partial(self._read, one, Conclusion), report) for name, one in known.items()
        }
        return {name: one for name, one in found.items() if one is not None}


def confirmed_training(store: RecordStore) -> tuple[RecordStore, SweepInfo, Record] | None:
    """Return the training that was chosen as the champion of a sweep, where and of which sweep.

    None without a confirmation, or if it or the sweep with that training was deleted.

    Raises:
        RecordError: What it chose is damaged.
    """
    confirmed = Conclusions(store).confirmed()
    if confirmed is None:
        return None
    trainings = store.beside(confirmed.trained_in)
    info = trainings.info()
    return None if info is None else (trainings, info, trainings.read(confirmed.champion))
