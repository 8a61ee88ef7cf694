"""One coordinator per sweep, kept by the kernel: the lock of a dead process is gone with it.

One that is only stopped (Ctrl-Z, a laptop asleep) keeps it, however long that takes: there is no
lease that runs out, and so no second coordinator that it could meet when it goes on.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import stat
import time
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from sweeps.errors import UsageError
from sweeps.failpoints import reached
from sweeps.locks import described
from sweeps.records import put_aside


class SweepLock:
    """Holds `records/<sweep>/lock` while a coordinator works on the sweep."""

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
        """Whether the file is there still; if it was deleted, it is made and held again.

        Raises:
            UsageError: Another process has taken the sweep meanwhile.
        """
        assert self._descriptor is not None
        if _is_at(self.path, self._descriptor):
            return True
        descriptor = self._take()
        os.close(self._descriptor)
        self._descriptor = descriptor
        self._sign()
        return False

    def _take(self) -> int:
        """Open the file and have it locked; anew if another one has its name by then."""
        while True:
            descriptor = _opened(self.path)
            reached("lock.opened")
            if not _acquired(descriptor):
                holder = os.read(descriptor, 4096).decode(errors="replace").strip()
                os.close(descriptor)
                raise UsageError(self._refusal(holder))
            if _is_at(self.path, descriptor):
                return descriptor
            os.close(descriptor)

    def _sign(self) -> None:
        assert self._descriptor is not None
        since = datetime.now(UTC).isoformat(timespec="seconds")
        owner = {"host": socket.gethostname(), "pid": os.getpid(), "since": since}
        with contextlib.suppress(OSError):  # a courtesy to who comes second; not on a full disk
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, json.dumps(owner).encode(), 0)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
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
    """Open the file of a lock; whatever else lies there is put aside."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
    except OSError:
        if not path.is_dir() and not path.is_socket():
            raise
    else:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return descriptor
        os.close(descriptor)
    put_aside(path)
    return _opened(path)


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether the file that is open has that name still."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _acquired(descriptor: int) -> bool:
    # Five times: `sweeps list` holds the lock for an instant when it looks whether it is free.
    for _ in range(5):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
        else:
            return True
    return False
