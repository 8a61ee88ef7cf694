"""Locks of the kernel on a folder: the lock of a dead process is gone with it, no file is left."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sweeps.errors import StoreError

LONGEST_WAIT_SECONDS: Final = 120.0
"""What is done inside takes seconds: one that takes longer is stopped, or hangs."""


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Wait until no other process (or thread) is inside for this folder, then keep others out.

    Raises:
        StoreError: Another one stays inside for `LONGEST_WAIT_SECONDS`.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _acquire(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, folder: Path) -> None:
    end = time.monotonic() + LONGEST_WAIT_SECONDS
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                raise StoreError(
                    f"{folder}: another process has been preparing it for "
                    f"{LONGEST_WAIT_SECONDS:.0f} s; end that process and repeat the command"
                ) from None
        time.sleep(0.01)
