"""MLflow without its noise: imported late, silent in our threads, the host's logging untouched.

MLflow writes to stderr through handlers of its own on `mlflow`, `alembic`, `sqlalchemy.engine`
and `huey`; other libraries it calls fall through to `logging.lastResort`. Both are told to drop
what our own calls log, by thread, so that a notebook's own use of MLflow keeps its messages.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import warnings
from collections.abc import Iterator
from typing import Final

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
    """Drops records of foreign loggers made while their thread is inside `quiet`."""

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
