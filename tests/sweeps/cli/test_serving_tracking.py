"""`sweeps serve-tracking`: what was made offline is published on it; a forged name is refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from mlflow.tracking import MlflowClient
from typer.testing import CliRunner

from sweeps.cli import app
from tests.ports import free_port
from tests.sweeps.cli.answering import answer


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def server(tmp_path, port, request) -> Iterator[subprocess.Popen[str]]:
    """Start it; a test's parameter is of more options, in which PORT stands for the port."""
    more = [word.replace("PORT", str(port)) for word in getattr(request, "param", [])]
    started = subprocess.Popen(
        [sys.executable, "-m", "sweeps", "serve-tracking", str(tmp_path / "team"),
         "--port", str(port), "--workers", "1", *more],
        stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert started.stdout is not None
    for line in started.stdout:
        if "Ctrl-C stops it" in line:
            break
    yield started
    if started.poll() is None:
        started.send_signal(signal.SIGINT)
    started.communicate(timeout=60)


@pytest.mark.slow
def test_a_home_made_offline_is_published_and_nothing_is_left_of_the_server(
    run_toy, make_home, server, port, monkeypatch
):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    run_toy(trials=3, workers=0)
    uri = f"http://127.0.0.1:{port}"
    words = ["sync", "--to", uri, "--home", str(make_home())]
    first = CliRunner().invoke(app, words)
    assert first.exit_code == 0, first.output
    assert "3 of 3 runs were missing and are sent" in first.stdout
    assert "all 3 runs are there" in CliRunner().invoke(app, words).stdout
    client = MlflowClient(uri)
    everywhere = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(everywhere, "tags.kind = 'trial'")
    assert len(runs) == 3
    (parent,) = client.search_runs(everywhere, "tags.kind = 'sweep'")
    assert (parent.info.status, parent.info.artifact_uri.split(":")[0]) == (
        "FINISHED", "mlflow-artifacts",
    )  # fmt: skip
    assert "trials.csv" in {file.path for file in client.list_artifacts(parent.info.run_id)}

    forwarded = f"localhost:{port + 1}"  # as by `ssh -L`
    for called in (f"127.0.0.1:{port}", f"[::1]:{port}", "localhost", forwarded):
        assert answer(port, called) == 200, called
    for called in ("evil.example", f"10.evil.example:{port}", f"192.168.1.1:{port}"):
        assert answer(port, called) == 403, called

    os.kill(server.pid, signal.SIGINT)
    assert server.wait(60) == 0
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert f"--port {port}" not in listed.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    "server",
    [["--host", "0.0.0.0", "--allowed-host", "team.example:PORT", "--allowed-host", "box:PORT"]],
    indirect=True,
)
def test_beyond_this_machine_it_answers_to_the_names_it_was_given_and_to_its_own(server, port):
    for name in ("team.example", "box", "127.0.0.1", "localhost", "[::1]"):
        assert answer(port, f"{name}:{port}") == 200, name
    foreign = ("evil.example", f"evil.example:{port}", "team.example", f"team.example.evil:{port}")
    for called in (*foreign, f"10.evil.example:{port}"):
        assert answer(port, called) == 403, called


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--host", "0.0.0.0"], "--allowed-host NAME:5000"),
        (["--store", "mysql://me:secret@db/x"], "mysql://me:***@db/x"),
        (["--port", "0"], "from 1 to 65535"),
    ],
)
def test_what_is_unsound_is_refused_and_creates_nothing(tmp_path, words, said):
    result = CliRunner().invoke(app, ["serve-tracking", str(tmp_path / "team"), *words])
    assert (result.exit_code, said in result.stderr) == (2, True), result.stderr
    assert "secret" not in result.stderr
    assert not (tmp_path / "team").exists()
