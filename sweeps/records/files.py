"""Writing a file so that a reader sees the old one, the new one, or none; never half of it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from sweeps.errors import StoreError
from sweeps.failpoints import reached


def write_atomically(path: Path, data: bytes, what: str) -> None:
    """Write `data` to `path`: temporary file beside it, fsync, rename, fsync of the folder.

    Args:
        path: The file; what it holds already is replaced.
        data: Its contents.
        what: First part of the names of its fail-points.

    Raises:
        StoreError: It cannot be written: no space, no permission, no such folder any more.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        reached(f"{what}.begun")
        with temporary.open("wb") as file:
            reached(f"{what}.opened")
            file.write(data)
            file.flush()
            reached(f"{what}.written")
            os.fsync(file.fileno())
        reached(f"{what}.synced")
        temporary.replace(path)
        reached(f"{what}.renamed")
        sync_folder(path.parent)
        reached(f"{what}.done")
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def remove_temporary(folder: Path) -> None:
    """Remove what a killed process had not yet given its name; only for who keeps others out."""
    for path in folder.glob(".*.tmp"):
        remove(path)


def remove(path: Path) -> None:
    """Remove whatever lies there: a file, a pipe, a link, or a folder with all that is in it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, if it is not there.

    Raises:
        StoreError: It cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> StoreError:
    """Return what to say of a file or folder that cannot be written."""
    return StoreError(
        f"{path}: cannot be written ({error.strerror}); make room, or the folder writable. "
        "Recorded trials are safe, and the same command goes on"
    )


def sync_folder(folder: Path) -> None:
    """Make the names in a folder as safe as what the files hold."""
    # Without this the rename itself may be lost with the power.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
