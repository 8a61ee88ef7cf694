"""Finds and signals all processes that a process has started, orphans and new sessions included.

It needs Linux. Elsewhere it finds nothing, and callers signal a process group instead.
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
    """Return the children of a process, zombies included."""
    found: set[int] = set()
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found.update(map(int, listed.read_text().split()))
    return found


def descendants(pid: int) -> list[int]:
    """Return the children of a process and their descendants, parents first."""
    found = [pid]
    for one in found:
        found += children(one)
    return found[1:]


def marked(name: str, value: str) -> list[int]:
    """Return the processes that were started with this environment variable, and their forks."""
    wanted, found = f"{name}={value}".encode(), list[int]()
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):  # it has ended, or belongs to another user
            if wanted in environment.read_bytes().split(b"\0"):
                found.append(int(environment.parent.name))
    return found


def signal_each(pids: Collection[int], number: signal.Signals) -> None:
    """Signal processes that may have ended meanwhile."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
