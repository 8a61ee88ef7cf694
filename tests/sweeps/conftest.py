"""Sweeps of the toy experiment, each in a home of its own."""

import shutil
from pathlib import Path

import optuna
import pytest
from typer.testing import CliRunner

import sweeps
from sweeps.cli import app
from sweeps.runner.trial_queue import TrialQueue
from tests.homes import copy_home
from tests.tiers import made_for_many

TOY = """
description: the toy experiment of the framework's tests
experiment: tests.sweeps.toy_experiment:experiment
objective: {metric: score, direction: maximize}
parameters:
  x: {type: float, low: -1, high: 1}
  layers: {type: int, low: 0, high: 2}
  kind: {type: categorical, choices: [a, b, c]}
  y: {type: float, low: 0, high: 1, repeat: layers}
fixed: {epochs: 3}
baselines:
  first: {x: 0.5, layers: 0, kind: a}
constraints: ["size <= 20"]
defaults: {trials: 6, sampler: tpe, pruner: none, ask_ahead: 4}
"""


@pytest.fixture
def toy_space(tmp_path) -> Path:
    file = tmp_path / "toy.yaml"
    file.write_text(TOY)
    return file


@pytest.fixture
def run_toy(toy_space, make_home):
    """Run the toy sweep quietly, without workers if none are given, in the home of that name."""

    def run(home="home", **options):
        folder = make_home(home)
        if "executor" not in options:
            options = {"workers": 0} | options
        return sweeps.run(str(toy_space), home=folder, progress="quiet", **options)

    return run


@pytest.fixture
def call(make_home, toy_space, monkeypatch):
    """Call a command on the home of that name; `TOY` among the words is the file of the toy."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def call(*words, home="home"):
        line = [str(toy_space) if word == "TOY" else str(word) for word in words]
        return CliRunner().invoke(app, [*line, "--home", str(make_home(home))])

    return call


@pytest.fixture(scope="session")
def _finished_toys(tmp_path_factory, migrated_database):
    """Toy sweeps that have ended, by their options, in homes that are copied only."""
    made = {}

    def finished(options):
        key = repr(sorted(options.items()))
        if key not in made:
            folder = tmp_path_factory.mktemp("finished")
            space, home = folder / "toy.yaml", folder / "home"
            space.write_text(TOY)
            home.mkdir()
            shutil.copy(migrated_database, home / "mlflow.db")
            with made_for_many("finished toys"):
                sweeps.run(str(space), home=home, workers=0, progress="quiet", **options)
            made[key] = home
        return made[key]

    return finished


@pytest.fixture
def finished_toy(tmp_path, _finished_toys):
    """Return a toy sweep that has ended, as `run_toy` with no worker leaves it, in an empty home.

    For tests of what comes after a sweep: it ran once for all of them, and was copied.
    """

    def finish(home="home", **options):
        copy_home(_finished_toys(options), tmp_path / home)
        return sweeps.load(options.get("name", "toy"), tmp_path / home)

    return finish


@pytest.fixture
def seen_by_sampler(monkeypatch):
    """Return the study that the sampler of the last sweep saw at its last proposal."""
    queues = []
    begin = TrialQueue.begin

    def begun(queue, trial):
        queues.append(queue)
        begin(queue, trial)

    monkeypatch.setattr(TrialQueue, "begin", begun)
    return lambda: queues[-1].proposer.sampler_view.study


def exported(sweep, folder):
    """Return the study of a sweep, as `sweeps export --study` writes it for other programs."""
    file = folder / f"{sweep.info.name}.db"
    words = ["export", sweep.info.name, "--study", str(file), "--home", str(sweep.home.path)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    return optuna.load_study(study_name=sweep.info.name, storage=f"sqlite:///{file}")


def table(sweep):
    """Return the trial table without what depends on the clock and on interruptions."""
    return [
        (r.trial, r.state, r.reason, r.origin, r.seed, dict(r.params), r.objective)
        for r in sweep.rows()
    ]
