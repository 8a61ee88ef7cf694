"""The small events of a sweep, read and written: notes, the time of all starts, learned points."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from search_spaces.errors import listing
from sweeps.errors import StoreError
from sweeps.journal.events import (
    Imported,
    Learned,
    Noted,
    Returned,
    Started,
    pieces_of,
)
from sweeps.journal.state import Start
from sweeps.records.schema import warn
from sweeps.wording import counted
from sweeps.workspace.clock import Stopwatch
from sweeps.workspace.names import check_text

if TYPE_CHECKING:
    from sweeps.records.store import RecordStore

SWEEP: Final = "sweep"
"""Subject of the sweep's own note; that of a trial's note is its number."""
_SHOWN: Final = 3
"""Reasons that are shown; all are kept."""


class Starts:
    """All commands that worked on one sweep."""

    def __init__(self, store: RecordStore) -> None:
        self._store = store

    def all(self) -> list[Start]:
        """Return every start in order."""
        return [*self._store.state().starts]

    def command(self) -> tuple[str, str] | None:
        """Return the last `sweeps run`, and its folder; None if there was none."""
        known = ((one.command, one.folder) for one in reversed(self.all()))
        return next(((line, where) for line, where in known if line and where), None)

    @contextmanager
    def counted(self, watch: Stopwatch, command: str | None = None) -> Iterator[None]:
        """Count the time from the beginning of a watch to the end of the block.

        Args:
            watch: Began with the command.
            command: See `Started`.

        Raises:
            StoreError: The beginning cannot be written.
        """
        folder = None if command is None else str(Path.cwd())
        began_at = watch.started_at
        self._store.append(Started(began_at=began_at, command=command, folder=folder))
        try:
            yield
        finally:
            with contextlib.suppress(StoreError):  # its attempts say how long it took, roughly
                self._store.append(Returned(began_at=began_at, seconds=watch.seconds))


class Notes:
    """The notes of one sweep."""

    def __init__(self, store: RecordStore) -> None:
        self._store = store

    def all(self) -> dict[str, str]:
        """Return every note, by `SWEEP` or the number of the trial; a removed note is empty.

        A note that came with a shared sweep may have half characters, which become `?`.
        """
        found = self._store.state(warn).notes
        return {key: text.encode("utf-8", "replace").decode() for key, text in found.items()}

    def write(self, subject: str, text: str) -> None:
        """Write the note of a subject; an empty text removes it, also where it is shown.

        Args:
            subject: `SWEEP` or the number of a trial.
            text: The note; it replaces an earlier one.

        Raises:
            UsageError: The text is not UTF-8, or too long.
            StoreError: It cannot be written.
        """
        self._store.append(Noted(subject, check_text("note", text)))


def learned_events(learned: Learned) -> list[Learned]:
    """Return learned points as events, each of which has room in a line."""
    return [msgspec.structs.replace(learned, points=points) for points in pieces_of(learned.points)]


def imported_events(imported: Imported) -> list[Imported]:
    """Return imported trials as events, each of which has room in a line."""
    return [
        msgspec.structs.replace(imported, trials=trials) for trials in pieces_of(imported.trials)
    ]


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
