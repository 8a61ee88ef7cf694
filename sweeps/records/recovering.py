"""What a coordinator that was killed, or a disk that lost bytes, left in a sweep's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sweeps.records.files import remove_temporary
from sweeps.records.record import Record
from sweeps.records.store import RecordStore, Report

_TORN: Final = ".torn"


def recover(store: RecordStore, report: Report) -> list[Record]:
    """Take away what was left half done; only for who holds the sweep's lock.

    A record that is torn or altered was never acknowledged, or is lost: it is kept under another
    name, and its trial runs again.

    Args:
        store: The records of the sweep.
        report: Told of each record put aside.

    Returns:
        Every whole record, ordered by slot and attempt.

    Raises:
        RecordError: One of them is of another format version.
    """

    def put_aside(path: Path, problem: str) -> None:
        aside = path.with_name(path.name + _TORN)
        path.replace(aside)
        report(f"{path.name}: {problem}; kept as {aside}, this trial runs again")

    remove_temporary(store.folder)
    records = store.scan(put_aside)
    known = {record.spec.key for record in records}
    for weights in store.folder.glob("[0-9]*.weights"):
        if weights.stem not in known:
            weights.unlink(missing_ok=True)
    return records


def attempts_put_aside(store: RecordStore) -> dict[int, int]:
    """Return the last attempt at each slot whose record was put aside: its number is used up."""
    last: dict[int, int] = {}
    for path in sorted(store.folder.glob(f"[0-9]*.record{_TORN}")):
        slot, _, attempt = path.name.partition(".")[0].partition("-")
        last[int(slot)] = max(last.get(int(slot), 0), int(attempt))
    return last
