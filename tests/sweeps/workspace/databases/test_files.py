"""Databases are made whole or not at all, checked before use, and migrated on a copy."""

import signal
import sqlite3
from contextlib import closing

import pytest
import sqlalchemy

from sweeps.errors import StoreError, UsageError
from sweeps.workspace import databases
from sweeps.workspace.databases import (
    check,
    copied,
    created_whole,
    enable_wal,
    migrate,
)


@pytest.fixture
def database(tmp_path):
    """A database of some pages, with a `-wal` file beside it that a killed process left."""
    path = tmp_path / "a b.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE numbers (number, text)")
        rows = [(n, str(n) * 20) for n in range(5000)]
        connection.executemany("INSERT INTO numbers VALUES (?, ?)", rows)
    return path


def count(path):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT count(*) FROM numbers").fetchone()[0]


ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"


def test_what_a_database_of_others_computes_without_end_is_ended(database, monkeypatch):
    monkeypatch.setattr(databases, "LONGEST_READING_SECONDS", 0.2)
    said = r"a b\.db: reading it takes more than 0.2 s"
    with pytest.raises(UsageError, match=said), copied(database) as copy:
        run_endlessly(copy)


def test_ctrl_c_is_heard_while_a_database_of_others_computes(database):
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(KeyboardInterrupt), copied(database) as copy:
            run_endlessly(copy)
    finally:
        signal.signal(signal.SIGALRM, before)


def run_endlessly(copy):
    engine = sqlalchemy.create_engine(f"sqlite:///{copy}")
    try:
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text(ENDLESS)).scalar()
    except sqlalchemy.exc.OperationalError as error:  # as readers do with all errors
        raise UsageError(str(error)) from None
    finally:
        engine.dispose()


@pytest.mark.parametrize(
    "statement", [f"CREATE VIEW numbers2 AS {ENDLESS}", "CREATE VIRTUAL TABLE v USING fts5(x)"]
)
def test_views_and_virtual_tables_are_refused(database, statement):
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(statement)
    with pytest.raises(StoreError, match="as neither Optuna nor MLflow makes one"):
        check(database)


def damaged(whole):
    """Yield a name and damaged contents."""
    yield "empty", b""
    yield "garbage", b"\x00garbage" * 1000
    yield "text", b"hello"
    yield "header", b"\xff" * 50 + whole[50:]
    for part in (0.1, 0.5, 0.99):
        yield f"truncated to {part}", whole[: int(len(whole) * part)]
    altered = bytearray(whole)
    altered[8200:8300] = bytes(100)
    yield "altered", bytes(altered)


def test_a_sound_database_passes_and_a_missing_one_too(database, tmp_path):
    check(database)
    check(tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()


def test_a_damaged_database_is_refused_and_left_as_it_is(database):
    for name, contents in damaged(database.read_bytes()):
        database.write_bytes(contents)
        with pytest.raises(
            StoreError, match=r"damaged, or no database of ours .* mv '.*a b\.db'\*"
        ):
            check(database)
        assert database.read_bytes() == contents, name


def test_the_check_of_a_big_database_ends_unfinished(database, monkeypatch):
    whole = database.read_bytes()
    altered = bytearray(whole)
    altered[-3000:] = bytes(3000)
    database.write_bytes(bytes(altered))
    with pytest.raises(StoreError):
        check(database)
    monkeypatch.setattr(databases, "LONGEST_CHECK_SECONDS", -1)
    monkeypatch.setattr(databases, "OPERATIONS_BETWEEN_LOOKS", 1)
    check(database)


def test_a_database_that_could_not_be_finished_is_not_there(tmp_path):
    path = tmp_path / "new.db"

    def begin_and_fail():
        with created_whole(path) as new:
            enable_wal_in(new)
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        begin_and_fail()
    assert list(tmp_path.iterdir()) == []


def enable_wal_in(new):
    sqlite3.connect(new).close()
    enable_wal(new)


def test_the_log_of_a_database_that_was_moved_away_is_kept_from_the_new_one(tmp_path):
    path = tmp_path / "new.db"
    log = tmp_path / "new.db-wal"
    log.write_bytes(b"what the old one had not folded in")
    with created_whole(path) as new:
        enable_wal_in(new)
    check(path)
    assert (tmp_path / "new.db-wal.orphan").read_bytes().startswith(b"what the old one")


def test_a_migration_changes_a_copy_and_keeps_what_there_was(database):
    def change(copy):
        assert count(database) == count(copy) == 5000
        with closing(sqlite3.connect(copy)) as connection, connection:
            connection.execute("DELETE FROM numbers WHERE number >= 10")

    backup = migrate(database, change)
    assert (count(database), count(backup)) == (10, 5000)
    assert backup.name.startswith("a b.db.backup-20")


def test_a_migration_that_fails_changes_nothing(database):
    before = database.read_bytes()

    def change(copy):
        raise RuntimeError("cannot")

    with pytest.raises(RuntimeError, match="cannot"):
        migrate(database, change)
    assert database.read_bytes() == before
    assert not list(database.parent.glob(".*"))
