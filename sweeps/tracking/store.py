"""MLflow's store, opened fast and safe: created and migrated once, in WAL mode, silently."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import sqlite3
import time
from collections.abc import Callable, Sequence
from functools import cache, wraps
from pathlib import Path
from typing import Any, Final, TypeVar

from sweeps.errors import StoreError
from sweeps.tracking.address import sqlite_path
from sweeps.tracking.outage import is_outage
from sweeps.tracking.quiet import quiet
from sweeps.workspace.addresses import SQLITE
from sweeps.workspace.databases import (
    DatabaseRetry,
    abandon_creation,
    check,
    created_whole,
    enable_wal,
    migrate,
    relax_synchronous,
    schema_version,
)
from sweeps.workspace.failpoints import reached
from sweeps.workspace.locks import exclusive

T = TypeVar("T")

AT_ONCE_SECONDS: Final = 1.0
"""A request that failed within this time is repeated; a timeout would only take as long again."""
_PAUSES: Final = (0.1, 0.3, 0.6)
"""Seconds before each repetition."""
_REVISION: Final = re.compile(r"^revision\b.*=\s*['\"](\w+)", re.MULTILINE)


def open_client(tracking_uri: str, database_retry: DatabaseRetry | None = None) -> Any:
    """Return an `MlflowClient`; a SQLite store is created and migrated (seconds, once).

    Raises:
        StoreError: The SQLite file is damaged, locked for too long, or a newer MLflow's.
    """
    with quiet():
        from mlflow.tracking import MlflowClient

        database = sqlite_path(tracking_uri)
        if database is None:
            return MlflowClient(tracking_uri)
        database.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(database.parent):  # two processes must not both create it
            database_retry = database_retry or DatabaseRetry()
            if not database.exists():
                database_retry.run(database, lambda: _create(database))
            else:
                _bring_up_to_date(database, database_retry)
            client = MlflowClient(tracking_uri)
            _relax_synchronous(client)
        reached("tracking.named")
        return client


class CheckedClient:
    """An `MlflowClient` that calls `check` before each request; an error of `check` prevents it.

    A request that fails at once is repeated a little later: a server may fail now and then, a run
    takes a dozen requests, and all have to arrive. A request that creates something is not
    repeated: the next lookup finds whether it arrived.

    Attributes:
        answers: Number of requests answered so far.
    """

    def __init__(self, client: Any, check: Callable[[], None]) -> None:
        self._client, self._check = client, check
        self.answers = 0

    def __getattr__(self, name: str) -> Any:
        part = getattr(self._client, name)
        if name.startswith("_"):  # its connections, which `close_client` closes
            return part

        @wraps(part)
        def ask(*args: Any, **keywords: Any) -> Any:
            creates = name.startswith("create_")
            return self.ask(lambda: part(*args, **keywords), () if creates else _PAUSES)

        return ask

    def ask(self, request: Callable[[], T], pauses: Sequence[float] = _PAUSES) -> T:
        """Make a request, and repeat it after each pause if it failed at once."""
        for pause in pauses:
            self._check()
            began = time.monotonic()
            try:
                return self._answered(request())
            except Exception as error:
                if not is_outage(error) or time.monotonic() - began > AT_ONCE_SECONDS:
                    raise
            time.sleep(pause)
        self._check()
        return self._answered(request())

    def _answered(self, answer: T) -> T:
        self.answers += 1
        return answer

    def delete_artifact(self, run_id: str, path: str) -> None:
        """Delete a file of a run; MLflow's own client has no method for it."""
        self._check()
        self._client._tracking_client._get_artifact_repo(run_id).delete_artifacts(path)


def check_database(database: Path, database_retry: DatabaseRetry) -> None:
    """Refuse a database that MLflow could not use, before anything is created.

    MLflow is not imported: that takes three seconds.

    Raises:
        StoreError: The file is damaged, locked for too long, or of another program or a newer
            MLflow; it was left as it is.
    """
    check(database, database_retry)
    if not database.exists():
        return
    version = schema_version(database, database_retry, "experiments")
    if version not in _known_schemas():
        raise StoreError(
            f"{database}: its schema ({version or 'none'}) is not one of MLflow "
            f"{importlib.metadata.version('mlflow')}. It was left as it is. "
            "Use the version that wrote it, or another --tracking-uri"
        )


@cache
def _known_schemas() -> frozenset[str]:
    package = importlib.util.find_spec("mlflow")
    assert package is not None
    scripts = Path(str(package.origin)).parent.glob("store/db_migrations/versions/*.py")
    return frozenset(name for script in scripts for name in _REVISION.findall(script.read_text()))


def abandon_store(tracking_uri: str) -> None:
    """Leave no half-made store behind when the thread that makes it is no longer waited for."""
    database = sqlite_path(tracking_uri)
    if database is not None:
        abandon_creation(database)


def close_client(client: Any) -> None:
    """Close the connections to a database, so that its `-wal` file is folded in and removed."""
    registry = getattr(client, "_registry_client_lazy", None)  # None if it was never needed
    stores = (client._tracking_client.store, registry and registry.store)
    for engine in [getattr(store, "engine", None) for store in stores]:
        if engine is not None:
            engine.dispose()


def _create(database: Path) -> None:
    """Create a store under another name first, so that a killed process leaves no half of one."""
    from mlflow.tracking import MlflowClient

    reached("tracking.begun")
    with created_whole(database) as new:
        sqlite3.connect(new).close()
        enable_wal(new)
        client = MlflowClient(f"{SQLITE}{new}")
        _ = client._tracking_client.store  # creates and migrates it
        close_client(client)
        reached("tracking.made")


def _bring_up_to_date(database: Path, database_retry: DatabaseRetry) -> None:
    """Migrate the store of an older MLflow after copying it; refuse a store of unknown schema.

    MLflow itself would migrate without a copy, if at all.
    """
    check_database(database, database_retry)
    database_retry.run(database, lambda: enable_wal(database))
    version, known = schema_version(database, database_retry, "experiments"), _schema_versions()
    if version != known[0]:
        database_retry.run(database, lambda: migrate(database, _upgrade))


@cache  # Alembic reads all of the scripts each time
def _schema_versions() -> tuple[str, ...]:
    """Return the schemas that this MLflow can bring up to date, its own first."""
    from alembic.script import ScriptDirectory
    from mlflow.store.db.utils import _get_alembic_config

    scripts = ScriptDirectory.from_config(_get_alembic_config(""))
    return tuple(script.revision for script in scripts.walk_revisions())


def _upgrade(database: Path) -> None:
    from mlflow.store.db.utils import _upgrade_db, create_sqlalchemy_engine_with_retry

    engine = create_sqlalchemy_engine_with_retry(f"{SQLITE}{database}")
    _upgrade_db(engine)
    engine.dispose()


def _relax_synchronous(client: Any) -> None:
    """Spare an fsync per transaction: a lost last commit is rebuilt from the records."""
    import sqlalchemy

    engine = client._tracking_client.store.engine  # MLflow offers no other way to it
    if not sqlalchemy.event.contains(engine, "connect", relax_synchronous):
        sqlalchemy.event.listen(engine, "connect", relax_synchronous)
        engine.dispose()  # connections made before the listener was there
