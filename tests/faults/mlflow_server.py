"""A real `mlflow server` on SQLite, as people run it, that can be stopped and started again."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.ports import free_port

START_SECONDS = 120
_ENVIRONMENT = {
    # Its job runner starts seven more processes and needs 15 s.
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}


class MlflowServer:
    """Serves one folder: `mlflow.db`, and the files of runs under `artifacts/`."""

    def __init__(self, folder: Path, migrated_database: Path) -> None:
        """Prepare the folder; nothing runs before `start`.

        Args:
            folder: Empty; the server works and logs in it.
            migrated_database: Copied: migrating a store of its own takes seconds.
        """
        self.folder = folder
        shutil.copy(migrated_database, folder / "mlflow.db")
        self.port: int = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and wait until it answers."""
        command = [sys.executable, "-m", "mlflow", "server", "--workers", "1"]
        command += ["--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--backend-store-uri", f"sqlite:///{self.folder / 'mlflow.db'}"]
        command += ["--artifacts-destination", (self.folder / "artifacts").as_uri()]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                env={k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
                | _ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.folder / "server.log").read_text()[-2000:])
            time.sleep(0.1)

    def stop(self) -> None:
        """Kill the server and all it started, as a crash does."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"{self.address}/health", timeout=5):
                return True
        except urllib.error.HTTPError as error:
            error.close()  # it is the connection as well
        except OSError:
            pass
        return False
