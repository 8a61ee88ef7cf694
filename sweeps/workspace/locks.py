"""Kernel locks on folders and files; the kernel releases the lock of a process that died."""

from __future__ import annotations

import fcntl
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

from sweeps.errors import StoreError, UsageError
from sweeps.workspace.files import NoFileError, open_file

LONGEST_WAIT_SECONDS: Final = 120.0
"""The work under the lock takes seconds; a process that takes longer is stopped or hangs."""
_HOLDER: Final = re.compile(r"process [0-9]+ on [!-~]+ since [!-~]+")


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder; wait until no other process (or thread) holds it.

    Raises:
        StoreError: Another one holds it for `LONGEST_WAIT_SECONDS`.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        wait_for_lock(descriptor, folder, LONGEST_WAIT_SECONDS)
        yield
    finally:
        os.close(descriptor)


def wait_for_lock(descriptor: int, path: Path, longest_seconds: float) -> None:
    """Take the lock of an open file or folder, once no other process (or thread) holds it.

    Raises:
        StoreError: Another one holds it for so long.
    """
    end = time.monotonic() + longest_seconds
    while not try_lock(descriptor):
        if time.monotonic() >= end:
            raise StoreError(
                f"{path}: another process has been working on it for {longest_seconds:g} s; end "
                "that process and repeat the command"
            )
        time.sleep(0.01)


def is_at(path: Path, descriptor: int) -> bool:
    """Whether an open file still has this path."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


@cache
def check_locks(folder: Path) -> None:
    """Refuse a folder on a file system without locks, such as NFS as it is often mounted.

    A file is made there for an instant, and opened twice: only one may get its lock.

    Args:
        folder: A folder. If no file can be made in it, whatever is to be written there says that.

    Raises:
        UsageError: The lock is refused, or both get it.
    """
    try:
        first, name = tempfile.mkstemp(prefix=".locks-", suffix=".tmp", dir=folder)
    except OSError:
        return
    second = os.open(name, os.O_RDWR | os.O_CLOEXEC)
    Path(name).unlink()
    try:
        works = try_lock(first) and not try_lock(second)
        why = "two processes get the same one"
    except OSError as error:
        works, why = False, str(error.strerror)
    finally:
        os.close(first)
        os.close(second)
    if not works:
        raise UsageError(
            f"{folder}: locks do not work on its file system ({why}), and two processes could run "
            "one sweep; give a home on a local disk with --home, and where several hosts share "
            "sweeps, the PostgreSQL database with --storage"
        )


def is_locked(file: Path) -> bool:
    """Whether another process (or part of this one) holds the lock of a file."""
    try:
        with open_file(file) as opened:
            fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # there is none, or it is something that nobody can lock
        return False
    return False


def owner_of(path: Path) -> str:
    """Return the holder that a lock file names, such as `process 7 on host since ...`."""
    try:
        holder = holder_in(path)
    except FileNotFoundError:
        return "nobody"
    return holder if _HOLDER.fullmatch(holder) else "another process"


def holder_in(path: Path) -> str:
    """Return the text that the holder of a lock wrote into its file.

    It is empty after a clean end, and if there is no regular file.

    Raises:
        FileNotFoundError: There is nothing at the path.
    """
    try:
        with open_file(path) as file:
            return file.read(4096).decode(errors="replace")
    except NoFileError:
        return ""


def try_lock(descriptor: int) -> bool:
    """Take a lock if it is free; return whether it is ours now."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
