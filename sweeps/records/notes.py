"""What people noted about a sweep or its trials (`sweeps note`), beside its records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from sweeps.locks import exclusive
from sweeps.records.files import write_atomically

_FILE: Final = "notes.json"
SWEEP: Final = "sweep"
"""What the sweep's own note is kept under; those of trials under their numbers."""


class Notes:
    """The notes in the folder of one sweep."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def all(self) -> dict[str, str]:
        """Return every note, by `SWEEP` or the number of the trial; empty where it was removed."""
        try:
            notes: dict[str, str] = json.loads((self._folder / _FILE).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return notes

    def write(self, subject: str, text: str) -> None:
        """Note something; an empty text removes the note, also where it is shown.

        Raises:
            StoreError: It cannot be written.
        """
        with exclusive(self._folder):
            notes = self.all() | {subject: text}
            content = json.dumps(notes, indent=1, ensure_ascii=False).encode()
            write_atomically(self._folder / _FILE, content, "notes")
