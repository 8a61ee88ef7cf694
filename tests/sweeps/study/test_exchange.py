"""Studies of others: read from a copy of their file, of this schema or an older one, or refused."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import optuna
import pytest

from sweeps.errors import UsageError
from sweeps.study.exchange import read_other_study


@pytest.fixture
def database(tmp_path):
    """A file with a study `mine` of one trial."""
    path = tmp_path / "study.db"
    study = optuna.create_study(storage=f"sqlite:///{path}", study_name="mine")
    study.add_trial(optuna.create_trial(value=0.5))
    return path


def execute(path, statement):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def test_a_study_of_an_older_optuna_is_read_and_stays_of_that_version(database):
    execute(database, "DROP INDEX ix_trials_study_id")
    execute(database, "UPDATE alembic_version SET version_num = 'v3.0.0.d'")
    before = database.read_bytes()
    directions, trials = read_other_study(database, "mine", 10)
    assert (directions, [trial.values for trial in trials]) == (["minimize"], [[0.5]])
    assert database.read_bytes() == before
    assert [path.name for path in database.parent.iterdir()] == ["study.db"]


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE alembic_version SET version_num = 'v9.0.0.a'", "studies of a newer Optuna"),
        ("DELETE FROM alembic_version", "no study of Optuna"),
        ("DROP TABLE alembic_version", "no study of Optuna"),
        ("DROP TABLE version_info", "no study of Optuna"),
        ("DROP TABLE trial_values", "no such table: trial_values"),
        ("UPDATE trial_values SET value_type = 'x'", "'x' is not among the defined enum values"),
        ("DELETE FROM studies", "there is no study 'mine'"),
        (
            "CREATE TRIGGER t AFTER UPDATE ON alembic_version BEGIN DELETE FROM trials; END",
            "it holds a trigger",
        ),
        ("CREATE VIEW v AS SELECT * FROM trials", "it holds the view 'v'"),
    ],
)
def test_a_file_that_holds_no_such_study_is_refused_and_left_as_it_is(database, statement, said):
    execute(database, statement)
    before = database.read_bytes()
    with pytest.raises(UsageError) as refused:
        read_other_study(database, "mine", 10)
    assert str(refused.value).startswith(str(database))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert database.read_bytes() == before


def test_a_study_of_too_many_trials_is_refused(database):
    optuna.load_study(study_name="mine", storage=f"sqlite:///{database}").add_trial(
        optuna.create_trial(value=1.0)
    )
    assert len(read_other_study(database, "mine", 2)[1]) == 2
    with pytest.raises(UsageError, match="study 'mine' has more than 1 trials; refused"):
        read_other_study(database, "mine", 1)
