"""The shared storage of a home: joins the database and the home's copy of its files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, cached_property
from pathlib import Path

from sweeps.errors import UsageError
from sweeps.shared.lease import Holder, Lease, holder_of
from sweeps.shared.server import StorageServer, open_server
from sweeps.shared.working_copy import FIXED, Manifest, RemoteFiles, WorkingCopy
from sweeps.workspace.files import make_folder
from sweeps.workspace.locks import is_locked


class SharedStorage:
    """A database, and the home that is a copy of it."""

    def __init__(self, home: Path, server: StorageServer) -> None:
        self.server = server
        self._home = home
        self._manifest = Manifest(home)

    @cached_property
    def copy(self) -> WorkingCopy:
        """The home's copy of the files; makes the home and our tables first if they are missing."""
        _ = self._home_id
        return WorkingCopy(self._home, self._manifest, RemoteFiles(self.server))

    def check(self) -> None:
        """Refuse a home that is a copy of another database.

        Raises:
            UsageError: It is.
        """
        bound = self._manifest.storage()
        if bound is not None and bound[0] != self.server.identity():
            raise UsageError(
                f"home {self._home} is a copy of {bound[1]}; give that as --storage, not "
                f"{self.server}, or another folder with --home"
            )

    def refresh(self, prefix: str = "") -> None:
        """Copy the changes of other hosts; sweeps that run in this home are left alone.

        Args:
            prefix: Beginning of the paths to copy; all by default.
        """
        if self.server.identity() is None:
            return  # the database was never used, and a refresh must not make tables

        @cache
        def runs_here(sweep: str) -> bool:
            return is_locked(self._home / "records" / sweep / "lock")

        self.copy.pull(prefix, leave=lambda path: runs_here(path.split("/")[1]))

    def publish(self, prefix: str) -> None:
        """Publish the files that need no lease; those of records do."""
        self.copy.sync(prefix, leave=lambda path: path.endswith(FIXED))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other hosts out while sweeps are made or named, so that a name is not taken twice.

        It refreshes the home first; afterwards it publishes `sweep.json` files and evaluations.
        """
        copy = self.copy
        with self.server.alone():
            self.refresh()
            yield
            copy.sync("records/", leave=lambda path: not path.endswith("/sweep.json"))
            copy.sync("test/")

    def has(self, sweep_id: str) -> bool:
        """Whether the home has a sweep, as it was last refreshed."""
        return (self._home / "records" / sweep_id / "sweep.json").exists()

    def take(self, sweep_id: str, name: str, note: Callable[[str], None]) -> Lease:
        """Take the lease of a sweep. The caller holds its kernel lock.

        Raises:
            UsageError: Another host runs the sweep.
        """
        return Lease.take(self.server, sweep_id, name, self._home_id, note)

    def holder(self, sweep_id: str) -> Holder | None:
        """Return the holder of the lease of a sweep, or the last one; None if there was none."""
        return None if self.server.identity() is None else holder_of(self.server, sweep_id)

    def is_held(self, sweep_id: str) -> bool:
        """Whether a process on any host holds the lease of a sweep."""
        holder = self.holder(sweep_id)
        return holder is not None and holder.is_held

    @cached_property
    def _home_id(self) -> str:
        """The home's id; makes the home and our tables first if they are missing."""
        make_folder(self._home)
        return self._manifest.bind(self.server.prepare(), str(self.server))


def open_shared(home: Path, address: str) -> SharedStorage:
    """Return the shared storage of a home, after copying the changes of other hosts.

    Raises:
        UsageError: The address cannot be used, or the home is a copy of another database.
    """
    shared = SharedStorage(home, open_server(address))
    shared.check()
    shared.refresh()
    return shared


def bound_to(home: Path) -> str | None:
    """Return the address (without a password) of the database that a home is a copy of, or None."""
    bound = Manifest(home).storage()
    return bound[1] if bound else None
