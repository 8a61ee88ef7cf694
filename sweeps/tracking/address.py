"""Resolves the address of MLflow's store, explicit and absolute, before anything is created.

MLflow's own default depends on the working directory and on what lies in `./mlruns`; with an old
file store there it refuses to work at all (MLflow >= 3.13). Nothing here imports MLflow.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from search_spaces.errors import did_you_mean
from sweeps.errors import UsageError
from sweeps.workspace.addresses import SQLITE, redacted

DATABASE_NAME: Final = "mlflow.db"
_SCHEMES: Final = ("sqlite", "http", "https", "postgresql", "mysql", "mssql")


class TrackingError(UsageError):
    """The tracking address cannot be used; the message says which ones can."""


def resolve_tracking_uri(home: Path, option: str | None) -> str:
    """Return where runs are tracked: `option`, else `MLFLOW_TRACKING_URI`, else the home's own.

    Args:
        home: The sweeps' home; its own store is the SQLite file `mlflow.db` in it.
        option: The address that the user gave, or None. A relative SQLite path counts from the
            working folder.

    Raises:
        TrackingError: A file store, a plain path, or a scheme that is not supported.
    """
    home = home.expanduser().absolute()
    own = f"{SQLITE}{home / DATABASE_NAME}"
    received = option or os.environ.get("MLFLOW_TRACKING_URI") or own
    source = "--tracking-uri" if option else "MLFLOW_TRACKING_URI"
    if received == own:
        is_old = any(meta.parent.name.isdigit() for meta in home.glob("*/meta.yaml"))
        if is_old and not (home / DATABASE_NAME).exists():  # a file store that was not migrated yet
            raise TrackingError(_file_store_message(f"home {home}", home, own))
        return own
    # `postgresql` of `postgresql+psycopg://...`; empty for a plain path
    match = re.match(r"([A-Za-z][A-Za-z0-9-]*)(\+\w+)?:", received)
    scheme = match[1].lower() if match else ""
    if scheme == "file" or (not scheme and Path(received).is_dir()):
        shown = f"{source} {redacted(received)!r}"
        if re.match("file://[^/]", received):
            raise TrackingError(f"{shown}: a file is on no host; write '{SQLITE}/path/to/runs.db'")
        path = unquote(re.sub(r"^/+", "/", re.sub(r"^file:(//)?", "", received)))
        folder = Path(path or ".").expanduser().absolute()
        raise TrackingError(_file_store_message(shown, folder, own))
    if not scheme:
        raise TrackingError(
            f"{source} {redacted(received)!r} is a path; write a database file as "
            f"'{SQLITE}{Path(redacted(received)).expanduser().absolute()}'"
        )
    if scheme not in _SCHEMES:
        raise TrackingError(
            f"{source} {redacted(received)!r}: scheme {scheme!r} is not supported"
            f"{did_you_mean(scheme, _SCHEMES)}; allowed are {', '.join(_SCHEMES)}"
        )
    return _absolute_sqlite(received, source) if scheme == "sqlite" else _server(received, source)


def sqlite_path(uri: str) -> Path | None:
    """Return the file of a SQLite address, or None for any other kind of store."""
    return Path(unquote(uri.removeprefix(SQLITE))) if uri.startswith(SQLITE) else None


def _file_store_message(received: str, folder: Path, own: str) -> str:
    return (
        f"{received} holds runs as files, a store that MLflow no longer writes; copy them into "
        f"a database once with\n  mlflow migrate-filestore --source {folder} --target {own}\n"
        "or use another folder with --home"
    )


def _absolute_sqlite(uri: str, source: str) -> str:
    path = sqlite_path(uri)
    if path is None or str(path) in {"", ".", ":memory:"} or path.is_dir():
        raise TrackingError(
            f"{source} {redacted(uri)!r} names no file; write "
            f"'{SQLITE}/absolute/path/{DATABASE_NAME}'"
        )
    return f"{SQLITE}{path.expanduser().absolute()}"


def _server(uri: str, source: str) -> str:
    try:
        host = urlsplit(uri).hostname
        _ = urlsplit(uri).port
    except ValueError:  # its message may quote a part of the password
        raise TrackingError(
            f"{source} {redacted(uri)!r}: its host or port cannot be read; write e.g. "
            "'http://127.0.0.1:5000', and in a password %2F for /, %3F for ?, %23 for #, %40 for @"
        ) from None
    if uri.startswith("http") and re.search("[?#]", uri):
        raise TrackingError(
            f"{source} {redacted(uri)!r}: MLflow sends nothing that stands behind ? or #; a token "
            "belongs into MLFLOW_TRACKING_TOKEN"
        )
    if not host:
        raise TrackingError(
            f"{source} {redacted(uri)!r} names no host; write e.g. 'http://127.0.0.1:5000'"
        )
    return uri.rstrip("/")
