"""Keeps a home and a shared database equal: the home is a working copy of the database.

Here is the home, there is the database. Three states of a file are compared: here, there, and the
one that both last had in common (the manifest). The side that changed the file wins; if both did,
the database wins. Records, weights and files written by attempts never change, so for them the
database always wins: a record that the disk has damaged is replaced.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, text

from sweeps.errors import UsageError
from sweeps.records.format import unseal
from sweeps.shared.lease import Holder, Lease, holder_of
from sweeps.shared.server import StorageServer, open_server
from sweeps.workspace.files import FormatError, make_folder, write_atomically
from sweeps.workspace.locks import is_locked

ENDING: Final = ".late"
"""The ending that files of an attempt get that was recorded on a host that had lost the sweep, or
was cut off: another host has run the trial again, and its record counts."""
_RECORD: Final = ".record"


def late_records(here: Collection[str], there: Collection[str]) -> list[str]:
    """Return the records that exist only here and whose trial has a later attempt there.

    Args:
        here: Paths in the home: records, `.../<trial>-<attempt>.record`, and other files.
        there: Paths in the database.
    """
    last: dict[tuple[str, str], int] = {}
    for path in there:
        if path.endswith(_RECORD):
            trial, attempt = _parts(path)
            last[trial] = max(last.get(trial, 0), attempt)
    late = [path for path in here if path.endswith(_RECORD) and path not in there]
    return [path for path in late if _parts(path)[1] < last.get(_parts(path)[0], 0)]


def _parts(path: str) -> tuple[tuple[str, str], int]:
    folder, _, name = path.rpartition("/")
    trial, _, attempt = name.removesuffix(_RECORD).partition("-")
    return (folder, trial), int(attempt)


FILE: Final = "shared.db"
"""The manifest in a home that is a working copy."""
_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS home (id TEXT NOT NULL, storage TEXT NOT NULL, "
    "server TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS common (path TEXT PRIMARY KEY, digest TEXT NOT NULL, "
    "size INTEGER NOT NULL, changed INTEGER NOT NULL)",
)
_BUSY_SECONDS: Final = 30.0


@dataclass(frozen=True)
class Common:
    """The state of a file that home and database last had in common.

    Attributes:
        digest: SHA-256 (hex).
        size: Size in bytes.
        changed: Time of its last change here, in nanoseconds; if it or the size differs, the file
            has to be read again.
    """

    digest: str
    size: int
    changed: int


class Manifest:
    """The file `shared.db` of a home: what it and its database last had in common.

    It tells whether a file has changed here or there since. It is a SQLite file, since several
    commands may work on one home at a time.
    """

    def __init__(self, home: Path) -> None:
        self._file = home / FILE

    def storage(self) -> tuple[str, str] | None:
        """Return id and address (without a password) of the database that the home copies."""
        if not self._file.exists():
            return None
        with self._open() as database:
            row = database.execute("SELECT storage, server FROM home").fetchone()
        return (str(row[0]), str(row[1])) if row else None

    def bind(self, storage: str, server: str) -> str:
        """Note the database that the home copies, if none is noted; return the id of the home.

        Args:
            storage: Id of the database.
            server: Its address, without a password.
        """
        with self._open() as database:
            database.execute("BEGIN IMMEDIATE")
            for statement in _SCHEMA:
                database.execute(statement)
            if database.execute("SELECT 1 FROM home").fetchone() is None:
                own = secrets.token_hex(8)
                database.execute("INSERT INTO home VALUES (?, ?, ?)", (own, storage, server))
            database.execute("COMMIT")
            return str(database.execute("SELECT id FROM home").fetchone()[0])

    def read(self, prefix: str) -> dict[str, Common]:
        """Return the common states of the files whose path begins with a prefix, by path."""
        query = "SELECT path, digest, size, changed FROM common WHERE path >= ? AND path < ?"
        with self._open() as database:
            rows = database.execute(query, (prefix, prefix + "\U0010ffff")).fetchall()
        return {path: Common(digest, size, changed) for path, digest, size, changed in rows}

    def note(self, known: Mapping[str, Common], gone: Iterable[str] = ()) -> None:
        """Note the files that both sides have now (`known`) and those that neither has (`gone`)."""
        rows = [(path, one.digest, one.size, one.changed) for path, one in known.items()]
        with self._open() as database:
            database.execute("BEGIN IMMEDIATE")
            database.executemany("INSERT OR REPLACE INTO common VALUES (?, ?, ?, ?)", rows)
            database.executemany("DELETE FROM common WHERE path = ?", [(path,) for path in gone])
            database.execute("COMMIT")

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(
            sqlite3.connect(self._file, timeout=_BUSY_SECONDS, isolation_level=None)
        ) as database:
            # If a power cut loses the manifest, files are compared by their contents alone.
            database.execute("PRAGMA synchronous=OFF")
            yield database


FILES_AT_ONCE: Final = 32

_LIST: Final = text("SELECT path, digest FROM sweeps_file WHERE path >= :prefix AND path < :beyond")
_READ: Final = text("SELECT path, data FROM sweeps_file WHERE path = ANY(:paths)")
_WRITE: Final = text(
    "INSERT INTO sweeps_file (path, digest, data) VALUES (:path, :digest, :data) "
    "ON CONFLICT (path) DO UPDATE SET digest = excluded.digest, data = excluded.data"
)
_DELETE: Final = text("DELETE FROM sweeps_file WHERE path = ANY(:paths)")


def few_at_once(paths: Sequence[str]) -> Iterator[list[str]]:
    """Yield paths in order, in groups that fit into memory; a `.files`, often large, alone."""
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
    """Reads and writes files in the database; each call is one transaction, or a few."""

    def __init__(self, server: StorageServer) -> None:
        self._server = server

    def digests(self, prefix: str) -> dict[str, str]:
        """Return the SHA-256 (hex) of each file whose path begins with a prefix, by path."""
        beyond = prefix + "\U0010ffff"
        asked = {"prefix": prefix, "beyond": beyond}
        rows = self._server.run(lambda connection: connection.execute(_LIST, asked).all())
        return {row.path: row.digest for row in rows}

    def read(self, paths: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Yield paths and contents of files, read in groups; files that are gone are left out."""
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
            written: Digest and content of the files to write, by path.
            deleted: Paths of the files to delete.
            lease: The lease of the sweep, checked in the transaction; None if none is needed.

        Raises:
            LeaseLost: Another process holds the lease.
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


ROOTS: Final = ("records", "test")
"""Folders of a home that are shared. MLflow's databases and pictures are made from their files."""
FIXED: Final = (".record", ".weights", ".files")
_OWN: Final = frozenset({"lock", "sweep.log", "sweep.log.1"})
"""Files of this host only, as are names that begin with a dot, and files that were put aside."""
_OWN_ENDINGS: Final = (".torn", ".tmp", ENDING)


@dataclass
class Transfers:
    """The changes that make the home (here) and the database (there) equal.

    Attributes:
        take: Paths to be copied from there.
        drop: Paths to be deleted here.
        give: Paths to be written there, with their state here.
        withdraw: Paths to be deleted there.
        known: Files that both have, to be noted in the manifest.
        gone: Paths that neither has any more.
        late: Records to be put aside here, and the files beside them, because another host has run
            their trials again.
    """

    take: list[str] = field(default_factory=list)
    drop: list[str] = field(default_factory=list)
    give: dict[str, Common] = field(default_factory=dict)
    withdraw: list[str] = field(default_factory=list)
    known: dict[str, Common] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)


Leave = Callable[[str], bool]  # whether a path is left alone


class WorkingCopy:
    """A home, and the files in the database that it is a copy of."""

    def __init__(self, home: Path, manifest: Manifest, remote: RemoteFiles) -> None:
        self._home, self._manifest, self._remote = home, manifest, remote

    def pull(self, prefix: str = "", leave: Leave = lambda path: False) -> None:
        """Copy the changes there to here; write nothing there.

        Args:
            prefix: Beginning of the paths; all by default.
            leave: Returns whether a path is left alone.
        """
        self._receive(self._plan(prefix, leave))

    def sync(
        self, prefix: str, lease: Lease | None = None, leave: Leave = lambda path: False
    ) -> None:
        """Make here and there equal; arguments as for `pull`.

        Raises:
            LeaseLost: Another process holds the lease now.
            StoreError: A file cannot be written here.
        """
        plan = self._plan(prefix, leave)
        for path in plan.late:
            (self._home / path).rename(self._home / f"{path}{ENDING}")
        self._receive(plan)
        self._give(plan, lease)

    def forget(self, prefix: str, lease: Lease) -> None:
        """Delete the files there whose path begins with a prefix; here they are gone already."""
        paths = list(self._remote.digests(prefix))
        self._remote.change({}, paths, lease)
        self._manifest.note({}, [*paths, *self._manifest.read(prefix)])

    def give(self, paths: list[str], lease: Lease) -> None:
        """Write new files there, without comparing any others.

        Raises:
            LeaseLost: Another process holds the lease now.
        """
        plan = Transfers()
        for path in paths:
            here = self._here(path, None)
            if here is not None:
                plan.give[path] = here
        self._give(plan, lease)

    def _plan(self, prefix: str, leave: Leave) -> Transfers:
        there, common = self._remote.digests(prefix), self._manifest.read(prefix)
        here = {path: self._here(path, common.get(path)) for path in self._paths(prefix)}
        plan = Transfers()
        for path in sorted(there.keys() | common.keys() | here.keys(), key=_sweep_first):
            if _is_shared(path) and not leave(path):
                before = None if self._is_lost(path) else common.get(path)
                _settle(plan, path, here.get(path), there.get(path), before)
        plan.late = late_records(plan.give, there)
        # Likewise if another host has recorded the same attempt: the files beside ours are not its.
        ours = [*plan.late, *(path for path in plan.take if here.get(path) is not None)]
        beside = {f"{path.removesuffix(FIXED[0])}{end}" for path in ours for end in FIXED[1:]}
        plan.late += sorted(beside & plan.give.keys())
        for path in plan.late:
            del plan.give[path]
        return plan

    def _is_lost(self, path: str) -> bool:
        """Whether somebody removed the sweep's folder; it is read again: only commands delete."""
        root, sweep, *_ = path.split("/")
        return root == "records" and not (self._home / root / sweep / "sweep.json").exists()

    def _receive(self, plan: Transfers) -> None:
        self._take(plan.take)
        self._drop(plan.drop)
        self._manifest.note(plan.known, plan.gone)

    def _paths(self, prefix: str) -> Iterator[str]:
        base = self._home / prefix
        folders = [base] if prefix else [self._home / root for root in ROOTS]
        for top in folders:
            # Not `rglob`: it fails if a folder vanishes meanwhile, as happens while packing.
            for folder, within, files in os.walk(top):
                within[:] = [name for name in within if not name.startswith(".")]  # never shared
                paths = (Path(folder) / name for name in files)
                yield from (p.relative_to(self._home).as_posix() for p in paths if p.is_file())

    def _here(self, path: str, common: Common | None) -> Common | None:
        """Return the state of a file here, None if missing; read it only if it may have changed."""
        file = self._home / path
        try:
            found = file.stat()
            if common and (common.size, common.changed) == (found.st_size, found.st_mtime_ns):
                return common
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
        except FileNotFoundError:
            return None
        return Common(digest, found.st_size, found.st_mtime_ns)

    def _take(self, paths: list[str]) -> None:
        for path, data in self._remote.read(paths):
            file = self._home / path
            make_folder(file.parent)
            write_atomically(file, data, "taken")
            found = file.stat()
            digest = hashlib.sha256(data).hexdigest()
            self._manifest.note({path: Common(digest, found.st_size, found.st_mtime_ns)})

    def _drop(self, paths: list[str]) -> None:
        for path in paths:
            (self._home / path).unlink(missing_ok=True)
            self._manifest.note({}, [path])
            _remove_if_empty((self._home / path).parent)

    def _give(self, plan: Transfers, lease: Lease | None) -> None:
        whole = {path: one for path, one in plan.give.items() if self._may_go(path)}
        for number, paths in enumerate([*few_at_once(list(whole))] or [[]]):
            some = {path: whole[path] for path in paths}
            written = {path: (one.digest, self._read(path)) for path, one in some.items()}
            withdrawn = plan.withdraw if number == 0 else []
            if written or withdrawn:
                self._remote.change(_unchanged(written), withdrawn, lease)
                self._manifest.note(some, withdrawn)

    def _may_go(self, path: str) -> bool:
        """Whether a file may be written there; a torn record may not: it is put aside here."""
        if path.endswith(".record"):
            try:
                unseal(self._read(path))
            except FormatError:
                return False
        return True

    def _read(self, path: str) -> bytes:
        try:
            return (self._home / path).read_bytes()
        except FileNotFoundError:
            return b""


def _remove_if_empty(folder: Path) -> None:
    """Remove the folder of a sweep that was deleted elsewhere."""
    left = list(folder.iterdir()) if folder.is_dir() else None
    if left is not None and {path.name for path in left} <= _OWN:
        for path in left:
            path.unlink()
        folder.rmdir()


def _unchanged(written: Mapping[str, tuple[str, bytes]]) -> dict[str, tuple[str, bytes]]:
    """Leave out files that changed after their digest was taken; the next sync writes them."""
    return {
        path: (digest, data)
        for path, (digest, data) in written.items()
        if hashlib.sha256(data).hexdigest() == digest
    }


def _settle(
    plan: Transfers, path: str, here: Common | None, there: str | None, common: Common | None
) -> None:
    """Add one file to the list of the plan that it belongs to."""
    own = here.digest if here else None
    before = common.digest if common else None
    if own == there:
        if here is None:
            plan.gone.append(path)
        elif here != common:
            plan.known[path] = here
    elif _database_wins(path, own, there, before):
        plan.drop.append(path) if there is None else plan.take.append(path)
    elif here is None:
        plan.withdraw.append(path)
    else:
        plan.give[path] = here


def _database_wins(path: str, own: str | None, there: str | None, before: str | None) -> bool:
    if path.endswith(FIXED) and there is not None:
        # Weights may be dropped here too; a record is deleted only together with its sweep.
        return not (own is None and there == before and path.endswith(".weights"))
    return there != before


def _is_shared(path: str) -> bool:
    root, *others = path.split("/")
    hidden = any(part.startswith(".") for part in others)  # also `..`, which leads out of the home
    return (
        root in ROOTS
        and bool(others)
        and not (hidden or path.endswith(_OWN_ENDINGS) or others[-1] in _OWN)
    )


def _sweep_first(path: str) -> tuple[bool, str]:
    """Sort `sweep.json` before all other files, so that a copy cut short is a sweep as well."""
    return not path.endswith("sweep.json"), path


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
