"""The first ten minutes with the project, as the README has them; durations are printed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request

import pytest

from tests.ports import free_port
from tests.sweeps import journals

pytestmark = [pytest.mark.tensorflow, pytest.mark.nightly]  # two minutes of CPU
SWEEPS = [sys.executable, "-m", "sweeps"]


class Newcomer:
    """Types commands in an empty folder."""

    def __init__(self, folder):
        self.folder = folder
        kept = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
        self._environment = kept | {"SWEEPS_HOME": str(folder / "mlruns")}

    def start(self, *words, cwd=None):
        return subprocess.Popen(
            [*SWEEPS, *words], cwd=cwd or self.folder, env=self._environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def type(self, *words, cwd=None):
        began = time.monotonic()
        process = self.start(*words, cwd=cwd)
        out, err = process.communicate(timeout=240)
        assert process.returncode == 0, err
        print(f"{time.monotonic() - began:5.1f} s  sweeps {' '.join(words)}")
        return out, err

    def recorded(self):
        return len(journals.ended(self.folder / "mlruns"))


def test_from_the_plan_to_a_model_of_ones_own(tmp_path):
    me = Newcomer(tmp_path)
    planned = me.type("plan", "mlp")[0]
    assert "  samples     4000 to train on, 1000 to validate, 5000 in the test set\n" in planned
    assert "on 20 folds of the 4000 samples that score no trial\n" in planned
    assert "  epochs      at most 40 a trial\n" in planned
    assert "Nothing was created." in planned
    assert not (tmp_path / "mlruns").exists()

    began = time.monotonic()
    running = me.start("run", "mlp")
    while me.recorded() == 0:
        assert running.poll() is None
        time.sleep(0.02)
    print(f"{time.monotonic() - began:5.1f} s  until the first finished trial")
    while me.recorded() < 8:
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=60)
    assert running.returncode == 130

    out, err = me.type("run", "mlp", "--no-confirm")
    print(f"{time.monotonic() - began:5.1f} s  for 20 trials, Ctrl-C and resumption included")
    assert re.search(r"\b(\d+) of 20 trials done", err)
    assert 8 <= int(re.search(r"\b(\d+) of 20 trials done", err)[1]) < 20
    assert "20 of 20 trials" in out + err
    assert len(json.loads(me.type("trials", "mlp", "--json")[0])) == 20

    port = free_port()
    with_ui = me.start("ui", "--port", str(port))
    while f"http://127.0.0.1:{port}" not in with_ui.stdout.readline():
        assert with_ui.poll() is None
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=60) as answer:
        assert answer.status == 200
    with_ui.send_signal(signal.SIGINT)
    with_ui.communicate(timeout=60)

    narrow = ("--name", "narrow", "--set", "learning_rate=1e-3..5e-3", "--set", "batch_size=32,64")
    me.type("run", "mlp", "--trials", "2", *narrow)
    other = ("--name", "again", "--seed", "1")
    me.type("run", "mlp", "--trials", "1", *other)
    said, _ = me.type("enqueue", "again", "--from", "mlp", "--top", "3")
    count = said.count("queued: ")
    assert count >= 2, said  # the baseline may be among the best, and is a trial already
    me.type("run", "mlp", "--trials", str(1 + count), *other)
    rows = json.loads(me.type("trials", "again", "--json")[0])
    assert sum(row["origin"].startswith("enqueued, mlp trial ") for row in rows) == count

    me.type("init", "mine")
    me.type("run", "space.yaml", "--trials", "2", "--strict", cwd=tmp_path / "mine")
    assert "all is well with 4 sweeps" in me.type("doctor")[0]
