"""Calls a command in this process, on a home of the test."""

import pytest
from typer.testing import CliRunner

from sweeps.cli import app


@pytest.fixture
def call(make_home, toy_space, monkeypatch):
    """Call a command on the home of that name; `TOY` among the words is the file of the toy."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def call(*words, home="home"):
        line = [str(toy_space) if word == "TOY" else str(word) for word in words]
        return CliRunner().invoke(app, [*line, "--home", str(make_home(home))])

    return call
