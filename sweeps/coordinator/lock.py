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
import time
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from sweeps.errors import UsageError
from sweeps.failpoints import reached
from sweeps.locks import described


class SweepLock:
    """Holds `records/<sweep>/lock` while a coordinator works on the sweep."""

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._name = name
        self._descriptor: int | None = None

    def __enter__(self) -> SweepLock:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        reached("lock.opened")
        if not _acquired(descriptor):
            holder = os.read(descriptor, 4096).decode(errors="replace").strip()
            os.close(descriptor)
            raise UsageError(self._refusal(holder))
        reached("lock.taken")
        since = datetime.now(UTC).isoformat(timespec="seconds")
        owner = {"host": socket.gethostname(), "pid": os.getpid(), "since": since}
        with contextlib.suppress(OSError):  # a courtesy to who comes second; not on a full disk
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(owner).encode(), 0)
        reached("lock.signed")
        self._descriptor = descriptor
        return self

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
