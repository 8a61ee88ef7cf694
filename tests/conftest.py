"""What several packages' tests share: a migrated MLflow store, made once and copied."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _tensorflow_as_trainings_have_it(request):
    """Start TensorFlow with our settings before a test imports it: it reads them only once.

    A test that came first without them would change the last bits of all later trainings.
    """
    if request.node.get_closest_marker("tensorflow"):
        from digitexp.training.tensorflow_setup import start_tensorflow

        start_tensorflow()


@pytest.fixture(scope="session")
def migrated_database(tmp_path_factory) -> Path:
    """A migrated SQLite store; MLflow's migrations take seconds, a copy takes milliseconds."""
    from sweeps.tracking.store import open_client

    database = tmp_path_factory.mktemp("migrated") / "mlflow.db"
    client = open_client(f"sqlite:///{database}")
    client._tracking_client.store.engine.dispose()
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return database


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory, migrated_database):
    """A real `mlflow server`, started once; leave it running."""
    from tests.faults.mlflow_server import MlflowServer

    server = MlflowServer(tmp_path_factory.mktemp("server"), migrated_database)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def make_home(tmp_path, migrated_database):
    """Make homes that have an empty MLflow store already, by name."""

    def make(name: str = "home") -> Path:
        folder = tmp_path / name
        if not folder.exists():
            folder.mkdir()
            shutil.copy(migrated_database, folder / "mlflow.db")
        return folder

    return make
