"""The store is created whole, or not at all."""

import subprocess
import sys

from sweeps.tracking.store import close_client, open_client


def test_a_first_use_that_is_killed_half_way_leaves_no_broken_store(tmp_path):
    program = """
import sys, threading, time, os, pathlib
from sweeps.tracking.store import open_client
folder = pathlib.Path(sys.argv[1])
threading.Thread(target=open_client, args=[f"sqlite:///{folder}/mlflow.db"], daemon=True).start()
while not any(p.stat().st_size > 100_000 for p in folder.glob(".mlflow.db.new*")):
    time.sleep(0.001)
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], timeout=120, check=True)
    assert not (tmp_path / "mlflow.db").exists()
    client = open_client(f"sqlite:///{tmp_path}/mlflow.db")
    assert client.search_experiments()
    close_client(client)
    assert not list(tmp_path.glob(".mlflow.db*"))
