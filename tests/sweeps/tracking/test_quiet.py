from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FIRST_USE = """
import logging, sys
logging.getLogger().addHandler(handler := logging.NullHandler())
logging.getLogger().setLevel(logging.ERROR)
mine = logging.getLogger("mine")
assert "mlflow" not in sys.modules
from sweeps.tracking.store import open_client
assert "mlflow" not in sys.modules
client = open_client("sqlite:///" + sys.argv[1])
root = logging.getLogger()
assert root.handlers == [handler] and root.level == logging.ERROR, root.handlers
assert not mine.disabled and mine.propagate
assert client.search_experiments()
"""

CHATTER = """
import logging, sys, threading
from sweeps.tracking.store import quiet
with quiet():
    logging.getLogger("mlflow.store").error("hidden")
    logging.getLogger("alembic.runtime").error("hidden")
    logging.getLogger("urllib3.connectionpool").error("hidden")
    with quiet():
        pass
    logging.getLogger("mlflow.store").error("hidden")
    logging.getLogger("ours").error("shown: ours")
    other = threading.Thread(
        target=lambda: logging.getLogger("mlflow.store").error("shown: another thread")
    )
    other.start()
    other.join()
logging.getLogger("mlflow.store").error("shown: outside")
"""

ENVIRONMENT = """
import os
os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = "7"
from sweeps.tracking.store import quiet
with quiet():
    from mlflow import environment_variables as e
print(e.MLFLOW_HTTP_REQUEST_MAX_RETRIES.get(), e.MLFLOW_HTTP_REQUEST_TIMEOUT.get(),
      e.MLFLOW_DISABLE_TELEMETRY.get(), e.MLFLOW_ALLOW_PICKLE_DESERIALIZATION.get(),
      e.MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT.get(), e.MLFLOW_ENABLE_ASYNC_LOGGING.get())
"""


def run(script: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    root = str(Path(__file__).parents[3])
    return subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {root!r})\n{script}", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.slow
def test_the_first_use_with_its_migrations_prints_nothing_and_keeps_the_hosts_logging(
    tmp_path: Path,
) -> None:
    done = run(FIRST_USE, str(tmp_path / "new" / "mlflow.db"), folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


@pytest.mark.slow
def test_only_foreign_chatter_of_our_own_calls_is_dropped(tmp_path: Path) -> None:
    done = run(CHATTER, folder=tmp_path)
    lines = [line[line.index("shown") :] for line in done.stderr.splitlines()]
    assert lines == ["shown: ours", "shown: another thread", "shown: outside"], done.stderr


@pytest.mark.slow
def test_mlflow_does_not_retry_phone_home_or_unpickle_and_the_users_settings_stay(
    tmp_path: Path,
) -> None:
    done = run(ENVIRONMENT, folder=tmp_path)
    assert done.stdout.split() == ["0", "7", "True", "False", "True", "False"], done.stderr
