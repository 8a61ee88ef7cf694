"""Finds the damaged files beside a sweep's records, by reading each as its own reader does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from sweeps.records.code import CodeHistory
from sweeps.records.conclusions import Conclusions
from sweeps.records.enqueued import EnqueuedPoints
from sweeps.records.notes import Notes, read_imported
from sweeps.records.schema import RecordError
from sweeps.records.store import RecordStore


def unreadable_files(folder: Path) -> Iterator[RecordError]:
    """Yield an error for each damaged file.

    `sweep.json` and generations are left out: without them there is no sweep.
    """
    store, conclusions, points = RecordStore(folder), Conclusions(folder), EnqueuedPoints(folder)
    readers: list[Callable[[], object]] = [
        store.read_asked,
        store.read_ending,
        store.read_checked,
        Notes(folder).all,
        CodeHistory(folder).all,
        partial(read_imported, folder),
    ]
    for read in (*readers, *conclusions.readers(), *points.readers()):
        try:
            read()
        except RecordError as error:
            yield error
