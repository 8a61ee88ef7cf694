"""MLflow's store, opened fast, safe and silent; whether it is away or refuses."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import logging
import os
import re
import sqlite3
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, wraps
from pathlib import Path
from typing import Any, Final, TypeVar

from sweeps.errors import LeaseLost, StoreError
from sweeps.tracking.address import sqlite_path
from sweeps.workspace.addresses import SQLITE, in_text
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

_OUTAGE_CODES: Final = frozenset(
    {
        "TEMPORARILY_UNAVAILABLE",
        "INTERNAL_ERROR",
        "REQUEST_LIMIT_EXCEEDED",
        "DEADLINE_EXCEEDED",
        "ABORTED",
    }
)
"""MLflow's codes for 429, 5xx, a locked database and a connection that failed."""
_TRY_LATER: Final = frozenset({408, 425, 429})
_AUTOFLUSH: Final = re.compile(r"\(raised as a result of Query-invoked autoflush;[^)]*\)\s*")
"""Text that SQLAlchemy puts on the line before the cause of some errors."""


class IncompleteError(Exception):
    """A part of a run could not be made; the rest is written, or is in `files`.

    Trying again at once does not help. The part stays pending, and `sweeps sync` makes it once the
    cause is mended.
    """

    def __init__(
        self, what: str, cause: BaseException, files: Mapping[str, bytes] | None = None
    ) -> None:
        """Say what is missing and why; `files` are those of the run that could be made."""
        super().__init__(f"{what}: {one_line(cause)}")
        self.files = files


def is_outage(error: BaseException) -> bool:
    """Whether the same call may well succeed later."""
    refusal = getattr(getattr(error, "response", None), "status_code", 0)
    if 400 <= refusal < 500 and refusal not in _TRY_LATER:  # a file that the server does not want
        return False
    # OSError: timeouts, refused connections, a full disk. StoreError: a database that is locked,
    # full or damaged, which somebody may mend meanwhile.
    if isinstance(error, OSError | StoreError):
        return True
    return getattr(error, "error_code", None) in _OUTAGE_CODES


def _is_answer(error: BaseException | None) -> bool:
    """Whether a server has answered, if only with an error such as 503: no timeout."""
    from requests.exceptions import RetryError

    while error is not None and not isinstance(error, RetryError):
        error = error.__cause__ or error.__context__
    return error is not None


def one_line(error: BaseException) -> str:
    """Return an error in one line; MLflow's messages fill pages and hold whole requests."""
    said = _AUTOFLUSH.sub("", str(error))
    first = next((line.strip() for line in said.splitlines() if line.strip()), "")
    words = in_text(first)
    kind = "" if isinstance(error, IncompleteError) else type(error).__name__
    text = ": ".join(part for part in (kind, words) if part)
    return text if len(text) <= 300 else text[:297] + "..."


_ENVIRONMENT: Final = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # Loading an artifact never runs code that came with it.
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    # MLflow repeats POSTs by itself, for up to 244 s, and so doubles runs; we retry ourselves.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ASYNC_LOGGING": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}
_FOREIGN: Final = ("mlflow", "alembic", "sqlalchemy", "huey", "urllib3", "git", "requests")
_import_lock = threading.Lock()
_prepared = False
_quiet_threads = threading.local()


class _DropForeign(logging.Filter):
    """Drops records of foreign loggers made while their thread is inside `quiet`.

    MLflow and others write to stderr through handlers of their own, or by `logging.lastResort`. A
    notebook's own use of MLflow keeps its messages.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        foreign = record.name.partition(".")[0] in _FOREIGN
        return not (foreign and getattr(_quiet_threads, "depth", 0) > 0)


_drop_foreign = _DropForeign()


def set_environment() -> None:
    """Set MLflow's switches; what the user has set already stays as it is."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Import MLflow if need be, and silence it for calls of this thread; may be nested."""
    _quiet_threads.depth = getattr(_quiet_threads, "depth", 0) + 1
    try:
        _prepare()
        yield
    finally:
        _quiet_threads.depth -= 1


def _prepare() -> None:
    global _prepared  # noqa: PLW0603 - MLflow is imported once a process
    with _import_lock:
        if _prepared:
            return
        set_environment()
        # SQLAlchemy 2.1 deprecates a loader that MLflow 3.17 uses; nothing a user can act on.
        # A narrow filter for good: `catch_warnings` would undo what other threads do meanwhile.
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"mlflow\.")
        import mlflow.store.tracking.sqlalchemy_store
        import mlflow.tracking  # noqa: F401

        names = (*_FOREIGN, "sqlalchemy.engine")
        for handler in (h for name in names for h in logging.getLogger(name).handlers):
            handler.addFilter(_drop_foreign)
        if logging.lastResort is not None:
            logging.lastResort.addFilter(_drop_foreign)
        _prepared = True


T = TypeVar("T")

AT_ONCE_SECONDS: Final = 1.0
"""A request that failed within this time is repeated; a timeout would only take as long again."""
_PAUSES: Final = (0.1, 0.3, 0.6)
"""Seconds before each repetition."""
_REVISION: Final = re.compile(r"^revision\b.*=\s*['\"](\w+)", re.MULTILINE)


def open_client(tracking_uri: str) -> Any:
    """Return an `MlflowClient`; a SQLite store is created and migrated (seconds, once).

    Raises:
        StoreError: The SQLite file is damaged, locked for too long, or a newer MLflow's.
    """
    with quiet():
        import sqlalchemy
        from mlflow.tracking import MlflowClient

        database = sqlite_path(tracking_uri)
        if database is None:
            return MlflowClient(tracking_uri)
        database.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(database.parent):  # two processes must not both create it
            if not database.exists():
                DatabaseRetry().run(database, lambda: _create(database))
            else:
                _bring_up_to_date(database)
            client = MlflowClient(tracking_uri)
            engine = client._tracking_client.store.engine  # MLflow offers no other way to it
            # Spare an fsync per transaction: a lost last commit is rebuilt from the records.
            if not sqlalchemy.event.contains(engine, "connect", relax_synchronous):
                sqlalchemy.event.listen(engine, "connect", relax_synchronous)
                engine.dispose()  # connections made before the listener was there
        reached("tracking.named")
        return client


class CheckedClient:
    """An `MlflowClient` that calls `check` before each request; an error of `check` prevents it.

    A request that fails at once is repeated a little later: a server may fail now and then, a run
    takes several requests, and all have to arrive. A request that creates something is not
    repeated: the next lookup finds whether it arrived.

    Attributes:
        check: What it calls.
        answers: Number of requests answered so far.
    """

    def __init__(self, client: Any, check: Callable[[], None]) -> None:
        self._client, self.check = client, check
        self.answers = 0
        self._place: tuple[str, Any] | None = None

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
        left = iter(pauses)
        while True:
            self.check()
            began = time.monotonic()
            try:
                answer = request()
            except LeaseLost:  # what is written in parts checks between them
                raise
            except Exception as error:
                pause, is_late = next(left, None), time.monotonic() - began > AT_ONCE_SECONDS
                if pause is None or not is_outage(error) or (is_late and not _is_answer(error)):
                    raise
                time.sleep(pause)
            else:
                self.answers += 1
                return answer

    def log_file(self, location: str, path: Path, within: str | None) -> None:
        """Send a file to a place of files; MLflow's own method would first ask for the run."""
        if self._place is None or self._place[0] != location:
            from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
            from mlflow.utils.uri import add_databricks_profile_info_to_artifact_uri

            uri = self._client._tracking_client.tracking_uri
            place = add_databricks_profile_info_to_artifact_uri(location, uri)
            self._place = location, get_artifact_repository(place, tracking_uri=uri)
        files = self._place[1]
        self.ask(lambda: files.log_artifact(str(path), within))

    def delete_artifact(self, run_id: str, path: str) -> None:
        """Delete a file of a run; MLflow's own client has no method for it."""
        self.check()
        self._client._tracking_client._get_artifact_repo(run_id).delete_artifacts(path)


def check_database(database: Path, note: Callable[[str], None] = lambda text: None) -> None:
    """Refuse a database that MLflow could not use, before anything is created.

    MLflow is not imported: that takes three seconds.

    Raises:
        StoreError: The file is damaged, locked for too long, or of another program or a newer
            MLflow; it was left as it is.
    """
    check(database, note)
    if not database.exists():
        return
    version = schema_version(database, "experiments")
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


def _bring_up_to_date(database: Path) -> None:
    """Migrate the store of an older MLflow after copying it; refuse a store of unknown schema.

    MLflow itself would migrate without a copy, if at all.
    """
    check_database(database)
    DatabaseRetry().run(database, lambda: enable_wal(database))
    if schema_version(database, "experiments") != _latest_schema():
        DatabaseRetry().run(database, lambda: migrate(database, _upgrade))


@cache  # Alembic reads all of its scripts each time
def _latest_schema() -> str:
    from mlflow.store.db.utils import _get_latest_schema_revision

    return str(_get_latest_schema_revision())


def _upgrade(database: Path) -> None:
    from mlflow.store.db.utils import _upgrade_db, create_sqlalchemy_engine_with_retry

    engine = create_sqlalchemy_engine_with_retry(f"{SQLITE}{database}")
    _upgrade_db(engine)
    engine.dispose()
