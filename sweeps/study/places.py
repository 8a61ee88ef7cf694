"""Where studies are: a file of the home, or a database that hosts share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from optuna.storages import RDBStorage

from sweeps.databases import Patience
from sweeps.shared import StorageServer

Database = Path | StorageServer


class Place(Protocol):
    """What study and doctor need of a database of studies.

    Attributes:
        unreadable: Errors that say to a reader: there is no such study.
    """

    unreadable: tuple[type[Exception], ...]

    def exists(self) -> bool:
        """Whether there may be a study."""

    def prepare(self, patience: Patience) -> None:
        """Make what is missing and check the rest; may be called by several processes at once."""

    def open(self) -> RDBStorage:
        """Open it, once it is prepared."""

    def open_to_read(self) -> RDBStorage:
        """Open it so that nothing is created or migrated."""

    def rename(self, names: Mapping[str, str]) -> None:
        """Give studies other names, all in one transaction."""


def place_of(database: Database) -> Place:
    """Return how a database of studies is dealt with."""
    if isinstance(database, Path):
        from sweeps.study.sqlite_place import SqlitePlace

        return SqlitePlace(database)
    from sweeps.study.server_place import ServerPlace

    return ServerPlace(database)
