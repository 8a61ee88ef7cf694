"""A real server that is away, slow or broken: trials go on, and their runs follow.

Timeouts are scaled: a request may take 3 s instead of 20 (`MLFLOW_HTTP_REQUEST_TIMEOUT`), and an
outage lasts 2 s, in the midst of a sweep of 4 s.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import sweeps
from sweeps.home import Home
from sweeps.tracking.sync import sync_sweep
from tests.faults.mlflow_server import MlflowServer
from tests.faults.mlflow_state import mlflow_state, without_clock
from tests.faults.proxy import Proxy
from tests.sweeps.conftest import TOY

TRIALS = 8
PACE = ("longest_seconds=0.8", "epochs=3")


@pytest.fixture
def proxy(mlflow_server):
    with Proxy(mlflow_server.port) as proxy:
        yield proxy


@pytest.fixture
def toy_space(tmp_path):
    file = tmp_path / "toy.yaml"
    file.write_text(TOY)
    return file


def run_in(folder, tracking_uri):
    folder.mkdir()
    space = folder / "toy.yaml"
    space.write_text(TOY)
    return sweeps.run(
        str(space),
        trials=TRIALS,
        workers=0,
        home=folder / "home",
        tracking_uri=tracking_uri,
        overrides=PACE,
        progress="quiet",
    )


@pytest.fixture
def run(tmp_path):
    return lambda name, tracking_uri: run_in(tmp_path / name, tracking_uri)


@pytest.fixture(scope="module")
def undisturbed(mlflow_server, tmp_path_factory):
    """A sweep that nothing happened to, and what the server holds of it."""
    sweep = run_in(tmp_path_factory.mktemp("undisturbed") / "alone", mlflow_server.address)
    return sweep, without_clock(mlflow_state(mlflow_server.address, sweep.info.id))


def training_wall(sweep):
    """Return the seconds from the first trial's begin to the last one's end."""
    records = sweep.home.store(sweep.info.id).read_all()
    return (max(r.finished_at for r in records) - min(r.started_at for r in records)) / 1000


def state(proxy, sweep):
    return without_clock(mlflow_state(proxy.address, sweep.info.id))


def in_mid_sweep(proxy, act):
    """Do something a second after the proxy's server was asked for the first time."""

    def run():
        while not proxy.replies:
            time.sleep(0.02)
        time.sleep(1)
        act()

    proxy.replies.clear()
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


@pytest.mark.faults
@pytest.mark.parametrize("fault", ["refuse", "drop", "blackhole", "unavailable"])
def test_an_outage_in_mid_sweep_leaves_no_trace(proxy, run, undisturbed, fault, monkeypatch):
    def outage():
        proxy.set(fault)
        time.sleep(2)
        proxy.set("none")

    alone, expected = undisturbed
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "3")
    thread = in_mid_sweep(proxy, outage)
    disturbed = run("disturbed", proxy.address)
    thread.join()
    assert training_wall(disturbed) < training_wall(alone) + 1.5
    assert sync_sweep(disturbed.home, disturbed.info, proxy.address).pending == []
    assert state(proxy, disturbed) == expected


@pytest.mark.nightly
def test_a_slow_server_slows_no_trial(proxy, run):
    def hurry():
        time.sleep(3)
        proxy.delay_seconds = 0.0

    proxy.delay_seconds = 0.5
    thread = in_mid_sweep(proxy, hurry)
    slow = run("slow", proxy.address)
    thread.join()
    assert training_wall(slow) < TRIALS * 0.8 + 2
    assert len(state(proxy, slow)["runs"]) == TRIALS + 1


@pytest.mark.faults
def test_a_server_that_restarts_in_mid_sweep_leaves_no_trace(
    tmp_path, migrated_database, run, undisturbed
):
    def restart():
        server.stop()
        server.start()

    (tmp_path / "server").mkdir()
    server = MlflowServer(tmp_path / "server", migrated_database)
    server.start()
    with Proxy(server.port) as other:
        thread = in_mid_sweep(other, restart)
        disturbed = run("disturbed", other.address)
        thread.join()
        assert sync_sweep(disturbed.home, disturbed.info, other.address).pending == []
        assert state(other, disturbed) == undisturbed[1]
    server.stop()


def command(*words, **environment):
    return subprocess.run(
        [sys.executable, "-m", "sweeps", *map(str, words)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())} | environment,
        timeout=120,
        check=False,
    )


@pytest.mark.nightly
def test_a_server_away_for_the_whole_sweep_gets_it_all_by_sync(
    proxy, mlflow_server, run, toy_space, tmp_path
):
    undisturbed = run("undisturbed", mlflow_server.address)
    home = tmp_path / "home"
    words = ["run", toy_space, "--trials", TRIALS, "--workers", 0, "--home", home]
    words += [word for entry in PACE for word in ("--set", entry)]
    proxy.set("refuse")
    result = command(*words, "--tracking-uri", proxy.address)
    assert result.returncode == 3, result.stderr
    assert result.stderr.count("cannot be reached") == 1
    assert "Traceback" not in result.stderr
    assert f"tracking incomplete: {TRIALS + 1} runs" in result.stderr

    proxy.set("none")
    result = command("sync", "--home", home, "--tracking-uri", proxy.address)
    assert result.returncode == 0, result.stderr
    assert f"{TRIALS} of {TRIALS} runs were missing and are sent" in result.stdout
    (info,) = Home(home).sweeps()
    expected = without_clock(mlflow_state(proxy.address, undisturbed.info.id))
    assert without_clock(mlflow_state(proxy.address, info.id)) == expected
