"""A PostgreSQL server: connections that survive its restarts, and its errors in words."""

from __future__ import annotations

import logging
import re
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Any, Final, TypeVar

import sqlalchemy
from sqlalchemy import URL, Connection, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from search_spaces.errors import did_you_mean
from sweeps.errors import UsageError
from sweeps.wording import install_command
from sweeps.workspace.addresses import HARMLESS
from sweeps.workspace.databases import DatabaseError, DatabaseRetry

_DRIVERS: Final = ("postgresql", "postgresql+psycopg")
_EXAMPLE: Final = "postgresql+psycopg://USER@HOST/DATABASE"
ROLE: Final = "role"
"""Setting of an address: the role under which tables are made, so that all its members may use
them."""


def parse_storage(text: str) -> URL:
    """Return the address that `--storage` names.

    It may contain a password. `PGPASSWORD` or `~/.pgpass` is a better place for it, since others
    can see the options of a command.

    Raises:
        UsageError: It is no address of a PostgreSQL database.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise UsageError(f"--storage: not an address; write {_EXAMPLE}") from None
    if url.drivername not in _DRIVERS:
        raise UsageError(
            f"--storage {shown(url)}: {url.drivername!r} is not supported"
            f"{did_you_mean(url.drivername, _DRIVERS)}; write {_EXAMPLE}, or leave it out: "
            "the home then is this host's alone"
        )
    if not url.database:
        raise UsageError(f"--storage {shown(url)}: it names no database; write {_EXAMPLE}")
    return url.set(drivername="postgresql+psycopg")


def shown(url: URL) -> str:
    """Return an address that may be shown in a terminal, a log or a hint: without secrets."""
    query = {name: value if name in HARMLESS else "***" for name, value in url.query.items()}
    return url.set(query=query).render_as_string(hide_password=True)


_THERE: Final = text("SELECT to_regclass('sweeps_event')")
_FORMER: Final = text("SELECT to_regclass('sweeps_file')")
_TABLES: Final = """
-- One row with an id, by which a home recognises its database at any address.
CREATE TABLE sweeps_storage (id text PRIMARY KEY);
INSERT INTO sweeps_storage VALUES (replace(gen_random_uuid()::text, '-', ''));

-- The lines of the journals, by their numbers.
CREATE TABLE sweeps_event (
    sweep_id text COLLATE "C",
    number integer,
    line bytea NOT NULL,
    PRIMARY KEY (sweep_id, number)
);

-- The files beside them, which never change; `path` is relative to the home. No compression: they
-- are compressed already, and so their size is known unread.
CREATE TABLE sweeps_file (path text COLLATE "C" PRIMARY KEY, data bytea NOT NULL);
ALTER TABLE sweeps_file ALTER COLUMN data SET STORAGE EXTERNAL;

-- The holder that may write a sweep. `token` grows with every holder; a write with an older token
-- is refused. A sweep that was deleted has left its lease behind, and no event.
CREATE TABLE sweeps_lease (
    sweep_id text PRIMARY KEY,
    token bigint NOT NULL,
    home text NOT NULL,
    holder text NOT NULL,
    since timestamptz NOT NULL,
    expires timestamptz NOT NULL
);
"""

_MISSING: Final = text(
    """WITH place AS (
        SELECT n.oid, quote_ident(n.nspname) AS name, c.relowner
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relname = 'sweeps_storage' AND c.relkind = 'r'
        ORDER BY pg_table_is_visible(c.oid) DESC LIMIT 1
    ), made AS (
        SELECT place.name || '.' || quote_ident(c.relname) AS name, c.relowner,
            string_agg(wanted, ', ' ORDER BY n) AS lacking
        FROM place JOIN pg_class c ON c.relnamespace = place.oid,
            unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) WITH ORDINALITY w(wanted, n)
        WHERE c.relkind = 'r' AND NOT has_table_privilege(c.oid, wanted) AND c.relname
            IN ('sweeps_storage', 'sweeps_event', 'sweeps_file', 'sweeps_lease')
        GROUP BY place.name, c.relname, c.relowner
    )
    SELECT 'USAGE ON SCHEMA ' || name AS lacking, relowner::regrole::text AS owner FROM place
    WHERE NOT has_schema_privilege(oid, 'USAGE')
    UNION ALL
    SELECT lacking || ' ON TABLE ' || string_agg(name, ', '), relowner::regrole::text FROM made
    GROUP BY lacking, relowner
    UNION ALL
    SELECT 'USAGE, CREATE ON SCHEMA ' || quote_ident(here), datdba::regrole::text
    FROM pg_database, coalesce(current_schema(), 'public') here
    WHERE datname = current_database() AND NOT EXISTS (SELECT FROM place)
        AND NOT has_schema_privilege(here, 'CREATE')"""
)
"""What a role lacks on our tables, in words of a GRANT, and who may grant it."""

T = TypeVar("T")

CONNECT_SECONDS: Final = 5
LONGEST_WAIT_SECONDS: Final = 600.0
"""The longest wait for a server that is away: a restart takes seconds, a failover minutes."""
_CONNECTING: Final[dict[str, Any]] = {
    "connect_timeout": CONNECT_SECONDS,
    "application_name": "sweeps",
    # Each side notices within half a minute that the other has vanished. A host that is stopped
    # in the middle of a transaction keeps others waiting for twenty seconds at most.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "options": "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 "
    "-c tcp_keepalives_count=3 -c idle_in_transaction_session_timeout=20000",
}
_ID: Final = text("SELECT id FROM sweeps_storage")
_LOCK: Final = text("SELECT pg_advisory_xact_lock(7337203)")
"""The lock for work that only one process of all hosts may do at a time."""
LONGEST_LOCK_SECONDS: Final = 120.0
_BRIEFLY: Final = DatabaseRetry(is_urgent=lambda: True)
"""Replaces connections that were cut, but does not wait for a server that is away."""
_MISTAKES: Final = re.compile(
    r"authentication failed|no password supplied|no pg_hba\.conf entry|"
    r"(database|role) \".*\" does not exist|permission denied for database|"
    r"could not translate host name|failed to resolve host|SSL"
)
_PASSING: Final = ("08", "40", "53300", "57P", "25006", "25P0", "55P03")
"""SQLSTATEs, or their beginnings, that pass: no connection, a conflict, a restart, a failover."""
_FORBIDDEN: Final = "42501"

# If a restart cuts a connection in use, SQLAlchemy would print the traceback of its clean-up; one
# line of ours says instead that the server is away.
logging.getLogger("sqlalchemy.pool.impl.QueuePool.sweeps").setLevel(logging.CRITICAL)


class MissingGrantsError(DatabaseError, UsageError):
    """A role may not do what a command needs; the message has the SQL that allows it."""


class StorageServer:
    """The database that hosts share."""

    def __init__(self, url: URL) -> None:
        self.url = url

    def __str__(self) -> str:
        return shown(self.url)

    @cached_property
    def engine(self) -> sqlalchemy.Engine:
        """The connections of this process, closed when nobody needs them any more.

        All that they make belongs to the role that the address names, if it names one.
        """
        options = _CONNECTING
        role = self.url.query.get(ROLE)
        if isinstance(role, str):
            named = re.sub(r"([\\ ])", r"\\\1", role)  # as libpq has it
            options = {**options, "options": f"{options['options']} -c role={named}"}
        engine = sqlalchemy.create_engine(
            self.url.difference_update_query([ROLE]),
            connect_args=options,
            pool_logging_name="sweeps",
            pool_pre_ping=True,  # a connection that a restart has cut is replaced silently
        )
        weakref.finalize(self, engine.dispose)
        return engine

    def run(self, action: Callable[[Connection], T], retry: DatabaseRetry = _BRIEFLY) -> T:
        """Run an action in one transaction, and repeat it if its connection was cut.

        So it may happen twice, since a commit without an answer may have happened or not.

        Raises:
            StoreError: The server is away for longer than `retry` waits.
        """

        def once() -> T:
            with self.engine.begin() as connection:
                return action(connection)

        return retry.run(self, once)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the one lock for all hosts; wait until no other process holds it."""
        connection = _BRIEFLY.run(self, self._locked)
        try:
            yield
        finally:
            with suppress(SQLAlchemyError):  # if the connection was cut, the lock is gone as well
                connection.rollback()
            connection.close()

    def _locked(self) -> Connection:
        connection = self.engine.connect()
        try:
            for limit in ("lock_timeout", "idle_in_transaction_session_timeout"):
                connection.execute(text(f"SET LOCAL {limit} = '{LONGEST_LOCK_SECONDS:.0f}s'"))
            connection.execute(_LOCK)
        except BaseException:
            connection.close()
            raise
        return connection

    def identity(self) -> str | None:
        """Return the id of the storage, the same at any address; None if it was never used.

        Raises:
            UsageError: An earlier version has used it.
        """

        def ask(connection: Connection) -> str | None:
            if connection.execute(_THERE).scalar() is None:
                if connection.execute(_FORMER).scalar() is not None:
                    raise UsageError(
                        f"--storage {self}: an earlier version has used this database; give "
                        "another one, and take its sweeps over: `sweeps import HOME` with the "
                        "home of one of its hosts (docs/upgrading.md)"
                    )
                return None
            return str(connection.execute(_ID).scalar_one())

        return self.run(ask)

    def prepare(self) -> str:
        """Make our tables if they are missing, and return the id of the storage."""

        def make(connection: Connection) -> str:
            connection.execute(_LOCK)
            if connection.execute(_THERE).scalar() is None:
                connection.exec_driver_sql(_TABLES)
            return str(connection.execute(_ID).scalar_one())

        return self.run(make)

    def explain(self, error: Exception) -> DatabaseError | None:
        """Return the problem with the server that an error shows; None if it shows none."""
        import psycopg

        if isinstance(error, DatabaseError):
            return error
        cause = error.orig if isinstance(error, DBAPIError) else None
        if not isinstance(cause, psycopg.Error):
            return None
        why, code = _in_a_line(cause), cause.sqlstate
        if code == _FORBIDDEN and (lacking := self._lacking()):
            return MissingGrantsError(f"--storage {self}: {why}: {lacking}", why)
        is_cut = isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError)
        passes = code.startswith(_PASSING) if code else is_cut
        passes = passes and not _MISTAKES.search(str(cause))
        what = "cannot be reached" if passes else "cannot be used"
        message = f"{self}: {what} ({why}). Recorded trials are safe, and the same command goes on"
        return DatabaseError(message, why, LONGEST_WAIT_SECONDS if passes else 0.0)

    def _lacking(self) -> str:
        """Return the SQL that gives our role what it lacks; empty without need."""
        with suppress(SQLAlchemyError), self.engine.connect() as connection:
            role = connection.execute(text("SELECT quote_ident(current_user)")).scalar_one()
            if rows := connection.execute(_MISSING).all():
                owners = ", ".join(sorted({row.owner for row in rows}))
                statements = [f"  GRANT {row.lacking} TO {role};" for row in rows]
                return "\n".join([f"role {role} lacks grants. Let {owners} run:", *statements])
        return ""  # without need, or the server is away


def open_server(asked: str) -> StorageServer:
    """Return the server that `--storage` names, once it has answered; creates nothing.

    Raises:
        UsageError: It is no address, nobody answers, or the password is wrong.
    """
    url = parse_storage(asked)
    try:
        import psycopg  # noqa: F401
    except ImportError:
        raise UsageError(
            f"--storage {shown(url)} needs the package psycopg: {install_command('postgresql')}"
        ) from None
    server = StorageServer(url)
    try:
        server.run(lambda connection: connection.execute(text("SELECT 1")))
    except (SQLAlchemyError, DatabaseError) as error:
        why = error.why if isinstance(error, DatabaseError) else _in_a_line(error)
        raise UsageError(
            f"--storage {server}: {why}; give an address that answers and its password "
            "(PGPASSWORD, or ~/.pgpass)"
        ) from None
    return server


def _in_a_line(error: BaseException) -> str:
    """Return the most telling line of an error; libpq writes a line for each of its attempts."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    chosen = next((line for line in lines if _MISTAKES.search(line)), lines[0] if lines else "")
    return chosen.removeprefix("connection failed: ").removeprefix("- ") or type(error).__name__
