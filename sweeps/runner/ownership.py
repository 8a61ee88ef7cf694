"""Keeps a sweep to one process: by a lock on this host, and by a lease where hosts share it."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sweeps.errors import LeaseLost, StoreError, UsageError
from sweeps.home import Home
from sweeps.records import RecordStore, SweepInfo, put_aside
from sweeps.shared import Lease, held_here
from sweeps.workspace.clock import repeated
from sweeps.workspace.databases import DatabaseError, DatabaseRetry
from sweeps.workspace.failpoints import reached
from sweeps.workspace.locks import is_at, owner_of, wait_for_lock

_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


class SweepLock:
    """Holds `sweeps/<sweep>/lock`, a lock of the kernel, while a coordinator works on the sweep.

    When a process dies, its lock is gone; while it is only suspended (Ctrl-Z, a laptop asleep), it
    keeps the lock, so that it meets no second coordinator when it goes on.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self._name = name
        self._descriptor = -1

    def __enter__(self) -> SweepLock:
        self._take()
        return self

    def __exit__(self, *_: object) -> None:
        os.ftruncate(self._descriptor, 0)
        reached("lock.cleared")
        os.close(self._descriptor)

    def is_kept(self) -> bool:
        """Whether the lock file still exists; if it was deleted, it is made and locked again.

        Raises:
            UsageError: Another process has taken the sweep meanwhile.
        """
        if is_at(self.path, self._descriptor):
            return True
        deleted = self._descriptor
        self._take()
        os.close(deleted)
        return False

    def _take(self) -> None:
        """Open, lock and sign the file; repeat if another file has taken its name meanwhile."""
        while True:
            if self.path.is_symlink() or (self.path.exists() and not self.path.is_file()):
                put_aside(self.path)  # whatever it is, it is no lock
            descriptor = os.open(self.path, _FLAGS, 0o644)
            reached("lock.opened")
            try:
                # Not at once: `sweeps list` has it for an instant, to see whether it is free.
                wait_for_lock(descriptor, self.path, 0.2)
            except StoreError:
                os.close(descriptor)
                raise UsageError(
                    f"sweep {self._name!r} is being run by {owner_of(self.path)}; wait for it, "
                    f"stop it (Ctrl-C there, or `sweeps stop {self._name}`), or begin another "
                    "sweep with --name"
                ) from None
            if is_at(self.path, descriptor):
                break
            os.close(descriptor)
        self._descriptor = descriptor
        reached("lock.taken")
        since = datetime.now(UTC).isoformat(timespec="seconds")
        owner = f"process {os.getpid()} on {socket.gethostname()} since {since}"
        with contextlib.suppress(OSError):  # it only informs a second process; the disk may be full
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, owner.encode(), 0)
        reached("lock.signed")


RENEW_SECONDS: Final = 3.0
"""Interval at which a lease is renewed, and other hosts' requests and enqueued points are read."""


@dataclass
class Hold:
    """The ownership of a sweep.

    Attributes:
        lock: Keeps out the other processes of this host.
        on_lost: Called, perhaps in another thread, if another process has taken the sweep.
        lease: The right to write the sweep where hosts share it; None without other hosts.
        problem: Why the sweep is not ours any more; None while it is.
    """

    lock: SweepLock
    on_lost: Callable[[], None] = lambda: None
    lease: Lease | None = None
    problem: Exception | None = None

    def lose(self, problem: Exception) -> None:
        """Take note that the sweep is not ours any more, once."""
        self.problem = problem
        self.on_lost()

    def check(self) -> None:
        """Refuse, by a `LeaseLost`, to go on with a sweep that another process has taken."""
        if self.problem is not None:
            raise self.problem

    def confirm(self) -> None:
        """Ask the database whether the sweep is still ours, before something is written elsewhere.

        Raises:
            LeaseLost: Another host has taken it over.
            StoreError: The database does not answer.
        """
        if self.lease is not None:
            self.lease.confirm()


@contextmanager
def hold(
    home: Home,
    info: SweepInfo,
    note: Callable[[str], None] = lambda text: None,
    on_lost: Callable[[], None] = lambda: None,
    is_urgent: Callable[[], bool] = lambda: False,
) -> Iterator[Hold]:
    """Take ownership of a sweep: keep others out, and fetch what the last owner has written.

    Where hosts share it, a thread renews the lease, and copies what others have added.

    Args:
        home: Its home.
        info: The sweep.
        note: Called with a line when something is waited for.
        on_lost: Called, in another thread, if another host has taken the sweep over.
        is_urgent: Whether somebody asked the sweep to stop: then no database is waited for.

    Raises:
        UsageError: Another process works on it, or nothing can be written there.
        StoreError: The shared storage is away for too long.
    """
    home.check_writable()
    folder, shared = home.store(info.id).folder, home.shared
    with SweepLock(folder / "lock", info.name) as lock:
        if shared is None:
            yield Hold(lock, on_lost)
            return
        retry = DatabaseRetry(note, is_urgent)
        lease = retry.run(shared.server, lambda: shared.take(info.id, info.name, retry))
        held = Hold(lock, on_lost, lease)

        def renew() -> None:
            try:
                if held.problem is None:
                    lease.renew()
                    shared.follow(info.id)
            except Exception as error:
                if not isinstance(error, DatabaseError) or not error.passes_within:
                    held.lose(error)

        held_here[folder] = lease
        try:
            with repeated(renew, RENEW_SECONDS, "sweeps-lease"):
                yield held
        except BaseException:
            with contextlib.suppress(Exception):
                lease.release()
            raise
        finally:
            del held_here[folder]
        held.check()
        retry.run(shared.server, lease.release)


LOOK_SECONDS: Final = 0.5


class Guard:
    """Looks for deleted files of a running sweep in a thread of its own, and reports them at once.

    Those whose content this process knows are written again; `sweeps sync` sends lost runs again.

    Attributes:
        lost: A line for each file that was deleted.
        runs_lost: The line about the deleted file that held runs of MLflow; None if there is none.
    """

    def __init__(
        self, held: Hold, store: RecordStore, info: SweepInfo, note: Callable[[str], None]
    ) -> None:
        self.lost: list[str] = []
        self.runs_lost: str | None = None
        self._held, self._store, self._info, self._note = held, store, info, note
        self._seen = store.journal.deletions, store.journal.changes
        self._of_runs: dict[Path, int] = {}
        self._kept_open = contextlib.ExitStack()
        self._shows: Callable[[], list[Path]] = list
        self._looking = repeated(self._look, LOOK_SECONDS, "sweeps-guard")

    def __enter__(self) -> Guard:
        self._looking.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._looking.__exit__(None, None, None)
        self._kept_open.close()

    def watch(self, info: SweepInfo, shows: Callable[[], list[Path]]) -> None:
        """Watch the newest generation, and what MLflow `shows`: the files of its runs."""
        self._info, self._shows = info, shows

    def check(self) -> None:
        """Look once more, and refuse to go on with a sweep that another process has taken."""
        self._look()
        self._held.check()

    def _look(self) -> None:
        with contextlib.suppress(OSError, StoreError):  # no folder: the next record reports that
            self._keep_lock()
            self._look_at_journal()
            self._look_at_runs()

    def _look_at_journal(self) -> None:
        journal, seen = self._store.journal, self._seen
        if journal.path.parent.is_dir() and not journal.path.exists():
            self._store.append()  # no event: the journal itself is what is missing
        self._seen = journal.deletions, journal.changes
        if journal.deletions != seen[0]:
            self._lost(f"{journal.path} was deleted while the sweep runs; it was written anew")
        if journal.changes != seen[1]:
            lost: list[str] = []
            self._store.state(lost.append)
            self._store.begin(self._info)  # what the sweep is may be among what is lost
            changed = f"{journal.path} was changed by another program while the sweep runs"
            for line in (f"{changed}; the same command tries again what is lost of it", *lost):
                self._lost(line)

    def _keep_lock(self) -> None:
        lock = self._held.lock
        try:
            if self._held.problem is None and not lock.is_kept():
                self._lost(f"{lock.path} was deleted while the sweep runs; it was made anew")
        except UsageError as error:
            self._held.lose(LeaseLost(f"the lock of this sweep was deleted while it ran: {error}"))

    def _lost(self, line: str) -> None:
        self.lost.append(line)
        self._note(line)

    def _look_at_runs(self) -> None:
        for path in self._shows():
            found = path.stat().st_ino if path.exists() else None
            known = self._of_runs.pop(path, None)
            if found is not None and known in {None, found}:
                self._of_runs[path] = found
                if known is None and path.is_dir():  # open, so that no new one gets its inode
                    self._kept_open.callback(os.close, os.open(path, os.O_RDONLY))
            elif known is not None:
                self.runs_lost = f"{path} was deleted while the sweep ran"
                self._lost(
                    f"{path} was deleted while the sweep runs: what is recorded is safe, and "
                    f"`sweeps sync {self._info.name}` sends its runs again"
                )
