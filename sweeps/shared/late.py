"""Attempts that came too late: recorded on a host that had lost the sweep, or could not say so.

Another host has run the trial again meanwhile, and what it recorded counts.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

ENDING: Final = ".late"
"""What their files are called from then on."""
_RECORD: Final = ".record"


def late_records(here: Collection[str], there: Collection[str]) -> list[str]:
    """Return the records, of those only here, whose slot has a later attempt there.

    Args:
        here: Paths of records, `.../<slot>-<attempt>.record`, and others.
        there: The same.
    """
    last: dict[tuple[str, str], int] = {}
    for path in there:
        if path.endswith(_RECORD):
            slot, attempt = _parts(path)
            last[slot] = max(last.get(slot, 0), attempt)
    late = [path for path in here if path.endswith(_RECORD) and path not in there]
    return [path for path in late if _parts(path)[1] < last.get(_parts(path)[0], 0)]


def _parts(path: str) -> tuple[tuple[str, str], int]:
    folder, _, name = path.rpartition("/")
    slot, _, attempt = name.removesuffix(_RECORD).partition("-")
    return (folder, slot), int(attempt)
