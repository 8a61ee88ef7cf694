"""Processes: all that a process has started, signals to them, and why one was killed.

Finding those that a process has started, orphans and new sessions included, needs Linux. Elsewhere
nothing is found, and callers signal a process group instead.

Nobody says who sent a signal. Whoever asks why a process was killed has not sent it: who ends a
process asks nothing.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final, Literal

FROM_OUTSIDE: Final = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT})
"""Signals of people, schedulers and machines. All others are faults of the process itself."""

GROUPS = Path("/proc/self/cgroup")
MOUNT = Path("/sys/fs/cgroup")
MACHINE = Path("/proc/vmstat")


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


def oom_kills() -> int:
    """Return how many processes the kernel has killed for want of memory.

    Those of this process's control group are counted; where it has no such counter, those of the
    whole machine, so that a kill elsewhere may be taken for one of ours. 0 if nothing counts: then
    such a kill looks like one from outside.
    """
    for counter in _counters():
        try:
            lines = counter.read_text(encoding="ascii").splitlines()
        except (OSError, ValueError):
            continue
        for name, _, count in (line.partition(" ") for line in lines):
            if name == "oom_kill":
                return int(count)
    return 0


def why_killed(code: int, oom_kills_before: int) -> Literal["oom", "killed"] | None:
    """Return why a process that we have not ended was killed; None: it ended by its own fault.

    Args:
        code: Its exit code; below 0 it is minus the signal's number.
        oom_kills_before: What `oom_kills` was when it began.
    """
    if -code == signal.SIGKILL and oom_kills() > oom_kills_before:
        return "oom"
    return "killed" if -code in FROM_OUTSIDE else None


def _counters() -> Iterator[Path]:
    """Yield the files that may count: of the group, of those around it, of the machine."""
    try:
        groups = [line.split(":", 2) for line in GROUPS.read_text().splitlines()]
    except OSError:
        groups = []
    for _, controllers, path in groups:
        if "memory" in controllers.split(","):
            root, name = MOUNT / "memory", "memory.oom_control"
        elif not controllers:
            root, name = MOUNT, "memory.events"
        else:
            continue
        group = root / path.lstrip("/")
        # A container may see its group at the root; a group without the controller counts above.
        yield from (at / name for at in (group, *group.parents) if at.is_relative_to(root))
    yield MACHINE
