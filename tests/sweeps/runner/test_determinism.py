"""The first complete trial is trained a second time: what came out differently is said, no more."""

from __future__ import annotations

import dataclasses
import os
import random
import signal

import pytest
from typer.testing import CliRunner

import sweeps
from digitexp.keras_experiment import KerasExperiment
from sweeps.cli import app
from sweeps.cli.run import command_line
from sweeps.config.options import RunOptions
from sweeps.config.resolving import resolve
from sweeps.errors import UsageError
from sweeps.experiments.code import is_shipped
from sweeps.experiments.loading import load_experiment
from sweeps.journal.events import Checked
from sweeps.runner.replaying import DeterminismCheck
from sweeps.tracking.store import open_client
from tests.sweeps.conftest import TOY, table
from tests.sweeps.factories import altered
from tests.sweeps.toy_experiment import ToyExperiment


class Noting(ToyExperiment):
    """Notes each of its trainings."""

    def train(self, spec, data, on_epoch):
        notes = os.environ.get("TRAININGS")
        if notes:
            with open(notes, "a") as file:  # noqa: PTH123 - one write of a few bytes
                file.write(f"{spec.key}\n")
        return super().train(spec, data, on_epoch)


class Unseeded(Noting):
    """Its loss has a random number that follows from nothing."""

    def train(self, spec, data, on_epoch):
        result = super().train(spec, data, on_epoch)
        loss = result.metrics["loss"] + random.SystemRandom().random()
        return dataclasses.replace(result, metrics={**result.metrics, "loss": loss})


class Hurt(Noting):
    """Its second training ends as it is told."""

    def train(self, spec, data, on_epoch):
        if spec.attempt == 0:
            self.end()
        return super().train(spec, data, on_epoch)

    def end(self):
        raise RuntimeError("not twice")


class Killed(Hurt):
    def end(self):
        os.kill(os.getpid(), signal.SIGKILL)


seeded, unseeded, hurt, killed = Noting(), Unseeded(), Hurt(), Killed()


class OfKeras(KerasExperiment):
    """Somebody's own, built upon one that is shipped."""


of_keras = OfKeras(dict, (), {})


@pytest.fixture
def run(toy_space, make_home, tmp_path, monkeypatch, capsys):
    """Run a sweep by workers; return it, its trainings and what it said."""
    notes = tmp_path / "trainings"
    monkeypatch.setenv("TRAININGS", str(notes))

    def go(name, home="home", workers=2, **options):
        notes.write_text("")
        path = f"{__name__}:{name}"
        toy_space.write_text(TOY.replace("tests.sweeps.toy_experiment:experiment", path))
        options = {"trials": 4, "progress": "plain"} | options
        sweep = sweeps.run(str(toy_space), home=make_home(home), workers=workers, **options)
        return sweep, sorted(notes.read_text().split()), capsys.readouterr().err

    return go


def runs_of(sweep):
    client = open_client(f"sqlite:///{sweep.home.path / 'mlflow.db'}")
    return client.search_runs([e.experiment_id for e in client.search_experiments()])


def reproducible_tag(sweep):
    (parent,) = [run for run in runs_of(sweep) if run.data.tags["kind"] == "sweep"]
    return parent.data.tags["reproducible"]


def text_of(*words):
    return " ".join(CliRunner().invoke(app, list(map(str, words))).output.split())


TRIALS = ["0000-1", "0001-1", "0002-1", "0003-1"]


@pytest.mark.slow
def test_what_follows_from_no_seed_is_said_tagged_and_checked_once(run, tmp_path):
    sweep, trainings, said = run("unseeded")
    (again,) = set(trainings) - set(TRIALS)
    assert again.endswith("-0")
    trial = int(again[:4])
    (line,) = [line for line in said.splitlines() if "reproducible=false" in line]
    assert f"trial {trial}, trained a second time" in line
    assert "1 number (loss; most, by 0." in line
    assert reproducible_tag(sweep) == "false"
    loaded = sweeps.load("toy", sweep.home.path)
    assert not loaded.info.is_reproducible
    assert loaded.info.checked.trial == trial
    assert "not reproducible: trial" in text_of("doctor", "toy", "--home", sweep.home.path)
    sweep.report(tmp_path / "report.html")
    assert "The same seed may give other trials: trial" in (tmp_path / "report.html").read_text()

    sweep, trainings, said = run("unseeded", trials=6)
    assert trainings == ["0004-1", "0005-1"]
    assert "came out differently" not in said
    assert reproducible_tag(sweep) == "false"


@pytest.mark.slow
def test_what_follows_from_its_seed_is_not_said_and_the_trials_are_the_same(run, tmp_path):
    checked, trainings, said = run("seeded")
    assert len(trainings) == 5
    assert "second time" not in said
    assert sweeps.load("toy", checked.home.path).info.checked.found is None
    assert reproducible_tag(checked) == "true"
    checked.report(tmp_path / "report.html")
    assert "second time, is the same to the bit" in (tmp_path / "report.html").read_text()

    other, trainings, _ = run("seeded", home="without", check_determinism=False)
    assert trainings == TRIALS
    assert table(other) == table(checked)
    assert len(runs_of(other)) == len(runs_of(checked)) == 5
    assert sweeps.load("toy", other.home.path).info.checked is None


@pytest.mark.slow
@pytest.mark.parametrize(("name", "why"), [("hurt", "not twice"), ("killed", "SIGKILL")])
def test_a_second_training_that_ends_badly_harms_nothing(run, name, why):
    sweep, trainings, said = run(name)
    assert [key for key in trainings if key.endswith("-1")] == TRIALS
    assert [row.state for row in sweep.rows()] == ["COMPLETE"] * 4
    assert "could not be trained a second time" in said
    assert why in said
    info = sweeps.load("toy", sweep.home.path).info
    assert info.is_reproducible
    assert info.checked is None


def test_a_trial_that_took_long_is_not_trained_again(finished_toy):
    sweep = finished_toy(trials=2)
    store = sweep.home.store(sweep.info.id)
    first = store.read("0000-1")
    slow = altered(first, finished_at=first.started_at + 10_000)
    begun = []

    class Executor:
        def submit(self, spec):
            begun.append(spec.key)

    for below, record in [(10.0, slow), (10.0, first), (0.0, first), (float("inf"), slow)]:
        check = DeterminismCheck(below, store, print)
        check.consider(record)
        check.consider(first)  # only the first is looked at
        check.begin(Executor())
    assert begun == ["0000-0", "0000-0"]


def limit(space, **options):
    return resolve(RunOptions(str(space), **options)).check_below_seconds


@pytest.mark.keras
def test_it_is_for_experiments_of_ones_own_with_workers(toy_space, make_home, tmp_path):
    home = make_home()
    assert limit(toy_space, home=home, workers=1) == 10
    assert limit(toy_space, home=home, workers=1, check_determinism=True) == float("inf")
    assert limit(toy_space, home=home, workers=1, check_determinism=False) == 0
    assert limit(toy_space, home=home, workers=0) == 0
    assert limit("smoke", home=home, workers=1) == 0
    script = tmp_path / "script.yaml"
    script.write_text(
        "command: python train.py {rate}\n"
        "objective: {metric: score, direction: maximize}\n"
        "parameters: {rate: {type: float, low: 0, high: 1}}\n"
    )
    (tmp_path / "train.py").write_text("")
    assert limit(script, home=home, workers=1) == 0
    for space, options, said in [
        (toy_space, {"workers": 0}, "no worker process"),
        (script, {"workers": 1}, "written twice"),
        (toy_space, {"executor": "dask://h:1"}, "processors of a cluster"),
    ]:
        with pytest.raises(UsageError, match=f"--check-determinism: .*{said}"):
            limit(space, home=home, check_determinism=True, **options)


def test_what_builds_upon_a_shipped_class_is_ones_own():
    assert not is_shipped(f"{__name__}:of_keras", of_keras)
    for path in ("digitexp.experiment:experiment", "digitexp.experiment:experiment@folds"):
        assert is_shipped(path, load_experiment(path, None))


def test_the_command_that_goes_on_asks_for_the_same():
    said = [command_line(RunOptions("toy", check_determinism=one)) for one in (None, True, False)]
    assert said == [
        "sweeps run toy",
        "sweeps run toy --check-determinism",
        "sweeps run toy --no-check-determinism",
    ]


def test_a_check_whose_line_is_damaged_was_never_made(finished_toy):
    sweep = finished_toy(trials=2)
    store = sweep.home.store(sweep.info.id)
    store.append(Checked(0, "1 number"))
    assert sweep.home.get("toy").irreproducible
    content = store.journal.path.read_bytes()
    store.journal.path.write_bytes(content.replace(b"1 number", b"2 number"))
    assert not sweep.home.get("toy").irreproducible
    ended = CliRunner().invoke(app, ["doctor", "toy", "--home", str(sweep.home.path)])
    assert "is damaged (its checksum does not fit; it was 'checked')" in ended.output
