"""Reads a study without opening it for writing: creates nothing, migrates nothing."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial
from sqlalchemy.exc import SQLAlchemyError


def read_study(database: Path, name: str) -> list[FrozenTrial] | None:
    """Return the slots of a study in order, None if there is no such study.

    A database that cannot be read has no study; `sweeps.databases.check` says what ails it.
    """
    if not database.exists():
        return None
    try:
        storage = RDBStorage(
            f"sqlite:///file:{database}?mode=ro&uri=true",
            skip_compatibility_check=True,
            skip_table_creation=True,
        )
    except (StorageInternalError, SQLAlchemyError, sqlite3.Error):
        return None
    try:
        return storage.get_all_trials(storage.get_study_id_from_name(name))
    except (KeyError, StorageInternalError, SQLAlchemyError, sqlite3.Error):
        return None
    finally:
        storage.remove_session()
        storage.engine.dispose()
