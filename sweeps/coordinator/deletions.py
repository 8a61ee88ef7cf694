"""Ends deletions: what `sweeps delete` took out of the records goes out of study and MLflow too.

Below the commands, since every start does it for a deletion that was killed.
"""

from __future__ import annotations

import shutil
from typing import Final

from sweeps.failpoints import reached
from sweeps.home import Home
from sweeps.records import RecordStore
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
        info = RecordStore(folder).info()
        if info is not None:
            remove_runs(tracking_uri, info)
            reached("delete.untracked")
            generations = [info.at(g.first_slot).study_name for g in info.generations]
            for name in {info.study_name, *generations}:
                delete_study(home.studies, name)
            reached("delete.unstudied")
        # What says which sweep it was goes last.
        for path in sorted(folder.iterdir(), key=lambda path: path.name == "sweep.json"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        folder.rmdir()
