"""Many Dask workers in one process, each with one thread: `python -m ... ADDRESS COUNT`.

What Dask does in every worker a hundred times a second (its profiler, its clock, its look at the
memory) is switched off or made rare: with fifty workers in a process that would be all it does.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from typing import Any

RARELY = "60s"
SETTINGS = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": RARELY,
    "distributed.admin.system-monitor.interval": RARELY,
}


async def work(address: str, count: int) -> None:
    """Serve a scheduler until it ends."""
    from distributed import Worker

    kind: Any = Worker  # untyped
    with tempfile.TemporaryDirectory(prefix="many-workers-") as folder:
        workers = [
            kind(address, nthreads=1, memory_limit=0, local_directory=folder) for _ in range(count)
        ]
        await asyncio.gather(*workers)
        await asyncio.gather(*(worker.finished() for worker in workers))


if __name__ == "__main__":
    import dask

    import benchmarks.cluster.here  # noqa: F401 - imported before the first trial wants it

    dask.config.set(SETTINGS)
    asyncio.run(work(sys.argv[1], int(sys.argv[2])))
