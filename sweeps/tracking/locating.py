"""Finds a sweep in an MLflow store; reads SQLite directly, since importing MLflow takes seconds."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from sweeps.errors import UsageError
from sweeps.records.record import SweepInfo
from sweeps.tracking.address import sqlite_path
from sweeps.tracking.champion import ALIAS, find_model
from sweeps.tracking.quiet import quiet
from sweeps.tracking.runs import find_experiment
from sweeps.tracking.view import view_address

_NEWEST_RUN: Final = """
    SELECT experiment_id, value FROM runs
    LEFT JOIN tags ON tags.run_uuid = runs.run_uuid AND tags.key = 'sweep_id'
    WHERE lifecycle_stage = 'active' AND (? IS NULL OR value = ?) ORDER BY start_time DESC LIMIT 1
"""
_CHAMPION: Final = """
    SELECT tags.name FROM registered_model_tags AS tags
    JOIN registered_model_aliases AS aliases ON aliases.name = tags.name AND aliases.alias = ?
    WHERE tags.key = 'sweep_id' AND tags.value = ?
"""


def locate(tracking_uri: str, info: SweepInfo | None) -> tuple[str | None, str | None]:
    """Return the MLflow experiment and the id of a sweep; each is None if the store lacks it.

    Args:
        tracking_uri: From `resolve_tracking_uri`.
        info: The sweep; None for that of the newest run, which only a SQLite store can tell.

    Raises:
        UsageError: There is no run to show.
    """
    database = sqlite_path(tracking_uri)
    if database is None:
        return (None, None) if info is None else (_experiment_id(tracking_uri, info), info.id)
    wanted = None if info is None else info.id
    row = _first_row(database, _NEWEST_RUN, (wanted, wanted)) if database.exists() else None
    if row is None and info is not None:
        raise UsageError(
            f"nothing to show: sweep {info.name!r} has no runs in {database}; "
            f"`sweeps sync {info.name}` sends them"
        )
    if row is None:
        raise UsageError(
            f"nothing to show: there are no runs in {database} yet; begin with: `sweeps run smoke`"
            ", or name another folder with --home"
        )
    return str(row[0]), None if row[1] is None else str(row[1])


def registered_model(tracking_uri: str, info: SweepInfo) -> str | None:
    """Return the name of a sweep's registered model that has a champion; None if there is none.

    Args:
        tracking_uri: From `resolve_tracking_uri`.
        info: The sweep.
    """
    database = sqlite_path(tracking_uri)
    if database is not None:
        row = _first_row(database, _CHAMPION, (ALIAS, info.id)) if database.exists() else None
        return None if row is None else str(row[0])
    with quiet():
        from mlflow.tracking import MlflowClient

        model = find_model(MlflowClient(tracking_uri), info)
    return str(model.name) if model and ALIAS in model.aliases else None


def server_address(tracking_uri: str, info: SweepInfo | None) -> str:
    """Return the address of a sweep's view on an MLflow server, without a password."""
    parts = urlsplit(tracking_uri)
    public = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return view_address(public, *locate(tracking_uri, info))


def _experiment_id(tracking_uri: str, info: SweepInfo) -> str | None:
    with quiet():
        from mlflow.tracking import MlflowClient

        experiment = find_experiment(MlflowClient(tracking_uri), info)
    return None if experiment is None else str(experiment.experiment_id)


def _first_row(
    database: Path, query: str, values: tuple[str | None, ...]
) -> tuple[object, ...] | None:
    """Return the first row of a query; the file is closed before a server opens it."""
    address = f"{database.as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(address, uri=True)) as store:
        try:
            found = store.execute(query, values)
            row: tuple[object, ...] | None = found.fetchone()
        except sqlite3.DatabaseError as error:
            if "no such table" in str(error):  # created, but never migrated
                return None
            raise UsageError(f"{database} is no MLflow store that can be read: {error}") from None
        return row
