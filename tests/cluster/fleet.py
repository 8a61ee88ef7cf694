"""All that a team has: PostgreSQL, an MLflow server on it, a Dask scheduler, workers, two hosts.

Each is a real process; a host is a folder that is HOME and working directory of what runs there.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

import tests.cluster
from sweeps.home import Home
from sweeps.journal import Journal, Record, state_of
from sweeps.journal.events import to_line
from tests.ports import free_port
from tests.sweeps.executors.cluster.dask_cluster import DaskCluster
from tests.sweeps.shared.postgres import Postgres
from tests.tools import need

ROOT = Path(tests.cluster.__file__).parents[2]
STARTING_SECONDS = 180


class Command:
    """`sweeps ...` on a host, or `python -m` of another program."""

    def __init__(self, host: Path, *words: str, program: str = "sweeps") -> None:
        host.mkdir(exist_ok=True)
        self.words = words
        self._log = host / f"{words[0]}-{time.monotonic_ns()}.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", program, *words],
                cwd=host,
                env={**os.environ, "HOME": str(host), "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def said(self) -> str:
        return self._log.read_text()

    def wait(self, seconds: float = 600) -> int:
        return self.process.wait(seconds)

    def until(self, condition, seconds: float = STARTING_SECONDS) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < end, self.said()
            time.sleep(0.1)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(60)
        self.kill()


class Fleet:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.postgres = Postgres(need("postgresql"))
        self.storage = self.postgres.create("sweeps")
        self.dask = DaskCluster(folder)
        self.dask.start_scheduler()
        for name in ("one", "two", "three"):
            self.dask.start_worker(name)
        self.tracking = self._serve(self.postgres.create("mlflow"))
        self.dask.wait_for(3)

    def run(self, host: str, *words: str) -> Command:
        """Run a sweep on a host, on all of that."""
        options = ("--executor", self.dask.uri, "--tracking-uri", self.tracking)
        return Command(self.folder / host, "run", *words, *options, "--storage", self.storage)

    def sync(self, host: str, sweep: str) -> Command:
        """Send MLflow what it missed while its database was away."""
        options = ("--tracking-uri", self.tracking, "--storage", self.storage)
        return Command(self.folder / host, "sync", sweep, *options)

    def records(self, host: str, sweep: str) -> dict[str, bytes]:
        """Return the attempts of one sweep that have ended, as a host has their lines, by key."""
        found = {}
        for path in (self.folder / host).glob("mlruns/sweeps/*/journal.jsonl"):
            events = Journal(path.parent).read(pytest.fail)
            if state_of(events).name == sweep:
                found |= {
                    event.key: to_line(event) for event in events if isinstance(event, Record)
                }
        return found

    def records_there(self, sweep: str) -> dict[str, bytes]:
        """Return what the database has of one sweep."""
        Home.resolve(self.folder / "onlooker" / "mlruns", self.storage)
        return self.records("onlooker", sweep)

    def close(self) -> None:
        self._server.end()
        self.dask.close()
        self.postgres.remove()

    def _serve(self, store: str) -> str:
        port = str(free_port())
        files = (self.folder / "mlflow" / "artifacts").as_uri()
        words = ("server", "--backend-store-uri", store, "--artifacts-destination", files)
        self._server = Command(
            self.folder / "mlflow", *words, "--port", port, "--workers", "2", program="mlflow"
        )
        address = f"http://127.0.0.1:{port}"
        self._server.until(lambda: _answers(f"{address}/health"))
        return address


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as reply:
            return bool(reply.status == 200)
    except urllib.error.HTTPError as error:
        error.close()  # it is the connection as well
    except OSError:
        pass
    return False
