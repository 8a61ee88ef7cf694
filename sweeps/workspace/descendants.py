"""Finds and signals all that a process has started: children, orphans, sessions of their own.

Linux says who they are; elsewhere nothing is found here, and a process group has to do.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Collection
from pathlib import Path


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, in place of `init`."""
    if sys.platform == "linux":
        pr_set_child_subreaper = 36
        ctypes.CDLL(None).prctl(pr_set_child_subreaper, 1, 0, 0, 0)


def children(pid: int) -> set[int]:
    """Return the children of a process, those included that nobody has waited for yet."""
    found: set[int] = set()
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found.update(map(int, listed.read_text().split()))
    return found


def descendants(pid: int) -> list[int]:
    """Return the children of a process and theirs, parents first."""
    found = [pid]
    for one in found:
        found += children(one)
    return found[1:]


def marked(name: str, value: str) -> list[int]:
    """Return the processes that were started with this environment variable, and their forks."""
    wanted, found = f"{name}={value}".encode(), list[int]()
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):  # it has ended, or is not ours
            if wanted in environment.read_bytes().split(b"\0"):
                found.append(int(environment.parent.name))
    return found


def signal_each(pids: Collection[int], number: signal.Signals) -> None:
    """Signal processes that may have ended meanwhile."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
