"""Keeps a sweep to one process: by a lock on this host, and by a lease where hosts share it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sweeps.errors import LeaseLost, StoreError, UsageError
from sweeps.home import Home
from sweeps.records import RecordStore, SweepInfo, put_aside
from sweeps.shared import Held, Lease, SharedStorage, held_here
from sweeps.workspace.databases import DatabaseRetry
from sweeps.workspace.failpoints import reached
from sweeps.workspace.locks import described, is_at, try_lock


class SweepLock:
    """Holds `sweeps/<sweep>/lock`, a lock of the kernel, while a coordinator works on the sweep.

    When a process dies, its lock is gone; while it is only suspended (Ctrl-Z, a laptop asleep), it
    keeps the lock, so that it meets no second coordinator when it goes on.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self._name = name
        self._descriptor: int | None = None

    def __enter__(self) -> SweepLock:
        self._descriptor = self._take()
        reached("lock.taken")
        self._sign()
        reached("lock.signed")
        return self

    def is_kept(self) -> bool:
        """Whether the lock file still exists; if it was deleted, it is made and locked again.

        Raises:
            UsageError: Another process has taken the sweep meanwhile.
        """
        assert self._descriptor is not None
        if is_at(self.path, self._descriptor):
            return True
        descriptor = self._take()
        os.close(self._descriptor)
        self._descriptor = descriptor
        self._sign()
        return False

    def _take(self) -> int:
        """Open and lock the file; repeat if another file has taken its name meanwhile."""
        while True:
            descriptor = _opened(self.path)
            reached("lock.opened")
            if not _acquired(descriptor):
                holder = os.read(descriptor, 4096).decode(errors="replace").strip()
                os.close(descriptor)
                raise UsageError(self._refusal(holder))
            if is_at(self.path, descriptor):
                return descriptor
            os.close(descriptor)

    def _sign(self) -> None:
        assert self._descriptor is not None
        since = datetime.now(UTC).isoformat(timespec="seconds")
        owner = {"host": socket.gethostname(), "pid": os.getpid(), "since": since}
        with contextlib.suppress(OSError):  # it only informs a second process; the disk may be full
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, json.dumps(owner).encode(), 0)

    def __exit__(self, *_: object) -> None:
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            reached("lock.cleared")
            os.close(self._descriptor)
            self._descriptor = None

    def _refusal(self, holder: str) -> str:
        return (
            f"sweep {self._name!r} is being run by {described(holder)}; wait for it, stop it "
            f"(Ctrl-C there, or `sweeps stop {self._name}`), or begin another sweep with --name"
        )


def _opened(path: Path) -> int:
    """Open the file of a lock; anything else of that name (a folder, a link) is put aside."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o644)
    except OSError:
        if not path.is_dir() and not path.is_socket() and not path.is_symlink():
            raise
    else:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return descriptor
        os.close(descriptor)
    put_aside(path)
    return _opened(path)


def _acquired(descriptor: int) -> bool:
    # Five tries, because `sweeps list` holds the lock for an instant to see whether it is free.
    for _ in range(5):
        if try_lock(descriptor):
            return True
        time.sleep(0.05)
    return False


RENEW_SECONDS: Final = 3.0
"""Interval at which a lease is renewed, and other hosts' requests and enqueued points are read."""


class Hold:
    """The ownership of a sweep. Without other hosts the lock is enough, and all methods do nothing.

    `SharedHold` is the ownership of a sweep that hosts share.
    """

    lease: Lease | None = None
    """The right to write the sweep where hosts share it; None without other hosts."""

    def __init__(self, lock: SweepLock) -> None:
        self.lock = lock

    def check(self) -> None:
        """Refuse to go on with a sweep that another host has taken over.

        Raises:
            LeaseLost: Another host has taken it over.
        """

    def confirm(self) -> None:
        """Ask the database whether the sweep is still ours, before something is written elsewhere.

        Raises:
            LeaseLost: Another host has taken it over.
            StoreError: The database does not answer.
        """

    def forget(self) -> None:
        """Delete the sweep from the shared storage, before its folder is deleted here."""


@contextmanager
def hold(
    home: Home,
    info: SweepInfo,
    note: Callable[[str], None] = lambda text: None,
    on_lost: Callable[[], None] = lambda: None,
    is_urgent: Callable[[], bool] = lambda: False,
) -> Iterator[Hold]:
    """Take ownership of a sweep: keep others out, and fetch what the last owner has written.

    Args:
        home: The home of the sweep.
        info: The sweep.
        note: Is called with a line when something is waited for.
        on_lost: Called, in another thread, if another host has taken the sweep over.
        is_urgent: Whether somebody asked the sweep to stop: then no database is waited for.

    Raises:
        UsageError: Another process works on it, or nothing can be written there.
        StoreError: The shared storage is away for too long.
    """
    home.check_writable()
    with SweepLock(home.store(info.id).folder / "lock", info.name) as lock:
        if home.shared is None:
            yield Hold(lock)
            return
        with SharedHold(lock, home.shared, info, note, on_lost, is_urgent) as held:
            yield held


class SharedHold(Hold):
    """The ownership of a sweep that hosts share.

    A thread renews the lease, and copies what others have added.
    """

    def __init__(
        self,
        lock: SweepLock,
        shared: SharedStorage,
        info: SweepInfo,
        note: Callable[[str], None],
        on_lost: Callable[[], None],
        is_urgent: Callable[[], bool],
    ) -> None:
        super().__init__(lock)
        self._shared, self._info = shared, info
        self._note, self._on_lost = note, on_lost
        self._database_retry = DatabaseRetry(note, is_urgent)
        self._problem: Exception | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._live, name="sweeps-lease", daemon=True)

    def __enter__(self) -> SharedHold:
        """Take the lease and copy what others have written; wait if the database is away."""
        shared, info = self._shared, self._info
        self.lease = self._database_retry.run(
            shared.server, lambda: shared.take(info.id, info.name, self._note)
        )
        held_here[self.lock.path.parent] = Held(self.lease, self._database_retry)
        self._thread.start()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Release the lease; an error here is raised unless another one is under way."""
        self._over.set()
        self._thread.join()
        del held_here[self.lock.path.parent]
        assert self.lease is not None
        if error is None:
            self.check()
            self._database_retry.run(self._shared.server, self.lease.release)
        else:
            with contextlib.suppress(Exception):
                self.lease.release()

    def check(self) -> None:
        """See `Hold.check`."""
        if self._problem is not None:
            raise self._problem

    def confirm(self) -> None:
        """See `Hold.confirm`."""
        assert self.lease is not None
        self.lease.confirm()

    def forget(self) -> None:
        """See `Hold.forget`."""
        self._shared.remote(self._info.id).forget()

    def _live(self) -> None:
        assert self.lease is not None
        while not self._over.wait(RENEW_SECONDS):
            try:
                self.lease.renew()
                self._shared.follow(self._info.id)
            except Exception as error:
                trouble = self._shared.server.trouble(error)
                if trouble is None or not trouble.passes:
                    self._problem = trouble.error if trouble else error
                    self._on_lost()
                    return


LOOK_SECONDS: Final = 0.5


class Guard:
    """Looks for deleted files of a running sweep in a thread of its own, and reports them at once.

    Those whose content this process knows are written again; `sweeps sync` sends lost runs again.

    Attributes:
        lost: A line for each file that was deleted.
        runs_lost: The line about the deleted file that held runs of MLflow; None if there is none.
    """

    def __init__(
        self,
        lock: SweepLock,
        store: RecordStore,
        info: SweepInfo,
        note: Callable[[str], None],
        on_lost: Callable[[], None],
    ) -> None:
        self.lost: list[str] = []
        self.runs_lost: str | None = None
        self._lock, self._store, self._info = lock, store, info
        self._seen = store.journal.deletions, store.journal.changes
        self._note, self._on_lost = note, on_lost
        self._of_runs: dict[Path, int] = {}
        self._kept_open = contextlib.ExitStack()
        self._shows: Callable[[], list[Path]] = list
        self._problem: str | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="sweeps-guard", daemon=True)

    def __enter__(self) -> Guard:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._kept_open.close()

    def watch(self, info: SweepInfo, shows: Callable[[], list[Path]]) -> None:
        """Watch the newest generation of the sweep, and the files of its runs in MLflow.

        Args:
            info: The sweep.
            shows: Returns the paths where MLflow keeps the runs; empty before they are written.
        """
        self._info, self._shows = info, shows

    def pending(self, done: int, missing: int, error: str | None) -> tuple[int, str | None]:
        """Return how many runs MLflow lacks, and why; deleted runs are counted as missing.

        Args:
            done: Number of attempts whose run had been completed.
            missing: Number of runs that have not arrived.
            error: The last error in one line.
        """
        if self.runs_lost is None:
            return missing, error
        return missing + done + 1, self.runs_lost

    def check(self) -> None:
        """Look once more, and refuse to go on with a sweep that another process has taken.

        Raises:
            LeaseLost: The lock was deleted, and another process has taken the sweep.
        """
        self._look()
        if self._problem is not None:
            raise LeaseLost(self._problem)

    def _watch(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            self._look()

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
            self._store.repeat(self._info)  # what the sweep is may be among what is lost
            changed = f"{journal.path} was changed by another program while the sweep runs"
            for line in (f"{changed}; the same command tries again what is lost of it", *lost):
                self._lost(line)

    def _keep_lock(self) -> None:
        if self._problem is not None:
            return
        try:
            if self._lock.is_kept():
                return
        except UsageError as error:
            self._problem = f"the lock of this sweep was deleted while it ran: {error}"
            self._on_lost()
            return
        self._lost(f"{self._lock.path} was deleted while the sweep runs; it was made anew")

    def _lost(self, line: str) -> None:
        self.lost.append(line)
        self._note(line)

    def _look_at_runs(self) -> None:
        for path in self._shows():
            found = path.stat().st_ino if path.exists() else None
            known = self._of_runs.get(path, found)
            if found is not None and self._of_runs.get(path) != found:
                self._of_runs[path] = found
                if path.is_dir():  # kept open, so that a new folder cannot get the same inode
                    self._kept_open.callback(os.close, os.open(path, os.O_RDONLY))
            if found != known:
                self._of_runs.pop(path, None)
                self.runs_lost = f"{path} was deleted while the sweep ran"
                self._lost(
                    f"{path} was deleted while the sweep runs: what is recorded is safe, and "
                    f"`sweeps sync {self._info.name}` sends its runs again"
                )
