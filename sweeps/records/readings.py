"""Readings of a test part as files: the list that was frozen (`0001.json`), its scores (`.npz`).

They lie in a home, `test/<digest>/`, beside no sweep: a test part belongs to all of them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from sweeps.records.finalized import AtReading
from sweeps.records.format import pack_arrays, unpack_arrays
from sweeps.records.schema import (
    AttemptKey,
    Count,
    DamagedFileError,
    Digest,
    Line,
    Moment,
    RecordError,
    Report,
    SweepKey,
    SweepName,
    heard,
    json_bytes,
    listed,
    read_document,
    shaped,
    unreadable,
    warn,
)
from sweeps.workspace.files import FormatError, NoFileError, open_file, write_atomically

_NUMBER: Final = re.compile(r"([0-9]{4,})\.(json|npz).*")
_LIST_REMEDY: Final = (
    "bring it back from a backup, or have `sweeps doctor --fix` put it aside: it counts as a "
    "reading all the same"
)
_SCORES_REMEDY: Final = (
    "`sweeps doctor --fix` puts them aside; `sweeps finalize --test` of the same sweeps scores the "
    "same list again, as the same reading"
)

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
        weights: SHA-256 (hex) of the weights of each; `None` of one that kept none.
    """

    sweep: SweepKey
    name: SweepName
    role: Line
    label: Line
    confirmation: SweepKey
    trainings: Sequence[AttemptKey]
    weights: Sequence[Line]


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

    number: Count
    digest: Digest
    frozen_at: Moment
    reason: str
    entries: Sequence[Entry]
    questions: Sequence[Line]

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

    def at(self, readings: int) -> AtReading:
        """Return which one it is, of so many by now."""
        return AtReading(self.number, readings, self.digest, self.day, self.reason)

    @property
    def day(self) -> str:
        """When it was frozen."""
        return datetime.fromtimestamp(self.frozen_at / 1000, UTC).strftime("%Y-%m-%d")


class Readings:
    """The readings of one test part, in their folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def all(self) -> list[Reading]:
        """Return every reading, the first one first.

        Raises:
            RecordError: A list is damaged.
        """
        found = (read() for read in self._lists())
        return [reading for reading in found if reading is not None]

    def readable(self, report: Report = warn) -> list[Reading]:
        """Return the same without those that are damaged, each of which is reported."""
        found = (heard(read, report) for read in self._lists())
        return [reading for reading in found if reading is not None]

    def numbers(self) -> set[int]:
        """Return the numbers of all readings, also of those whose list was put aside."""
        found = (_NUMBER.fullmatch(path.name) for path in listed(self.folder, "[0-9]*"))
        return {int(match[1]) for match in found if match}

    def scores(self, reading: Reading) -> dict[str, np.ndarray] | None:
        """Return what was scored; None if that was interrupted.

        `labels` (n,); for each entry by its place `logits_<place>` (trainings, n, classes) and
        `correct_<place>` (trainings, n). Readings that were made before there were votes have no
        logits.

        Raises:
            RecordError: They are damaged.
        """
        path = self._path(reading.number, "npz")
        try:
            with open_file(path) as file:
                scores = unpack_arrays(file)
        except FileNotFoundError:
            return None
        except NoFileError as error:
            raise DamagedFileError(path, error.strerror, _SCORES_REMEDY) from None
        except OSError as error:
            raise unreadable(path, error) from None
        except FormatError as error:
            raise DamagedFileError(path, str(error), _SCORES_REMEDY) from None
        problem = _what_is_wrong(scores, reading)
        if problem:
            raise DamagedFileError(path, problem, _SCORES_REMEDY)
        return scores

    def write(self, reading: Reading) -> None:
        """Freeze a list: from this write on it counts.

        Raises:
            StoreError: It cannot be written.
        """
        content = json_bytes(asdict(reading), indent=1)
        write_atomically(self._path(reading.number, "json"), content, "conclusion")

    def keep(self, reading: Reading, scores: Mapping[str, np.ndarray]) -> None:
        """Keep what was scored."""
        path = self._path(reading.number, "npz")
        write_atomically(path, pack_arrays(scores), "conclusion")

    def unreadable(self) -> Iterator[RecordError]:
        """Yield what is wrong with each of the files."""
        for read in self._lists():
            try:
                reading = read()
                if reading is not None:
                    self.scores(reading)
            except RecordError as error:
                yield error

    def _lists(self) -> list[Callable[[], Reading | None]]:
        return [partial(_read_list, path) for path in listed(self.folder, "[0-9]*.json")]

    def _path(self, number: int, kind: str) -> Path:
        return self.folder / f"{number:04d}.{kind}"


def _read_list(path: Path) -> Reading | None:
    def parse(found: Any) -> Reading:
        reading = shaped(Reading, found)
        if path.stem != f"{reading.number:04d}":
            raise ValueError(f"it is reading {reading.number}, by its name another one")
        return reading

    return read_document(path, parse, _LIST_REMEDY)


def _what_is_wrong(scores: Mapping[str, np.ndarray], reading: Reading) -> str | None:
    labels = scores.get("labels")
    if labels is None or labels.ndim != 1:
        return "it has no labels (n,)"
    for place, entry in enumerate(reading.entries):
        wanted = (len(entry.trainings), len(labels))
        found = scores.get(f"correct_{place}")
        if found is None or found.shape != wanted:
            return f"correct_{place} of {entry.label} is not there with the shape {wanted}"
        logits = scores.get(f"logits_{place}")
        if logits is not None and (logits.ndim != 3 or logits.shape[:2] != wanted):
            return f"logits_{place} of {entry.label} has the shape {logits.shape}"
    return None
