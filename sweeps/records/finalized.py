"""Keeps what finalising came to beside a sweep's records, in numbers, for all that show it.

Made from the records of other sweeps (its confirmations): the same command makes it again.
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

FILE: Final = "finalized.json"
FINALIST, BLOCK = "finalist", "block"
"""What the space of a confirmation varies: whom it trains, and on which fresh block."""
_TESTED: Final = "tested-*.json"
_VOTED: Final = "voted-*.json"
_REMEDY: Final = (
    "`sweeps doctor --fix` puts it aside; `sweeps finalize` with --top and --blocks as before then "
    "makes it again, and trains nothing twice"
)
_TESTED_REMEDY: Final = (
    "`sweeps doctor --fix` puts it aside; `sweeps finalize --test` makes it again from what was "
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
    """A finalist as fresh blocks judge it.

    Attributes:
        finalist: Its label.
        slot: Its trial in the search.
        accuracy: On fresh blocks.
        searched: On the images that scored the search; None where it has none.
        leader_ahead_by: The leader's accuracy minus its own; None of the leader.
        probability_leader_better: See `Standing.chance` in `sweeps.confirm.comparison`.
        verdict: What the interval of the difference says.
        blocks_needed: How many would settle it; None if it is settled, or no sensible number would.
    """

    finalist: Line
    slot: Count
    accuracy: Interval
    searched: float | None
    leader_ahead_by: Interval | None
    probability_leader_better: float | None
    verdict: Judgement
    blocks_needed: Count | None


@dataclass(frozen=True)
class VerdictConclusion:
    """Which finalist is the best.

    Attributes:
        sweep: Name of the sweep that is confirmed.
        trials: How many it had.
        confirmation: Name of the sweep that confirms it.
        blocks: How many count.
        blocks_asked: On how many it was to be confirmed.
        settled: Whether the leader is better than every other.
        recommended: Label of the finalist to take.
        standings: The leader first, then by accuracy.
        gain_over_control: The search's best minus the best of random trials; None without.
        others: Names of other confirmations of the same sweep.
        refit: Name of the sweep that trained the winner on all but the test part; None without.
        left_out: Labels of finalists that were not to take part.
    """

    kind: Literal["verdict"]
    sweep: Line
    trials: Count
    confirmation: Line
    blocks: Count
    blocks_asked: Count
    settled: bool
    recommended: Line
    standings: Sequence[ConfirmedStanding]
    gain_over_control: Interval | None
    others: Sequence[Line]
    refit: Line | None
    left_out: Sequence[Line]


@dataclass(frozen=True)
class LuckConclusion:
    """What the search's best owed to luck.

    Attributes:
        finalist: Its label.
        searched: Its score in the search.
        fresh: Its accuracy on fresh blocks.
        total: The first minus the second.
        parts: What that consists of: `seed`, `epoch` and `images`; empty if that is not known.
        why_no_parts: Why, with the way out; empty if they are known, or were not asked for.
    """

    kind: Literal["luck"]
    finalist: Line
    searched: float
    fresh: float
    total: Interval
    parts: Mapping[str, Interval]
    why_no_parts: str = ""


@dataclass(frozen=True)
class Measure:
    """One measure of how far probabilities are off: mean over blocks, with crossed error.

    Attributes:
        before: As the network says it.
        after: At its temperature.
        change: After minus before, image by image; negative is better.
        verdict: Whether the interval of the change is on one side of 0; with fewer than eight
            blocks that is not told.
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
    """The finalist with the best mean over blocks, which votes are compared with."""

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
        train_seconds: That training all members on a block took.
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
        winners: Those among them that finalising says to take.
        single: The single best.
        votes: Of each ensemble the soft one, then the hard one.
        blocks: On how many blocks.
    """

    kind: Literal["votes"]
    sweeps: Sequence[Line]
    winners: Sequence[Line]
    single: SingleBest
    votes: Sequence[VoteOnBlocks]
    blocks: Count


@dataclass(frozen=True)
class AtReading:
    """Which reading of a test part it was.

    Attributes:
        number: From 1.
        of: How many there are by now.
        digest: Of the test part.
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
    """A finalist on the test part: mean over its trainings."""

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
    """What a reading of the test part came to for one sweep.

    Attributes:
        reading: Which.
        trainings: Of each finalist.
        images: Of the test part.
        finalists: The winner first.
        files: The champion's against the baseline's; None without a baseline.
        refit_accuracy: Of the winner as trained on everything else; None if it was not.
    """

    kind: Literal["test"]
    reading: AtReading
    trainings: Count
    images: Count
    finalists: Sequence[TestedFinalist]
    files: FilesCompared | None
    refit_accuracy: float | None


@dataclass(frozen=True)
class TestedWinner:
    """The winner of a sweep on the test part: mean over its trainings."""

    sweep: Line
    finalist: Line
    trainings: Count
    accuracy: Interval


@dataclass(frozen=True)
class VoteOnTest:
    """What a vote came to on the test part.

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
    """What votes came to in a reading of the test part.

    Attributes:
        reading: Which.
        was_asked: Whether votes were among its questions.
        winners: One a sweep.
        best: Name of the sweep whose winner did best.
        votes: By who votes, the soft one first; last, the widest.
    """

    kind: Literal["test votes"]
    reading: AtReading
    was_asked: bool
    winners: Sequence[TestedWinner]
    best: Line
    votes: Sequence[VoteOnTest]


@dataclass(frozen=True)
class Telling:
    """A conclusion as versions stored it that kept the words and not the numbers.

    Attributes:
        anchor: Its address on a page.
        title: Its heading.
        lead: The most important sentence.
        columns: Of its table.
        rows: Cells as they are shown.
        lines: What else there is to say.
        note: How it was made.
    """

    anchor: Line
    title: Line
    lead: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    lines: Sequence[str] = ()
    note: str = ""


Conclusion = (
    Telling | VerdictConclusion | LuckConclusion | CalibrationConclusion | VotesConclusion
    | TestConclusion | TestVotesConclusion
)  # fmt: skip


def document_of(conclusion: Conclusion) -> dict[str, Any]:
    """Return a conclusion for JSON, numbers only: of one that was stored in words, its title."""
    if isinstance(conclusion, Telling):
        return {"kind": "stored in words", "title": conclusion.title}
    return dataclasses.asdict(conclusion)


@dataclass(frozen=True)
class Finalized:
    """What a confirmation came to.

    Attributes:
        confirmation: Id of its sweep.
        trained_in: Id of the sweep with the champion's training: the same, or that of a refit.
        champion: The training whose model is the champion, `<slot>-<attempt>`.
        winner: Whom it found the one to take, such as `trial-17`.
        tellings: What it says, where an earlier version stored it; else empty.
        top: How many of the best were finalists; None where that was not kept yet.
        blocks: On how many blocks; None likewise.
        left_out: Labels of those of the best that were not to take part.
        conclusions: What it says.
    """

    confirmation: str
    trained_in: str
    champion: AttemptKey
    winner: Line
    tellings: Sequence[Telling] = ()
    top: Count | None = None
    blocks: Count | None = None
    left_out: Sequence[Line] = ()
    conclusions: Sequence[Conclusion] = ()


def confirmed_by(directory: str | Path | None) -> str | None:
    """Return the id of the sweep that another one confirms, by the folder of that one's space.

    None if it is a search.
    """
    found = _CONFIRMATION.search(Path(directory or "").as_posix())
    return found[1] if found else None


def without_place(directory: str | None) -> str | None:
    """Return what a sweep's folder says without naming a place of the machine it was recorded on.

    None of a search; of a confirmation which sweep it confirms.
    """
    found = _CONFIRMATION.search(Path(directory or "").as_posix())
    return found[0] if found else None


def is_finalist(info: SweepInfo, record: Record) -> bool:
    """Whether an attempt is a finalist's training on block 0: the champion is one of these."""
    if confirmed_by(info.directory) is None or record.outcome != "complete":
        return False
    return FINALIST in record.params and record.params.get(BLOCK) == 0


class Conclusions:
    """The conclusions in the folder of one sweep."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def finalized(self) -> Finalized | None:
        """Return what the newest confirmation came to; None without one, or if that was deleted.

        Raises:
            RecordError: That is damaged.
        """
        found = read_document(self._folder / FILE, partial(shaped, Finalized), _REMEDY)
        for name in (found.confirmation, found.trained_in) if found else ():
            if not SWEEP_ID.fullmatch(name):  # it may have come with an archive
                problem = f"{name!r} is no sweep's id"
                raise DamagedFileError(self._folder / FILE, problem, _REMEDY)
        if found is None or not (self._folder.parent / found.confirmation).is_dir():
            return None
        return found

    def keep(self, finalized: Finalized) -> None:
        """Keep what a confirmation came to, in place of an earlier one's.

        Raises:
            StoreError: It cannot be written.
        """
        self._write(FILE, dataclasses.asdict(finalized))

    def keep_tested(
        self, reading: str, tested: Conclusion, votes: Conclusion | None = None
    ) -> None:
        """Keep what one reading of a test part came to for the sweep.

        Args:
            reading: Its name, such as `1234abcd-1`: the same one is written over.
            tested: What it came to.
            votes: What votes of the models it scored came to.

        Raises:
            StoreError: It cannot be written.
        """
        self._keep_tested(_TESTED.replace("*", reading), tested)
        if votes is not None:
            self._keep_tested(_VOTED.replace("*", reading), votes)

    def all(self, report: Report = warn) -> list[Conclusion]:
        """Return every conclusion, those of the confirmation first.

        Args:
            report: Told of each damaged file, which is left out.
        """
        finalized = heard(self.finalized, report)
        own = [*finalized.tellings, *finalized.conclusions] if finalized else []
        return [*own, *(found for _, found in self._found(_TESTED, _VOTED, report=report))]

    def votes(self, report: Report = warn) -> dict[str, Conclusion]:
        """Return what votes came to in readings of the test part, by the reading's name."""
        return {
            path.stem.partition("-")[2]: one for path, one in self._found(_VOTED, report=report)
        }

    def readers(self) -> list[Callable[[], object]]:
        """Return what reads each of the files; one that is damaged is an error of its reader."""
        return [self.finalized, *(partial(_read, path) for path in self._paths(_TESTED, _VOTED))]

    def _found(self, *kinds: str, report: Report) -> Iterator[tuple[Path, Conclusion]]:
        for path in self._paths(*kinds):
            found = heard(partial(_read, path), report)
            if found is not None:
                yield path, found

    def _paths(self, *kinds: str) -> list[Path]:
        """Return the files of readings, each before its votes: `tested-1a-1`, `voted-1a-1`."""
        paths = [path for kind in kinds for path in listed(self._folder, kind)]
        return sorted(paths, key=lambda path: (path.name.partition("-")[2], path.name))

    def _keep_tested(self, name: str, conclusion: Conclusion) -> None:
        try:
            _read(self._folder / name)
        except DamagedFileError as error:  # it is made again; nothing is written over unseen
            warn(f"{error}: kept as {put_aside(error.path)}")
        self._write(name, dataclasses.asdict(conclusion))

    def _write(self, name: str, document: Mapping[str, Any]) -> None:
        content = json_bytes(document, indent=1)
        write_atomically(self._folder / name, content, "conclusion")


def _read(path: Path) -> Conclusion | None:
    return read_document(path, partial(shaped, cast(Any, Conclusion)), _TESTED_REMEDY)
