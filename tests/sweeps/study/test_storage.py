"""The study's database: of this schema, brought up to it, or refused."""

import shutil
import sqlite3
from contextlib import closing

import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from sweeps.study.storage import StudyStore

from sweeps.errors import StoreError
from sweeps.study import storage as study_storage
from sweeps.study.backends import backend_of, schema_versions
from sweeps.study.proposals import Proposal
from sweeps.study.sampler_view import TrialOutcome
from sweeps.workspace.databases import DatabaseRetry
from tests.sweeps.study.rows import rows_of_trials


@pytest.fixture
def database(tmp_path):
    """A study with one trial that has ended."""
    path = tmp_path / "optuna.db"
    study = StudyStore(path, "s", ["maximize"])
    study.add(0, Proposal({}, {}, "sampled"))
    study.tell(0, TrialOutcome(TrialState.COMPLETE, (0.5,)))
    study.close()
    return path


def test_the_rows_are_those_that_optuna_writes(tmp_path, monkeypatch):
    own = rows_of_trials(tmp_path / "own.db")
    monkeypatch.setattr(study_storage, "REVISION", "another")
    assert rows_of_trials(tmp_path / "public.db") == own


def values(path):
    study = StudyStore(path, "s", ["maximize"])
    found = [trial.value for trial in study.trials]
    study.close()
    return found


def execute(path, *statements):
    with closing(sqlite3.connect(path)) as connection, connection:
        return [connection.execute(statement).fetchall() for statement in statements]


def version(path):
    return execute(path, "SELECT version_num FROM alembic_version")[0][0][0]


def test_the_schemas_that_are_known_are_those_of_the_installed_optuna():
    assert list(schema_versions()) == RDBStorage("sqlite://").get_all_versions()


def test_a_home_that_was_seen_once_costs_no_reading_of_scripts_any_more(database, monkeypatch):
    values(database)
    monkeypatch.setattr("alembic.script.ScriptDirectory.__init__", None)  # whoever calls it fails
    assert values(database) == [0.5]


def test_a_study_of_an_older_optuna_is_brought_up_to_date_after_a_copy(database):
    now = version(database)
    execute(
        database,
        "DROP INDEX ix_trials_study_id",
        "UPDATE alembic_version SET version_num = 'v3.0.0.d'",
    )
    assert values(database) == [0.5]
    assert version(database) == now
    (backup,) = database.parent.glob("optuna.db.backup-*")
    assert version(backup) == "v3.0.0.d"
    assert execute(database, "PRAGMA journal_mode") == [[("wal",)]]
    assert values(database) == [0.5]  # and not once more
    assert len(list(database.parent.glob("optuna.db.backup-*"))) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE alembic_version SET version_num = 'v9.0.0.a'",
        "DROP TABLE alembic_version",
        "DROP TABLE version_info",
    ],
)
def test_a_study_of_a_newer_optuna_or_another_program_is_refused(database, statement):
    execute(database, statement)
    before = database.read_bytes()
    with pytest.raises(StoreError, match=r"is not one of Optuna 5.* left as it is"):
        backend_of(database).prepare(DatabaseRetry())
    assert database.read_bytes() == before


def test_the_database_of_mlflow_is_no_study(database, migrated_database):
    shutil.copy(migrated_database, database)
    with pytest.raises(StoreError, match=r"is not one of Optuna"):
        StudyStore(database, "s", ["maximize"])
