"""A migrated SQLite store, made once and copied: the migrations take seconds."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sweeps.tracking.projection import Projection
from sweeps.tracking.store import open_client


@pytest.fixture(scope="session")
def migrated_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    database = tmp_path_factory.mktemp("migrated") / "mlflow.db"
    client = open_client(f"sqlite:///{database}")
    client._tracking_client.store.engine.dispose()
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return database


@pytest.fixture
def home(tmp_path: Path, migrated_database: Path) -> Path:
    """Return a home, with a space in its name, that has an empty migrated store."""
    folder = tmp_path / "my runs"
    folder.mkdir()
    shutil.copy(migrated_database, folder / "mlflow.db")
    return folder


@pytest.fixture
def projection(home: Path) -> Iterator[Projection]:
    projection = Projection(f"sqlite:///{home / 'mlflow.db'}", home / "artifacts")
    yield projection
    projection.close()
