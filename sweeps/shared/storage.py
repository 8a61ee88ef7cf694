"""A home as a copy of a shared database: events and files, fetched and sent; see the package."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
from sqlalchemy import Connection, TextClause, text

from sweeps.errors import StoreError, UsageError
from sweeps.journal.events import from_line, to_line
from sweeps.journal.file import FILE, Journal
from sweeps.records import RecordStore
from sweeps.records.schema import warn
from sweeps.records.store import BINDING, DELETED
from sweeps.shared.lease import Holder, Lease, holder_of
from sweeps.shared.server import StorageServer, open_server
from sweeps.workspace.databases import DatabaseRetry
from sweeps.workspace.files import FormatError, make_folder, read_file, remove, write_atomically
from sweeps.workspace.locks import is_locked

_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_SHARED: Final = re.compile(
    rf"sweeps/{_NAME}/(asked-to-[a-z0-9-]+|{_NAME}/{_NAME})|test/{_NAME}/[0-9]+\.(json|npz)"
)
"""Paths of files that hosts share: none is hidden, or leads out of the home."""
_MAY_GO: Final = re.compile(r"[^/]+/[^/]+/(asked-to-.*|trials/.*\.weights\.npz)")
"""Paths of files that are deleted in the course of a sweep: requests, and weights."""

_TURN: Final = text("SELECT pg_advisory_xact_lock(7337203, hashtext(:sweep))")
_EVENTS: Final = text(
    "SELECT number, line FROM sweeps_event WHERE sweep_id = :sweep AND number >= :after "
    "ORDER BY number"
)
_ADD: Final = text("INSERT INTO sweeps_event VALUES (:sweep, :number, :line)")
_LAST: Final = text(
    "SELECT sweep_id, max(number) FROM sweeps_event "
    "WHERE CAST(:sweep AS text) IS NULL OR sweep_id = :sweep GROUP BY sweep_id"
)
_LEASED: Final = text("SELECT sweep_id FROM sweeps_lease WHERE sweep_id = ANY(:ids)")
_LIST: Final = text(
    "SELECT path, octet_length(data) FROM sweeps_file WHERE path >= :first AND path < :beyond "
    "ORDER BY path"
)
_READ: Final = text("SELECT data FROM sweeps_file WHERE path = :path")
_WRITE: Final = text(
    "INSERT INTO sweeps_file VALUES (:path, :data) "
    "ON CONFLICT (path) DO UPDATE SET data = excluded.data"
)
_DELETE: Final = text("DELETE FROM sweeps_file WHERE path = ANY(:paths)")
_FORGET: Final = (
    text("DELETE FROM sweeps_event WHERE sweep_id = :sweep"),
    text("DELETE FROM sweeps_file WHERE path >= :first AND path < :beyond"),
)

T = TypeVar("T")


class Binding(msgspec.Struct, frozen=True):
    """The file `shared.json` of a home: its id, its database's id and address (no password)."""

    home: str
    storage: str
    server: str


held_here: Final[dict[Path, Lease]] = {}
"""The sweeps that this process works on, by their folders: whatever it writes there is fenced."""


class RemoteSweep:
    """The events and files of one sweep in the database, see `sweeps.journal.Remote`."""

    def __init__(self, home: Path, server: StorageServer, sweep_id: str) -> None:
        self._home, self._server, self._sweep = home, server, sweep_id

    def exchange(self, after: int, make: Callable[[int], Sequence[bytes]]) -> Sequence[bytes]:
        """See `sweeps.journal.Remote`; a commit whose answer is lost adds nothing twice."""
        made: list[bytes] = []

        def exchange(connection: Connection) -> list[bytes]:
            connection.execute(_TURN, {"sweep": self._sweep})
            found = connection.execute(_EVENTS, {"sweep": self._sweep, "after": after}).all()
            if after and (not found or found[0].number != after):
                raise StoreError(
                    f"{self._server}: it has no event {after} of sweep {self._sweep}, which is in "
                    f"{self._home}: the sweep was deleted on another host, or the database is an "
                    "older backup. Nothing was changed"
                )
            there = [bytes(row.line) for row in found if row.number > after]
            if not made or made[0] not in there:
                made[:] = make(found[-1].number if found else 0)
                numbers = [from_line(line.strip()).number for line in made]
                rows = zip(numbers, made, strict=True)
                added = [{"sweep": self._sweep, "number": n, "line": line} for n, line in rows]
                if added:
                    connection.execute(_ADD, added)
                there += made
            return there

        return self._run(exchange)

    def send(self, path: Path, content: bytes) -> None:
        """See `sweeps.journal.Remote`."""
        values = {"path": path.relative_to(self._home).as_posix(), "data": content}
        self._run(lambda connection: connection.execute(_WRITE, values))

    def drop(self, paths: Sequence[Path]) -> None:
        """See `sweeps.journal.Remote`."""
        values = {"paths": [path.relative_to(self._home).as_posix() for path in paths]}
        self._run(lambda connection: connection.execute(_DELETE, values))

    def forget(self) -> None:
        """Delete all of the sweep but its lease, by which other hosts know of the deletion."""
        values = {"sweep": self._sweep, **_range(f"sweeps/{self._sweep}/")}

        def forget(connection: Connection) -> None:
            connection.execute(_TURN, values)
            for statement in _FORGET:
                connection.execute(statement, values)

        self._run(forget)

    def _run(self, action: Callable[[Connection], T]) -> T:
        lease = held_here.get(self._home / "sweeps" / self._sweep)
        if lease is None:
            return self._server.run(action)

        def fenced(connection: Connection) -> T:
            lease.fence(connection)
            return action(connection)

        return self._server.run(fenced, lease.database_retry)


def _range(prefix: str, beyond: str = "\U0010ffff") -> dict[str, str]:
    """Return the range of the paths with a prefix, without those from `beyond` on."""
    return {"first": prefix, "beyond": f"{prefix}{beyond}"}


class SharedStorage:
    """A database, and the home that is a copy of it."""

    def __init__(self, home: Path, server: StorageServer) -> None:
        self.server = server
        self._home = home

    def remote(self, sweep_id: str) -> RemoteSweep:
        """Return what the database has of a sweep."""
        return RemoteSweep(self._home, self.server, sweep_id)

    def refresh(self, sweep_id: str | None = None) -> None:
        """Copy the changes of other hosts, of one sweep or of all and the test-set evaluations.

        Sweeps that run in this home are left alone.
        """
        if self.server.identity() is None:
            return  # the database was never used, and a refresh must not make tables
        _ = self._home_id
        found = self._query(_LAST, {"sweep": sweep_id})
        there = {name: last for name, last in found if re.fullmatch(_NAME, name)}
        here = [name for name in self._here() if sweep_id in {None, name}]
        running = {name for name in {*here, *there} if is_locked(self._folder(name) / "lock")}
        gone = sorted({*here} - there.keys() - running)
        for (name,) in self._query(_LEASED, {"ids": gone}) if gone else ():
            # It was deleted on another host.
            deleted = self._folder(f"{DELETED}{name}")
            remove(deleted)
            self._folder(name).rename(deleted)
        for name in there.keys() - running:
            self._fetch_events(name, there[name])
        for prefix in ("sweeps/", "test/") if sweep_id is None else (f"sweeps/{sweep_id}/",):
            self._fetch_files(_range(prefix), lambda path: path.split("/")[1] in running)

    def take(self, sweep_id: str, name: str, database_retry: DatabaseRetry) -> Lease:
        """Take the lease of a sweep whose kernel lock is held; copy what its last holder wrote.

        Raises:
            UsageError: Another host runs the sweep, or has deleted it.
        """
        lease = Lease(self.server, sweep_id, name, self._home_id, database_retry)
        there = dict(self._query(_LAST, {"sweep": sweep_id}))
        if not there:
            lease.release()
            raise UsageError(f"sweep {name!r} was deleted on another host")
        self._fetch_events(sweep_id, there[sweep_id])
        self._fetch_files(_range(f"sweeps/{sweep_id}/"))
        return lease

    def follow(self, sweep_id: str) -> None:
        """Copy what others add to a sweep that runs here: events, texts and requests."""
        self._store(sweep_id).journal.fetch()
        # Not what comes after these in the alphabet: files of attempts are made by this host alone.
        self._fetch_files(_range(f"sweeps/{sweep_id}/", "trials/"))

    def _folder(self, sweep_id: str) -> Path:
        return self._home / "sweeps" / sweep_id

    def _store(self, sweep_id: str) -> RecordStore:
        return RecordStore(self._folder(sweep_id), self.remote(sweep_id))

    def _fetch_events(self, sweep_id: str, last: int) -> None:
        store = self._store(sweep_id)
        make_folder(store.folder)
        if store.journal.last() < last:
            store.journal.fetch()

    def _fetch_files(
        self, within: Mapping[str, str], leave: Callable[[str], bool] = lambda path: False
    ) -> None:
        """Make the files in a range equal to those there; of requests and weights delete some.

        Files for whose path `leave` is true are left alone.
        """
        # Here first, so that what is sent meanwhile is not taken for what was deleted there.
        here = _sizes(self._home, within)
        rows = self._query(_LIST, within)
        there = {path: size for path, size in rows if _SHARED.fullmatch(path)}
        for path in here.keys() - there.keys():
            if _MAY_GO.fullmatch(path) and not leave(path):
                (self._home / path).unlink(missing_ok=True)
        for path, size in there.items():
            if here.get(path) != size and not leave(path):
                make_folder((self._home / path).parent)
                for (data,) in self._query(_READ, {"path": path}):
                    write_atomically(self._home / path, bytes(data), "taken")

    def _here(self) -> list[str]:
        return sorted(path.parent.name for path in self._home.glob(f"sweeps/[!.]*/{FILE}"))

    def _query(self, statement: TextClause, values: Mapping[str, Any]) -> Sequence[Any]:
        return self.server.run(lambda connection: connection.execute(statement, values).all())

    def give(self, folder: Path, sweep_id: str) -> None:
        """Store a sweep that is not there yet: its files, then its events.

        Raises:
            UsageError: It is there, and has other events.
        """
        remote, mine = self.remote(sweep_id), [to_line(e) for e in Journal(folder).read(warn)]
        there = remote.exchange(0, lambda last: [])
        if there and there[: len(mine)] != mine:
            raise UsageError(
                f"{self.server}: sweep {sweep_id} is there, and went on in another way than in "
                f"{self._home}; move its folder away, or give another home with --home"
            )
        for path in _sizes(folder, _range("")) if mine else ():
            self._send(f"sweeps/{sweep_id}/{path}", folder / path)
        remote.exchange(0, lambda last: [] if last else mine)

    def send_evaluations(self) -> None:
        """Store the test-set evaluations that are not there yet."""
        within = _range("test/")
        there = dict(self._query(_LIST, within))
        for path in _sizes(self._home, within).keys() - there.keys():
            self._send(path, self._home / path)

    def _send(self, path: str, file: Path) -> None:
        if _SHARED.fullmatch(path):
            values = {"path": path, "data": file.read_bytes()}
            self.server.run(lambda connection: connection.execute(_WRITE, values))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other hosts out while sweeps are made or named, so that a name is not taken twice.

        It refreshes the home first, and sends new test-set evaluations at the end.
        """
        _ = self._home_id
        with self.server.alone():
            self.refresh()
            yield
            self.send_evaluations()

    def delete(self, sweep_id: str) -> None:
        """Delete a sweep that cannot be read; the caller holds its kernel lock.

        Raises:
            UsageError: Another host runs it.
        """
        lease = Lease(self.server, sweep_id, sweep_id, self._home_id)
        self.remote(sweep_id).forget()
        lease.release()

    def holder(self, sweep_id: str) -> Holder | None:
        """Return the holder of the lease of a sweep, or the last one; None if there was none."""
        if self.server.identity() is None:
            return None
        return self.server.run(lambda connection: holder_of(connection, sweep_id))

    @cached_property
    def _home_id(self) -> str:
        """The home's id; a home that is nobody's copy yet gives what it has to the database."""
        bound = _binding(self._home)
        if bound is None:
            make_folder(self._home)
            storage = self.server.prepare()
            with self.server.alone():
                bound = _binding(self._home) or self._bind(storage)
        return bound.home

    def _bind(self, storage: str) -> Binding:
        for name in self._here():
            if is_locked(self._folder(name) / "lock"):
                raise UsageError(
                    f"home {self._home}: sweep {name} is being run without --storage "
                    f"{self.server}; wait for its end"
                )
        for name in self._here():
            self.give(self._folder(name), name)
        self.send_evaluations()
        bound = Binding(secrets.token_hex(8), storage, str(self.server))
        write_atomically(self._home / BINDING, msgspec.json.encode(bound), "binding")
        return bound


def _sizes(top: Path, within: Mapping[str, str]) -> dict[str, int]:
    """Return the files below a folder whose paths are within a range; hidden ones are left out."""
    found = {}
    first = within["first"]
    for folder, folders, files in os.walk(top / first.rpartition("/")[0]):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            path = (Path(folder) / name).relative_to(top).as_posix()
            if first <= path < within["beyond"] and not name.startswith("."):
                with suppress(FileNotFoundError):
                    found[path] = (top / path).stat().st_size
    return found


def _binding(home: Path) -> Binding | None:
    file = home / BINDING
    try:
        return msgspec.json.decode(read_file(file), type=Binding)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, FormatError) as error:
        raise StoreError(
            f"{file}: damaged ({error}); delete it, and the next command writes it anew"
        ) from None


def open_shared(home: Path, address: str) -> SharedStorage:
    """Return the shared storage of a home, after copying the changes of other hosts.

    Raises:
        UsageError: The address cannot be used, or the home is a copy of another database.
    """
    server = open_server(address)
    bound, storage = _binding(home), server.identity()
    if bound is not None and bound.storage != storage:
        raise UsageError(
            f"home {home} is a copy of {bound.server}; give that as --storage, not {server}, or "
            "another folder with --home"
        )
    shared = SharedStorage(home, server)
    shared.refresh()
    return shared


def bound_to(home: Path) -> str | None:
    """Return the address (without a password) of the database that a home is a copy of, or None."""
    bound = _binding(home)
    return bound.server if bound else None
