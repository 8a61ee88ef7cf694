"""A home with a migrated store, and a projection into it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeps.tracking.projection import Projection


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
