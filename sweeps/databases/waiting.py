"""Trouble with a database: what passes is waited for, the rest becomes one message.

A SQLite file may be locked by another process; a server may be restarted, or out of reach.
"""

from __future__ import annotations

import shlex
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeVar

from sweeps.errors import StoreError

T = TypeVar("T")

LONGEST_WAIT_SECONDS: Final = 120.0
"""How long a database that another process has locked is waited for."""
NOTE_AFTER_SECONDS: Final = 3.0
URGENT_WAIT_SECONDS: Final = 1.0
"""The same once somebody asked the sweep to stop: what is recorded is safe without it."""


@dataclass(frozen=True)
class Trouble:
    """What is wrong with a database.

    Attributes:
        passes: Whether the same call may well succeed later.
        why: In a few words, for who waits.
        error: What is raised if it does not.
        longest_seconds: How long to wait.
    """

    passes: bool
    why: str
    error: StoreError
    longest_seconds: float


class Server(Protocol):
    """A database that is no file of ours."""

    def trouble(self, error: BaseException) -> Trouble | None:
        """Return what an error says of the database; None if it says nothing of it."""


class Patience:
    """Waits for a database that is locked or out of reach; not for ever, and not silently."""

    def __init__(
        self,
        note: Callable[[str], None] = lambda text: None,
        is_urgent: Callable[[], bool] = lambda: False,
    ) -> None:
        """Prepare to wait.

        Args:
            note: Told in one line when a wait gets long.
            is_urgent: Whether somebody asked for the end meanwhile; asked again and again.
        """
        self._note = note
        self._is_urgent = is_urgent

    def run(self, database: Path | Server, action: Callable[[], T]) -> T:
        """Do something with a database, again and again while it is locked or away.

        Args:
            database: The file, or the server.
            action: One transaction, which can be repeated if nobody knows whether it was committed;
                may raise what SQLite, psycopg, SQLAlchemy or Optuna raise.

        Raises:
            StoreError: The database is not available for too long, or cannot be used.
        """
        began, noted = time.monotonic(), False
        while True:
            try:
                return action()
            except Exception as error:
                trouble = _trouble(database, error)
                if trouble is None:
                    raise
                waited = time.monotonic() - began
                longest = URGENT_WAIT_SECONDS if self._is_urgent() else trouble.longest_seconds
                if not trouble.passes or waited >= longest:
                    raise trouble.error from error
            if waited >= NOTE_AFTER_SECONDS and not noted:
                noted = True
                self._note(f"waiting for {database}: {trouble.why}")
            time.sleep(0.1)

    def write(self, database: Path | Server, action: Callable[[], T]) -> T:
        """Do something that writes, once the database can be written.

        Optuna and MLflow wait for SQLite's lock in ways of their own, which no signal ends; so it
        is waited for before they come.
        """

        def when_free(file: Path) -> T:
            with closing(connect(file, seconds=0.1)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("ROLLBACK")
            return action()

        if isinstance(database, Path):
            return self.run(database, lambda: when_free(database))
        return self.run(database, action)


def _trouble(database: Path | Server, error: Exception) -> Trouble | None:
    if not isinstance(database, Path):
        return database.trouble(error)
    cause = sqlite_error(error)
    if cause is None:
        return None
    why = "another process has locked it"
    return Trouble(is_locked(cause), why, explained(cause, database), LONGEST_WAIT_SECONDS)


def sqlite_error(error: BaseException | None) -> sqlite3.Error | None:
    """Return the error of SQLite that SQLAlchemy, Optuna or MLflow have wrapped, if any."""
    while error is not None and not isinstance(error, sqlite3.Error):
        error = error.__cause__ or error.__context__
    return error


def is_locked(error: sqlite3.Error) -> bool:
    """Whether the same call may well succeed once another process has ended its transaction."""
    return _primary_code(error) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def explained(error: sqlite3.Error, database: Path) -> StoreError:
    """Return an error of SQLite as one message that says what to do."""
    safe = "recorded trials are safe, and the same command goes on"
    match _primary_code(error):
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            text = f"another process has locked it; end that process or wait for it: {safe}"
        case sqlite3.SQLITE_FULL | sqlite3.SQLITE_IOERR:
            text = f"it cannot be written ({error}): is the disk full? Make room: {safe}"
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            text = f"{error}; make the file and its folder writable: {safe}"
        case _:
            return damaged(database, str(error))
    return StoreError(f"{database}: {text}")


def damaged(database: Path, what: str) -> StoreError:
    """Return the message about a database that holds nothing we can use."""
    return StoreError(
        f"{database}: damaged, or no database of ours ({what}). It was left as it is. Move it away "
        f"with  mv {shlex.quote(str(database))}* ELSEWHERE  and repeat the command: what it held "
        "is written anew from the records"
    )


def _primary_code(error: sqlite3.Error) -> int:
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & 0xFF  # the rest says where in SQLite


def connect(database: Path, *, seconds: float, mode: str = "rw") -> sqlite3.Connection:
    """Open a database that is there.

    Args:
        database: The file.
        seconds: How long SQLite itself waits for a lock.
        mode: `rw` or `ro`.
    """
    address = f"{database.absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(address, uri=True, timeout=seconds, isolation_level=None)
