"""What a user asks of a sweep: points to be tried, and failed trials to be run again.

Each enqueued point has one file, which is written whole and never changed. A second file names the
trial that tries the point; it is written before the trial exists. So points can be enqueued while
the sweep runs, no two processes take the same number, and a sweep that lost its journal gives
each point the trial that it had.
"""

from __future__ import annotations

import itertools
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Final

from search_spaces.parameters import Value
from sweeps.errors import UsageError
from sweeps.records.record import Record
from sweeps.records.schema import (
    AttemptKey,
    Count,
    Line,
    listed,
    read_document,
    read_numbered,
    shaped,
)
from sweeps.workspace.files import sync_folder, write_atomically

_FILE: Final = "enqueued-{:04d}.{}"
_FORMER: Final = {"json": "hunch-{:04d}.json", "trial": "hunch-{:04d}.slot"}
"""Names of the two files of a point in format 1; files under these names keep them."""
_NUMBER: Final = re.compile(r"(?:enqueued|hunch)-([0-9]{4,})\.(json|trial|slot)(.*)")
_REMEDY: Final = "`sweeps doctor --fix` writes it anew from its trial, or puts it aside"


Enqueued = tuple[Mapping[str, Value], str]  # parameters and origin of the trial of a point


@dataclass(frozen=True)
class EnqueuedPoint:
    """A point to be tried.

    Attributes:
        number: From 1, in the order of asking.
        params: Every parameter active at the point.
        origin: Where it came from: `enqueued`, `enqueued, <sweep> trial <n>`, or as `Longer` has
            it.
        trial: The trial that tries it; None while it waits.
    """

    number: int
    params: Mapping[str, Value]
    origin: str
    trial: int | None = None


EPOCHS: Final = "epochs"
"""Parameter of an experiment: the most epochs that it trains."""
_LONGER: Final = re.compile(r"enqueued, trial ([0-9]{1,9}) with ([0-9]{1,9}) epochs")


@dataclass(frozen=True)
class Longer:
    """What makes a trial an earlier one of its sweep with more epochs.

    It has that trial's parameters and seed, so that its first epochs are those of that trial.

    Attributes:
        trial: Number of the earlier trial, which is not a longer one itself.
        epochs: The most epochs to be trained.
    """

    trial: int
    epochs: int

    @property
    def origin(self) -> str:
        """The origin of such a proposal, in which it is stored."""
        return f"enqueued, trial {self.trial} with {self.epochs} epochs"

    @classmethod
    def of(cls, origin: str) -> Longer | None:
        """Return what an origin says; None for that of any other proposal."""
        found = _LONGER.fullmatch(origin)
        return None if found is None else cls(int(found[1]), int(found[2]))

    def configuration(self, config: Mapping[str, Value]) -> dict[str, Value]:
        """Return what the experiment receives, for the configuration of the earlier trial."""
        return {**config, EPOCHS: self.epochs}


@dataclass(frozen=True)
class _Point:
    """The content of the file of an enqueued point."""

    params: Mapping[Line, Value]
    origin: Line


class EnqueuedPoints:
    """The enqueued points of one sweep, in its folder."""

    def __init__(
        self, folder: Path, fits: Callable[[Mapping[str, Value]], bool] = lambda params: True
    ) -> None:
        """Remember folder and space.

        Args:
            folder: The folder of the sweep.
            fits: Whether a point lies in the sweep's space. A point that does not, because the
                sweep was extended meanwhile, waits until it does.
        """
        self._folder, self._fits = folder, fits
        self._found: list[int] | None = None  # numbers of points that were seen
        self._highest = 0

    def add(self, params: Mapping[str, Value], origin: str) -> EnqueuedPoint:
        """Enqueue a point; it is on disk when this returns.

        Its number is greater than any in use, those of points whose file was lost or put aside
        included.
        """
        new = self._folder / f".enqueued.{os.getpid()}.tmp"
        try:
            with new.open("w", encoding="utf-8") as file:
                json.dump({"params": dict(params), "origin": origin}, file)
                file.flush()
                os.fsync(file.fileno())
            free = itertools.count(max(self._numbers("*"), default=0) + 1)
            number = next(n for n in free if self._takes(n, new))
            sync_folder(self._folder)
        finally:
            new.unlink(missing_ok=True)
        return EnqueuedPoint(number, params, origin)

    def all(self) -> list[EnqueuedPoint]:
        """Return every enqueued point in order.

        Raises:
            RecordError: One of them is damaged.
        """
        found = (self._read(number) for number in self._looked_up())
        return [point for point in found if point is not None]

    def readers(self) -> list[Callable[[], object]]:
        """Return one function per file that reads it, and raises if the file is damaged."""
        trials = [partial(self._trial, number) for number in self._numbers("trial")]
        return [*(partial(self._point, number) for number in self._numbers("json")), *trials]

    def write_anew(self, path: Path, tried: Mapping[int, Enqueued]) -> bool:
        """Write anew a file that was put aside, if the trial of its point is known.

        Args:
            path: The file, of a point or of its trial.
            tried: Parameters and origin of the trials that tried an enqueued point, by trial
                number.

        Returns:
            Whether the trial is known. If not, a lost point has to be enqueued again, and a point
            that lost its trial waits.
        """
        match = _NUMBER.fullmatch(path.name)
        if match is None:
            return False
        number = int(match[1])
        content = self._point_of(number, tried) if match[2] == "json" else self._turn(number, tried)
        if content is not None:
            write_atomically(path, content.encode(), "enqueued")
        return content is not None

    def _point_of(self, number: int, tried: Mapping[int, Enqueued]) -> str | None:
        trial = self._trial(number)
        if trial is None or trial not in tried:
            return None
        params, origin = tried[trial]
        return json.dumps({"params": dict(params), "origin": origin})

    def _turn(self, number: int, tried: Mapping[int, Enqueued]) -> str | None:
        point = self._point(number)
        if point is None:
            return None
        taken = {self._trial(other) for other in self._numbers("trial")}
        same = (n for n, made in tried.items() if made == (point.params, point.origin))
        trial = next((n for n in same if n not in taken), None)
        return None if trial is None else f"{trial}\n"

    def total(self, asked: int, opened: int = 0) -> int:
        """Return how many trials the sweep is to have in all.

        Args:
            asked: How many were asked for. The total is higher if that leaves too few trials for
                the enqueued points.
            opened: How many trials there are already.
        """
        points = self.all()
        taken = max((point.trial + 1 for point in points if point.trial is not None), default=0)
        return max(asked, taken, opened + sum(self._waits(point) for point in points))

    def for_trial(self, trial: int) -> EnqueuedPoint | None:
        """Return the enqueued point that a trial tries; None if there is none.

        A trial without a point takes the first that waits.
        """
        points = self.all()
        own = next((point for point in points if point.trial == trial), None)
        waiting = next((point for point in points if self._waits(point)), None)
        if own is None and waiting is not None:
            path = self._path(waiting.number, "trial")
            write_atomically(path, f"{trial}\n".encode(), "enqueued")
        return own or waiting

    def _waits(self, point: EnqueuedPoint) -> bool:
        return point.trial is None and self._fits(point.params)

    def _takes(self, number: int, new: Path) -> bool:
        """Link a file under a number; return whether the number was free."""
        try:
            os.link(new, self._folder / _FILE.format(number, "json"))
        except FileExistsError:
            return False
        return True

    def _numbers(self, kind: str) -> list[int]:
        """Return the numbers that have a file of this kind, in order; `*`: any, or put aside."""
        found = (_NUMBER.fullmatch(p.name) for p in listed(self._folder, "[eh]*-*.*"))
        matches = [match for match in found if match]
        if kind != "*":  # not those that were put aside
            names = {kind, "slot" if kind == "trial" else kind}
            matches = [match for match in matches if match[2] in names and not match[3]]
        return sorted({int(match[1]) for match in matches})

    def _looked_up(self) -> list[int]:
        """Return the numbers of all points.

        The folder, with the records of all trials, is listed once. A running sweep then looks for
        the next number only, before each of its trials.
        """
        if self._found is None:
            self._found = self._numbers("json")
            self._highest = max(self._numbers("*"), default=0)
        while self._path(self._highest + 1, "json").exists():
            self._highest += 1
            self._found.append(self._highest)
        return self._found

    def _path(self, number: int, kind: str) -> Path:
        former = self._folder / _FORMER["json"].format(number)
        name = _FORMER[kind].format(number) if former.exists() else _FILE.format(number, kind)
        return self._folder / name

    def _read(self, number: int) -> EnqueuedPoint | None:
        point = self._point(number)
        if point is None:
            return None
        return EnqueuedPoint(number, point.params, point.origin, self._trial(number))

    def _point(self, number: int) -> _Point | None:
        path = self._path(number, "json")
        return read_document(path, partial(shaped, _Point), _REMEDY)

    def _trial(self, number: int) -> int | None:
        path = self._path(number, "trial")
        return read_document(path, partial(shaped, Count), _REMEDY)


_RETRY_FILE: Final = "retry-{}.json"


@dataclass(frozen=True)
class Retry:
    """The mark of one `sweeps retry`, in a file that never changes.

    Attributes:
        attempts: Keys (`<trial>-<attempt>`) of the failed attempts that no longer end their trials:
            a reader of the records sees them so, and a later attempt ends the trial.
        opened: How many trials had been proposed when the command ran. Their proposals took the
            failure into account, also whenever they are repeated; later ones see the new outcome.
    """

    attempts: tuple[AttemptKey, ...]
    opened: Count


class Retries:
    """The marks of one sweep, in its folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, attempts: Sequence[str], opened: int) -> None:
        """Mark attempts. The caller holds the sweep's lock.

        Raises:
            StoreError: The mark cannot be written; nothing of it is left.
        """
        path = self._folder / _RETRY_FILE.format(len(self.all()) + 1)
        document = asdict(Retry(tuple(attempts), opened))
        write_atomically(path, json.dumps(document).encode(), "retry")

    def all(self) -> list[Retry]:
        """Return every mark in order.

        Raises:
            RecordError: One is damaged.
        """
        return list(read_numbered(self._folder, _RETRY_FILE, Retry, "put a copy of it there"))

    def attempts(self) -> frozenset[str]:
        """Return the keys of the failed attempts that no longer end their trials."""
        return frozenset(key for mark in self.all() for key in mark.attempts)

    def opened_by(self) -> dict[int, int]:
        """Return for each marked trial how many trials had been proposed at its last mark."""
        return {trial_of(key): mark.opened for mark in self.all() for key in mark.attempts}

    def waiting(self, records: Sequence[Record]) -> list[int]:
        """Return the trials that were marked and have no new outcome yet."""
        ended = {record.spec.trial for record in records if record.ends_trial}
        return sorted(self.opened_by().keys() - ended)


def trial_of(key: str) -> int:
    """Return the trial number in the key of an attempt."""
    return int(key.partition("-")[0])


def trials_to_retry(
    sweep: str, records: Sequence[Record], waiting: Sequence[int], asked: Sequence[int]
) -> list[Record]:
    """Return the failed attempts that shall no longer end their trials.

    Args:
        sweep: Name of the sweep.
        records: All of its records, ordered by trial and attempt.
        waiting: Trials that were marked before and have no new outcome yet; they are run again
            without another mark.
        asked: Numbers of the trials to run again; empty for all that failed.

    Raises:
        UsageError: One of them did not fail; the message says which did.
    """
    final = {record.spec.trial: record for record in records if record.ends_trial}
    failed = {trial: record for trial, record in final.items() if record.outcome == "failed"}
    known = sorted({*failed, *waiting})
    which = f"failed are {', '.join(map(str, known))}" if known else "no trial failed"
    if not known and not asked:
        raise UsageError(f"sweep {sweep!r} has no failed trial to be run again")
    others = sorted({*asked} - {*known})
    if others:
        reason = _refusal(sweep, others, final, {record.spec.trial for record in records})
        raise UsageError(f"{reason}; {which}")
    return [failed[trial] for trial in sorted({*asked} or known) if trial in failed]


def _refusal(sweep: str, others: Sequence[int], final: dict[int, Record], begun: set[int]) -> str:
    """Return why the first of these trials, and others of the same kind, cannot be run again."""
    absent = [trial for trial in others if trial not in begun]
    if absent:
        return f"sweep {sweep!r} has no trial {absent[0]}"
    open_trials = [trial for trial in others if trial not in final]
    if open_trials:
        return f"trial {open_trials[0]} has no outcome yet: `sweeps run` goes on with it"
    diverged = [trial for trial in others if final[trial].outcome == "diverged"]
    if diverged:
        return (
            f"trial {diverged[0]} diverged (its numbers became NaN or infinite): that is an "
            "outcome, which samplers learn from"
        )
    state = final[others[0]].outcome.upper()
    alike = [str(trial) for trial in others if final[trial].outcome.upper() == state]
    return f"trials {', '.join(alike)} are {state}" if alike[1:] else f"trial {alike[0]} is {state}"
