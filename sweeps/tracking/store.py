"""MLflow's store, opened fast and safe: created and migrated once, in WAL mode, silently."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from sweeps.locks import exclusive
from sweeps.tracking.address import SQLITE, sqlite_path
from sweeps.tracking.quiet import quiet

BUSY_TIMEOUT_SECONDS: Final = 20


def open_client(tracking_uri: str) -> Any:
    """Return an `MlflowClient`; a SQLite store is created and migrated (seconds, once)."""
    with quiet():
        from mlflow.tracking import MlflowClient

        database = sqlite_path(tracking_uri)
        if database is None:
            return MlflowClient(tracking_uri)
        database.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(database.parent):  # two processes must not both create it
            if not database.exists():
                _create(database)
            _enable_wal(database)
            client = MlflowClient(tracking_uri)
            _relax_synchronous(client)
        return client


def close_client(client: Any) -> None:
    """Close the connections to a database, so that its `-wal` file is folded in and removed."""
    engine = getattr(client._tracking_client.store, "engine", None)
    if engine is not None:
        engine.dispose()


def _create(database: Path) -> None:
    """Migrate a new store under another name: a process killed meanwhile leaves no half of one."""
    from mlflow.tracking import MlflowClient

    new = database.with_name(f".{database.name}.new")
    _remove(new)
    client = MlflowClient(f"{SQLITE}{new}")
    _ = client._tracking_client.store  # creates and migrates it
    close_client(client)
    new.replace(database)
    _remove(new)


def _remove(database: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)


def _enable_wal(database: Path) -> None:
    """Let readers (the UI) and our one writer work at the same time; kept in the file."""
    with closing(sqlite3.connect(database, timeout=BUSY_TIMEOUT_SECONDS)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")


def _relax_synchronous(client: Any) -> None:
    """Spare an fsync per transaction: a lost last commit is rebuilt from the records."""
    import sqlalchemy

    engine = client._tracking_client.store.engine  # MLflow offers no other way to it
    if not sqlalchemy.event.contains(engine, "connect", _set_synchronous_normal):
        sqlalchemy.event.listen(engine, "connect", _set_synchronous_normal)
        engine.dispose()  # connections made before the listener was there


def _set_synchronous_normal(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA synchronous=NORMAL")
