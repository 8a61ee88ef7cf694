"""Studies in the database that hosts share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import optuna
from optuna.storages import RDBStorage
from sqlalchemy import Connection, text

from sweeps.databases import Patience
from sweeps.errors import StoreError
from sweeps.shared import ENGINE_OPTIONS, StorageServer
from sweeps.study.sqlite_place import schema_versions

_THERE: Final = "SELECT to_regclass('studies')"
_RENAME: Final = text("UPDATE studies SET study_name = :after WHERE study_name = :before")


class ServerPlace:
    """The database, see `Place`."""

    unreadable: tuple[type[Exception], ...] = (KeyError,)
    """A server that is away is no empty study: that is said, not passed over."""

    def __init__(self, server: StorageServer) -> None:
        self._server = server
        self._address = server.url.render_as_string(hide_password=False)

    def exists(self) -> bool:
        """Whether Optuna has made its tables."""
        there = self._server.run(lambda connection: connection.execute(text(_THERE)).scalar())
        return there is not None

    def prepare(self, patience: Patience) -> None:
        """Have Optuna make its tables where they are missing; one host does, the others wait.

        Raises:
            StoreError: The tables are of another version of Optuna, or the server is away.
        """
        patience.run(self._server, self._prepare)

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
        """Open a database that is prepared."""
        return RDBStorage(
            self._address,
            engine_kwargs=ENGINE_OPTIONS,
            skip_compatibility_check=True,
            skip_table_creation=True,
        )

    def open_to_read(self) -> RDBStorage:
        """Open it so that nothing is created or migrated."""
        return self.open()

    def rename(self, names: Mapping[str, str]) -> None:
        """Give studies other names, all in one transaction."""

        def rename(connection: Connection) -> None:
            for before, after in names.items():
                connection.execute(_RENAME, {"before": before, "after": after})

        self._server.run(rename)
