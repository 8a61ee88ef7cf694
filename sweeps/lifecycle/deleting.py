"""`sweeps delete`: out of the records first, in one step; then out of study and MLflow."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sweeps.coordinator.lock import SweepLock
from sweeps.failpoints import reached
from sweeps.home import Home
from sweeps.locks import exclusive
from sweeps.records import RecordStore, SweepInfo
from sweeps.records.files import sync_folder
from sweeps.study.storage import delete_study
from sweeps.tracking.removing import remove_runs

_DELETED: Final = ".deleted-"


def delete_sweep(home: Home, info: SweepInfo, tracking_uri: str) -> None:
    """Delete a sweep: records, weights, study, runs and their files.

    Raises:
        UsageError: Another process runs it.
        StoreError: A database cannot be written; the next start goes on with it.
    """
    folder = home.store(info.id).folder
    with exclusive(home.records), SweepLock(folder / "lock", info.name):
        reached("delete.begun")
        folder.rename(home.records / f"{_DELETED}{info.id}")
        sync_folder(home.records)
        reached("delete.done")
    finish_deletions(home, tracking_uri)


def finish_deletions(home: Home, tracking_uri: str) -> list[str]:
    """Take what was deleted out of study and MLflow too; a killed deletion is ended here.

    Returns:
        The names of the sweeps that are gone now.

    Raises:
        StoreError: A database cannot be written.
    """
    gone = []
    for folder in _deleted(home):
        info = RecordStore(folder).info()
        if info is not None:
            remove_runs(tracking_uri, info)
            reached("delete.untracked")
            for name in {info.study_name, *(info.at(g.first_slot).study_name
                                            for g in info.generations)}:  # fmt: skip
                delete_study(home.optuna_db, name)
            reached("delete.unstudied")
            gone.append(info.name)
        # What says which sweep it was goes last.
        for path in sorted(folder.iterdir(), key=lambda path: path.name == "sweep.json"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        folder.rmdir()
    return gone


def has_deletions(home: Home) -> bool:
    """Whether a deletion is still to be finished."""
    return next(_deleted(home), None) is not None


def _deleted(home: Home) -> Iterator[Path]:
    yield from sorted(home.records.glob(f"{_DELETED}*"))
