"""Where MLflow's store is: decided before anything is created, always explicit and absolute.

MLflow's own default depends on the working directory and on what lies in `./mlruns`; with an old
file store there it refuses to work at all (MLflow >= 3.13). Nothing here imports MLflow.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from sweeps.errors import UsageError
from sweeps.naming import did_you_mean

DATABASE_NAME: Final = "mlflow.db"
SQLITE: Final = "sqlite:///"
_SCHEMES: Final = ("sqlite", "http", "https", "postgresql", "mysql", "mssql")


class TrackingError(UsageError):
    """The tracking address cannot be used; the message says which ones can."""


def resolve_tracking_uri(home: Path, option: str | None) -> str:
    """Return where runs are tracked: `option`, else `MLFLOW_TRACKING_URI`, else the home's own.

    Args:
        home: The sweeps' home; its own store is the SQLite file `mlflow.db` in it.
        option: What the user gave, or None. A relative SQLite path counts from the working folder.

    Raises:
        TrackingError: A file store, a plain path, or a scheme that is not supported.
    """
    home = home.expanduser().absolute()
    own = f"{SQLITE}{home / DATABASE_NAME}"
    received = option or os.environ.get("MLFLOW_TRACKING_URI") or own
    source = "--tracking-uri" if option else "MLFLOW_TRACKING_URI"
    if received == own:
        _refuse_old_store_in(home, own)
        return own
    scheme = _scheme(received)
    if scheme == "file" or (not scheme and Path(received).is_dir()):
        raise TrackingError(_file_store_message(f"{source} {received!r}", _folder(received), own))
    if not scheme:
        raise TrackingError(
            f"{source} {received!r} is a path; write a database file as "
            f"'{SQLITE}{Path(received).expanduser().absolute()}'"
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


_USER: Final = re.compile(r"//([^/?#\s]*)@")
_HARMLESS: Final = frozenset({"sslmode", "mode", "uri", "timeout", "charset", "connect_timeout"})


def redacted(uri: str) -> str:
    """Return an address fit for a terminal or a log: nothing in it that may be a secret.

    A password, a user name without one (a token, as a rule) and what stands behind a question mark
    or a hash, but for some harmless settings, are `***`, also in what is no whole address.
    """
    if uri.startswith(SQLITE):
        return uri  # a file, in whose name a hash may stand
    shown, _, query = _USER.sub(_without_password, uri).partition("?")
    settings = [_hidden(part) for part in re.split(r"[&#]", query)] if query else []
    return "?".join([shown.partition("#")[0], *(["&".join(settings)] if settings else [])])


def _without_password(found: re.Match[str]) -> str:
    user, colon, _ = found[1].partition(":")
    return f"//{user if colon else ''}{':' if colon else ''}***@"


def _hidden(setting: str) -> str:
    name, sign, _ = setting.partition("=")
    if name in _HARMLESS or not setting:
        return setting
    return f"{name}=***" if sign else "***"


def _scheme(uri: str) -> str:
    """Return `postgresql` of `postgresql+psycopg://...`; empty for a plain path."""
    match = re.match(r"([A-Za-z][A-Za-z0-9-]*)(\+\w+)?:", uri)
    return match[1].lower() if match else ""


def _folder(uri: str) -> Path:
    path = re.sub(r"^/+", "/", re.sub(r"^file:(//)?", "", uri))
    return Path(unquote(path) or ".").expanduser().absolute()


def _refuse_old_store_in(home: Path, own: str) -> None:
    """A file store without a database beside it is one that has not been migrated yet."""
    if (home / DATABASE_NAME).exists():
        return
    if any(meta.parent.name.isdigit() for meta in home.glob("*/meta.yaml")):
        raise TrackingError(_file_store_message(f"home {home}", home, own))


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
            f"{source} {uri!r} names no file; write '{SQLITE}/absolute/path/{DATABASE_NAME}'"
        )
    return f"{SQLITE}{path.expanduser().absolute()}"


def _server(uri: str, source: str) -> str:
    try:
        host = urlsplit(uri).hostname
        _ = urlsplit(uri).port
    except ValueError as error:
        raise TrackingError(f"{source} {redacted(uri)!r}: {error}") from None
    if not host:
        raise TrackingError(
            f"{source} {redacted(uri)!r} names no host; write e.g. 'http://127.0.0.1:5000'"
        )
    return uri.rstrip("/")
