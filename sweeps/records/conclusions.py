"""Stores the conclusions about a sweep beside its records, as numbers.

Conclusions are made from the records of other sweeps (its confirmations), so the same command makes
them again.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, cast

from sweeps.interval import Interval
from sweeps.records.record import Record, SweepInfo
from sweeps.records.schema import (
    AttemptKey,
    Count,
    DamagedFileError,
    Digest,
    Line,
    Report,
    SideFile,
    heard,
    listed,
    put_aside,
    warn,
)

FINALIST, FOLD = "finalist", "block"  # stored names
"""The two parameters of a confirmation's space: the finalist to train, and the fresh fold."""
_TESTED: Final = "tested-*.json"
_VOTED: Final = "voted-*.json"
_REMEDY: Final = (
    "`sweeps doctor --fix` puts it aside; `sweeps confirm` with --top and --folds as before then "
    "makes it again, and trains nothing twice"
)
_TESTED_REMEDY: Final = (
    "`sweeps doctor --fix` puts it aside; `sweeps confirm --test` makes it again from what was "
    "scored"
)
SWEEP_ID: Final = re.compile(r"[0-9]{8}-[0-9a-f]{8}")
_CONFIRMATION: Final = re.compile(rf"({SWEEP_ID.pattern})/finalists-[0-9]+(/[a-z]+(-[0-9]+)?)?$")


Judgement = Literal["leads", "better", "worse", "equivalent", "cannot tell yet"]
VoteJudgement = Literal["better", "worse", "equivalent", "cannot tell yet"]
MeasureName = Literal["ece", "nll"]
Change = Literal["lower", "higher", "cannot tell"]
VoteKind = Literal["soft", "hard", "mean"]
Method = Literal["samples and seeds", "folds", "rolling origin"]


def _need(holds: object, what: str) -> None:
    """Refuse a conclusion whose parts do not fit together; it may have come with an archive."""
    if not holds:
        raise ValueError(f"a conclusion {what}")


@dataclass(frozen=True)
class ConfirmedStanding:
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


@dataclass(frozen=True)
class Judged:
    """How much the data of a confirmation have judged by now.

    Attributes:
        finalists: Number of distinct configurations.
        sweeps: Number of sweeps that these were finalists of.
        on_machine: Whether all homes of the machine are counted, not one home only.
    """

    finalists: Count
    sweeps: Count
    on_machine: bool


@dataclass(frozen=True)
class Components:
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
        _need(self.fixed >= 0 and self.by_folds >= 0 and 0 < self.level < 1, "has no variances")


@dataclass(frozen=True)
class VerdictConclusion:
    """The conclusion about which finalist is the best.

    Attributes:
        sweep: Name of the sweep that is confirmed.
        trials: Number of its trials.
        confirmation: Name of the sweep that confirms it.
        folds: Number of folds that count.
        folds_asked: Number of folds asked for.
        settled: Whether the leader is better than every other finalist.
        recommended: Label of the finalist to take.
        standings: The finalists, the leader first, then by accuracy.
        gain_over_control: By how much the search's best is better than the best of random trials;
            None without those.
        others: Names of other confirmations of the same sweep.
        refit: Name of the sweep that trained the winner on all but the test set; None without one.
        left_out: Labels of finalists that the user left out.
        margin: The difference that does not matter; None, like the members below, in files of
            earlier versions.
        quotable: The accuracy of the recommended finalist less `quotable_bias`, with an interval
            that allows for its having been selected on these folds.
        quotable_bias: By how much its mean is too high on that account.
        looks: Folds at which the verdict may change, up to now; fixed beforehand.
        judged: How much the data have judged by now.
        fresh: Number of the drawing of folds, see `confirm --fresh`.
        control_trials: Number of trials of the random search; None in files of earlier versions.
        gain_over_searches: Of earlier versions, which compared with several random searches; it is
            not shown.
        components: The variance components of the leads; None in files of earlier versions.
        metric: The metric of the comparison.
        method: The sources of chance that intervals allow for: samples and seeds, crossed; or folds
            with one number each, with the corrected variance; of `rolling origin` each fold follows
            what trains it.
    """

    kind: Literal["verdict"]
    sweep: Line
    trials: Count
    confirmation: Line
    folds: Count
    folds_asked: Count
    settled: bool
    recommended: Line
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
    gain_over_searches: Interval | None = None
    components: Components | None = None
    metric: Line = "block_accuracy"
    method: Method = "samples and seeds"

    def __post_init__(self) -> None:
        labels = [standing.finalist for standing in self.standings]
        _need(self.recommended in labels, "recommends none of its finalists")
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
        """The recommended finalist."""
        return next(one for one in self.standings if one.finalist == self.recommended)

    @property
    def beats_baselines(self) -> bool:
        """Whether the leader is better than every baseline."""
        return all(one.verdict == "worse" for one in self.baselines)

    @property
    def kept(self) -> ConfirmedStanding:
        """The finalist to work with: the one to take, or the baseline that nothing beats."""
        is_open = self.is_early or self.standings[0].is_baseline or self.beats_baselines
        return self.taken if is_open else self.baselines[0]


@dataclass(frozen=True)
class SelectionBiasConclusion:
    """The conclusion about the selection bias of the search's best.

    Attributes:
        finalist: Its label.
        searched: Its score in the search.
        fresh: Its accuracy on fresh folds.
        total: By how much `searched` looks better than `fresh`: the selection bias.
        parts: Of earlier versions, which divided it by its causes; like `why_no_parts` not shown.
    """

    kind: Literal["selection_bias"]
    finalist: Line
    searched: float
    fresh: float
    total: Interval
    parts: Mapping[str, Interval] = field(default_factory=dict)
    why_no_parts: str = ""


@dataclass(frozen=True)
class Measure:
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


@dataclass(frozen=True)
class Calibration:
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


@dataclass(frozen=True)
class CalibrationConclusion:
    """The conclusion about temperatures: each finalist by its label, the leader first."""

    kind: Literal["calibration"]
    recommended: Line
    finalists: Mapping[str, Calibration]

    def __post_init__(self) -> None:
        _need(self.recommended in self.finalists, "recommends none of its finalists")


@dataclass(frozen=True)
class SingleBest:
    """The finalist with the best mean over folds, with which votes are compared.

    `chance_best` is the probability that it is better than every vote; None in files of earlier
    versions.
    """

    finalist: Line
    accuracy: Interval
    parameters: float
    train_seconds: float
    chance_best: float | None = None


@dataclass(frozen=True)
class VoteOnFolds:
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


@dataclass(frozen=True)
class VotesConclusion:
    """The conclusion about ensembles: whether their votes beat the single best.

    Attributes:
        sweeps: Names of the sweeps whose finalists vote.
        winners: Labels of the finalists that the verdicts recommend.
        single: The single best.
        votes: The soft vote of each ensemble, followed by its hard vote; or their mean predictions.
        folds: Number of folds.
        metric: The metric that they are compared by.
    """

    kind: Literal["votes"]
    sweeps: Sequence[Line]
    winners: Sequence[Line]
    single: SingleBest
    votes: Sequence[VoteOnFolds]
    folds: Count
    metric: Line = "block_accuracy"

    def __post_init__(self) -> None:
        _need(any(vote.announced for vote in self.votes), "is about no vote")


@dataclass(frozen=True)
class AtEvaluation:
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


@dataclass(frozen=True)
class TestedFinalist:
    """A finalist on the test set: its score, by the metric of the evaluation, over its trainings.

    `winner_ahead_by` is by how much the winner is better, whichever way that is.
    """

    role: Line
    finalist: Line
    accuracy: Interval
    winner_ahead_by: Interval | None


@dataclass(frozen=True)
class FilesCompared:
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


@dataclass(frozen=True)
class TestConclusion:
    """The conclusion of a test-set evaluation about one sweep.

    Attributes:
        evaluation: The evaluation.
        trainings: Number of trainings of each finalist.
        samples: Number of samples of the test set.
        finalists: The finalists, the winner first.
        files: The champion's file against the baseline's; None without a baseline.
        refit_accuracy: Score of the winner's refit on everything else; None without one.
        metric: The metric.
        is_by_sample: Whether it is known for each sample; else it is one number per training, and
            intervals do not allow for the choice of samples.
    """

    kind: Literal["test"]
    evaluation: AtEvaluation
    trainings: Count
    samples: Count
    finalists: Sequence[TestedFinalist]
    files: FilesCompared | None
    refit_accuracy: float | None
    metric: Line = "block_accuracy"
    is_by_sample: bool = True

    def __post_init__(self) -> None:
        _need(self.finalists, "is about no finalist")


@dataclass(frozen=True)
class TestedWinner:
    """The winner of a sweep on the test set: mean over its trainings."""

    sweep: Line
    finalist: Line
    trainings: Count
    accuracy: Interval


@dataclass(frozen=True)
class VoteOnTest:
    """The result of a vote on the test set.

    Attributes:
        voters: Name of the sweep whose trainings vote; or `winners` (one of each sweep), `all`.
        vote: The kind of vote.
        members: Number of trainings that vote.
        accuracy: The accuracy of the vote.
        ahead_by: By how much it is better than `of`; the interval holds for all at once.
        of: Name of the sweep whose winner it is compared with.
        verdict: The verdict of that interval.
    """

    voters: Line
    vote: VoteKind
    members: Count
    accuracy: Interval
    ahead_by: Interval
    of: Line
    verdict: VoteJudgement


@dataclass(frozen=True)
class TestVotesConclusion:
    """The conclusion about votes in a test-set evaluation.

    Attributes:
        evaluation: The evaluation.
        was_asked: Whether votes were among its questions.
        winners: The winners, one a sweep.
        best: Name of the sweep whose winner did best.
        votes: The soft vote of each ensemble, followed by its hard vote, or their mean predictions;
            the widest ensemble last.
        metric: The metric that they are compared by.
    """

    kind: Literal["test votes"]
    evaluation: AtEvaluation
    was_asked: bool
    winners: Sequence[TestedWinner]
    best: Line
    votes: Sequence[VoteOnTest]
    metric: Line = "block_accuracy"

    def __post_init__(self) -> None:
        sweeps = {winner.sweep for winner in self.winners}
        _need(any(vote.vote != "hard" for vote in self.votes), "is about no soft vote")
        _need(all(vote.of in sweeps for vote in self.votes), "compares with no winner")


@dataclass(frozen=True)
class WordedConclusion:
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
    """Return a conclusion for JSON; of one that was stored in words, only the title.

    The finalist to take is the champion, whatever its name is in what is stored.
    """
    if isinstance(conclusion, WordedConclusion):
        return {"kind": "stored in words", "title": conclusion.title}
    document: dict[str, Any] = _in_words_of_today(dataclasses.asdict(conclusion))
    return document


_STORED_AS: Final = {
    "recommended": "champion", "winners": "champions", "winner_ahead_by": "champion_ahead_by",
}  # fmt: skip
"""Names of members that are stored -> those that are shown."""
_NAMED: Final = {"winner": "champion", "winners": "champions"}
"""Roles, and names of ensembles, likewise."""


def shown_as(name: str) -> str:
    """Return a role or the name of an ensemble as it is shown: the finalist to take is champion."""
    return _NAMED.get(name, name)


def _in_words_of_today(value: Any) -> Any:
    if isinstance(value, Mapping):
        named = {"role", "ensemble", "voters"}
        return {
            _STORED_AS.get(key, key): shown_as(one) if key in named else _in_words_of_today(one)
            for key, one in value.items()
        }
    if isinstance(value, list | tuple):
        return [_in_words_of_today(one) for one in value]
    return value


@dataclass(frozen=True)
class ConfirmationRecord:
    """The conclusion of a confirmation.

    Attributes:
        confirmation: Id of its sweep.
        trained_in: Id of the sweep that trained the champion: the confirmation, or a refit.
        champion: The attempt whose model is the champion, `<trial>-<attempt>`.
        winner: Label of the finalist to take, such as `trial-17`.
        tellings: Conclusions in words, of files that an earlier version wrote; else empty.
        top: Number of best trials that were finalists; None in files from before this was kept.
        folds: Number of folds; None likewise.
        left_out: Labels of finalists that the user left out.
        conclusions: The conclusions, in numbers.
        fresh: Number of the drawing of folds.
    """

    confirmation: str
    trained_in: str
    champion: AttemptKey
    winner: Line
    tellings: Sequence[WordedConclusion] = ()
    top: Count | None = None
    folds: Count | None = None
    left_out: Sequence[Line] = ()
    conclusions: Sequence[Conclusion] = ()
    fresh: Count = 0

    @property
    def verdict(self) -> VerdictConclusion | None:
        """The verdict; None where it is in words."""
        return next((one for one in self.conclusions if isinstance(one, VerdictConclusion)), None)


_NEWEST, _FORMER, _BEFORE = (
    SideFile(name, ConfirmationRecord, _REMEDY, "conclusion")
    for name in ("confirmation.json", "finalized.json", "confirmation-before.json")
)
"""The confirmation in force, under its name of today and of format 1; the one that was before."""


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
    """The conclusions in the folder of one sweep."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def confirmed(self) -> ConfirmationRecord | None:
        """Return the newest confirmation's conclusion; None if there is none, or it was deleted.

        Raises:
            RecordError: Its file is damaged.
        """
        # Under its name of format 1 if only that is there.
        is_former = not (self._folder / _NEWEST.name).exists()
        return self._confirmation_in(_FORMER if is_former else _NEWEST)

    def before(self) -> ConfirmationRecord | None:
        """Return the conclusion that the newest one replaced; see `confirmed`."""
        return self._confirmation_in(_BEFORE)

    def _confirmation_in(self, file: SideFile[ConfirmationRecord]) -> ConfirmationRecord | None:
        found = file.read(self._folder)
        for name in (found.confirmation, found.trained_in) if found else ():
            if not SWEEP_ID.fullmatch(name):  # it may have come with an archive
                problem = f"{name!r} is no sweep's id"
                raise DamagedFileError(self._folder / file.name, problem, _REMEDY)
        if found is None or not (self._folder.parent / found.confirmation).is_dir():
            return None
        return found

    def keep(self, confirmed: ConfirmationRecord) -> None:
        """Keep the conclusion of a confirmation, in place of an earlier one.

        That of another confirmation is put aside, so that `restore` brings it back.

        Raises:
            StoreError: It cannot be written.
        """
        now = heard(self.confirmed)
        if now is not None and now.confirmation != confirmed.confirmation:
            _BEFORE.write(self._folder, now)
        _NEWEST.write(self._folder, confirmed)
        (self._folder / _FORMER.name).unlink(missing_ok=True)

    def restore(self) -> tuple[ConfirmationRecord | None, ConfirmationRecord] | None:
        """Exchange the newest conclusion and the one that it replaced.

        Returns:
            The conclusion that was in force, and the one that is now; None if none was replaced,
            or its confirmation was deleted.

        Raises:
            RecordError: A file is damaged.
            StoreError: One cannot be written.
        """
        before, now = self.before(), self.confirmed()
        if before is None:
            return None
        if now is None:
            _NEWEST.write(self._folder, before)
        else:
            self.keep(before)
        return now, before

    def keep_tested(
        self, evaluation: str, tested: Conclusion, votes: Conclusion | None = None
    ) -> None:
        """Keep the results of one test-set evaluation of the sweep.

        Args:
            evaluation: Its name, such as `1234abcd-1`; its earlier results are replaced.
            tested: The results.
            votes: Those of ensembles of the models that it scored.

        Raises:
            StoreError: It cannot be written.
        """
        self._keep_tested(_TESTED.replace("*", evaluation), tested)
        if votes is not None:
            self._keep_tested(_VOTED.replace("*", evaluation), votes)

    def all(self, report: Report = warn) -> list[Conclusion]:
        """Return all conclusions, those of the confirmation first.

        Args:
            report: Receives a line about each damaged file, which is left out.
        """
        confirmed = heard(self.confirmed, report)
        own = [*confirmed.tellings, *confirmed.conclusions] if confirmed else []
        return [*own, *(found for _, found in self._found(_TESTED, _VOTED, report=report))]

    def votes(self, report: Report = warn) -> dict[str, Conclusion]:
        """Return the conclusions about votes on the test set, by the evaluation's name."""
        found = self._found(_VOTED, report=report)
        return {Path(name).stem.partition("-")[2]: one for name, one in found}

    def readers(self) -> list[Callable[[], object]]:
        """Return one function per file that reads it, and raises if the file is damaged."""
        return [
            self.confirmed,
            self.before,
            *(partial(file.read, self._folder) for file in self._files(_TESTED, _VOTED)),
        ]

    def _found(self, *kinds: str, report: Report) -> Iterator[tuple[str, Conclusion]]:
        for file in self._files(*kinds):
            found = file.heard(self._folder, report)
            if found is not None:
                yield file.name, found

    def _files(self, *kinds: str) -> list[SideFile[Conclusion]]:
        """Return the files of evaluations, each before its votes: `tested-1a-1`, `voted-1a-1`."""
        names = [path.name for kind in kinds for path in listed(self._folder, kind)]
        return [_tested(n) for n in sorted(names, key=lambda name: (name.partition("-")[2], name))]

    def _keep_tested(self, name: str, conclusion: Conclusion) -> None:
        file = _tested(name)
        try:
            file.read(self._folder)
        except DamagedFileError as error:  # it is replaced below, so the old file is kept aside
            warn(f"{error}: kept as {put_aside(error.path)}")
        file.write(self._folder, conclusion)


def _tested(name: str) -> SideFile[Conclusion]:
    """Return the kind of file that has a conclusion of a test-set evaluation."""
    return SideFile(name, cast(Any, Conclusion), _TESTED_REMEDY, "conclusion")
