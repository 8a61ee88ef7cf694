"""A Dask scheduler and workers on this machine: started, looked at, ended."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.process_tree import kill_tree, plain_environment, processes

PATIENCE_SECONDS = 120
HERE = "127.0.0.1"


class Processes:
    """The processes of one cluster.

    Attributes:
        port: Of the scheduler.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        with socket.socket() as probe:
            probe.bind((HERE, 0))
            self.port: int = probe.getsockname()[1]

    @property
    def uri(self) -> str:
        """As `--executor` takes it."""
        return f"dask://{HERE}:{self.port}"

    @property
    def address(self) -> str:
        """As Dask has it."""
        return f"tcp://{HERE}:{self.port}"

    def start(self, name: str, *command: str) -> None:
        """Start `python -m command` in a folder of its own."""
        own = self._folder / name
        own.mkdir(parents=True)
        with (own / "output.log").open("wb") as log:
            self._children[name] = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=own,
                env=plain_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_for(self, workers: int) -> None:
        """Return once so many Dask workers are there.

        Raises:
            RuntimeError: They are not, after a while.
        """
        from distributed import Client

        kind: type = Client  # untyped
        try:
            with kind(self.address, timeout=PATIENCE_SECONDS, set_as_default=False) as client:
                client.wait_for_workers(workers, timeout=PATIENCE_SECONDS)
        except (OSError, TimeoutError) as error:
            raise RuntimeError(
                f"no cluster of {workers} workers: {error}\n{self._logs()}"
            ) from None

    def cpu_seconds(self) -> dict[str, float]:
        """Return user and system time so far: of `scheduler`, and of all `workers`."""
        used = {"scheduler": 0.0, "workers": 0.0}
        for name, child in self._children.items():
            role = "scheduler" if name == "scheduler" else "workers"
            used[role] += sum(process.cpu_seconds for process in processes(child.pid))
        return used

    def close(self) -> None:
        """Kill everything, workers' children too."""
        for child in self._children.values():
            kill_tree(child.pid)
        for child in self._children.values():
            child.wait(30)

    def _logs(self) -> str:
        logs = sorted(self._folder.glob("*/output.log"))
        return "\n".join(f"{path.parent.name}: {path.read_text()[-1000:]}" for path in logs)


@contextmanager
def scheduler_with(folder: Path) -> Iterator[Processes]:
    """Start a scheduler, and kill all that was started with it in the end."""
    cluster = Processes(folder)
    try:
        cluster.start("scheduler", "distributed.cli.dask_scheduler", "--host", HERE,
                      "--port", str(cluster.port), "--no-dashboard")  # fmt: skip
        end = time.monotonic() + PATIENCE_SECONDS
        while not _answers(cluster.port):
            if time.monotonic() > end:
                raise RuntimeError(f"no scheduler answers at {cluster.address}")
            time.sleep(0.05)
        yield cluster
    finally:
        cluster.close()


@contextmanager
def crowded_cluster(folder: Path, workers: int, a_process: int) -> Iterator[Processes]:
    """A cluster with many workers a process, which train in it: see `here.py`."""
    with scheduler_with(folder) as cluster:
        for first in range(0, workers, a_process):
            count = min(a_process, workers - first)
            cluster.start(f"workers-{first}", "benchmarks.cluster.many_workers", cluster.address,
                          str(count))  # fmt: skip
        cluster.wait_for(workers)
        yield cluster


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HERE, port)) == 0
