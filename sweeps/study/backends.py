"""The databases of studies: the SQLite file of a home, or a database that hosts share."""

from __future__ import annotations

import inspect
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import quote

import optuna
import sqlalchemy
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from sweeps.errors import StoreError
from sweeps.shared.server import ENGINE_OPTIONS, StorageServer
from sweeps.workspace.databases import (
    DatabaseRetry,
    check,
    check_tables,
    connect,
    created_whole,
    enable_wal,
    migrate,
    relax_synchronous,
    schema_version,
)
from sweeps.workspace.failpoints import reached
from sweeps.workspace.locks import exclusive

BUSY_TIMEOUT_SECONDS: Final = 5
"""SQLite's own wait for other sweeps of the home, which write for milliseconds; `DatabaseRetry`
waits longer."""


class SqliteBackend:
    """Studies in the SQLite file of a home; see `StudyBackend`."""

    unreadable: tuple[type[Exception], ...] = (
        KeyError, StorageInternalError, SQLAlchemyError, sqlite3.Error, StoreError,
    )  # fmt: skip

    def __init__(self, database: Path) -> None:
        self._database = database

    def exists(self) -> bool:
        """Whether the file is there."""
        return self._database.exists()

    def prepare(self, database_retry: DatabaseRetry) -> None:
        """Make the file if it is missing, check it, and bring an older schema up to date.

        A copy of the file is kept before its schema is changed. A file that is damaged, or belongs
        to another program or a newer Optuna, is left as it is.

        Raises:
            StoreError: The file cannot be used; the message says why and what to do.
        """
        database = self._database
        with exclusive(database.parent):  # two processes must not both make it, or migrate it
            if not database.exists():
                database_retry.run(database, lambda: _create(database))
            check(database, database_retry)
            version = schema_version(database, database_retry, "version_info")
            known = () if version is None else schema_versions()
            if version not in known:
                raise StoreError(
                    f"{database}: its schema ({version or 'none'}) is not one of Optuna "
                    f"{optuna.__version__}. It was left as it is. Use the version that wrote it, "
                    "or move it away and repeat the command: the study is written anew from the "
                    "records"
                )
            database_retry.run(database, lambda: _remove_what_readers_leave(database))
            if version != known[0]:
                database_retry.run(database, lambda: migrate(database, _upgrade))

    def open(self) -> RDBStorage:
        """Open a file after `prepare`."""
        return _open(self._database)

    def open_to_read(self) -> RDBStorage:
        """Open the file so that nothing is created, migrated or written.

        Raises:
            StoreError: It holds more than tables, see `check_tables`.
        """
        check_tables(self._database)
        file = f"file:{quote(quote(str(self._database)))}"  # SQLAlchemy and SQLite unquote one each
        return RDBStorage(
            f"sqlite:///{file}?mode=ro&uri=true",
            skip_compatibility_check=True,
            skip_table_creation=True,
        )

    def rename(self, names: Mapping[str, str]) -> None:
        """Give studies other names, all in one transaction."""

        def rename() -> None:
            with closing(connect(self._database, seconds=0.1)) as connection, connection:
                for before, after in names.items():
                    connection.execute(
                        "UPDATE studies SET study_name = ? WHERE study_name = ?", (after, before)
                    )

        DatabaseRetry().write(self._database, rename)


def _remove_what_readers_leave(database: Path) -> None:
    """Remove the -wal and -shm files of mere readers: who may write folds them in as it closes."""
    with closing(connect(database, seconds=0.1)) as connection:
        connection.execute("PRAGMA schema_version")


def _create(database: Path) -> None:
    reached("study.begun")
    with created_whole(database) as new:
        sqlite3.connect(new).close()
        enable_wal(new)
        RDBStorage(f"sqlite:///{new}").engine.dispose()
        reached("study.made")


@cache  # Alembic reads all of the scripts each time
def schema_versions() -> tuple[str, ...]:
    """Return the schema versions that this Optuna can bring up to date, its own first.

    `RDBStorage.get_all_versions` returns the same, but needs an open storage.
    """
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(Path(inspect.getfile(RDBStorage)).with_name("alembic")))
    return tuple(script.revision for script in scripts.walk_revisions())


def _upgrade(database: Path) -> None:
    storage = _open(database)
    storage.upgrade()
    storage.engine.dispose()


def _open(database: Path) -> RDBStorage:
    storage = RDBStorage(
        f"sqlite:///{database}",
        engine_kwargs={"connect_args": {"timeout": BUSY_TIMEOUT_SECONDS}},
        skip_compatibility_check=True,
        skip_table_creation=True,
    )
    sqlalchemy.event.listen(storage.engine, "connect", relax_synchronous)
    storage.engine.dispose()  # closes connections that were made before the listener was added
    return storage


_THERE: Final = "SELECT to_regclass('studies')"
_RENAME: Final = text("UPDATE studies SET study_name = :after WHERE study_name = :before")


class ServerBackend:
    """Studies in the database that hosts share; see `StudyBackend`."""

    unreadable: tuple[type[Exception], ...] = (KeyError,)
    """Not the errors of a server that is away: these are raised, not taken for an empty study."""

    def __init__(self, server: StorageServer) -> None:
        self._server = server
        self._address = server.url.render_as_string(hide_password=False)

    def exists(self) -> bool:
        """Whether Optuna has made its tables."""
        there = self._server.run(lambda connection: connection.execute(text(_THERE)).scalar())
        return there is not None

    def prepare(self, database_retry: DatabaseRetry) -> None:
        """Let Optuna make its tables if they are missing: one host makes them, the others wait.

        Raises:
            StoreError: The tables belong to another version of Optuna, or the server is away.
        """
        database_retry.run(self._server, self._prepare)

    def _prepare(self) -> None:
        if not self.exists():
            with self._server.alone():
                RDBStorage(self._address, engine_kwargs=ENGINE_OPTIONS).engine.dispose()
        storage = self.open()
        try:
            there, known = storage.get_current_version(), schema_versions()
        finally:
            storage.engine.dispose()
        if there != known[0]:
            advice = (
                "`optuna storage upgrade` brings it up to date, once nobody uses it"
                if there in known
                else "use the version that wrote it"
            )
            raise StoreError(
                f"{self._server}: its schema ({there}) is not that of Optuna "
                f"{optuna.__version__} ({known[0]}); {advice}"
            )

    def open(self) -> RDBStorage:
        """Open the database after `prepare`."""
        return RDBStorage(
            self._address,
            engine_kwargs=ENGINE_OPTIONS,
            skip_compatibility_check=True,
            skip_table_creation=True,
        )

    def open_to_read(self) -> RDBStorage:
        """Open the database so that nothing is created or migrated."""
        return self.open()

    def rename(self, names: Mapping[str, str]) -> None:
        """Give studies other names, all in one transaction."""

        def rename(connection: Connection) -> None:
            for before, after in names.items():
                connection.execute(_RENAME, {"before": before, "after": after})

        self._server.run(rename)


Database = Path | StorageServer


class StudyBackend(Protocol):
    """The operations on a database of studies.

    Attributes:
        unreadable: Errors which mean, to a mere reader, that there is no such study.
    """

    unreadable: tuple[type[Exception], ...]

    def exists(self) -> bool:
        """Whether the database exists, so that it may hold a study."""

    def prepare(self, database_retry: DatabaseRetry) -> None:
        """Make the database if need be, and check it; several processes may call this at once."""

    def open(self) -> RDBStorage:
        """Open the database after `prepare`."""

    def open_to_read(self) -> RDBStorage:
        """Open the database so that nothing is created or migrated."""

    def rename(self, names: Mapping[str, str]) -> None:
        """Give studies other names, all in one transaction."""


def close(storage: RDBStorage) -> None:
    """Close the connections of an opened database."""
    storage.remove_session()
    storage.engine.dispose()


@contextmanager
def opened(storage: RDBStorage) -> Iterator[RDBStorage]:
    """Yield an opened database, and close it at the end."""
    try:
        yield storage
    finally:
        close(storage)


def backend_of(database: Database) -> StudyBackend:
    """Return the backend of a database of studies."""
    if isinstance(database, Path):
        return SqliteBackend(database)

    return ServerBackend(database)
