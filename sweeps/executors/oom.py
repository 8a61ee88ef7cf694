"""Whether the kernel killed a process for want of memory, which looks like any other kill -9."""

from __future__ import annotations

from pathlib import Path

COUNTERS = Path("/proc/vmstat")


def oom_kills() -> int:
    """Return how many processes of this machine the kernel has killed for want of memory.

    Those of other containers count as well: a rise while a worker was killed makes it likely, not
    certain, that it was the one. 0 where the kernel does not say.
    """
    try:
        lines = COUNTERS.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
