"""A database that another process has locked is waited for; not for ever, and not silently."""

import sqlite3
import threading
import time
from contextlib import closing

import pytest

from sweeps.errors import StoreError
from sweeps.workspace import databases
from sweeps.workspace.databases import DatabaseRetry, enable_wal, explained, sqlite_error
from tests.sweeps.workspace.databases.locking import locked


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE t (x)")
    enable_wal(path)
    return path


def insert(database):
    with closing(sqlite3.connect(database, timeout=0.1)) as connection, connection:
        connection.execute("INSERT INTO t VALUES (1)")


def test_a_lock_that_is_let_go_is_waited_for_and_told_once(database, monkeypatch):
    monkeypatch.setattr(databases, "NOTE_AFTER_SECONDS", 0.2)
    notes = []
    with locked(database) as release:
        threading.Timer(1.0, release).start()
        DatabaseRetry(notes.append).run(database, lambda: insert(database))
    assert notes == [f"waiting for {database}: another process has locked it"]


def test_a_lock_that_stays_ends_in_one_message(database, monkeypatch):
    monkeypatch.setattr(databases, "LONGEST_WAIT_SECONDS", 0.5)
    with locked(database), pytest.raises(StoreError, match="another process has locked it; end"):
        DatabaseRetry().run(database, lambda: insert(database))


def test_who_is_asked_to_stop_does_not_wait_long(database):
    began = time.monotonic()
    with locked(database), pytest.raises(StoreError, match="another process has locked it"):
        DatabaseRetry(is_urgent=lambda: True).run(database, lambda: insert(database))
    assert time.monotonic() - began < databases.LONGEST_WAIT_SECONDS / 4


def test_an_error_that_is_not_of_the_database_passes_through(database):
    with pytest.raises(ZeroDivisionError):
        DatabaseRetry().run(database, lambda: 1 / 0)


@pytest.mark.parametrize(
    ("code", "fragment"),
    [
        (sqlite3.SQLITE_BUSY, "another process has locked it"),
        (sqlite3.SQLITE_FULL, "is the disk full"),
        (sqlite3.SQLITE_IOERR_WRITE, "is the disk full"),
        (sqlite3.SQLITE_READONLY_DBMOVED, "make the file and its folder writable"),
        (sqlite3.SQLITE_CANTOPEN, "make the file and its folder writable"),
        (sqlite3.SQLITE_CORRUPT, "damaged, or no database of ours"),
        (sqlite3.SQLITE_NOTADB, "damaged, or no database of ours"),
    ],
)
def test_each_kind_of_error_says_what_to_do(database, code, fragment):
    error = sqlite3.OperationalError("so says SQLite")
    error.sqlite_errorcode = code
    wrapped = RuntimeError("of a library")
    wrapped.__cause__ = ValueError("of another")
    wrapped.__cause__.__cause__ = error
    assert sqlite_error(wrapped) is error
    assert fragment in str(explained(error, database))
