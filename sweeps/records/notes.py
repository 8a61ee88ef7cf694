"""The small events of a sweep, read and written: notes, the time of all starts, learned points."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec

from search_spaces.errors import listing
from sweeps.errors import StoreError
from sweeps.journal.events import Event, Learned, Returned, Started, pieces_of
from sweeps.records.schema import warn
from sweeps.records.store import RecordStore
from sweeps.wording import counted
from sweeps.workspace.clock import Stopwatch

SWEEP: Final = "sweep"
"""Subject of the sweep's own note; that of a trial's note is its number."""
_SHOWN: Final = 3  # reasons; all are kept


@contextmanager
def counted_start(
    store: RecordStore, watch: Stopwatch, command: str | None = None
) -> Iterator[None]:
    """Count the time from the beginning of a watch to the end of the block; see `Started`.

    Raises:
        StoreError: The beginning cannot be written.
    """
    folder = None if command is None else str(Path.cwd())
    store.append(Started(began_at=watch.started_at, command=command, folder=folder))
    try:
        yield
    finally:
        with suppress(StoreError):  # its attempts say how long it took, roughly
            store.append(Returned(began_at=watch.started_at, seconds=watch.seconds))


def notes_of(store: RecordStore) -> dict[str, str]:
    """Return every note of a sweep, by `SWEEP` or the number of the trial; a removed one is empty.

    A note that came with a shared sweep may have half characters, which become `?`.
    """
    found = store.state(warn).notes
    return {key: text.encode("utf-8", "replace").decode() for key, text in found.items()}


def in_lines(event: Event | None, member: str) -> list[Event]:
    """Return an event, if there is one, as several that share out a tuple, so that each has room.

    `member` is the name of that tuple, of points or of trials.
    """
    if event is None:
        return []
    pieces = pieces_of(getattr(event, member))
    return [msgspec.structs.replace(event, **{member: piece}) for piece in pieces]


def describe_learned(learned: Learned) -> str:
    """Return a line: how many points are tried first, what they were learned from, and not."""
    left_out = f"; left out: {'; '.join(learned.left_out[:_SHOWN])}" if learned.left_out else ""
    more = len(learned.left_out) - _SHOWN
    left_out += f"; and {more} more" if more > 0 else ""
    if not learned.points:
        return f"no point, as no sweep here has such trials on other data{left_out}"
    counts = [f"{s.name} ({counted(s.trials, 'trial')})" for s in learned.learned_from if s.trials]
    sources = counts or [one.name for one in learned.learned_from]
    asked = {"home": "this home", "shipped": "the shipped portfolio"}
    whose = asked.get(learned.asked, learned.asked)
    them = "is" if len(learned.points) == 1 else "are"
    from_them = f", learned from {listing(sources, limit=6)}" if sources else ""
    points = counted(len(learned.points), "point")
    return f"{points} of {whose} {them} tried first{from_them}{left_out}"
