"""SQLite files: shared by the study and by MLflow's own store; knows neither.

Databases are checked on every start (`PRAGMA quick_check`, bounded, read-only), made whole under
another name first, and migrated on a copy beside a dated backup. A locked one is waited for, two
minutes at most; one that is damaged, full, read-only or of a newer schema ends the sweep with one
message, and never a record is lost.
"""

from __future__ import annotations

import shlex
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol, TypeVar

from sweeps.errors import StoreError
from sweeps.workspace.files import sync_folder

__all__ = [
    "DatabaseRetry",
    "abandon_creation",
    "check",
    "connect",
    "created_whole",
    "enable_wal",
    "migrate",
    "relax_synchronous",
    "schema_version",
]


# Trouble with a database: what passes is waited for, the rest becomes one message.
#
# A SQLite file may be locked by another process; a server may be restarted, or out of reach.


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


class DatabaseRetry:
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


# SQLite files of a home: made whole or not at all, checked before use, migrated on a copy.
#
# Whatever a database lacks is in the records, so a damaged one is refused and never repaired here:
# its owner moves it away, and the same command makes it anew.


LONGEST_CHECK_SECONDS: Final = 0.5
"""A check of a big file ends unfinished after this time."""
OPERATIONS_BETWEEN_LOOKS: Final = 10_000
"""Steps of SQLite's machine between two looks at the clock."""

_CREATING: Final = ".new"
_COMPANIONS: Final = ("-wal", "-shm", "-journal")


def check(database: Path, database_retry: DatabaseRetry) -> None:
    """Refuse a database that is damaged; one that is not there yet is fine.

    Takes a few milliseconds for a small file, and never longer than `LONGEST_CHECK_SECONDS`.

    Raises:
        StoreError: It is empty, torn, altered or no database; nothing was changed.
    """
    if not database.exists():
        return
    if database.stat().st_size == 0:
        raise damaged(database, "it is empty")

    def problems() -> list[str]:
        deadline = time.monotonic() + LONGEST_CHECK_SECONDS
        # Read-only: to close it would fold a `-wal` file into a file that may be damaged.
        with closing(connect(database, seconds=0.1, mode="ro")) as connection:
            connection.set_progress_handler(
                lambda: time.monotonic() > deadline, OPERATIONS_BETWEEN_LOOKS
            )
            try:
                return [str(row[0]) for row in connection.execute("PRAGMA quick_check(1)")]
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                    return ["ok"]
                raise

    (first, *_) = database_retry.run(database, problems)
    if first != "ok":
        raise damaged(database, " ".join(first.split()))


def schema_version(database: Path, database_retry: DatabaseRetry, owner_table: str) -> str | None:
    """Return the revision of a schema, as Alembic noted it.

    Args:
        database: The file.
        database_retry: How to wait for it.
        owner_table: A table that only the program has whose database it should be.

    Returns:
        None if it is another program's, or has no such note.
    """

    def read() -> str | None:
        with closing(connect(database, seconds=0.1, mode="ro")) as connection:
            names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if not {owner_table, "alembic_version"} <= {name for (name,) in names}:
                return None
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            return str(row[0]) if row else None

    return database_retry.run(database, read)


def migrate(database: Path, change: Callable[[Path], None]) -> Path:
    """Bring a database up to date on a copy, which then takes its place.

    A process that is killed meanwhile leaves the database as it was. The caller keeps other
    processes out.

    Args:
        database: The file.
        change: Migrates the copy it is given.

    Returns:
        The database as it was before, under a name with the time (UTC).
    """
    moment = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    backup = database.with_name(f"{database.name}.backup-{moment}")
    with created_whole(backup) as copy:
        _copy(database, copy)
    with created_whole(database) as new:
        _copy(backup, new)
        change(new)
        enable_wal(new)
    return backup


def _copy(database: Path, to: Path) -> None:
    with (
        closing(connect(database, seconds=0.1)) as source,
        closing(sqlite3.connect(to)) as target,
    ):
        source.backup(target)


@contextmanager
def created_whole(database: Path) -> Iterator[Path]:
    """Make a database under another name: one that is killed meanwhile leaves no half of it.

    The caller keeps other processes out and closes its connections. Yields the name to use.
    """
    new = database.with_name(f".{database.name}{_CREATING}")
    _remove(new)
    try:
        yield new
        _set_aside_orphans(database)
        new.replace(database)
        sync_folder(database.parent)
    finally:
        _remove(new)


def abandon_creation(database: Path) -> None:
    """Remove what a thread that this process no longer waits for has made of a new database."""
    _remove(database.with_name(f".{database.name}{_CREATING}"))


def enable_wal(database: Path) -> None:
    """Let readers and one writer work at the same time; kept in the file."""
    with closing(connect(database, seconds=0.1)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")


def relax_synchronous(connection: sqlite3.Connection, _record: object) -> None:
    """Spare an fsync per transaction: a listener for SQLAlchemy's `connect`.

    With WAL, NORMAL cannot damage the file; a last commit lost with the power is in the records.
    """
    connection.execute("PRAGMA synchronous=NORMAL")


def _set_aside_orphans(database: Path) -> None:
    """Keep the `-wal` of a database that was moved away from being played into the new one."""
    for suffix in _COMPANIONS:
        orphan = database.with_name(database.name + suffix)
        if orphan.exists():
            orphan.replace(orphan.with_name(f"{orphan.name}.orphan"))


def _remove(database: Path) -> None:
    for suffix in ("", *_COMPANIONS):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
