"""One small sweep that was really run, and the explorer on it."""

from pathlib import Path

import pytest

import sweeps
from digitexp.apps.explorer.app import make_app
from digitexp.apps.explorer.session import Session
from digitexp.experiments.recorded import Recorded

PORT = 8052
TOKEN = "a-token"


@pytest.fixture(scope="session")
def home(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("explored") / "mlruns"
    options = {"home": folder, "workers": 0, "progress": "quiet"}
    sweeps.run("smoke", trials=3, overrides=("epochs=4",), **options)
    return folder


@pytest.fixture(scope="session")
def recorded(home) -> Recorded:
    return Recorded(home, None, None)


@pytest.fixture(scope="session")
def session(recorded) -> Session:
    return Session(recorded)


@pytest.fixture(scope="session")
def app(session):
    return make_app(session, PORT, TOKEN)


@pytest.fixture(scope="session")
def client(app):
    """Return a browser that has opened the address of the explorer."""
    client = app.test_client()
    for host in ("127.0.0.1", "localhost"):  # names that a browser takes for different hosts
        client.get(f"/?token={TOKEN}", headers={"Host": f"{host}:{PORT}"})
    return client
