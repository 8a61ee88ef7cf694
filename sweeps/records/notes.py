"""Small files beside the records.

They are notes, the time of all starts, the ending of the last, the source of an imported sweep,
trials that were run elsewhere and teach the sampler, and points that were good on other data.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Final, Literal

from search_spaces.errors import listing
from search_spaces.parameters import Value
from sweeps.errors import StoreError
from sweeps.records.record import Record
from sweeps.records.schema import (
    Count,
    Digest,
    Line,
    Moment,
    Only,
    SideFile,
    json_bytes,
)
from sweeps.wording import counted
from sweeps.workspace.clock import Stopwatch
from sweeps.workspace.locks import exclusive
from sweeps.workspace.names import check_text

SweepStatus = Literal["FINISHED", "KILLED", "FAILED"]


@dataclass(frozen=True)
class Ending:
    """The ending of the last start of a sweep.

    It and the records are all that the parent run in MLflow is made from.

    Attributes:
        status: FINISHED, KILLED by a signal (or found dead), or FAILED.
        stopped_by: The reason why it ended before its total; None if it did not.
        seconds: Wall time of that start.
        time_split: How that time was spent, see `sweeps.analysis.summary.Summary`.
        error: The exception that ended it, if one did.
        failure_cause: The cause of the failed trials, if too many in a row ended it.
    """

    status: SweepStatus
    stopped_by: Line | None
    seconds: float = 0.0
    time_split: Mapping[Line, float] = field(default_factory=dict)
    error: str | None = None
    failure_cause: str | None = None

    def ended_alike(self, other: Ending) -> bool:
        """Whether another start ended the same way, whatever time it took."""
        return replace(self, seconds=other.seconds, time_split=other.time_split) == other


_STARTS_REMEDY: Final = "the next `sweeps run`, or `sweeps doctor --fix`, puts it aside"
_Above = Annotated[float, Only(lambda number: 0 < number < math.inf, "a number above 0")]
_Duration = Annotated[float, Only(lambda number: 0 <= number < math.inf, "a duration in seconds")]


@dataclass(frozen=True)
class Start:
    """One command that worked on a sweep: a start of its trials, or a confirmation.

    Attributes:
        began_at: Milliseconds since the epoch (UTC).
        seconds: Its duration; None while it runs, and if it was killed.
        price: Of earlier versions; it is not read.
        command: The `sweeps run` that it was, without number of trials and home; None of others.
        folder: The folder in which it was typed.
    """

    began_at: Moment
    seconds: _Duration | None = None
    price: _Above | None = None
    command: str | None = None
    folder: str | None = None


class Starts:
    """All starts of one sweep, in its folder."""

    FILE: Final = SideFile("starts.json", tuple[Start, ...], _STARTS_REMEDY, "starts")

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def all(self) -> tuple[Start, ...]:
        """Return every start in order; none of a sweep that earlier versions ran.

        A damaged file is reported, and has none either.
        """
        return self.FILE.heard(self._folder) or ()

    def command(self) -> tuple[str, str] | None:
        """Return the last `sweeps run`, and its folder; None if there was none."""
        known = ((one.command, one.folder) for one in reversed(self.all()))
        return next(((line, where) for line, where in known if line and where), None)

    @contextmanager
    def counted(self, watch: Stopwatch, command: str | None = None) -> Iterator[None]:
        """Count the time from the beginning of a watch to the end of the block.

        Args:
            watch: Began with the command.
            command: See `Start`.

        Raises:
            StoreError: The beginning cannot be written.
        """
        folder = None if command is None else str(Path.cwd())
        begun = Start(watch.started_at, command=command, folder=folder)
        earlier = self.all()
        self._write(*earlier, begun)
        try:
            yield
        finally:
            with contextlib.suppress(StoreError):  # its records say how long it took, roughly
                self._write(*earlier, replace(begun, seconds=watch.seconds))

    def _write(self, *starts: Start) -> None:
        self.FILE.write(self._folder, starts)


def seconds_used(starts: Sequence[Start], records: Sequence[Record]) -> float:
    """Return the time of all starts, in seconds.

    One that was killed counts up to the last attempt that it recorded. What earlier versions
    recorded, which noted no starts, counts by the time in which any attempt ran.

    Args:
        starts: All starts, in order.
        records: All attempts of the sweep and its confirmations.
    """
    ends = [*(start.began_at for start in starts[1:]), math.inf]
    used = 0.0
    for start, until in zip(starts, ends, strict=False):
        within = (r.finished_at for r in records if start.began_at <= r.finished_at < until)
        known = (max(within, default=start.began_at) - start.began_at) / 1000
        used += known if start.seconds is None else start.seconds
    first = min((start.began_at for start in starts), default=math.inf)
    covered = 0.0
    for record in sorted(records, key=lambda record: record.started_at):
        if record.finished_at < first:
            used += max(0.0, record.finished_at - max(record.started_at, covered)) / 1000
            covered = max(covered, record.finished_at)
    return used


@dataclass(frozen=True)
class Foreign:
    """The source of a sweep that somebody else recorded and that was imported here.

    Attributes:
        file: Name of the archive that it came in.
        archive: SHA-256 (hex) of that archive; trust holds for this archive only.
        trusted: Whether the user has said that its experiment may be run.
        folder: The user's folder with the code of its experiment; None if it is installed.
    """

    file: str
    archive: Digest
    trusted: bool = False
    folder: str | None = None


# A sweep that was imported before sources were noted counts as made here.
FOREIGN: Final = SideFile("foreign.json", Foreign, "delete the sweep and import it again")


@dataclass(frozen=True)
class ImportedTrial:
    """A trial that was run elsewhere; no attempt, record or run belongs to it.

    Attributes:
        source: Its place there: `line 7`, `trial 12`, `run 3fa0`.
        params: Every parameter that is active at its point.
        values: The value of each objective, in their order.
    """

    source: Line
    params: Mapping[Line, Value]
    values: tuple[float, ...]


@dataclass(frozen=True)
class Imported:
    """The trials that were imported into a sweep.

    Attributes:
        source: The file, the study or the experiment that they came from.
        imported_at: Milliseconds since the epoch (UTC).
        trials: The trials, in their order there.
    """

    source: Line
    imported_at: Moment
    trials: tuple[ImportedTrial, ...]


IMPORTED: Final = SideFile(
    "imported.json", Imported, "bring it back, or begin another sweep: `sweeps import` with --name"
)
_SHOWN: Final = 3
"""Reasons that are shown; all are kept."""


@dataclass(frozen=True)
class LearnedSource:
    """What points were learned from.

    Attributes:
        name: Name of a sweep or of a data set.
        data: SHA-256 (hex) of its data, as a sweep has it; None if it is not known.
        trials: Number of trials there; 0 if it is not known.
    """

    name: Line
    data: Digest | None = None
    trials: Count = 0


@dataclass(frozen=True)
class LearnedPoint:
    """A point that was good on other data.

    Attributes:
        params: Every parameter that is active at the point.
        source: Its place there, such as `mlp-letters trial 12`.
    """

    params: Mapping[Line, Value]
    source: Line = "elsewhere"


@dataclass(frozen=True)
class Learned:
    """The points that a sweep tries first, because they were good on other data.

    It is the content of a portfolio file as well.

    Attributes:
        points: The points, in the order in which they are tried.
        learned_from: What they were learned from.
        asked: What the user asked to learn from; empty in a portfolio file.
        left_out: A line for each source or point that was not used, with the reason.
    """

    points: tuple[LearnedPoint, ...]
    learned_from: tuple[LearnedSource, ...] = ()
    asked: Line = ""
    left_out: tuple[Line, ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the points in their order: all that decides trials."""
        points = [sorted(point.params.items()) for point in self.points]
        return hashlib.sha256(json_bytes(points)).hexdigest()


LEARNED: Final = SideFile(
    "learned.json", Learned, "bring it back, or begin another sweep with --name"
)


def describe_learned(learned: Learned) -> str:
    """Return a line: how many points are tried first, what they were learned from, and not."""
    left_out = f"; left out: {'; '.join(learned.left_out[:_SHOWN])}" if learned.left_out else ""
    more = len(learned.left_out) - _SHOWN
    left_out += f"; and {more} more" if more > 0 else ""
    if not learned.points:
        return f"no point, as no sweep here has such trials on other data{left_out}"
    counts = [f"{s.name} ({counted(s.trials, 'trial')})" for s in learned.learned_from if s.trials]
    sources = counts or [one.name for one in learned.learned_from]
    whose = {"home": "this home", "shipped": "the shipped portfolio"}.get(
        learned.asked, learned.asked
    )
    them = "is" if len(learned.points) == 1 else "are"
    from_them = f", learned from {listing(sources, limit=6)}" if sources else ""
    return (
        f"{counted(len(learned.points), 'point')} of {whose} {them} tried first{from_them}"
        f"{left_out}"
    )


_NOTES: Final = SideFile(
    "notes.json",
    dict[Line, str],
    "mend it by hand, or have `sweeps doctor --fix` put it aside",
    "notes",
)
SWEEP: Final = "sweep"
"""Key of the sweep's own note; the key of a trial's note is its number."""


class Notes:
    """The notes in the folder of one sweep."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def all(self) -> dict[str, str]:
        """Return every note, by `SWEEP` or the number of the trial; a removed note is empty.

        A note that came with a shared sweep may have half characters, which become `?`.

        Raises:
            RecordError: They are damaged.
        """
        found = _NOTES.read(self._folder) or {}
        return {key: text.encode("utf-8", "replace").decode() for key, text in found.items()}

    def write(self, subject: str, text: str) -> None:
        """Write the note of a subject; an empty text removes it, also where it is shown.

        Args:
            subject: `SWEEP` or the number of a trial.
            text: The note; it replaces an earlier one.

        Raises:
            UsageError: The text is not UTF-8.
            RecordError: The notes are damaged; they are left as they are.
            StoreError: It cannot be written.
        """
        check_text("note", text)
        with exclusive(self._folder):
            _NOTES.write(self._folder, self.all() | {subject: text})
