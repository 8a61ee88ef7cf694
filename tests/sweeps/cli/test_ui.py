from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sweeps.cli import app
from sweeps.cli.ui import run_ui
from sweeps.errors import UsageError
from sweeps.tracking.projection import Projection
from tests.ports import free_port
from tests.sweeps.cli.answering import answer
from tests.sweeps.factories import make_info, make_record


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a home whose store has one run, as far as `sweeps ui` looks into it."""
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as store:
        store.execute("CREATE TABLE runs (run_uuid, experiment_id, start_time, lifecycle_stage)")
        store.execute("CREATE TABLE tags (run_uuid, key, value)")
        store.execute("INSERT INTO runs VALUES ('a', 3, 17, 'active')")
        store.commit()
    return tmp_path


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def store(home: Path) -> str:
    return f"sqlite:///{home / 'mlflow.db'}"


def test_without_a_store_it_says_how_to_begin_and_creates_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no runs in .*mlflow.db yet; begin with: `sweeps run"):
        run_ui(
            tmp_path / "home",
            store(tmp_path / "home"),
            host="127.0.0.1",
            port=5000,
            open_browser=False,
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("scheme", ["http", "postgresql+psycopg"])
def test_a_server_that_is_away_is_one_line(finished_toy, scheme: str) -> None:
    home = finished_toy(trials=1).home.path
    uri = f"{scheme}://me:secret@127.0.0.1:{free_port()}/mlflow"
    result = CliRunner().invoke(app, ["ui", "toy", "--home", str(home), "--tracking-uri", uri])
    assert result.exit_code == 1
    (line,) = result.output.splitlines()
    assert line.startswith(f"error: MLflow at {scheme}://")
    assert "cannot be reached (ConnectionRefusedError" in line
    assert "repeat the command when it answers" in line
    assert "secret" not in line


@pytest.mark.parametrize("statement", ["SELECT 1", "DELETE FROM runs"])
def test_a_store_without_runs_is_like_none(home: Path, statement: str) -> None:
    with closing(sqlite3.connect(home / "mlflow.db")) as database:
        database.execute(statement)
        if statement == "SELECT 1":
            database.execute("DROP TABLE runs")
        database.commit()
    with pytest.raises(UsageError, match="nothing to show"):
        run_ui(home, store(home), host="127.0.0.1", port=5000, open_browser=False)


def test_a_file_that_is_no_database_is_said_to_be_none(home: Path) -> None:
    (home / "mlflow.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(UsageError, match="is no MLflow store"):
        run_ui(home, store(home), host="127.0.0.1", port=5000, open_browser=False)


def test_a_taken_port_is_named_with_one_that_is_free(home: Path, taken_port: int) -> None:
    with pytest.raises(UsageError, match=rf"port {taken_port} .*Address already in use.*--port \d"):
        run_ui(home, store(home), host="127.0.0.1", port=taken_port, open_browser=False)


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_out_of_range_is_refused(home: Path, port: int) -> None:
    with pytest.raises(UsageError, match=rf"--port {port}: .*1 to 65535"):
        run_ui(home, store(home), host="127.0.0.1", port=port, open_browser=False)


def test_an_address_of_another_machine_is_refused(home: Path) -> None:
    with pytest.raises(UsageError, match=r"192.0.2.1 cannot be used .* --host 127.0.0.1"):
        run_ui(home, store(home), host="192.0.2.1", port=5000, open_browser=False)


def test_a_tracking_server_has_a_ui_already(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uri = "http://me:secret@tracking:5000"
    assert run_ui(tmp_path, uri, host="127.0.0.1", port=5000, open_browser=False) == 0
    address = "http://tracking:5000/#/experiments?workflowType=machine_learning"
    assert capsys.readouterr().out == f"MLflow UI: {address}\n"


@pytest.mark.slow
def test_a_server_that_cannot_start_shows_its_last_lines_and_fails(
    home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    assert run_ui(home, store(home), host="127.0.0.1", port=port, open_browser=False) == 1
    captured = capfd.readouterr()
    assert "about 20 s" in captured.out
    assert "error: the MLflow server ended" in captured.err
    assert len(captured.err.splitlines()) <= 16


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 0), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.nightly)],
)
def test_it_answers_to_its_own_name_only_and_a_signal_leaves_no_process(
    real_home: Path, number: signal.Signals, code: int, capfd: pytest.CaptureFixture[str]
) -> None:
    port = free_port()

    answers: list[int] = []

    def ask_and_signal_when_it_listens() -> None:
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        try:
            answers.extend(answer(port, f"{name}:{port}") for name in ("localhost", "10.evil.eu"))
        finally:
            os.kill(os.getpid(), number)

    threading.Thread(target=ask_and_signal_when_it_listens, daemon=True).start()
    try:
        ended = run_ui(real_home, store(real_home), host="127.0.0.1", port=port, open_browser=False)
    except SystemExit as leaving:
        ended = leaving.code
    assert ended == code
    assert answers == [200, 403]
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert f"--port {port}" not in listed.stdout
    assert capfd.readouterr().err == ""


@pytest.fixture(scope="module")
def real_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("real")
    projection = Projection(store(home), home / "artifacts")
    projection.project(make_info(), make_record(), {})
    projection.close()
    return home
