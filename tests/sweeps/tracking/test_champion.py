"""The best trial's model in a real registry: once a record, whatever is killed or moved."""

from __future__ import annotations

import json
import shutil
import signal
from functools import partial

import numpy as np
import pytest
from typer.testing import CliRunner

import sweeps
from sweeps.cli import app
from sweeps.errors import UsageError
from sweeps.home import Home
from sweeps.tracking.store import close_client, quiet
from sweeps.workspace import failpoints
from tests.sweeps.conftest import TOY
from tests.sweeps.launching import Launched
from tests.sweeps.serving_experiment import ServingExperiment

SPACE = TOY.replace("toy_experiment", "serving_experiment").replace("x: 0.5", "x: -0.9")
"""Its first trial is a bad one, so that a better one follows."""
KILLED = [f"champion.{step}" for step in ("begun", "filed", "named", "versioned", "done")]
of_mlflow = pytest.mark.filterwarnings("ignore::UserWarning")
"""Imported and asked to write models, MLflow warns of its own classes."""


class Serving:
    """A sweep whose models can be served, and what the registry of its home says."""

    def __init__(self, folder, home):
        self.space, self.home = folder / "serving" / "toy.yaml", home
        self.space.parent.mkdir()
        self.space.write_text(SPACE)
        self.uri = f"sqlite:///{home / 'mlflow.db'}"

    def run(self, trials=3, **options):
        options = {"progress": "quiet", "workers": 0, "trials": trials} | options
        return sweeps.run(str(self.space), home=self.home, **options)

    def call(self, *words):
        return CliRunner().invoke(app, [*map(str, words), "--home", str(self.home)])

    def killed(self, point, *words):
        """Run a command that is killed at a fail-point."""
        words = words or ("run", str(self.space), "--trials", "3", "--workers", "0")
        launched = Launched([*words, "--home", str(self.home)], {failpoints.VARIABLE: point})
        assert launched.wait() == -signal.SIGKILL, launched.stderr()

    def ask(self, question):
        from mlflow.tracking import MlflowClient

        with quiet():
            client = MlflowClient(self.uri)
            try:
                return question(client)
            finally:
                client._get_registry_client().store.engine.dispose()
                close_client(client)

    def registry(self):
        """Return the trials of each model's versions, and which of them is the champion."""
        return self.ask(_registry)

    def best(self):
        records = sweeps.load("toy", self.home).rows()
        return max(records, key=lambda row: row.objective)


def _registry(client):
    found = {}
    for model in client.search_registered_models():
        versions = client.search_model_versions(f"name = '{model.name}'")
        trials = {int(v.version): v.tags["trial"] for v in versions}
        champion = model.aliases.get("champion")
        found[model.name] = (trials, trials.get(int(champion)) if champion else None)
    return found


@pytest.fixture
def serving(tmp_path, make_home, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return Serving(tmp_path, make_home())


def key_of(row):
    return f"{row.trial:04d}-1"


def name_of(sweep, name="toy"):
    return f"{name}-{sweep.info.id[-8:]}"


def test_the_best_trial_is_registered_once_however_often_it_is_projected(serving):
    sweep = serving.run()
    best = key_of(serving.best())
    assert serving.registry() == {name_of(sweep): ({1: best}, best)}
    serving.run()
    assert serving.call("sync").exit_code == serving.call("sync", "toy").exit_code == 0
    assert serving.registry() == {name_of(sweep): ({1: best}, best)}
    (version,) = serving.ask(lambda client: client.search_model_versions())
    assert version.tags == {
        "sweep": "toy",
        "sweep_id": sweep.info.id,
        "trial": best,
        "metric": "score",
        "value": str(serving.best().objective),
        "provisional": "true",
        "record_digest": version.tags["record_digest"],
    }
    assert serving.ask(lambda client: client.search_logged_models(["1"])) == []


def test_its_address_is_that_of_the_alias(serving):
    sweep = serving.run()
    assert sweep.model_uri == f"models:/{name_of(sweep)}@champion"


def test_no_address_is_given_of_what_is_not_registered(serving):
    serving.space.write_text(TOY)  # whose experiment serves no model
    sweep = serving.run(trials=1)
    with pytest.raises(UsageError, match="no model of sweep 'toy' is registered"):
        _ = sweep.model_uri


@pytest.mark.slow
def test_a_better_trial_becomes_a_new_version_and_the_alias_moves(serving):
    sweep = serving.run(trials=1)
    assert serving.registry() == {name_of(sweep): ({1: "0000-1"}, "0000-1")}
    serving.run(trials=12)
    better = key_of(serving.best())
    assert better != "0000-1"
    assert serving.registry() == {name_of(sweep): ({1: "0000-1", 2: better}, better)}


def test_the_run_of_a_champion_has_its_pages_and_sync_sends_what_it_lacks(serving):
    serving.run()
    (page,) = serving.home.glob("artifacts/*/*/artifacts/interactive/page.html")
    said = page.read_text()
    assert said.startswith(f"toy, trial {serving.best().trial}, beside toy, trial ")
    shutil.rmtree(page.parent)
    assert serving.call("sync").exit_code == 0
    assert page.read_text() == said
    page.write_text("looked at")
    assert serving.call("sync").exit_code == 0
    assert page.read_text() == "looked at"  # drawn once: it takes seconds


def test_an_experiment_that_serves_nothing_has_no_registered_model(run_toy, make_home, serving):
    run_toy(trials=2)
    assert serving.registry() == {}
    assert serving.call("doctor", "toy").exit_code == 0


@of_mlflow
def test_the_model_is_loaded_from_code_and_answers_as_its_experiment(serving, monkeypatch):
    serving.run()
    (made,) = serving.home.glob("artifacts/*/*/artifacts/model")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", serving.uri)
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    with quiet():
        import mlflow

        model = mlflow.pyfunc.load_model(str(made))
    answer = model.predict(np.array([[1, 2, 3], [0, 0, 1]], np.float32))
    weight = serving.best().objective  # of the toy experiment, both are the same
    assert type(answer) is list
    assert np.allclose(answer, [[6 * weight], [weight]])
    assert model.metadata.signature.inputs.to_dict() == [
        {"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": (-1, 3)}}
    ]
    assert model.input_example.tolist() == [[1, 1, 1]]
    with pytest.raises(mlflow.MlflowException, match="inputs below 0") as refusal:
        model.predict(-np.ones((1, 3), np.float32))
    assert refusal.value.get_http_status_code() == 400


@of_mlflow
def test_the_description_is_what_mlflow_itself_would_write(serving, tmp_path, monkeypatch):
    serving.run()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", serving.uri)
    (made,) = serving.home.glob("artifacts/*/*/artifacts/model")
    with quiet():
        import yaml
        from mlflow import pyfunc
        from mlflow.models import Model, ModelSignature
        from mlflow.types import Schema, TensorSpec

        tensors = [Schema([TensorSpec(np.dtype("float32"), (-1, n))]) for n in (3, 1)]
        pyfunc.save_model(
            tmp_path / "theirs",
            python_model=str(made / "model.py"),
            artifacts={name: str(made / f"{name}") for name in ("config.json", "weights.npz")},
            signature=ModelSignature(*tensors),
            pip_requirements=["numpy"],
        )
        ours, theirs = Model.load(str(made)), Model.load(str(tmp_path / "theirs"))
    assert ours.signature == theirs.signature
    flavors = [model.flavors["python_function"] for model in (ours, theirs)]
    differing = {"artifacts", "model_code_path", "cloudpickle_version", "python_version"}
    same = [{k: v for k, v in flavor.items() if k not in differing} for flavor in flavors]
    assert same[0] == same[1]
    read = [yaml.safe_load((f / "MLmodel").read_text()) for f in (made, tmp_path / "theirs")]
    invented = {"model_id", "model_uuid", "model_size_bytes", "prompts"}
    assert read[1].keys() - read[0].keys() == invented
    assert json.loads((made / "config.json").read_text())["config"]["epochs"] == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cure", "point"),
    [
        *(("run", point) for point in KILLED[::2]),
        *(pytest.param("run", point, marks=pytest.mark.nightly) for point in KILLED[1::2]),
        ("sync", KILLED[-1]),
        *(pytest.param("sync", point, marks=pytest.mark.nightly) for point in KILLED[:-1]),
    ],
)
def test_killed_between_any_two_steps_it_is_completed_without_a_double(serving, point, cure):
    serving.killed(point)
    if cure == "run":
        serving.run()
    else:
        assert serving.call("sync").exit_code == 0
    best = key_of(serving.best())
    sweep = sweeps.load("toy", serving.home)
    assert serving.registry() == {name_of(sweep): ({1: best}, best)}
    assert serving.call("doctor").exit_code == 0


@pytest.mark.slow
def test_a_sweep_that_is_renamed_takes_its_registered_model_along(serving):
    sweep, best = serving.run(), key_of(serving.best())
    serving.killed("champion.renamed", "rename", "toy", "better")
    assert serving.call("sync", "better").exit_code == 0
    assert serving.registry() == {name_of(sweep, "better"): ({1: best}, best)}
    (version,) = serving.ask(lambda client: client.search_model_versions())
    assert version.tags["sweep"] == "better"
    assert serving.call("doctor", "better").exit_code == 0


@pytest.mark.slow
def test_a_sweep_that_is_deleted_takes_its_registered_model_along_and_no_other(serving):
    serving.run()
    other = serving.run(name="other")
    assert len(serving.registry()) == 2
    assert serving.call("delete", "toy", "--yes").exit_code == 0
    assert [*serving.registry()] == [name_of(other, "other")]
    assert len(list(serving.home.glob("artifacts/*/*/artifacts/model"))) == 1


@pytest.mark.slow
def test_an_archived_sweep_keeps_its_registered_model(serving):
    serving.run()
    before = serving.registry()
    assert serving.call("archive", "toy").exit_code == 0
    assert serving.registry() == before
    assert serving.call("archive", "--undo", "toy").exit_code == 0
    assert serving.registry() == before
    assert serving.call("doctor", "toy").exit_code == 0


def test_without_weights_there_is_no_model_and_nothing_is_wrong(serving, tmp_path):
    sweep = serving.run()
    store = Home(serving.home).store(sweep.info.id)
    for path in store.folder.glob("trials/*.weights.npz"):
        path.unlink()
    serving.ask(lambda client: client.delete_registered_model(name_of(sweep)))
    assert serving.call("sync").exit_code == 0
    assert serving.call("doctor").exit_code == 0
    assert serving.registry() == {}


@pytest.mark.slow
def test_a_sweep_that_is_imported_elsewhere_is_registered_there(serving, make_home, tmp_path):
    sweep, best = serving.run(), key_of(serving.best())
    assert serving.call("share", "toy", tmp_path / "toy.sweep").exit_code == 0
    serving.home = make_home("elsewhere")
    serving.uri = f"sqlite:///{serving.home / 'mlflow.db'}"
    assert serving.registry() == {}
    assert serving.call("import", tmp_path / "toy.sweep").exit_code == 0
    assert serving.registry() == {}, "a model is made by the code of its experiment"
    assert serving.call("trust", "toy", "--yes").exit_code == 0
    assert serving.call("sync", "toy").exit_code == 0
    assert serving.registry() == {name_of(sweep): ({1: best}, best)}


def test_a_model_that_cannot_be_made_is_reported_and_the_parent_run_ends(serving, monkeypatch):
    def signature(self, info):
        raise ValueError("a shape that nobody knows")

    with monkeypatch.context() as broken:
        broken.setattr(ServingExperiment, "signature", signature)
        serving.run()
        result = serving.call("sync", "toy")
        assert result.exit_code == 3
        assert "a shape that nobody knows" in result.stdout
    (parent,) = serving.ask(lambda client: client.search_runs(["1"], "tags.kind = 'sweep'"))
    assert parent.info.status == "FINISHED"
    assert serving.call("sync", "toy").exit_code == 0
    assert len(serving.registry()) == 1


def without_alias(client, name):
    client.delete_registered_model_alias(name, "champion")


def alias_of_an_earlier_version(client, name):
    client.set_registered_model_alias(name, "champion", 1)


def without_model(client, name):
    client.delete_registered_model(name)


def without_version(client, name):
    client.delete_model_version(name, 2)


def another_name(client, name):
    client.rename_registered_model(name, "mine")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("hurt", "said"),
    [
        (without_alias, "the registered champion is missing"),
        pytest.param(
            *(alias_of_an_earlier_version, "the registered champion points to trial 0000-1"),
            marks=pytest.mark.nightly,
        ),
        (without_model, "the registered champion is missing"),
        pytest.param(
            *(without_version, "the registered champion is missing"), marks=pytest.mark.nightly
        ),
        (another_name, "the registered model is called mine"),
    ],
)
def test_doctor_finds_and_mends_a_wrong_champion(serving, hurt, said):
    serving.run(trials=1)
    sweep = serving.run(trials=12)
    serving.ask(partial(hurt, name=name_of(sweep)))
    result = serving.call("doctor", "toy")
    assert (result.exit_code, said in result.stdout) == (1, True), result.output
    assert serving.call("doctor", "toy", "--fix").exit_code == 0
    ((versions, champion),) = serving.registry().values()
    assert champion == key_of(serving.best())
    assert len({*versions.values()}) == len(versions)
    assert champion in versions.values()
    assert [*serving.registry()] == [name_of(sweep)]


@pytest.mark.slow
def test_a_run_that_is_sent_anew_gets_a_version_of_its_own(serving):
    serving.run()
    (old,) = serving.ask(lambda client: client.search_model_versions())
    best = key_of(serving.best())
    serving.ask(lambda client: client.log_metric(old.run_id, "score", 7, step=9))
    assert serving.call("doctor", "--fix").exit_code == 0  # deletes the run, and sends another
    (new,) = serving.ask(lambda client: client.search_model_versions())
    assert new.run_id != old.run_id
    assert serving.registry() == {new.name: ({2: best}, best)}


@pytest.mark.slow
def test_files_that_were_lost_are_found_missing_and_sent_again(serving):
    serving.run()
    before = serving.registry()
    (folder,) = serving.home.glob("artifacts/*/*/artifacts/model")
    shutil.rmtree(folder)
    result = serving.call("doctor", "toy")
    assert "the registered champion's files are not in the run" in result.stdout
    assert serving.call("doctor", "toy", "--fix").exit_code == 0
    assert (folder / "MLmodel").exists()
    assert serving.registry() == before
