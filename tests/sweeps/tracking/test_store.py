"""The store is created whole, or not at all; an older one is brought up to date after a copy."""

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from sweeps.errors import StoreError
from sweeps.tracking.store import close_client, open_client, quiet


@pytest.mark.slow
def test_a_first_use_that_is_killed_half_way_leaves_no_broken_store(tmp_path):
    program = """
import sys, threading, time, os, pathlib
from sweeps.tracking.store import open_client
folder = pathlib.Path(sys.argv[1])
threading.Thread(target=open_client, args=[f"sqlite:///{folder}/mlflow.db"], daemon=True).start()
log = folder / ".mlflow.db.new-wal"
while not log.exists() or log.stat().st_size < 100_000:
    time.sleep(0.001)
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], timeout=120, check=True)
    assert not (tmp_path / "mlflow.db").exists()
    client = open_client(f"sqlite:///{tmp_path}/mlflow.db")
    assert client.search_experiments()
    close_client(client)
    assert not list(tmp_path.glob(".mlflow.db*"))


@pytest.fixture
def database(tmp_path, migrated_database):
    return shutil.copy(migrated_database, tmp_path / "mlflow.db")


def version(database):
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute("SELECT version_num FROM alembic_version").fetchone()[0]


def downgrade(database):
    """Undo MLflow's last migration, by the code that MLflow has for it."""
    with quiet():
        from alembic import command
        from mlflow.store.db.utils import _get_alembic_config

        command.downgrade(_get_alembic_config(f"sqlite:///{database}"), "-1")


def test_the_store_of_an_older_mlflow_is_brought_up_to_date_after_a_copy(database, capfd):
    now = version(database)
    downgrade(database)
    older = version(database)
    assert older != now
    client = open_client(f"sqlite:///{database}")
    assert client.search_experiments()
    close_client(client)
    assert version(database) == now
    (backup,) = database.parent.glob("mlflow.db.backup-*")
    assert version(backup) == older
    assert capfd.readouterr().err == ""


def test_a_store_that_was_seen_once_costs_no_reading_of_scripts_any_more(database, monkeypatch):
    for _ in range(2):
        client = open_client(f"sqlite:///{database}")
        assert client.search_experiments()
        close_client(client)
        monkeypatch.setattr("sweeps.tracking.store._REVISION", None)  # whoever reads one fails
        monkeypatch.setattr("sweeps.tracking.store.importlib.util.find_spec", None)


def test_the_store_of_a_newer_mlflow_is_refused(database):
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    with pytest.raises(StoreError, match=r"is not one of MLflow 3\.17.* left as it is"):
        open_client(f"sqlite:///{database}")
