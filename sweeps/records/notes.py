"""Files beside the records: notes, how a start ended, where an imported sweep came from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final, Literal

from sweeps.records.schema import Digest, Line, json_bytes, read_document, shaped
from sweeps.workspace.files import write_atomically
from sweeps.workspace.locks import exclusive

# How a start of a sweep ended, noted beside its records.


SweepStatus = Literal["FINISHED", "KILLED", "FAILED"]


@dataclass(frozen=True)
class Ending:
    """How the last start of a sweep ended; with the records, all that its parent run says.

    Attributes:
        status: FINISHED, KILLED by a signal (or found dead), or FAILED.
        stopped_by: What ended it before its total, None if nothing did.
        seconds: Wall time of that start.
        time_split: What they were spent on, see `sweeps.analysis.summary.Summary`.
        error: What ended it, if that was an exception.
        failure_cause: Why so many trials in a row failed that this ended it.
    """

    status: SweepStatus
    stopped_by: Line | None
    seconds: float = 0.0
    time_split: Mapping[Line, float] = field(default_factory=dict)
    error: str | None = None
    failure_cause: str | None = None

    def to_json(self) -> bytes:
        """Return it as a JSON document."""
        return json_bytes(asdict(self))

    def ended_alike(self, other: Ending) -> bool:
        """Whether another start ended the same way, whatever time it took."""
        return replace(self, seconds=other.seconds, time_split=other.time_split) == other


# Where an imported sweep came from, and whether what it names may be run.


_FOREIGN_FILE: Final = "foreign.json"
_FOREIGN_REMEDY: Final = "delete the sweep and import it again"


@dataclasses.dataclass(frozen=True)
class Foreign:
    """A sweep that somebody else recorded, in their words.

    Attributes:
        file: Name of the archive it came with.
        archive: SHA-256 (hex) of that archive: trust is in this one and no other.
        trusted: Whether the user has said that its experiment may be run.
        folder: Where the user has the code of its experiment; None if that is installed.
    """

    file: str
    archive: Digest
    trusted: bool = False
    folder: str | None = None


def read_foreign(folder: Path) -> Foreign | None:
    """Return where the sweep in a record folder came from; None if it was made here.

    A sweep that was imported before this was noted counts as made here.

    Raises:
        RecordError: The file that says so is damaged.
    """
    return read_document(folder / _FOREIGN_FILE, partial(shaped, Foreign), _FOREIGN_REMEDY)


def keep_foreign(folder: Path, foreign: Foreign) -> None:
    """Note where the sweep in a record folder came from.

    Raises:
        StoreError: It cannot be written.
    """
    write_atomically(
        folder / _FOREIGN_FILE, json_bytes(dataclasses.asdict(foreign), indent=1), "sweep"
    )


_FILE: Final = "notes.json"
_REMEDY: Final = "mend it by hand, or have `sweeps doctor --fix` put it aside"
SWEEP: Final = "sweep"
"""What the sweep's own note is kept under; those of trials under their numbers."""


class Notes:
    """The notes in the folder of one sweep."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def all(self) -> dict[str, str]:
        """Return every note, by `SWEEP` or the number of the trial; empty where it was removed.

        Raises:
            RecordError: They are damaged.
        """
        return read_document(self._folder / _FILE, partial(shaped, dict[Line, str]), _REMEDY) or {}

    def write(self, subject: str, text: str) -> None:
        """Note something; an empty text removes the note, also where it is shown.

        Raises:
            RecordError: The notes that are there are damaged; nothing is written over them.
            StoreError: It cannot be written.
        """
        with exclusive(self._folder):
            notes = self.all() | {subject: text}
            content = json_bytes(notes, indent=1)
            write_atomically(self._folder / _FILE, content, "notes")
