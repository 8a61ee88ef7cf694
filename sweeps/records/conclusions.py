"""Stores the conclusions about a sweep in its journal, as numbers.

Conclusions are made from the trials of other sweeps (its confirmations), so the same command makes
them again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
from msgspec import Struct

from sweeps.interval import Interval
from sweeps.journal.events import (
    AttemptKey,
    Confirmed,
    Count,
    Digest,
    Event,
    Line,
    Record,
    Tested,
    TooLongError,
    json_text,
    need_lines,
)
from sweeps.records.schema import RecordError, Report, heard, warn
from sweeps.records.sweep import SweepInfo
from sweeps.workspace.files import parse_json

if TYPE_CHECKING:
    from sweeps.records.store import RecordStore

FINALIST, FOLD = "finalist", "block"  # stored names
"""The two parameters of a confirmation's space: the finalist to train, and the fresh fold."""
_REMEDY: Final = (
    "`sweeps confirm` with --top and --folds as before then "
    "makes it again, and trains nothing twice"
)
_TESTED_REMEDY: Final = "`sweeps confirm --test` makes it again from what was scored"
SWEEP_ID: Final = re.compile(r"[0-9]{8}-[0-9a-f]{8}")
_CONFIRMATION: Final = re.compile(rf"({SWEEP_ID.pattern})/finalists-[0-9]+(/[a-z]+(-[0-9]+)?)?$")


Judgement = Literal["leads", "better", "worse", "equivalent", "cannot tell yet"]
VoteJudgement = Literal["better", "worse", "equivalent", "cannot tell yet"]
MeasureName = Literal["ece", "nll"]
Change = Literal["lower", "higher", "cannot tell"]
VoteKind = Literal["soft", "hard", "mean"]
Method = Literal["samples and seeds", "folds", "rolling origin"]


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


class ConfirmedStanding(_Part, frozen=True):
    """The result of a finalist on fresh folds.

    Attributes:
        finalist: Its label.
        trial: Number of its trial in the search.
        accuracy: Its score on fresh folds, by the metric of the verdict, in its unit.
        searched: Its score in the search; None where it has none.
        leader_ahead_by: By how much the leader is better, whichever way that is; None for the
            leader. The interval is that of the lead of the best of the others.
        probability_leader_better: Of the two, by a correlated Bayesian t-test; only in files of
            earlier versions, else None.
        verdict: The verdict of the interval of the difference.
        folds_needed: Number of folds that would settle it; None if it is settled, or no sensible
            number would.
        diverged: Number of its trainings that diverged; they count by the weights they restored, or
            as a constant prediction.
        failed: Number of its trainings that failed, which count likewise.
        chance_best: Probability that it is the best; those of all finalists sum to 1. None, like
            the members below, in files of earlier versions.
        may_be_best: Whether it may be the best.
        as_good: Whether it is behind the best by less than the margin.
        outlying_folds: Number of folds on which it is far below its others.
    """

    finalist: Line
    trial: Count
    accuracy: Interval
    searched: float | None
    leader_ahead_by: Interval | None
    probability_leader_better: float | None
    verdict: Judgement
    folds_needed: Count | None
    diverged: Count = 0
    failed: Count = 0
    chance_best: float | None = None
    may_be_best: bool | None = None
    as_good: bool | None = None
    outlying_folds: Count = 0

    @property
    def is_baseline(self) -> bool:
        """Whether it is a baseline of the search."""
        return self.finalist.startswith("baseline-")


class Judged(_Part, frozen=True):
    """How much the data of a confirmation have judged by now.

    Attributes:
        finalists: Number of distinct configurations.
        sweeps: Number of sweeps that these were finalists of.
        on_machine: Whether all homes of the machine are counted, not one home only.
    """

    finalists: Count
    sweeps: Count
    on_machine: bool


class Components(_Part, frozen=True):
    """The variance components of the leader's leads, by which the next confirmation is planned.

    Attributes:
        fixed: Variance that more folds do not reduce, only more samples; median of the leads.
        by_folds: Variance of one fold, which so many folds divide by their number; likewise.
        level: One-sided level, over all looks, at which one of the finalists is told not to be the
            best; it falls with their number.
    """

    fixed: float
    by_folds: float
    level: float

    def __post_init__(self) -> None:
        super().__post_init__()
        _need(self.fixed >= 0 and self.by_folds >= 0 and 0 < self.level < 1, "has no variances")


class VerdictConclusion(_Part, frozen=True, tag_field="kind", tag="verdict"):
    """The conclusion about which finalist is the best.

    Attributes:
        sweep: Name of the sweep that is confirmed.
        trials: Number of its trials.
        confirmation: Name of the sweep that confirms it.
        folds: Number of folds that count.
        folds_asked: Number of folds asked for.
        settled: Whether the leader is better than every other finalist.
        champion: Label of the finalist to take.
        standings: The finalists, the leader first, then by accuracy.
        gain_over_control: By how much the search's best is better than the best of random trials;
            None without those.
        others: Names of other confirmations of the same sweep.
        refit: Name of the sweep that trained the champion on all but the test set; None without.
        left_out: Labels of finalists that the user left out.
        margin: The difference that does not matter; None, like the members below, in files of
            earlier versions.
        quotable: The accuracy of the champion less `quotable_bias`, with an interval
            that allows for its having been selected on these folds.
        quotable_bias: By how much its mean is too high on that account.
        looks: Folds at which the verdict may change, up to now; fixed beforehand.
        judged: How much the data have judged by now.
        fresh: Number of the drawing of folds, see `confirm --fresh`.
        control_trials: Number of trials of the random search; None in files of earlier versions.
        components: The variance components of the leads; None in files of earlier versions.
        metric: The metric of the comparison.
        method: The sources of chance that intervals allow for: samples and seeds, crossed; or folds
            with one number each, with the corrected variance; of `rolling origin` each fold follows
            what trains it.
    """

    sweep: Line
    trials: Count
    confirmation: Line
    folds: Count
    folds_asked: Count
    settled: bool
    champion: Line
    standings: Sequence[ConfirmedStanding]
    gain_over_control: Interval | None
    others: Sequence[Line]
    refit: Line | None
    left_out: Sequence[Line]
    margin: float | None = None
    quotable: Interval | None = None
    quotable_bias: float | None = None
    looks: Sequence[Count] = ()
    judged: Judged | None = None
    fresh: Count = 0
    control_trials: Count | None = None
    components: Components | None = None
    metric: Line = "block_accuracy"
    method: Method = "samples and seeds"

    def __post_init__(self) -> None:
        super().__post_init__()
        labels = [standing.finalist for standing in self.standings]
        _need(self.champion in labels, "has a champion that is none of its finalists")
        controls = sum(label.startswith("control-") for label in labels)
        _need(self.gain_over_control is None or controls == 1, "compares with no random trial")

    @property
    def controls(self) -> int:
        """Number of finalists that are the best of random trials: one, or none."""
        return sum(one.finalist.startswith("control-") for one in self.standings)

    @property
    def baselines(self) -> list[ConfirmedStanding]:
        """The finalists that are baselines."""
        return [one for one in self.standings if one.is_baseline]

    @property
    def is_early(self) -> bool:
        """Whether there are fewer folds than those of the first look; earlier versions had none."""
        return self.margin is not None and not self.looks

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


class SelectionBiasConclusion(_Part, frozen=True, tag_field="kind", tag="selection_bias"):
    """The conclusion about the selection bias of the search's best.

    Attributes:
        finalist: Its label.
        searched: Its score in the search.
        fresh: Its accuracy on fresh folds.
        total: By how much `searched` looks better than `fresh`: the selection bias.
    """

    finalist: Line
    searched: float
    fresh: float
    total: Interval


class Measure(_Part, frozen=True):
    """One measure of the error of probabilities: mean over folds, with crossed error.

    Attributes:
        before: The measure at temperature 1.
        after: The measure at the fitted temperature.
        change: After minus before, sample by sample; negative is better.
        verdict: The side of 0 on which the interval of the change lies; `cannot tell` with fewer
            than eight folds.
    """

    before: Interval
    after: Interval
    change: Interval
    verdict: Change


class Calibration(_Part, frozen=True):
    """The effect of temperatures on one finalist.

    Attributes:
        temperature: Geometric mean over its trainings, each of which fitted its own.
        lowest: The smallest of these temperatures.
        highest: The largest of these temperatures.
        measures: The measures by name.
    """

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


class SingleBest(_Part, frozen=True):
    """The finalist with the best mean over folds, with which votes are compared.

    `chance_best` is the probability that it is better than every vote; None in files of earlier
    versions.
    """

    finalist: Line
    accuracy: Interval
    parameters: float
    train_seconds: float
    chance_best: float | None = None


class VoteOnFolds(_Part, frozen=True):
    """The result of an ensemble's vote on fresh folds.

    Attributes:
        ensemble: Its name, such as `top 3`.
        members: Labels of the finalists that vote.
        announced: Whether the verdict is about this vote, which is fixed before it is scored.
        vote: The kind of vote.
        accuracy: The accuracy of the vote.
        ahead_by: By how much it is better than the single best; the interval holds for all at
            once.
        verdict: The verdict of that interval.
        parameters: Number of weights of all members.
        train_seconds: Seconds that training all members on a fold took.
        chance_best: Probability that it is the best of the single best and all votes; None in files
            of earlier versions.
    """

    ensemble: Line
    members: Sequence[Line]
    announced: bool
    vote: VoteKind
    accuracy: Interval
    ahead_by: Interval
    verdict: VoteJudgement
    parameters: float
    train_seconds: float
    chance_best: float | None = None


class VotesConclusion(_Part, frozen=True, tag_field="kind", tag="votes"):
    """The conclusion about ensembles: whether their votes beat the single best.

    Attributes:
        sweeps: Names of the sweeps whose finalists vote.
        champions: Labels of the champions of these sweeps.
        single: The single best.
        votes: The soft vote of each ensemble, followed by its hard vote; or their mean predictions.
        folds: Number of folds.
        metric: The metric that they are compared by.
    """

    sweeps: Sequence[Line]
    champions: Sequence[Line]
    single: SingleBest
    votes: Sequence[VoteOnFolds]
    folds: Count
    metric: Line = "block_accuracy"

    def __post_init__(self) -> None:
        super().__post_init__()
        _need(any(vote.announced for vote in self.votes), "is about no vote")


class AtEvaluation(_Part, frozen=True):
    """The evaluation of a test set that a conclusion comes from.

    Attributes:
        number: Its number, from 1.
        of: Number of evaluations by now.
        digest: Digest of the test set.
        day: The day (UTC) on which its list was frozen.
        reason: Why the test set was evaluated again; empty the first time.
        on_machine: Whether those of all homes of the machine are counted, not of one home only.
    """

    number: Count
    of: Count
    digest: Digest
    day: Line
    reason: str
    on_machine: bool = False


class TestedFinalist(_Part, frozen=True):
    """A finalist on the test set: its score, by the metric of the evaluation, over its trainings.

    `champion_ahead_by` is by how much the champion is better, whichever way that is. `role` is
    `champion`, `runner-up` or `baseline`.
    """

    role: Line
    finalist: Line
    accuracy: Interval
    champion_ahead_by: Interval | None


class FilesCompared(_Part, frozen=True):
    """The champion's file against the baseline's, by the exact test of McNemar (1947).

    Attributes:
        baseline: Label of the baseline.
        only_champion: Samples that only the champion got right.
        only_baseline: Those that only the baseline got right.
        p_value: The p-value of the test.
    """

    baseline: Line
    only_champion: Count
    only_baseline: Count
    p_value: float


class TestConclusion(_Part, frozen=True, tag_field="kind", tag="test"):
    """The conclusion of a test-set evaluation about one sweep.

    Attributes:
        evaluation: The evaluation.
        trainings: Number of trainings of each finalist.
        samples: Number of samples of the test set.
        finalists: The finalists, the champion first.
        files: The champion's file against the baseline's; None without a baseline.
        refit_accuracy: Score of the champion's refit on everything else; None without one.
        metric: The metric.
        is_by_sample: Whether it is known for each sample; else it is one number per training, and
            intervals do not allow for the choice of samples.
    """

    evaluation: AtEvaluation
    trainings: Count
    samples: Count
    finalists: Sequence[TestedFinalist]
    files: FilesCompared | None
    refit_accuracy: float | None
    metric: Line = "block_accuracy"
    is_by_sample: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        _need(self.finalists, "is about no finalist")


class TestedChampion(_Part, frozen=True):
    """The champion of a sweep on the test set: mean over its trainings."""

    sweep: Line
    finalist: Line
    trainings: Count
    accuracy: Interval


class VoteOnTest(_Part, frozen=True):
    """The result of a vote on the test set.

    Attributes:
        voters: Name of the sweep whose trainings vote; or `champions` (one a sweep), `all`.
        vote: The kind of vote.
        members: Number of trainings that vote.
        accuracy: The accuracy of the vote.
        ahead_by: By how much it is better than `of`; the interval holds for all at once.
        of: Name of the sweep whose champion it is compared with.
        verdict: The verdict of that interval.
    """

    voters: Line
    vote: VoteKind
    members: Count
    accuracy: Interval
    ahead_by: Interval
    of: Line
    verdict: VoteJudgement


class TestVotesConclusion(_Part, frozen=True, tag_field="kind", tag="test votes"):
    """The conclusion about votes in a test-set evaluation.

    Attributes:
        evaluation: The evaluation.
        was_asked: Whether votes were among its questions.
        champions: The champions, one a sweep.
        best: Name of the sweep whose champion did best.
        votes: The soft vote of each ensemble, followed by its hard vote, or their mean predictions;
            the widest ensemble last.
        metric: The metric that they are compared by.
    """

    evaluation: AtEvaluation
    was_asked: bool
    champions: Sequence[TestedChampion]
    best: Line
    votes: Sequence[VoteOnTest]
    metric: Line = "block_accuracy"

    def __post_init__(self) -> None:
        super().__post_init__()
        sweeps = {champion.sweep for champion in self.champions}
        _need(any(vote.vote != "hard" for vote in self.votes), "is about no soft vote")
        _need(all(vote.of in sweeps for vote in self.votes), "compares with no champion")


class WordedConclusion(_Part, frozen=True, tag_field="kind", tag="stored in words"):
    """A conclusion in the words of an earlier version, which kept no numbers.

    Attributes:
        anchor: Its address on a page.
        title: Its heading.
        lead: The most important sentence.
        columns: Headings of its table.
        rows: Cells of the table, as they are shown.
        lines: Further sentences.
        note: The method.
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
    | VotesConclusion
    | TestConclusion | TestVotesConclusion
)  # fmt: skip


def document_of(conclusion: Conclusion) -> dict[str, Any]:
    """Return a conclusion for JSON; of one that was stored in words, only the title."""
    document = facts_of(conclusion)
    if isinstance(conclusion, WordedConclusion):
        return {name: document[name] for name in ("kind", "title")}
    return document


def facts_of(part: _Part) -> dict[str, Any]:
    """Return a conclusion, or a part of one, as values for JSON."""
    facts: dict[str, Any] = msgspec.to_builtins(part, enc_hook=float)  # NumPy's numbers
    return facts


class ConfirmationRecord(_Part, frozen=True):
    """The conclusion of a confirmation.

    Attributes:
        confirmation: Id of its sweep.
        trained_in: Id of the sweep that trained the champion: the confirmation, or a refit.
        champion: The attempt whose model is the champion, `<trial>-<attempt>`.
        finalist: Its label, such as `trial-17`.
        top: Number of best trials that were finalists; None if an earlier version did not keep it.
        folds: Number of folds; None likewise.
        left_out: Labels of finalists that the user left out.
        conclusions: The conclusions, in numbers; those of earlier versions in words.
        fresh: Number of the drawing of folds.
    """

    confirmation: str
    trained_in: str
    champion: AttemptKey
    finalist: Line
    top: Count | None = None
    folds: Count | None = None
    left_out: Sequence[Line] = ()
    conclusions: Sequence[Conclusion] = ()
    fresh: Count = 0

    @property
    def verdict(self) -> VerdictConclusion | None:
        """The verdict; None where it is in words."""
        return next((one for one in self.conclusions if isinstance(one, VerdictConclusion)), None)


def confirmed_by(directory: str | Path | None) -> str | None:
    """Return the id of the sweep that a confirmation confirms; None for a search.

    Args:
        directory: Folder of the confirmation's space file, which holds that id.
    """
    found = _CONFIRMATION.search(Path(directory or "").as_posix())
    return found[1] if found else None


def without_place(directory: str | None) -> str | None:
    """Return a sweep's folder without the part that names a place on one machine.

    For a confirmation, the rest says which sweep it confirms; for a search, nothing is left (None).
    """
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
        return self._confirmation_in(events[-1]) if events else None

    def before(self) -> ConfirmationRecord | None:
        """Return the conclusion that the newest one replaced; see `confirmed`."""
        found = [self._read(event) for event in self._store.state().confirmed]
        others = (one for one in reversed(found) if one.confirmation != found[-1].confirmation)
        return self._if_kept(next(others, None))

    def _confirmation_in(self, event: Confirmed) -> ConfirmationRecord | None:
        return self._if_kept(self._read(event))

    def _if_kept(self, found: ConfirmationRecord | None) -> ConfirmationRecord | None:
        if found is None or not (self._store.folder.parent / found.confirmation).is_dir():
            return None
        return found

    def _read(self, event: Confirmed) -> ConfirmationRecord:
        found: ConfirmationRecord = self._converted(event, ConfirmationRecord)
        for name in (found.confirmation, found.trained_in):
            if not SWEEP_ID.fullmatch(name):  # it may have come with an archive
                raise self._damaged(event, f"{name!r} is no sweep's id")
        return found

    def _converted(self, event: Confirmed | Tested, kind: Any) -> Any:
        document = self._store.document(event.conclusion, event.text)
        if document is None:
            raise self._damaged(event, f"its text {event.text} is lost")
        try:
            return msgspec.convert(document, kind)
        except ValueError as error:
            raise self._damaged(event, str(error)) from None

    def _damaged(self, event: Event, problem: str) -> RecordError:
        remedy = _REMEDY if isinstance(event, Confirmed) else _TESTED_REMEDY
        path = self._store.journal.path
        return RecordError(f"{path}: event {event.number} is damaged ({problem}); {remedy}")

    def keep(self, confirmed: ConfirmationRecord) -> None:
        """Keep the conclusion of a confirmation, in place of an earlier one.

        That of another confirmation is remembered, so that `restore` brings it back.

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

    def restore(self) -> tuple[ConfirmationRecord | None, ConfirmationRecord] | None:
        """Exchange the newest conclusion and the one that it replaced.

        Returns:
            The conclusion that was in force, and the one that is now; None if none was replaced,
            or its confirmation was deleted.

        Raises:
            RecordError: One is damaged.
            StoreError: It cannot be written.
        """
        before, now = self.before(), self.confirmed()
        if before is None:
            return None
        self.keep(before)
        return now, before

    def keep_tested(
        self, evaluation: str, tested: Conclusion | None, votes: Conclusion | None = None
    ) -> None:
        """Keep the results of one test-set evaluation of the sweep.

        Args:
            evaluation: Its name, such as `1234abcd-1`; its earlier results are replaced.
            tested: The results.
            votes: Those of ensembles of the models that it scored.

        Raises:
            StoreError: It cannot be written.
        """
        for is_vote, conclusion in ((False, tested), (True, votes)):
            known = self._store.state().tested.get((evaluation, is_vote))
            if conclusion is not None:
                event = Tested(
                    evaluation=evaluation, is_vote=is_vote, conclusion=facts_of(conclusion)
                )
                if known is None or not self._is_alike(known, event):
                    self._append(event)

    def _is_alike(self, known: Tested, event: Tested) -> bool:
        """Whether an event says what is known, which was written and read again."""
        found = self._store.document(known.conclusion, known.text)
        return bool(found == parse_json(json_text(event.conclusion).encode()))

    def all(self, report: Report = warn) -> list[Conclusion]:
        """Return all conclusions, those of the confirmation first.

        Args:
            report: Receives a line about each damaged one, which is left out.
        """
        confirmed = heard(self.confirmed, report)
        own = confirmed.conclusions if confirmed else ()
        found = sorted(self._store.state().tested.items())
        tested = [heard(partial(self._converted, event, Conclusion), report) for _, event in found]
        return [*own, *(one for one in tested if one is not None)]

    def votes(self, report: Report = warn) -> dict[str, Conclusion]:
        """Return the conclusions about votes on the test set, by the evaluation's name."""
        found = {
            evaluation: heard(partial(self._converted, event, Conclusion), report)
            for (evaluation, is_vote), event in self._store.state().tested.items()
            if is_vote
        }
        return {evaluation: one for evaluation, one in found.items() if one is not None}

    def readers(self) -> list[Callable[[], object]]:
        """Return functions that read each that is in force, and raise if it is damaged."""
        tested = self._store.state().tested.values()
        return [
            self.confirmed,
            *(partial(self._converted, event, Conclusion) for event in tested),
        ]


def confirmed_training(store: RecordStore) -> tuple[RecordStore, SweepInfo, Record] | None:
    """Return the training that a confirmation chose as the champion, where and of which sweep.

    Args:
        store: The records of the sweep that was confirmed.

    Returns:
        None without a confirmation, or if it or the sweep with that training was deleted.

    Raises:
        RecordError: What it chose is damaged.
    """
    confirmed = Conclusions(store).confirmed()
    trainings = store.beside(confirmed.trained_in) if confirmed else None
    info = trainings.info() if trainings else None
    if confirmed is None or trainings is None or info is None:
        return None
    return trainings, info, trainings.read(confirmed.champion)
