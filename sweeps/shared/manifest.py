"""What a home and its database had in common when they last met: digests by path.

So that what has changed since is known to have changed here, or there. A SQLite file, since several
commands may work on one home at a time.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FILE: Final = "shared.db"
"""In a home that is a working copy."""
_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS home (id TEXT NOT NULL, storage TEXT NOT NULL, "
    "server TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS common (path TEXT PRIMARY KEY, digest TEXT NOT NULL, "
    "size INTEGER NOT NULL, changed INTEGER NOT NULL)",
)
_BUSY_SECONDS: Final = 30.0


@dataclass(frozen=True)
class Common:
    """A file as it was when both had it.

    Attributes:
        digest: SHA-256 (hex).
        size: In bytes.
        changed: Time of its last change here, nanoseconds; with the size it tells whether the file
            has to be read again.
    """

    digest: str
    size: int
    changed: int


class Manifest:
    """The file `shared.db` of a home."""

    def __init__(self, home: Path) -> None:
        self._file = home / FILE

    def storage(self) -> tuple[str, str] | None:
        """Return id and address (without a password) of the database that the home copies."""
        if not self._file.exists():
            return None
        with self._open() as database:
            row = database.execute("SELECT storage, server FROM home").fetchone()
        return (str(row[0]), str(row[1])) if row else None

    def bind(self, storage: str, server: str) -> str:
        """Note whose copy the home is, the first time; return the id of the home."""
        with self._open() as database:
            database.execute("BEGIN IMMEDIATE")
            for statement in _SCHEMA:
                database.execute(statement)
            if database.execute("SELECT 1 FROM home").fetchone() is None:
                own = secrets.token_hex(8)
                database.execute("INSERT INTO home VALUES (?, ?, ?)", (own, storage, server))
            database.execute("COMMIT")
            return str(database.execute("SELECT id FROM home").fetchone()[0])

    def read(self, prefix: str) -> dict[str, Common]:
        """Return what is known of the paths that begin so."""
        query = "SELECT path, digest, size, changed FROM common WHERE path >= ? AND path < ?"
        with self._open() as database:
            rows = database.execute(query, (prefix, prefix + "\U0010ffff")).fetchall()
        return {path: Common(digest, size, changed) for path, digest, size, changed in rows}

    def note(self, known: Mapping[str, Common], gone: Iterable[str] = ()) -> None:
        """Note files that both have now, and those that neither has."""
        rows = [(path, one.digest, one.size, one.changed) for path, one in known.items()]
        with self._open() as database:
            database.execute("BEGIN IMMEDIATE")
            database.executemany("INSERT OR REPLACE INTO common VALUES (?, ?, ?, ?)", rows)
            database.executemany("DELETE FROM common WHERE path = ?", [(path,) for path in gone])
            database.execute("COMMIT")

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(
            sqlite3.connect(self._file, timeout=_BUSY_SECONDS, isolation_level=None)
        ) as database:
            # Lost with the power: the files then are compared by what they hold, nothing else.
            database.execute("PRAGMA synchronous=OFF")
            yield database
