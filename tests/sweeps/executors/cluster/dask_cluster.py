"""A Dask scheduler and workers, real processes: each worker in a folder and HOME of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import tests.sweeps

ROOT = Path(tests.sweeps.__file__).parents[2]
PATIENCE_SECONDS = 90


class DaskCluster:
    def __init__(self, folder: Path, tls: Sequence[str] = ()) -> None:
        self.folder = folder
        self.tls = list(tls)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def uri(self) -> str:
        return f"{'dask+tls' if self.tls else 'dask'}://127.0.0.1:{self.port}"

    @property
    def address(self) -> str:
        return f"{'tls' if self.tls else 'tcp'}://127.0.0.1:{self.port}"

    def start_scheduler(self) -> None:
        self._start(
            "scheduler", "dask_scheduler", "--host", "127.0.0.1", "--port", str(self.port),
            "--no-dashboard", *self.tls,
        )  # fmt: skip
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert time.monotonic() < end, self.log("scheduler")
            time.sleep(0.05)

    def start_worker(self, name: str, *options: str) -> None:
        self._start(
            name, "dask_worker", self.address, "--nthreads", "1", "--no-dashboard", "--no-nanny",
            "--name", name, *self.tls, *options,
        )  # fmt: skip

    def wait_for(self, workers: int) -> None:
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(workers, timeout=PATIENCE_SECONDS)

    def processing(self) -> int:
        """Return how many attempts workers are at."""
        from distributed import Client

        with Client(f"tcp://127.0.0.1:{self.port}", set_as_default=False) as client:
            return sum(len(keys) for keys in client.processing().values())

    def kill(self, name: str) -> None:
        process = self.processes.pop(name)
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        process.wait(30)

    def close(self) -> None:
        for name in list(self.processes):
            self.kill(name)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def _start(self, name: str, program: str, *options: str) -> None:
        own = self.folder / name
        own.mkdir()
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.{program}", *options],
                cwd=own,
                env={**os.environ, "HOME": str(own), "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
