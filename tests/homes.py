"""Homes that are made once and copied: MLflow notes absolute addresses, which move with them."""

import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def copy_home(source: Path, target: Path, made_at: Path | None = None) -> None:
    """Copy a home that nothing writes to; whatever lies at the target already is overwritten.

    Args:
        source: The home.
        target: Where the copy is to lie.
        made_at: Where the home lay when it was made, if that was elsewhere.
    """
    shutil.copytree(source, target, dirs_exist_ok=True)
    if mlflow := sys.modules.get("mlflow.tracking._tracking_service.utils"):
        mlflow._artifact_repos_cache.clear()  # of a run of that id, in another home
    with closing(sqlite3.connect(target / "mlflow.db")) as connection, connection:
        for table, column in ADDRESSES:
            connection.execute(
                f"UPDATE {table} SET {column} = replace({column}, ?, ?)",
                (f"file://{made_at or source}/", f"file://{target}/"),
            )


def lose_runs(home: Path, migrated_database: Path) -> None:
    """Put an empty store in the place of one that was lost."""
    for file in home.glob("mlflow.db*"):
        file.unlink()
    shutil.rmtree(home / "artifacts")
    shutil.copy(migrated_database, home / "mlflow.db")


def whole_records(store):
    """Return all records of a store with their arrays."""
    return [store.read(record.key) for record in store.read_all()]
