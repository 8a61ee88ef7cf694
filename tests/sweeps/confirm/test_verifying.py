"""The champion of a confirmation must answer as recorded, rebuilt in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import sweeps
from sweeps.cli import app
from sweeps.home import Home
from sweeps.records import Conclusions
from sweeps.records.conclusions import VerificationConclusion, newest
from sweeps.tracking.store import open_client
from tests.sweeps.launching import Launched
from tests.sweeps.verified_experiment import SPACE

pytestmark = pytest.mark.slow
CONFIRM = ("confirm", "one", "--top", "1", "--folds", "8", "--workers", "0")


@pytest.fixture
def home(tmp_path, make_home, monkeypatch):
    """A home with a sweep `one` that can be confirmed."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    space = tmp_path / "one.yaml"
    space.write_text(SPACE)
    sweeps.run(str(space), home=make_home(), workers=0, progress="quiet", name="one")
    return Home(make_home())


def call(home, *words):
    return CliRunner().invoke(app, [*map(str, words), "--home", str(home.path)])


def verification(home, name="one"):
    conclusions = Conclusions(home.store(home.get(name).id)).all()
    return newest(conclusions, VerificationConclusion)


def in_mlflow(home, name="one"):
    """Return the tags of the champion's run and version, and the files of its model."""
    client = open_client(f"sqlite:///{home.path / 'mlflow.db'}")
    champion = sweeps.load(name, home.path).champion()
    experiments = [one.experiment_id for one in client.search_experiments()]
    (run,) = client.search_runs(
        experiments,
        f"tags.sweep_id = '{champion.sweep.info.id}' and tags.trial = '{champion.record.key}'",
    ) or [None]
    return run, {file.path for file in client.list_artifacts(run.info.run_id, "model")}


def test_a_champion_that_answers_as_recorded_is_verified_and_saved(home):
    confirmed = call(home, *CONFIRM)
    assert confirmed.exit_code == 0, confirmed.output
    assert "verified (rebuilt, it answers as recorded)." in " ".join(confirmed.stdout.split())
    found = verification(home)
    assert (found.found, found.samples, found.reason) == ("verified", 60, "")
    assert found.difference < 1e-6
    champion = sweeps.load("one", home.path).champion()
    saved = home.store(champion.sweep.info.id).model_path(champion.record.key) / "model.txt"
    assert saved.read_text() == repr(champion.load_model())
    assert "The champion's model is verified" in " ".join(call(home, "best", "one").stdout.split())
    run, files = in_mlflow(home)
    assert run.data.tags["verification"].startswith("The champion's model is verified")
    assert files == {"model/model.txt"}
    told = json.loads(call(home, *CONFIRM, "--json").stdout)["verification"]
    assert (told["found"], told["samples"]) == ("verified", 60)


def test_a_verified_champion_is_not_verified_again(home, monkeypatch):
    call(home, *CONFIRM)
    monkeypatch.setenv("WITHOUT_LIBRARY", "1")
    assert call(home, *CONFIRM).exit_code == 0
    assert verification(home).found == "verified"


def test_one_whose_recorded_answers_are_others_is_unverified_and_not_exported(
    home, tmp_path, monkeypatch
):
    monkeypatch.setenv("RECORDED_OFF", "0.5")
    confirmed = call(home, *CONFIRM)
    assert confirmed.exit_code == 0, confirmed.output
    told = " ".join(confirmed.stdout.split())
    why = "its fold_predictions are off by up to 0.5"
    assert f"is unverified, and not exported: rebuilt from its record, {why}." in told
    found = verification(home)
    assert (found.found, found.reason) == ("unverified", why)
    assert found.difference == pytest.approx(0.5, abs=1e-6)
    run, files = in_mlflow(home)
    assert "is unverified" in run.data.tags["verification"]
    assert files == set()
    monkeypatch.delenv("RECORDED_OFF")
    for gone in ("", "1"):  # also where its answers cannot be compared any more
        monkeypatch.setenv("WITHOUT_DATA", gone)
        exported = call(home, "export", "one", tmp_path / "model")
        assert exported.exit_code == 2
        assert why in exported.stderr
        assert exported.stderr.count("\n") == 1
        assert not (tmp_path / "model").exists()


def test_where_a_model_cannot_be_built_it_is_said_and_done_later(home, monkeypatch):
    monkeypatch.setenv("WITHOUT_LIBRARY", "1")
    confirmed = call(home, *CONFIRM)
    assert confirmed.exit_code == 0, confirmed.output
    told = " ".join(confirmed.stdout.split())
    assert "was not checked: a model needs library, which is not installed: pip install" in told
    assert verification(home).found == "unchecked"
    monkeypatch.delenv("WITHOUT_LIBRARY")
    assert call(home, *CONFIRM).exit_code == 0
    assert verification(home).found == "verified"
    run, files = in_mlflow(home)
    assert run.data.tags["verification"].startswith("The champion's model is verified")
    assert files == {"model/model.txt"}


def rebuilding(home, tmp_path):
    """Begin a confirmation, and return it with the process that rebuilds a model, and hangs."""
    file = tmp_path / "rebuilding"
    running = Launched([*CONFIRM, "--home", str(home.path)], {"REBUILDING": str(file)})
    until(lambda: file.exists() and file.read_text(), running.stderr)
    return running, int(file.read_text())


def until(condition, said=str):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, said()
        time.sleep(0.02)


def is_gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_the_process_ends_with_its_command_and_the_next_one_verifies(home, tmp_path, number):
    running, pid = rebuilding(home, tmp_path)
    until(lambda: "loading what rebuilds the champion" in running.stderr())
    running.signal(number)
    assert running.wait() != 0
    until(lambda: is_gone(pid))
    assert Conclusions(home.store(home.get("one").id)).confirmed() is not None
    assert verification(home) is None
    assert call(home, *CONFIRM).exit_code == 0
    assert verification(home).found == "verified"


def test_a_process_that_was_killed_is_unchecked_and_the_next_one_verifies(home, tmp_path):
    running, pid = rebuilding(home, tmp_path)
    until(lambda: "loading what rebuilds the champion" in running.stderr())
    os.kill(pid, signal.SIGKILL)
    assert running.wait() == 0, running.stderr()
    found = verification(home)
    assert (found.found, found.reason) == ("unchecked", "its process was killed by SIGKILL "
                                           "(out of memory?)")  # fmt: skip
    assert call(home, *CONFIRM).exit_code == 0
    assert verification(home).found == "verified"


@pytest.mark.tensorflow
def test_a_net_that_was_trained_without_keras_is_verified_by_keras(make_home):
    import keras

    small = ["--set", "epochs=2", "--workers", "1", "--home", str(make_home())]
    ran = CliRunner().invoke(app, ["run", "mlp", "--trials", "2", "--no-confirm", *small])
    assert ran.exit_code == 0, ran.output
    home = Home(make_home())
    words = ("confirm", "mlp", "--top", "2", "--folds", "8", "--workers", "1")
    for more, samples in ((), 1000), (("--refit",), 1000):
        confirmed = call(home, *words, *more)
        assert confirmed.exit_code == 0, confirmed.output
        found = verification(home, "mlp")
        assert (found.found, found.samples) == ("verified", samples), found.reason
        assert found.difference < 1e-4
        run, files = in_mlflow(home, "mlp")
        assert "model/model.keras" in files
        folder = Path(run.info.artifact_uri.removeprefix("file://"))
        model = keras.saving.load_model(folder / "model" / "model.keras", compile=False)
        pixels = np.random.default_rng(0).random((3, 400), np.float32)
        ours = sweeps.load("mlp", home.path).champion().load_model()
        np.testing.assert_array_equal(np.asarray(model(pixels)), np.asarray(ours(pixels)))
