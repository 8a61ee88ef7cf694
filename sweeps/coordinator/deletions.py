"""Ends deletions: what `sweeps delete` took out of the records goes out of study and MLflow too.

Below the commands, since every start does it for a deletion that was killed.
"""

from __future__ import annotations

from typing import Final

from sweeps.failpoints import reached
from sweeps.home import Home
from sweeps.records import RecordStore, heard, listed
from sweeps.records.files import remove
from sweeps.study.storage import delete_study
from sweeps.tracking.removing import remove_runs

DELETED: Final = ".deleted-"
"""How the folder of a sweep begins, in `records/`, from the moment it is deleted."""


def finish_deletions(home: Home, tracking_uri: str) -> None:
    """Take every deleted sweep out of study and MLflow; again, and nothing happens.

    Raises:
        StoreError: A database cannot be written, or MLflow does not answer; the next start goes on.
    """
    for folder in sorted(home.records.glob(f"{DELETED}*")):
        info = heard(RecordStore(folder).info)  # of one that nobody can read, its runs stay
        if info is not None:
            remove_runs(tracking_uri, info)
            reached("delete.untracked")
        sweep_id = folder.name.removeprefix(DELETED)
        later = range(2, 2 + len(listed(folder, "generation-*.json")))
        for name in (sweep_id, *(f"{sweep_id}.{number}" for number in later)):
            delete_study(home.studies, name)
        reached("delete.unstudied")
        # What says which sweep it was goes last.
        for path in sorted(folder.iterdir(), key=lambda path: path.name == "sweep.json"):
            remove(path)
        folder.rmdir()
