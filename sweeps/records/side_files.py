"""Which of the files beside a sweep's records are damaged: each is read as its readers read it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sweeps.records.code import CodeHistory
from sweeps.records.conclusions import Conclusions
from sweeps.records.enqueued import EnqueuedPoints
from sweeps.records.notes import Notes
from sweeps.records.schema import RecordError
from sweeps.records.store import RecordStore


def unreadable_files(folder: Path) -> Iterator[RecordError]:
    """Yield what is wrong with each of them; `sweep.json` and generations are the sweep itself."""
    store, conclusions, points = RecordStore(folder), Conclusions(folder), EnqueuedPoints(folder)
    readers = [
        store.read_asked,
        store.read_ending,
        store.read_checked,
        Notes(folder).all,
        CodeHistory(folder).all,
    ]
    for read in (*readers, *conclusions.readers(), *points.readers()):
        try:
            read()
        except RecordError as error:
            yield error
