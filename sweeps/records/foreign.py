"""Where an imported sweep came from, and whether what it names may be run."""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path
from typing import Final

from sweeps.records.documents import json_bytes, read_document
from sweeps.records.files import write_atomically
from sweeps.records.shapes import Digest, shaped

_FILE: Final = "foreign.json"
_REMEDY: Final = "delete the sweep and import it again"


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
    return read_document(folder / _FILE, partial(shaped, Foreign), _REMEDY)


def keep_foreign(folder: Path, foreign: Foreign) -> None:
    """Note where the sweep in a record folder came from.

    Raises:
        StoreError: It cannot be written.
    """
    write_atomically(folder / _FILE, json_bytes(dataclasses.asdict(foreign), indent=1), "sweep")
