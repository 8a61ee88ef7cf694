"""SQLite files of a home: made whole or not at all, checked before use, migrated on a copy.

Whatever a database lacks is in the records, so a damaged one is refused and never repaired here:
its owner moves it away, and the same command makes it anew.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sweeps.databases.waiting import Patience, connect, damaged
from sweeps.records.files import sync_folder

LONGEST_CHECK_SECONDS: Final = 0.5
"""A check of a big file ends unfinished after this time."""
OPERATIONS_BETWEEN_LOOKS: Final = 10_000
"""Steps of SQLite's machine between two looks at the clock."""

_CREATING: Final = ".new"
_COMPANIONS: Final = ("-wal", "-shm", "-journal")


def check(database: Path, patience: Patience) -> None:
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

    (first, *_) = patience.run(database, problems)
    if first != "ok":
        raise damaged(database, " ".join(first.split()))


def schema_version(database: Path, patience: Patience, owner_table: str) -> str | None:
    """Return the revision of a schema, as Alembic noted it.

    Args:
        database: The file.
        patience: How to wait for it.
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

    return patience.run(database, read)


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
