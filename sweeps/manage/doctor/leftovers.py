"""Finds what killed processes left behind: temporary files, weights, the name in a lock."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from sweeps.home import Home
from sweeps.manage.doctor.evidence import Evidence, Problem, Repair
from sweeps.records import RecordError
from sweeps.workspace.files import open_file
from sweeps.workspace.locks import holder_in

_HALF_MADE = (".*.tmp", ".*.new", ".*.new-wal", ".*.new-shm", ".*.new-journal")


def check(evidence: Evidence) -> Iterator[Problem]:
    """Yield damaged and left-over files in the folder of a sweep; the sweep must not be running."""
    for what in evidence.damaged:
        yield Problem("records", what, Repair.CLEAN)
    ends = Counter(record.spec.trial for record in evidence.records if record.ends_trial)
    for trial, count in ends.items():
        if count > 1:
            newest = evidence.final[trial].spec.key
            what = f"{count} records end trial {trial}; the newest, {newest}, counts"
            yield Problem("records", what, Repair.BY_HAND)
    for path in damaged_weights(evidence):
        what = f"{path} is damaged, its checksum does not fit its record"
        yield Problem("records", what, Repair.WEIGHTS, str(path))
    for record in evidence.records:
        try:
            evidence.store.files(record)
        except RecordError as error:
            path = evidence.store.files_path(record.spec.key)
            yield Problem("records", str(error), Repair.WEIGHTS, str(path))
    for path in leftovers(evidence):
        yield Problem("files", f"{path} belongs to nothing", Repair.CLEAN)
    for path in (path for run in evidence.runs for path in run.half_copied):
        yield Problem("files", f"{path} belongs to nothing", Repair.CLEAN, str(path))
    if lock_text(evidence):
        what = "the lock names a process that does not hold it"
        yield Problem("files", what, Repair.CLEAN)


def check_home(home: Home) -> Iterator[Problem]:
    """Yield left-over files and unfinished deletions and imports in a home, outside of sweeps."""
    for path in half_made(home.path):
        yield Problem("files", f"{path} belongs to nothing", Repair.CLEAN)
    for path in home.records.glob(".deleted-*"):
        yield Problem("files", f"{path}: a deletion was not finished", Repair.CLEAN)
    for path in home.records.glob(".import-*"):
        yield Problem("files", f"{path}: an import was not finished", Repair.CLEAN)


def leftovers(evidence: Evidence) -> list[Path]:
    """Return the files of a sweep's folder that belong to nothing."""
    folder = evidence.store.folder
    keys = {record.spec.key for record in evidence.records}
    weights = [path for path in folder.glob("[0-9]*.weights") if path.stem not in keys]
    return [*half_made(folder), *sorted(weights)]


def damaged_weights(evidence: Evidence) -> Iterator[Path]:
    """Yield the weights files whose digest is not the one in their record."""
    for record in evidence.records:
        path = evidence.store.folder / f"{record.spec.key}.weights"
        if not path.exists():
            continue  # they were dropped when better trials arrived
        try:
            with open_file(path) as file:
                is_whole = hashlib.file_digest(file, "sha256").hexdigest() == record.weights_sha256
        except OSError:
            is_whole = False
        if not is_whole:
            yield path


def half_made(folder: Path) -> list[Path]:
    """Return the temporary files in a folder that were never renamed to their final names."""
    return sorted(path for pattern in _HALF_MADE for path in folder.glob(pattern))


def lock_text(evidence: Evidence) -> str:
    """Return the text that the holder of the lock wrote into it; empty after a clean end."""
    try:
        return holder_in(evidence.store.folder / "lock")
    except OSError:
        return ""
