"""What people noted about a sweep or its trials (`sweeps note`), beside its records."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

from sweeps.locks import exclusive
from sweeps.records.documents import json_bytes, read_document
from sweeps.records.files import write_atomically
from sweeps.records.shapes import Line, shaped

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
