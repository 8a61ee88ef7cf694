"""Keeps the conclusions about a sweep beside its records, in numbers, for all that show them.

They are made from the records of other sweeps (its confirmations), so the same command makes them
again.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
    heard,
    json_bytes,
    listed,
    put_aside,
    read_document,
    shaped,
    warn,
)
from sweeps.workspace.files import write_atomically

FILE: Final = "confirmation.json"
_FORMER_FILE: Final = "finalized.json"
FINALIST, BLOCK = "finalist", "block"
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


# Conclusions are numbers; `render` puts them in words where they are shown.

Judgement = Literal["leads", "better", "worse", "equivalent", "cannot tell yet"]
Change = Literal["lower", "higher", "cannot tell"]
VoteKind = Literal["soft", "hard"]


@dataclass(frozen=True)
class ConfirmedStanding:
    """A finalist as fresh folds judge it.

    Attributes:
        finalist: Its label.
        trial: Its trial in the search.
        accuracy: On fresh folds.
        searched: On the images that scored the search; None where it has none.
        leader_ahead_by: The leader's accuracy minus its own; None of the leader.
        probability_leader_better: See `Standing.chance` in `sweeps.confirm.comparison`.
        verdict: What the interval of the difference says.
        blocks_needed: How many would settle it; None if it is settled, or no sensible number would.
    """

    finalist: Line
    trial: Count
    accuracy: Interval
    searched: float | None
    leader_ahead_by: Interval | None
    probability_leader_better: float | None
    verdict: Judgement
    folds_needed: Count | None


@dataclass(frozen=True)
class VerdictConclusion:
    """Which finalist is the best.

    Attributes:
        sweep: Name of the sweep that is confirmed.
        trials: How many it had.
        confirmation: Name of the sweep that confirms it.
        folds: How many count.
        blocks_asked: On how many it was to be confirmed.
        settled: Whether the leader is better than every other.
        recommended: Label of the finalist to take.
        standings: The leader first, then by accuracy.
        gain_over_control: The search's best minus the best of random trials; None without.
        others: Names of other confirmations of the same sweep.
        refit: Name of the sweep that trained the winner on all but the test set; None without.
        left_out: Labels of finalists that were not to take part.
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


@dataclass(frozen=True)
class SelectionBiasConclusion:
    """What the search's best owed to selection bias.

    Attributes:
        finalist: Its label.
        searched: Its score in the search.
        fresh: Its accuracy on fresh folds.
        total: The first minus the second.
        parts: What that consists of: `seed`, `epoch` and `images`; empty if that is not known.
        why_no_parts: Why, with the way out; empty if they are known, or were not asked for.
    """

    kind: Literal["selection_bias"]
    finalist: Line
    searched: float
    fresh: float
    total: Interval
    parts: Mapping[str, Interval]
    why_no_parts: str = ""


@dataclass(frozen=True)
class Measure:
    """One measure of how far probabilities are off: mean over folds, with crossed error.

    Attributes:
        before: As the network says it.
        after: At its temperature.
        change: After minus before, image by image; negative is better.
        verdict: Whether the interval of the change is on one side of 0; with fewer than eight
            folds that is not told.
    """

    before: Interval
    after: Interval
    change: Interval
    verdict: Change


@dataclass(frozen=True)
class Calibration:
    """What temperatures do to one finalist.

    Attributes:
        temperature: Geometric mean over its trainings: each fitted its own.
        lowest: The smallest of them.
        highest: The largest of them.
        measures: By name.
    """

    temperature: float
    lowest: float
    highest: float
    measures: Mapping[str, Measure]


@dataclass(frozen=True)
class CalibrationConclusion:
    """Whether temperatures help: of each finalist by its label, the leader first."""

    kind: Literal["calibration"]
    recommended: Line
    finalists: Mapping[str, Calibration]


@dataclass(frozen=True)
class SingleBest:
    """The finalist with the best mean over folds, which votes are compared with."""

    finalist: Line
    accuracy: Interval
    parameters: float
    train_seconds: float


@dataclass(frozen=True)
class VoteOnBlocks:
    """What an ensemble's vote came to.

    Attributes:
        ensemble: Its name, such as `top 3`.
        members: Labels of those who vote.
        announced: Whether it is what the verdict is about, whatever it scores.
        vote: How they vote.
        accuracy: Of the vote.
        ahead_by: That minus the single best's; the interval holds for all differences at once.
        verdict: What that says.
        parameters: Number of weights of all members.
        train_seconds: That training all members on a fold took.
    """

    ensemble: Line
    members: Sequence[Line]
    announced: bool
    vote: VoteKind
    accuracy: Interval
    ahead_by: Interval
    verdict: Judgement
    parameters: float
    train_seconds: float


@dataclass(frozen=True)
class VotesConclusion:
    """Whether an ensemble pays.

    Attributes:
        sweeps: Names of the sweeps whose finalists vote.
        winners: Those among them that confirming says to take.
        single: The single best.
        votes: Of each ensemble the soft one, then the hard one.
        folds: On how many folds.
    """

    kind: Literal["votes"]
    sweeps: Sequence[Line]
    winners: Sequence[Line]
    single: SingleBest
    votes: Sequence[VoteOnBlocks]
    folds: Count


@dataclass(frozen=True)
class AtEvaluation:
    """Which evaluation of a test set it was.

    Attributes:
        number: From 1.
        of: How many there are by now.
        digest: Of the test set.
        day: When its list was frozen.
        reason: Why it was read again; empty the first time.
    """

    number: Count
    of: Count
    digest: Digest
    day: Line
    reason: str


@dataclass(frozen=True)
class TestedFinalist:
    """A finalist on the test set: mean over its trainings."""

    role: Line
    finalist: Line
    accuracy: Interval
    winner_ahead_by: Interval | None


@dataclass(frozen=True)
class FilesCompared:
    """The champion's file against the baseline's, by the exact test of McNemar (1947).

    Attributes:
        baseline: Label of the baseline.
        only_champion: Images that only the champion got right.
        only_baseline: Those that only the baseline got right.
        p_value: Of the test.
    """

    baseline: Line
    only_champion: Count
    only_baseline: Count
    p_value: float


@dataclass(frozen=True)
class TestConclusion:
    """What an evaluation of the test set came to for one sweep.

    Attributes:
        evaluation: Which.
        trainings: Of each finalist.
        images: Of the test set.
        finalists: The winner first.
        files: The champion's against the baseline's; None without a baseline.
        refit_accuracy: Of the winner as trained on everything else; None if it was not.
    """

    kind: Literal["test"]
    evaluation: AtEvaluation
    trainings: Count
    images: Count
    finalists: Sequence[TestedFinalist]
    files: FilesCompared | None
    refit_accuracy: float | None


@dataclass(frozen=True)
class TestedWinner:
    """The winner of a sweep on the test set: mean over its trainings."""

    sweep: Line
    finalist: Line
    trainings: Count
    accuracy: Interval


@dataclass(frozen=True)
class VoteOnTest:
    """What a vote came to on the test set.

    Attributes:
        voters: Name of the sweep whose trainings vote; or `winners` (one of each sweep), `all`.
        vote: How.
        members: How many.
        accuracy: Of the vote.
        ahead_by: That minus what `of` has; the interval holds for all differences at once.
        of: Name of the sweep whose winner it is compared with.
        verdict: What that says.
    """

    voters: Line
    vote: VoteKind
    members: Count
    accuracy: Interval
    ahead_by: Interval
    of: Line
    verdict: Judgement


@dataclass(frozen=True)
class TestVotesConclusion:
    """What votes came to in an evaluation of the test set.

    Attributes:
        evaluation: Which.
        was_asked: Whether votes were among its questions.
        winners: One a sweep.
        best: Name of the sweep whose winner did best.
        votes: By who votes, the soft one first; last, the widest.
    """

    kind: Literal["test votes"]
    evaluation: AtEvaluation
    was_asked: bool
    winners: Sequence[TestedWinner]
    best: Line
    votes: Sequence[VoteOnTest]


@dataclass(frozen=True)
class Telling:
    """A conclusion in the words of an earlier version, which kept no numbers.

    Attributes:
        anchor: Its address on a page.
        title: Its heading.
        lead: The most important sentence.
        columns: Headings of its table.
        rows: Cells of the table, as they are shown.
        lines: Further sentences.
        note: The method by which it was found.
    """

    anchor: Line
    title: Line
    lead: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    lines: Sequence[str] = ()
    note: str = ""


Conclusion = (
    Telling | VerdictConclusion | SelectionBiasConclusion | CalibrationConclusion | VotesConclusion
    | TestConclusion | TestVotesConclusion
)  # fmt: skip


def document_of(conclusion: Conclusion) -> dict[str, Any]:
    """Return a conclusion for JSON, numbers only: of one that was stored in words, its title."""
    if isinstance(conclusion, Telling):
        return {"kind": "stored in words", "title": conclusion.title}
    return dataclasses.asdict(conclusion)


@dataclass(frozen=True)
class ConfirmationRecord:
    """The conclusion of a confirmation.

    Attributes:
        confirmation: Id of its sweep.
        trained_in: Id of the sweep that trained the champion: the confirmation, or a refit.
        champion: The attempt whose model is the champion, `<trial>-<attempt>`.
        winner: Label of the finalist to take, such as `trial-17`.
        tellings: Conclusions in words, of files that an earlier version wrote; else empty.
        top: How many of the best trials were finalists; None in files from before this was kept.
        folds: Number of folds; None likewise.
        left_out: Labels of finalists that the user left out.
        conclusions: The conclusions, in numbers.
    """

    confirmation: str
    trained_in: str
    champion: AttemptKey
    winner: Line
    tellings: Sequence[Telling] = ()
    top: Count | None = None
    folds: Count | None = None
    left_out: Sequence[Line] = ()
    conclusions: Sequence[Conclusion] = ()


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
    """Whether an attempt is a finalist's training on fold 0: the champion is one of these."""
    if confirmed_by(info.directory) is None or record.outcome != "complete":
        return False
    return FINALIST in record.params and record.params.get(BLOCK) == 0


class Conclusions:
    """The conclusions in the folder of one sweep."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def confirmed(self) -> ConfirmationRecord | None:
        """Return the newest confirmation's conclusion; None if there is none, or it was deleted.

        Raises:
            RecordError: Its file is damaged.
        """
        path = self._confirmation_file()
        found = read_document(path, partial(shaped, ConfirmationRecord), _REMEDY)
        for name in (found.confirmation, found.trained_in) if found else ():
            if not SWEEP_ID.fullmatch(name):  # it may have come with an archive
                problem = f"{name!r} is no sweep's id"
                raise DamagedFileError(path, problem, _REMEDY)
        if found is None or not (self._folder.parent / found.confirmation).is_dir():
            return None
        return found

    def keep(self, confirmed: ConfirmationRecord) -> None:
        """Keep the conclusion of a confirmation, in place of an earlier one.

        Raises:
            StoreError: It cannot be written.
        """
        self._write(FILE, dataclasses.asdict(confirmed))
        (self._folder / _FORMER_FILE).unlink(missing_ok=True)

    def _confirmation_file(self) -> Path:
        """Return the file of the conclusion, under its name of format 1 if only that is there."""
        path = self._folder / FILE
        return path if path.exists() else self._folder / _FORMER_FILE

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
        """Return what votes came to in evaluations of the test set, by the evaluation's name."""
        return {
            path.stem.partition("-")[2]: one for path, one in self._found(_VOTED, report=report)
        }

    def readers(self) -> list[Callable[[], object]]:
        """Return one function per file that reads it, and raises if the file is damaged."""
        return [self.confirmed, *(partial(_read, path) for path in self._paths(_TESTED, _VOTED))]

    def _found(self, *kinds: str, report: Report) -> Iterator[tuple[Path, Conclusion]]:
        for path in self._paths(*kinds):
            found = heard(partial(_read, path), report)
            if found is not None:
                yield path, found

    def _paths(self, *kinds: str) -> list[Path]:
        """Return the files of evaluations, each before its votes: `tested-1a-1`, `voted-1a-1`."""
        paths = [path for kind in kinds for path in listed(self._folder, kind)]
        return sorted(paths, key=lambda path: (path.name.partition("-")[2], path.name))

    def _keep_tested(self, name: str, conclusion: Conclusion) -> None:
        try:
            _read(self._folder / name)
        except DamagedFileError as error:  # it is replaced below, so the old file is kept aside
            warn(f"{error}: kept as {put_aside(error.path)}")
        self._write(name, dataclasses.asdict(conclusion))

    def _write(self, name: str, document: Mapping[str, Any]) -> None:
        content = json_bytes(document, indent=1)
        write_atomically(self._folder / name, content, "conclusion")


def _read(path: Path) -> Conclusion | None:
    return read_document(path, partial(shaped, cast(Any, Conclusion)), _TESTED_REMEDY)
