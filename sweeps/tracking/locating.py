"""Where MLflow's UI shows a sweep; a SQLite store is asked directly: MLflow loads for seconds."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from sweeps.errors import UsageError
from sweeps.records.record import SweepInfo
from sweeps.tracking.address import sqlite_path
from sweeps.tracking.content import experiment_name
from sweeps.tracking.quiet import quiet
from sweeps.tracking.view import view_address

_NEWEST_RUN: Final = """
    SELECT experiment_id, value FROM runs
    LEFT JOIN tags ON tags.run_uuid = runs.run_uuid AND tags.key = 'sweep_id'
    WHERE lifecycle_stage = 'active' AND (? IS NULL OR value = ?) ORDER BY start_time DESC LIMIT 1
"""


def locate(tracking_uri: str, info: SweepInfo | None) -> tuple[str | None, str | None]:
    """Return MLflow experiment and id of a sweep, None for what the store does not tell.

    Args:
        tracking_uri: From `resolve_tracking_uri`.
        info: The sweep; None for the one of the newest run, which only a SQLite store tells.

    Raises:
        UsageError: There is no run to show.
    """
    database = sqlite_path(tracking_uri)
    if database is None:
        return (None, None) if info is None else (_experiment_id(tracking_uri, info), info.id)
    row = _first_row(database, None if info is None else info.id) if database.exists() else None
    if row is None and info is not None:
        raise UsageError(
            f"nothing to show: sweep {info.name!r} has no runs in {database}; "
            f"`sweeps sync {info.name}` sends them"
        )
    if row is None:
        raise UsageError(
            f"nothing to show: there are no runs in {database} yet; begin with: sweeps run smoke, "
            "or name another folder with --home"
        )
    return str(row[0]), None if row[1] is None else str(row[1])


def server_address(tracking_uri: str, info: SweepInfo | None) -> str:
    """Return the address of a sweep's view on an MLflow server, without a password."""
    parts = urlsplit(tracking_uri)
    public = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return view_address(public, *locate(tracking_uri, info))


def _experiment_id(tracking_uri: str, info: SweepInfo) -> str | None:
    with quiet():
        from mlflow.tracking import MlflowClient

        experiment = MlflowClient(tracking_uri).get_experiment_by_name(experiment_name(info))
    return None if experiment is None else str(experiment.experiment_id)


def _first_row(database: Path, sweep_id: str | None) -> tuple[object, ...] | None:
    """Read and close before the server opens the file itself."""
    address = f"{database.as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(address, uri=True)) as store:
        try:
            found = store.execute(_NEWEST_RUN, (sweep_id, sweep_id))
            row: tuple[object, ...] | None = found.fetchone()
        except sqlite3.DatabaseError as error:
            if "no such table" in str(error):  # created, but never migrated
                return None
            raise UsageError(f"{database} is no MLflow store that can be read: {error}") from None
        return row
