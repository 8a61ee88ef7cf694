"""SQLite files of MLflow, and those of others; this module does not import MLflow.

Databases are checked on every start (`PRAGMA quick_check`, bounded, read-only). A new one is made
whole under another name first; a migration works on a copy and leaves a dated backup. A locked
database is waited for, two minutes at most. One that is damaged, full, read-only or of a newer
schema ends the sweep with one message; no record is lost. A damaged one is not repaired, since the
records hold everything: the user moves it away, and the same command makes it anew.
"""

from __future__ import annotations

import os
import shlex
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from sweeps.errors import StoreError, UsageError
from sweeps.workspace.files import sync_folder

T = TypeVar("T")

LONGEST_WAIT_SECONDS: Final = 120.0
"""The longest wait for a database that another process has locked."""
NOTE_AFTER_SECONDS: Final = 3.0
URGENT_WAIT_SECONDS: Final = 1.0
"""The longest wait once somebody asked the sweep to stop: records are safe without the database."""


@dataclass(frozen=True)
class Trouble:
    """A problem with a database: if it may pass, the sweep waits; if not, it ends with one message.

    Attributes:
        passes: Whether the same call may succeed later, as of a server that is restarted.
        why: The reason in a few words, for the user who waits.
        error: The error to raise if the problem does not pass.
        longest_seconds: How long to wait at most.
    """

    passes: bool
    why: str
    error: StoreError
    longest_seconds: float


class Server(Protocol):
    """A database on a server, in place of a SQLite file."""

    def trouble(self, error: BaseException) -> Trouble | None:
        """Return the problem with the database that an error shows; None if it shows none."""


class DatabaseRetry:
    """Waits for a database that is locked or out of reach, for a limited time, and says so."""

    def __init__(
        self,
        note: Callable[[str], None] = lambda text: None,
        is_urgent: Callable[[], bool] = lambda: False,
    ) -> None:
        """Prepare to wait.

        Args:
            note: Receives one line when a wait gets long.
            is_urgent: Returns whether somebody asked the sweep to stop; called repeatedly.
        """
        self._note = note
        self._is_urgent = is_urgent

    def run(self, database: Path | Server, action: Callable[[], T]) -> T:
        """Run an action on a database, and repeat it while the database is locked or out of reach.

        Args:
            database: The file, or the server.
            action: One transaction that may be repeated even if it was committed unnoticed. It may
                raise the errors of SQLite, psycopg, SQLAlchemy or Optuna.

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


def _trouble(database: Path | Server, error: Exception) -> Trouble | None:
    if not isinstance(database, Path):
        return database.trouble(error)
    cause = sqlite_error(error)
    if cause is None:
        return None
    why = "another process has locked it"
    return Trouble(is_locked(cause), why, explained(cause, database), LONGEST_WAIT_SECONDS)


def sqlite_error(error: BaseException | None) -> sqlite3.Error | None:
    """Return the SQLite error inside an error of SQLAlchemy, Optuna or MLflow; None without one."""
    while error is not None and not isinstance(error, sqlite3.Error):
        error = error.__cause__ or error.__context__
    return error


def is_locked(error: sqlite3.Error) -> bool:
    """Whether the same call may succeed once another process has ended its transaction."""
    return _primary_code(error) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def explained(error: sqlite3.Error, database: Path) -> StoreError:
    """Return an error of SQLite as one message that says what the user can do."""
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
    """Return the error for a database that cannot be used."""
    return StoreError(
        f"{database}: damaged, or no database of ours ({what}). It was left as it is. Move it away "
        f"with  mv {shlex.quote(str(database))}* ELSEWHERE  and repeat the command: its contents "
        "are written anew from the journals"
    )


def _primary_code(error: sqlite3.Error) -> int:
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & 0xFF  # the higher bits only add detail


def connect(database: Path, *, seconds: float, mode: str = "rw") -> sqlite3.Connection:
    """Open an existing database.

    Args:
        database: The file.
        seconds: How long SQLite itself waits for a lock.
        mode: `rw` or `ro`.
    """
    address = f"{database.absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(address, uri=True, timeout=seconds, isolation_level=None)


LONGEST_CHECK_SECONDS: Final = 0.5
"""After this time the check of a big file ends unfinished."""
OPERATIONS_BETWEEN_LOOKS: Final = 10_000
"""Instructions of SQLite's virtual machine between two looks at the clock."""

_CREATING: Final = ".new"
_COMPANIONS: Final = ("-wal", "-shm", "-journal")


MOST_COPIED: Final = 2 * 2**30
"""Bytes of a database of somebody else's that are copied at most."""
LONGEST_READING_SECONDS: Final = 300.0
"""After this time a database of somebody else's is read no further."""


@contextmanager
def copied(database: Path) -> Iterator[Path]:
    """Yield a copy of somebody else's database, which may be migrated; the original stays as it is.

    Raises:
        UsageError: There is no such file, it is larger than `MOST_COPIED`, or no database.
    """
    if not database.is_file():
        raise UsageError(f"{database}: there is no such file")
    if database.stat().st_size > MOST_COPIED:
        raise UsageError(f"{database} is larger than {MOST_COPIED // 2**30} GB; refused")
    # A mere reader leaves the companions of a database in WAL mode behind; a writer removes them.
    # But if there are some, they are those of another process.
    is_used = any(Path(f"{database}{companion}").exists() for companion in _COMPANIONS)
    mode = "ro" if is_used or not os.access(database, os.W_OK) else "rw"
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.db"
        try:
            with (
                closing(connect(database, seconds=5.0, mode=mode)) as source,
                closing(sqlite3.connect(copy)) as target,
            ):
                source.backup(target)
            if strange := _beyond_tables(copy):
                raise UsageError(f"{database}: {strange}; refused")
            check(copy, DatabaseRetry())
        except (sqlite3.Error, StoreError) as error:
            problem = "" if isinstance(error, StoreError) else f" ({error})"
            raise UsageError(f"{database}: no database can be read{problem}") from None
        with _bounded(database):
            yield copy


@contextmanager
def _bounded(database: Path) -> Iterator[None]:
    """End what SQLite computes for SQLAlchemy too long, and let Ctrl-C end it.

    While SQLite computes, Python handles no signal, unless SQLite calls some Python.
    """
    from sqlalchemy import Engine, event

    deadline = time.monotonic() + LONGEST_READING_SECONDS

    def look(connection: Any, _record: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.set_progress_handler(
                lambda: time.monotonic() > deadline, OPERATIONS_BETWEEN_LOOKS
            )

    event.listen(Engine, "connect", look)
    try:
        yield
    except Exception as error:
        cause = sqlite_error(error)
        if cause is None or _primary_code(cause) != sqlite3.SQLITE_INTERRUPT:
            raise
        if time.monotonic() > deadline:
            raise UsageError(
                f"{database}: reading it takes more than {LONGEST_READING_SECONDS:g} s; refused"
            ) from None
        raise KeyboardInterrupt from None  # of it, SQLite says no more
    finally:
        event.remove(Engine, "connect", look)


def check(database: Path, database_retry: DatabaseRetry) -> None:
    """Refuse a damaged database; accept one that does not exist yet.

    The check takes a few milliseconds for a small file, and at most `LONGEST_CHECK_SECONDS`.

    Raises:
        StoreError: It is empty, torn, altered or no database; nothing was changed.
    """
    if not database.exists():
        return
    if database.stat().st_size == 0:
        raise damaged(database, "it is empty")
    database_retry.run(database, lambda: check_tables(database))

    def problems() -> list[str]:
        deadline = time.monotonic() + LONGEST_CHECK_SECONDS
        # Read-only: closing a writable connection would merge the `-wal` into a damaged file.
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


def check_tables(database: Path) -> None:
    """Refuse a database with more than tables: a view may be computed without end.

    Raises:
        StoreError: It holds a view or a virtual table.
        sqlite3.Error: It cannot be read.
    """
    if strange := _beyond_tables(database):
        raise damaged(database, strange)


def _beyond_tables(database: Path) -> str:
    with closing(connect(database, seconds=0.1, mode="ro")) as connection:
        row = connection.execute(
            "SELECT CASE type WHEN 'view' THEN 'view' ELSE 'virtual table' END, name "
            "FROM sqlite_master WHERE type = 'view' OR sql LIKE 'CREATE VIRTUAL%'"
        ).fetchone()
    return (
        f"it holds the {row[0]} {row[1]!r}, as neither Optuna nor MLflow makes one" if row else ""
    )


def schema_version(database: Path, database_retry: DatabaseRetry, owner_table: str) -> str | None:
    """Return the revision of a database's schema, as Alembic noted it.

    Args:
        database: The file.
        database_retry: Waits for it.
        owner_table: A table that only the expected program has.

    Returns:
        The revision; None if the database belongs to another program, or has no such note.
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

    If the process is killed meanwhile, the database stays as it was. The caller keeps other
    processes out.

    Args:
        database: The file.
        change: Migrates the copy that it receives.

    Returns:
        The backup: the database as it was before, under a name with the time (UTC).
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
    """Make a database under another name first, so that a killed process leaves no half of it.

    The caller keeps other processes out and closes its connections.

    Yields:
        The path under which the caller makes the database.
    """
    new = database.with_name(f".{database.name}{_CREATING}")
    _remove(new)
    try:
        yield new
        # SQLite would apply the `-wal` that a moved database left behind to the new one.
        for suffix in _COMPANIONS:
            orphan = database.with_name(database.name + suffix)
            if orphan.exists():
                orphan.replace(orphan.with_name(f"{orphan.name}.orphan"))
        new.replace(database)
        sync_folder(database.parent)
    finally:
        _remove(new)


def abandon_creation(database: Path) -> None:
    """Remove the unfinished database of a thread that this process no longer waits for."""
    _remove(database.with_name(f".{database.name}{_CREATING}"))


def enable_wal(database: Path) -> None:
    """Let readers and one writer work at the same time; the file keeps the setting."""
    with closing(connect(database, seconds=0.1)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")


def relax_synchronous(connection: sqlite3.Connection, _record: object) -> None:
    """Save an fsync per transaction; a listener for SQLAlchemy's `connect`.

    With WAL, NORMAL cannot damage the file. If the power fails, the last commit may be lost, but
    the records have its content.
    """
    connection.execute("PRAGMA synchronous=NORMAL")


def _remove(database: Path) -> None:
    for suffix in ("", *_COMPANIONS):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
