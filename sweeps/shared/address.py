"""The address of a shared storage: checked, and never shown with its password."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sweeps.addresses import HARMLESS
from sweeps.errors import UsageError
from sweeps.naming import did_you_mean

if TYPE_CHECKING:
    from sqlalchemy import URL

ENVIRONMENT: Final = "SWEEPS_STORAGE"
_DRIVERS: Final = ("postgresql", "postgresql+psycopg")
_EXAMPLE: Final = "postgresql+psycopg://USER@HOST/DATABASE"


def parse_storage(text: str) -> URL:
    """Return the address that `--storage` names.

    A password may stand in it; better it stands in `PGPASSWORD` or `~/.pgpass`, since others can
    see the options of a command.

    Raises:
        UsageError: It is no address of a PostgreSQL database.
    """
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise UsageError(f"--storage: not an address; write {_EXAMPLE}") from None
    if url.drivername not in _DRIVERS:
        raise UsageError(
            f"--storage {shown(url)}: {url.drivername!r} is not supported"
            f"{did_you_mean(url.drivername, _DRIVERS)}; write {_EXAMPLE}, or leave it out: "
            "studies then are in the home's own SQLite file"
        )
    if not url.database:
        raise UsageError(f"--storage {shown(url)}: it names no database; write {_EXAMPLE}")
    return url.set(drivername="postgresql+psycopg")


def shown(url: URL) -> str:
    """Return an address fit for a terminal, a log or a hint: whose it is, and no secret."""
    query = {name: value if name in HARMLESS else "***" for name, value in url.query.items()}
    return url.set(query=query).render_as_string(hide_password=True)
