"""Reads a study without opening it for writing: creates nothing, migrates nothing."""

from __future__ import annotations

from optuna.trial import FrozenTrial

from sweeps.study.places import Database, place_of


def read_study(database: Database, name: str) -> list[FrozenTrial] | None:
    """Return the slots of a study in order, None if there is no such study.

    A file that cannot be read has no study; `sweeps.databases.check` says what ails it.
    """
    place = place_of(database)
    if not place.exists():
        return None
    try:
        storage = place.open_to_read()
    except place.unreadable:
        return None
    try:
        return storage.get_all_trials(storage.get_study_id_from_name(name))
    except place.unreadable:
        return None
    finally:
        storage.remove_session()
        storage.engine.dispose()
