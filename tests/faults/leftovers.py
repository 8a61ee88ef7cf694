"""What a sweep must not leave behind: processes, locks that are held, temporary files."""

from __future__ import annotations

import fcntl
import os
from fnmatch import fnmatch
from pathlib import Path

MARKER = "SWEEPS_FAULT_CASE"
"""Environment variable that every process of a case inherits."""


def stale_locks(lock: Path) -> list[str]:
    """Say whether a lock is still held, or still names an owner that is gone."""
    if not lock.exists():
        return []
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return [f"{lock.name} is held"]
        return [f"{lock.name} names {owner}" for owner in [file.read().strip()] if owner]


def temporary_files(folder: Path) -> list[str]:
    """Return files and folders that only a write under way has."""
    patterns = ("*.tmp", ".*.new", ".*.new-*", "*-journal")
    # Not `rglob`: a folder that vanishes while a sweep goes on would end it.
    found = [(place, name) for place, *kinds in os.walk(folder) for kind in kinds for name in kind]
    return sorted(
        os.path.relpath(os.path.join(place, name), folder)  # noqa: PTH118 - as os.walk has it
        for place, name in found
        if any(fnmatch(name, pattern) for pattern in patterns)
    )


def processes_of(marker: str) -> dict[int, str]:
    """Return the living processes that carry the marker of a case: id and command line."""
    wanted, found = f"{MARKER}={marker}".encode(), {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            is_ours = wanted in (folder / "environ").read_bytes().split(b"\0")
            state = (folder / "stat").read_text().rpartition(") ")[2][0]
            if is_ours and state != "Z" and int(folder.name) != os.getpid():
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
                found[int(folder.name)] = command.decode(errors="replace").strip()
        except OSError:
            continue
    return found


def children(pid: int) -> list[int]:
    """Return the child processes of a process."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(c) for t in tasks for c in (t / "children").read_text().split()]
    except OSError:
        return []
