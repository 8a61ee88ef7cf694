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


class DatabaseError(StoreError):
    """A database cannot be used, for now or at all.

    Attributes:
        why: The reason in a few words, for the user who waits.
        passes_within: How many seconds to wait for it, as for a server that is restarted; 0: it
            does not pass.
    """

    def __init__(self, message: str, why: str = "", passes_within: float = 0.0) -> None:
        super().__init__(message)
        self.why, self.passes_within = why, passes_within


class Server(Protocol):
    """A database on a server, in place of a SQLite file."""

    def explain(self, error: Exception) -> DatabaseError | None:
        """Return the problem with the database that an error shows; None if it shows none."""


class DatabaseRetry:
    """Waits for a database that is locked or out of reach, for a limited time, and says so."""

    def __init__(
        self,
        note: Callable[[str], None] = lambda text: None,
        is_urgent: Callable[[], bool] = lambda: False,
    ) -> None:
        """Take what receives a line when a wait gets long, and says if the sweep is to stop."""
        self.note, self._is_urgent = note, is_urgent

    def run(self, database: Path | Server, action: Callable[[], T]) -> T:
        """Run an action on a database, and repeat it while the database is locked or out of reach.

        Args:
            database: The file, or the server.
            action: One transaction that may be repeated even if it was committed unnoticed.

        Raises:
            StoreError: The database is not available for too long, or cannot be used.
        """
        began, noted = time.monotonic(), False
        while True:
            try:
                return action()
            except Exception as error:
                problem = _explained(error, database)
                if problem is None:
                    raise
                waited, longest = time.monotonic() - began, problem.passes_within
                if waited >= (min(longest, URGENT_WAIT_SECONDS) if self._is_urgent() else longest):
                    raise problem from error
            if waited >= NOTE_AFTER_SECONDS and not noted:
                noted = True
                self.note(f"waiting for {database}: {problem.why}")
            time.sleep(0.1)


def _explained(error: Exception, database: Path | Server) -> DatabaseError | None:
    if not isinstance(database, Path):
        return database.explain(error)
    cause = sqlite_error(error)
    return None if cause is None else explained(cause, database)


def sqlite_error(error: BaseException | None) -> sqlite3.Error | None:
    """Return the SQLite error inside an error of SQLAlchemy, Optuna or MLflow; None without one."""
    while error is not None and not isinstance(error, sqlite3.Error):
        error = error.__cause__ or error.__context__
    return error


def explained(error: sqlite3.Error, database: Path) -> DatabaseError:
    """Return an error of SQLite as one message that says what the user can do."""
    safe = "recorded trials are safe, and the same command goes on"
    why, seconds = "", 0.0
    match _primary_code(error):
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            why, seconds = "another process has locked it", LONGEST_WAIT_SECONDS
            text = f"{why}; end that process or wait for it: {safe}"
        case sqlite3.SQLITE_FULL | sqlite3.SQLITE_IOERR:
            text = f"it cannot be written ({error}): is the disk full? Make room: {safe}"
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            text = f"{error}; make the file and its folder writable: {safe}"
        case _:
            return damaged(database, str(error))
    return DatabaseError(f"{database}: {text}", why, seconds)


def damaged(database: Path, what: str) -> DatabaseError:
    """Return the error for a database that cannot be used."""
    return DatabaseError(
        f"{database}: damaged, or no database of ours ({what}). It was left as it is. Move it away "
        f"with  mv {shlex.quote(str(database))}* ELSEWHERE  and repeat the command: its contents "
        "are written anew from the journals"
    )


def _primary_code(error: sqlite3.Error) -> int:
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & 0xFF  # the higher bits only add detail


def connect(database: Path, mode: str = "rw") -> sqlite3.Connection:
    """Open an existing database, to write (`rw`) or to read only (`ro`); see `DatabaseRetry`."""
    address = f"{database.absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(address, uri=True, timeout=0.1, isolation_level=None)


LONGEST_CHECK_SECONDS: Final = 0.5
"""After this time the check of a big file ends unfinished."""
OPERATIONS_BETWEEN_LOOKS: Final = 10_000
"""Instructions of SQLite's virtual machine between two looks at the clock."""
MOST_COPIED: Final = 2 * 2**30
"""Bytes of a database of somebody else's that are copied at most."""
LONGEST_READING_SECONDS: Final = 300.0
"""After this time a database of somebody else's is read no further."""
_CREATING: Final = ".new"
_COMPANIONS: Final = ("-wal", "-shm", "-journal")


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
            _copy(database, copy, mode)
            if problem := _problem(copy):
                raise UsageError(f"{database}: {problem}; refused")
        except sqlite3.Error as error:
            raise UsageError(f"{database}: no database can be read ({error})") from None
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


def check(database: Path, note: Callable[[str], None] = lambda text: None) -> None:
    """Refuse a damaged database; accept one that does not exist yet.

    Args:
        database: The file.
        note: Receives one line if it is locked for long.

    Raises:
        StoreError: It is empty, torn, altered or no database; nothing was changed.
    """
    if not database.exists():
        return
    if database.stat().st_size == 0:
        raise damaged(database, "it is empty")
    if problem := DatabaseRetry(note).run(database, lambda: _problem(database)):
        raise damaged(database, problem)


def _problem(database: Path) -> str | None:
    """Return what is wrong with the contents of a database: more than tables, or damage.

    A view may be computed without end. Of a big file only a part is checked.
    """
    # Read-only: closing a writable connection would merge the `-wal` into a damaged file.
    with closing(connect(database, "ro")) as connection:
        strange = connection.execute(
            "SELECT CASE type WHEN 'view' THEN 'view' ELSE 'virtual table' END, name "
            "FROM sqlite_master WHERE type = 'view' OR sql LIKE 'CREATE VIRTUAL%'"
        ).fetchone()
        if strange:
            kind, name = strange
            return f"it holds the {kind} {name!r}, as neither Optuna nor MLflow makes one"
        deadline = time.monotonic() + LONGEST_CHECK_SECONDS
        connection.set_progress_handler(
            lambda: time.monotonic() > deadline, OPERATIONS_BETWEEN_LOOKS
        )
        try:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                return None
            raise
    return None if found == "ok" else " ".join(str(found).split())


def schema_version(database: Path, owner_table: str) -> str | None:
    """Return the revision of a database's schema, as Alembic noted it; None without such a note.

    Args:
        database: The file.
        owner_table: A table that only the expected program has; without it the result is None.
    """

    def read() -> str | None:
        with closing(connect(database, "ro")) as connection:
            names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if not {owner_table, "alembic_version"} <= {name for (name,) in names}:
                return None
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            return str(row[0]) if row else None

    return DatabaseRetry().run(database, read)


def migrate(database: Path, change: Callable[[Path], None]) -> Path:
    """Let `change` migrate a copy of a database, which then takes its place; return the backup.

    If the process is killed meanwhile, the database stays as it was. The caller keeps other
    processes out. The backup has a name with the time (UTC).
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


def _copy(database: Path, to: Path, mode: str = "rw") -> None:
    with closing(connect(database, mode)) as source, closing(sqlite3.connect(to)) as target:
        source.backup(target)


@contextmanager
def created_whole(database: Path) -> Iterator[Path]:
    """Yield another path to make a database at, so that a killed process leaves no half of it.

    The caller keeps other processes out and closes its connections.
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
    with closing(connect(database)) as connection:
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
