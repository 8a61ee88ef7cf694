"""A PostgreSQL server of one's own: Debian's binaries, a folder, a port of loopback."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from tests.ports import free_port

PASSWORD = "right-horse"


class Postgres:
    """Runs until `stop`, and again from `start`, as a server that crashes or is restarted."""

    def __init__(self, binaries: Path) -> None:
        """Make it of the programs in a folder, and start it."""
        # Not below pytest's folders: they are for their owner only.
        folder = Path(tempfile.mkdtemp(prefix="sweeps-postgres-"))
        self._binaries, self._data = binaries, folder / "data"
        self.port = free_port()
        (folder / "password").write_text(PASSWORD)
        self._own(folder)
        self._run(
            "initdb", "-D", str(self._data), "-U", "sweeper", "--auth=scram-sha-256",
            f"--pwfile={folder / 'password'}", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8",
        )  # fmt: skip
        with (self._data / "postgresql.conf").open("a") as conf:
            conf.write(f"port = {self.port}\nlisten_addresses = '127.0.0.1'\n")
            conf.write(f"unix_socket_directories = '{folder}'\nfsync = off\n")
        self.start()

    def address(self, database: str = "postgres", *, password: str = PASSWORD) -> str:
        return f"postgresql+psycopg://sweeper:{password}@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        """Make a database and return its address."""
        import psycopg

        plain = self.address().replace("+psycopg", "")
        with psycopg.connect(plain, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {database}".encode())
        return self.address(database)

    def start(self) -> None:
        log = self._data.parent / "log"
        self._run("pg_ctl", "-D", str(self._data), "-w", "-l", str(log), "start")

    def stop(self, mode: str = "fast") -> None:
        """End it; `immediate` is what a crash is: no goodbye, recovery at the next start."""
        self._run("pg_ctl", "-D", str(self._data), "-w", "-m", mode, "stop")

    def remove(self) -> None:
        """End it, as by a crash, and leave nothing."""
        if self.is_running():
            self.stop("immediate")
        shutil.rmtree(self._data.parent)

    def is_running(self) -> bool:
        return (self._data / "postmaster.pid").exists()

    def _run(self, program: str, *options: str) -> None:
        command = [str(self._binaries / program), *options]
        ended = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True, check=False, cwd=self._data.parent, **self._as_somebody(),
        )  # fmt: skip
        assert ended.returncode == 0, f"{program}: {ended.stderr}"

    def _own(self, folder: Path) -> None:
        for name in self._as_somebody().values():
            for path in (folder, *folder.iterdir()):
                shutil.chown(path, user=name)

    def _as_somebody(self) -> dict[str, str]:
        """PostgreSQL refuses to be root."""
        if os.getuid() != 0:
            return {}
        known = {user.pw_name for user in pwd.getpwall()}
        return {"user": "postgres" if "postgres" in known else "nobody"}


def wait_until(condition, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.1)
