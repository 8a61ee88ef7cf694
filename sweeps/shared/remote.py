"""The files of a home as the database has them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, text

from sweeps.shared.lease import Lease
from sweeps.shared.server import StorageServer

FILES_AT_ONCE: Final = 32

_LIST: Final = text("SELECT path, digest FROM sweeps_file WHERE path >= :prefix AND path < :beyond")
_READ: Final = text("SELECT path, data FROM sweeps_file WHERE path = ANY(:paths)")
_WRITE: Final = text(
    "INSERT INTO sweeps_file (path, digest, data) VALUES (:path, :digest, :data) "
    "ON CONFLICT (path) DO UPDATE SET digest = excluded.digest, data = excluded.data"
)
_DELETE: Final = text("DELETE FROM sweeps_file WHERE path = ANY(:paths)")


def few_at_once(paths: Sequence[str]) -> Iterator[list[str]]:
    """Yield paths in their order, so many together as memory takes: `.files` may be large."""
    some: list[str] = []
    for path in paths:
        if some and (path.endswith(".files") or len(some) == FILES_AT_ONCE):
            yield some
            some = []
        some.append(path)
        if path.endswith(".files"):
            yield some
            some = []
    if some:
        yield some


class RemoteFiles:
    """Reads and writes the files; each call is one transaction, or a few."""

    def __init__(self, server: StorageServer) -> None:
        self._server = server

    def digests(self, prefix: str) -> dict[str, str]:
        """Return the SHA-256 (hex) of the files whose path begins so."""
        beyond = prefix + "\U0010ffff"
        asked = {"prefix": prefix, "beyond": beyond}
        rows = self._server.run(lambda connection: connection.execute(_LIST, asked).all())
        return {row.path: row.digest for row in rows}

    def read(self, paths: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Yield the files, a few at a time; one that is gone meanwhile is left out."""
        for some in few_at_once(paths):
            rows = self._server.run(partial(_read, {"paths": some}))
            yield from ((path, bytes(data)) for path, data in rows)

    def change(
        self,
        written: Mapping[str, tuple[str, bytes]],
        deleted: Collection[str],
        lease: Lease | None,
    ) -> None:
        """Write and delete files, all or none.

        Args:
            written: Digest and content by path.
            deleted: Paths.
            lease: Whoever writes of a sweep has its lease; None for what needs none.

        Raises:
            LeaseLost: Somebody else has it.
        """

        def change(connection: Connection) -> None:
            if lease is not None:
                lease.fence(connection)
            for path, (digest, data) in written.items():
                connection.execute(_WRITE, {"path": path, "digest": digest, "data": data})
            if deleted:
                connection.execute(_DELETE, {"paths": list(deleted)})

        self._server.run(change)


def _read(paths: Mapping[str, list[str]], connection: Connection) -> Sequence[Any]:
    return connection.execute(_READ, paths).all()
