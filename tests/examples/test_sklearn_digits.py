"""The example experiment keeps the contract, on its real data."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sweeps.config.options import RunOptions
from sweeps.config.resolving import resolve
from sweeps.experiment import Stop, TrialSpec

FOLDER = Path(__file__).parents[2] / "examples"
FOUR_EPOCHS = {"epochs": 4, "learning_rate": 0.02}


@pytest.fixture(scope="module")
def experiment():
    spec = importlib.util.spec_from_file_location("sklearn_digits", FOLDER / "sklearn_digits.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.experiment


@pytest.fixture(scope="module")
def data(experiment):
    experiment.warm_up()
    return experiment.prepare(None, 0)


@pytest.fixture(scope="module")
def result(experiment, data):
    return train(experiment, data)


def train(experiment, data, seed=1, on_epoch=lambda epoch, metrics: None, **config):
    spec = TrialSpec("s", 0, 1, seed, {**FOUR_EPOCHS, **config})
    return experiment.train(spec, data, on_epoch)


@pytest.mark.slow
@pytest.mark.nightly
def test_it_is_an_experiment_for_the_type_checker():
    done = subprocess.run(
        [sys.executable, "-m", "mypy", str(FOLDER / "sklearn_digits.py")],
        cwd=FOLDER.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "experiment: Experiment = " in (FOLDER / "sklearn_digits.py").read_text("utf-8")
    assert re.search(r"(checked|found in) 1 source file", done.stdout), done.stdout
    assert "examples/sklearn_digits.py" not in done.stdout


def test_it_answers_what_is_static_without_loading_scikit_learn_or_tensorflow():
    code = (
        "import sys, sklearn_digits as s; s.experiment.check({}); s.experiment.measure({}, None); "
        "s.experiment.plan({}, None); print('sklearn' in sys.modules, 'tensorflow' in sys.modules)"
    )
    path = f"import sys; sys.path[:0] = [{str(FOLDER)!r}, {str(FOLDER.parent)!r}]; "
    done = subprocess.run(
        [sys.executable, "-c", path + code], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["False", "False"], done.stderr


def test_the_split_is_stratified_disjoint_and_follows_its_seed(experiment, data):
    _, labels, _, val_labels = data.payload
    assert (len(labels), len(val_labels)) == (1437, 360)
    assert np.bincount(val_labels).min() >= 34
    again, other = experiment.prepare("sklearn-digits", 0), experiment.prepare(None, 1)
    assert (again.digest, again.split_digest) == (data.digest, data.split_digest)
    assert other.digest == data.digest
    assert other.split_digest != data.split_digest


def test_other_data_are_refused_by_name(experiment):
    with pytest.raises(ValueError, match=r"'mnist'.*only has 'sklearn-digits'"):
        experiment.prepare("mnist", 0)


def test_a_trial_has_what_the_contract_promises(experiment, result):
    assert result.outcome == "complete"
    assert result.stop_reason == "max_epochs"
    assert set(result.metrics) == set(experiment.metrics)
    assert set(result.history) == {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"}
    assert all(len(values) == 4 for values in result.history.values())
    assert all(np.isfinite(values).all() for values in result.history.values())
    watched = {m.epoch_metric for m in experiment.metrics.values() if m.epoch_metric}
    assert watched <= set(result.history)


def test_the_arrays_agree_with_the_metrics(data, result):
    confusion, logits = result.arrays["confusion"], result.arrays["validation_logits"]
    labels = data.payload[3]
    best = int(result.metrics["best_epoch"]) - 1
    assert confusion.shape == (4, 10, 10)
    assert confusion.dtype.kind == "u"
    assert (confusion.sum(axis=2) == np.bincount(labels)).all()
    assert logits.shape == (360, 10)
    assert logits.dtype == np.float32
    accuracy = (logits.argmax(axis=1) == labels).mean()
    assert accuracy == result.metrics["best_val_accuracy"] == np.trace(confusion[best]) / 360
    assert result.metrics["best_val_cross_entropy"] == min(result.history["val_loss"])


def test_it_learns(experiment, data):
    assert train(experiment, data, epochs=8).metrics["best_val_accuracy"] > 0.9


def test_the_same_seed_gives_the_same_trial_and_another_seed_another(experiment, data, result):
    again, other = train(experiment, data), train(experiment, data, seed=2)
    assert again.history == result.history
    assert all((again.weights[name] == result.weights[name]).all() for name in result.weights)
    assert other.history["loss"] != result.history["loss"]


def test_a_stop_ends_the_trial_after_the_epoch_it_answers(experiment, data):
    seen = []

    def stop_after_two(epoch, metrics):
        seen.append((epoch, metrics["val_loss"]))
        return Stop("pruned") if epoch == 1 else None

    stopped = train(experiment, data, on_epoch=stop_after_two)
    assert (stopped.outcome, stopped.stop_reason) == ("stopped", "pruned")
    assert [epoch for epoch, _ in seen] == [0, 1]
    assert [value for _, value in seen] == stopped.history["val_loss"]


def test_the_loaded_model_predicts_what_the_trial_did(experiment, data, result):
    model = experiment.load_model(FOUR_EPOCHS, result.weights, result.info)
    logits = result.arrays["validation_logits"]
    np.testing.assert_allclose(model.predict_proba(data.payload[2]), np.exp(logits), atol=1e-6)


@pytest.mark.parametrize("units", [1, 16])
def test_the_measure_is_the_number_of_trained_weights(experiment, data, units):
    trained = train(experiment, data, epochs=1, units_1=units)
    counted = sum(array.size for array in trained.weights.values())
    assert experiment.measure({"units_1": units}, data) == {"parameters": counted}


def test_it_draws_the_last_confusion_matrix(experiment, result):
    (drawn,) = experiment.draw(TrialSpec("s", 0, 1, 1, FOUR_EPOCHS), result).values()
    numbers = [[int(n) for n in line.split()] for line in drawn.decode().splitlines()]
    assert numbers == result.arrays["confusion"][-1].tolist()


def test_the_plan_grows_with_the_epochs(experiment, data):
    short, long = experiment.plan({"epochs": 5}, data), experiment.plan({"epochs": 10}, data)
    assert long.seconds == pytest.approx(2 * short.seconds)


def test_the_space_beside_it_is_accepted_and_finds_its_experiment_there(tmp_path):
    config = resolve(RunOptions(space=str(FOLDER / "sklearn_digits.yaml"), home=tmp_path / "home"))
    assert config.experiment.name == "sklearn_digits"
    assert config.admissible(config.space.baselines["default"])
    assert config.dropped_baselines == ()
    assert not (tmp_path / "home").exists()
