"""Shared by all tests: the tiers; a migrated MLflow store, made once and copied."""

import gc
import os
import shutil
import sqlite3
import sys
from contextlib import closing
from functools import cache
from pathlib import Path

import pytest
import typer.testing

ROOT = Path(__file__).parents[1]

pytest_plugins = ("tests.tiers",)

os.environ["SWEEPS_STATE"] = "off"  # no test, and no process it starts, writes the user's logs
# Processes with a home of their own read the same machine code of the digits' engine, too.
os.environ.setdefault("XDG_CACHE_HOME", str(Path.home() / ".cache"))


@pytest.fixture(scope="session", autouse=True)
def _imported(request):
    """Import once what most tests need: no single one of a whole tier is to pay for it.

    Nor is the collector of garbage to search it, again and again.
    """
    if request.config.getoption("tier") is not None:
        import sklearn.model_selection  # noqa: F401

        from sweeps.tracking.store import quiet

        with quiet():  # imports MLflow
            pass
        gc.collect()
        gc.freeze()


@pytest.fixture(autouse=True)
def _no_storage_of_another_test(monkeypatch):
    """Forget the database that a test before gave with `--storage`: commands leave it there."""
    monkeypatch.setenv("SWEEPS_STORAGE", "")  # so that its value is put back, or taken away
    monkeypatch.delenv("SWEEPS_STORAGE")


@pytest.fixture(scope="session", autouse=True)
def _commands_built_once():
    """Keep what `CliRunner` would build anew for each command that a test invokes: all of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.testing, "_get_command", cache(typer.testing._get_command))
        yield


@pytest.fixture(scope="session", autouse=True)
def _asked_once(request):
    """Ask only once for what stays the same through all tests, and costs each sweep that one makes.

    That is the state of this project's own repository, and the revision of MLflow's tables that
    the installed MLflow wants.
    """
    if request.config.getoption("tier") is None:
        yield
        return
    from mlflow.store.db import utils

    from sweeps.workspace import provenance

    ask_git = provenance._git
    ask_git_once = cache(ask_git)

    def answer(folder, *arguments):
        ask = ask_git_once if Path(folder).is_relative_to(ROOT) else ask_git
        return ask(folder, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(provenance, "_git", answer)
        patch.setattr(
            utils, "_get_latest_schema_revision", cache(utils._get_latest_schema_revision)
        )
        yield


@pytest.fixture(scope="session", autouse=True)
def measured_children():
    """Take what has child processes measured for coverage out of the environment, and return it.

    Measuring all of them would double the time of the suite; `measure_children` is for tests that
    are about processes.
    """
    name = "COVERAGE_PROCESS_CONFIG"
    return {name: os.environ.pop(name)} if name in os.environ else {}


@pytest.fixture
def measure_children(measured_children, monkeypatch):
    """Have the lines that child processes run count as covered."""
    for name, value in measured_children.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(autouse=True)
def _import_path():
    """Take back what a test has put on the import path.

    A sweep puts its folder there. With the folders of a thousand tests before it, each import and
    each look at the installed packages takes fifty times as long, and finds what others have left.
    """
    before = list(sys.path)
    yield
    sys.path[:] = before


@pytest.fixture(scope="session")
def started_tensorflow():
    from digitexp.tensorflow_setup import start_tensorflow

    start_tensorflow()


@pytest.fixture(autouse=True)
def _tensorflow_as_trainings_have_it(request):
    """Start TensorFlow with our settings before a test imports it: it reads them only once.

    A test that came first without them would change the last bits of all later trainings.
    """
    if request.node.get_closest_marker("tensorflow"):
        request.getfixturevalue("started_tensorflow")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Freeze what there is before a test that trains, and before what is made for it.

    Between trainings garbage is collected. That would search all that earlier tests have imported
    and traced.
    """
    if item.get_closest_marker("tensorflow"):
        gc.collect()
        gc.freeze()


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
def warm():
    """The commands, answered by copies of a process that has imported everything."""
    from tests.warm import Warm

    answering = Warm()
    yield answering
    answering.close()


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
