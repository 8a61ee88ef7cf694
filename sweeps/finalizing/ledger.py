"""Who has read a test part, and why: a list of models is frozen first, and that is what counts.

A test part answers once without having taught anybody anything. So a reading counts from the moment
its list is written, before anything is scored, also if it is killed then; the same list again is
the same reading. Readings are counted over all sweeps of a home, by the test part's digest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from sweeps.clock import now_ms
from sweeps.errors import UsageError
from sweeps.home import Home
from sweeps.records.files import make_folder, write_atomically
from sweeps.records.format import pack_arrays, unpack_arrays

CHAMPION: Final = "champion"
"""Role of a file that is none of the winner's trainings on blocks: a refit."""


@dataclass(frozen=True)
class Entry:
    """A finalist that is scored: all its trainings, one a block.

    Attributes:
        sweep: Id of the sweep it comes from.
        name: That sweep's name when the list was frozen.
        role: `winner`, `runner-up`, `baseline`, or `CHAMPION`.
        label: The finalist, such as `trial-17`.
        confirmation: Id of the sweep that trained it.
        trainings: Keys there, `<slot>-<attempt>`, block 0 first.
        weights: SHA-256 (hex) of the weights of each.
    """

    sweep: str
    name: str
    role: str
    label: str
    confirmation: str
    trainings: Sequence[str]
    weights: Sequence[str]


@dataclass(frozen=True)
class Reading:
    """One reading of a test part.

    Attributes:
        number: From 1.
        digest: Of the test part.
        frozen_at: Milliseconds since the epoch (UTC).
        reason: Why it was read again; empty the first time.
        entries: Who was scored.
        questions: What was asked.
    """

    number: int
    digest: str
    frozen_at: int
    reason: str
    entries: Sequence[Entry]
    questions: Sequence[str]

    @property
    def name(self) -> str:
        """A short name, unique in a home."""
        return f"{self.digest[:8]}-{self.number}"

    @property
    def sweeps(self) -> list[str]:
        """Ids of the sweeps it asks about."""
        return list(dict.fromkeys(entry.sweep for entry in self.entries))

    @property
    def list_digest(self) -> str:
        """SHA-256 (hex) of what was frozen: models by their weights, and questions."""
        return self.digest_asking(self.questions)

    def digest_asking(self, questions: Sequence[str]) -> str:
        """Return what `list_digest` were with other questions."""
        frozen = [
            [e.sweep, e.role, e.label, *e.trainings, *e.weights] for e in self.entries
        ]  # names may change
        return hashlib.sha256(json.dumps([frozen, list(questions)]).encode()).hexdigest()

    @property
    def day(self) -> str:
        """When it was frozen."""
        return datetime.fromtimestamp(self.frozen_at / 1000, UTC).strftime("%Y-%m-%d")


class Ledger:
    """The readings of one test part in a home."""

    def __init__(self, home: Home, digest: str) -> None:
        self._folder = home.path / "test" / digest[:16]
        self._digest = digest
        self._home = home

    def readings(self) -> list[Reading]:
        """Return every reading, the first one first."""
        return [_reading(path) for path in sorted(self._folder.glob("[0-9]*.json"))]

    def freeze(
        self,
        entries: Sequence[Entry],
        questions: Sequence[str],
        again: str,
        *,
        earlier: Sequence[Sequence[str]] = (),
    ) -> Reading:
        """Write down who is to be scored on what, once.

        Args:
            entries: Who.
            questions: What is asked.
            again: Why a test part that was read is read again.
            earlier: What was asked at other times, whose scores answer `questions` as well: that is
                the same reading, with the questions that were asked then.

        Returns:
            The reading; an earlier one if that asked the same.

        Raises:
            UsageError: The test part was read before, and no reason is given to do it again.
            StoreError: It cannot be written.
        """
        make_folder(self._folder)
        with self._home.exclusive():
            before = self.readings()
            number = max(self._told() | {reading.number for reading in before}, default=0) + 1
            reason = again if number > 1 else ""
            wanted = Reading(number, self._digest, now_ms(), reason, entries, questions)
            digests = {wanted.digest_asking(asked) for asked in (questions, *earlier)}
            same = [r for r in before if r.list_digest in digests]
            if same:  # the same models, by their weights: trained again, perhaps, as another sweep
                return replace(same[-1], entries=entries)
            if number > 1 and not again.strip():
                raise UsageError(_read_before(self._digest, number - 1, before))
            content = json.dumps(asdict(wanted), indent=1, ensure_ascii=False)
            write_atomically(self._path(wanted, "json"), content.encode(), "conclusion")
        return wanted

    def count(self) -> int:
        """Return how often the test part was read, also before a sweep came into this home."""
        return max(self._told() | {reading.number for reading in self.readings()}, default=0)

    def _told(self) -> set[int]:
        """Return the numbers of readings that sweeps of the home tell of."""
        paths = self._home.records.glob(f"*/tested-{self._digest[:8]}-*.json")
        return {int(path.stem.rpartition("-")[2]) for path in paths}

    def scores(self, reading: Reading) -> dict[str, np.ndarray] | None:
        """Return what was scored; None if that was interrupted.

        `labels` (n,); for each entry by its place `logits_<place>` (trainings, n, classes) and
        `correct_<place>` (trainings, n).
        """
        try:
            return unpack_arrays(self._path(reading, "npz").read_bytes())
        except FileNotFoundError:
            return None

    def keep(self, reading: Reading, scores: Mapping[str, np.ndarray]) -> None:
        """Keep what was scored: all later questions are answered from it."""
        write_atomically(self._path(reading, "npz"), pack_arrays(scores), "conclusion")
        self._home.publish_readings()

    def _path(self, reading: Reading, kind: str) -> Path:
        return self._folder / f"{reading.number:04d}.{kind}"


def readings_of(home: Home, sweeps: Sequence[str]) -> list[tuple[Ledger, Reading]]:
    """Return the readings that asked about all of these sweeps, by their ids, the first one first.

    No test part is needed to know them, only what was frozen.
    """
    found = [_reading(path) for path in sorted((home.path / "test").glob("*/[0-9]*.json"))]
    asked = [reading for reading in found if set(sweeps) <= set(reading.sweeps)]
    return [(Ledger(home, reading.digest), reading) for reading in asked]


def _reading(path: Path) -> Reading:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return Reading(**{**found, "entries": [Entry(**entry) for entry in found["entries"]]})


def _read_before(digest: str, count: int, readings: Sequence[Reading]) -> str:
    times = "once" if count == 1 else f"{count} times"
    last = ""
    if readings:
        names = ", ".join(dict.fromkeys(entry.name for entry in readings[-1].entries))
        last = f", last on {readings[-1].day} for {names}"
    return (
        f"test part {digest[:8]} was read {times}{last}: what is chosen after it was seen is no "
        'longer tested by it. To read it all the same: --again "why"'
    )
