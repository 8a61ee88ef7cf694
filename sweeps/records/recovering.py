"""What a coordinator that was killed, or a disk that lost bytes, left in a sweep's folder."""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Final

from sweeps.records.documents import TORN, DamagedFileError, Report, listed, put_aside
from sweeps.records.files import remove, remove_temporary
from sweeps.records.kept_files import collect_files
from sweeps.records.record import Record, SweepInfo
from sweeps.records.store import GENERATIONS, INFO_FILE, RecordStore

_ASIDE: Final = re.compile(r"([0-9]{4,})-([0-9]+)\.record\b")


def recover(store: RecordStore, report: Report) -> list[Record]:
    """Take away what was left half done; only for who holds the sweep's lock.

    A record that is torn or altered was never acknowledged, or is lost: it is kept under another
    name, and its trial runs again. So is what the start before noted, if it is damaged: the next
    one notes it anew.

    Args:
        store: The records of the sweep.
        report: Told of each file put aside.

    Returns:
        Every whole record, ordered by slot and attempt.

    Raises:
        RecordError: One of them is of another format version.
    """

    def spare(path: Path, problem: str) -> None:
        report(f"{path.name}: {problem}; kept as {put_aside(path)}, this trial runs again")

    remove_temporary(store.folder)
    for read in (store.read_asked, store.read_ending, store.read_checked):
        try:
            read()
        except DamagedFileError as error:
            report(f"{error}: kept as {put_aside(error.path)}")
    records = store.scan(spare)
    known = {record.spec.key for record in records}
    for weights in listed(store.folder, "[0-9]*.weights"):
        if weights.stem not in known:
            remove(weights)
    _keep_unrecorded(store, known, report)
    return records


def write_missing(store: RecordStore, info: SweepInfo) -> list[Path]:
    """Write anew what is fixed of a sweep and was deleted; only for who holds the sweep's lock.

    Args:
        store: The records of the sweep; nothing is written where their folder is gone.
        info: The sweep.

    Returns:
        The files.
    """
    missing = []
    if store.folder.is_dir() and not (path := store.folder / INFO_FILE).exists():
        store.create(info.at(0))
        missing.append(path)
    for generation in info.generations[1:]:
        path = store.folder / GENERATIONS.format(generation.number)
        if store.folder.is_dir() and not path.exists():
            store.write_generation(generation)
            missing.append(path)
    return missing


def _keep_unrecorded(store: RecordStore, known: Collection[str], report: Report) -> None:
    """Keep what attempts had written whose end nobody lived to record."""
    for folder in listed(store.running, "[0-9]*"):
        key = folder.name.partition(".")[0]
        files = {} if key in known else collect_files(folder)
        if files:
            store.write_files(key, files)
            where = store.files_path(key)
            report(f"what attempt {key} wrote before it was cut off is in {where} (zip)")
    shutil.rmtree(store.running, ignore_errors=True)


def attempts_put_aside(store: RecordStore) -> dict[int, int]:
    """Return the last attempt at each slot whose record was put aside: its number is used up."""
    last: dict[int, int] = {}
    for path in listed(store.folder, f"*.record*{TORN}"):
        key = _ASIDE.match(path.name)
        if key is not None:
            slot, attempt = map(int, key.groups())
            last[slot] = max(last.get(slot, 0), attempt)
    return last
