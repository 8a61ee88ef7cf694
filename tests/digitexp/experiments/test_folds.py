"""What a training on a fold gets wrong, from what was recorded of it."""

import json
import subprocess
import sys

import numpy as np
import pytest

from digitexp.experiments.digits import experiment as searched
from sweeps.experiment import TrialResult, TrialSpec
from sweeps.experiments.folds import FoldExperiment

experiment = FoldExperiment(searched, "digits@folds")


@pytest.fixture(scope="module")
def data():
    return experiment.prepare("digits20", 0)


def result(metrics=None, **arrays):
    return TrialResult("complete", "max_epochs", metrics or {}, {}, arrays=arrays)


def shares_of(labels, wrong=0):
    """Return probabilities that are right but for the first few, taken for the next class."""
    said = labels.copy()
    said[:wrong] = (said[:wrong] + 1) % 10
    return (0.01 + 0.9 * np.eye(10)[said]).astype(np.float32)


def test_the_images_of_its_fold_are_examined(data):
    images = experiment.divided({"block": 2}, data).samples
    shares = shares_of(data.payload.source.labels[images], wrong=3)
    metrics = {"train_accuracy": 0.9, "best_val_accuracy": 0.997}
    kept = result(metrics, fold_samples=images, fold_predictions=shares)
    files = experiment.examine({"block": 2}, data, kept)
    found = json.loads(files["diagnostics.json"])
    assert (found["part"], found["images"], found["errors"]) == ("fold 2", 1000, 3)
    assert found["train_accuracy"] == 0.9
    assert {one["image_number"] for one in found["mistakes"]} == set(images[:3].tolist())


def test_one_that_was_trained_on_everything_is_refused(data):
    labels = data.payload.source.labels[data.payload.split.validation_indices]
    kept = result({"epochs": 9.0}, validation_logits=shares_of(labels))
    with pytest.raises(ValueError, match="trained on everything"):
        experiment.examine({"refit_epochs": 9}, data, kept)


def test_finalists_keep_their_training_accuracy():
    assert "train_accuracy" in experiment.metrics


ON_A_FOLD = """
import sys
import numpy as np
from sweeps.experiment import TrialSpec
from sweeps.experiments.loading import load_experiment

experiment = load_experiment("digitexp.experiment:experiment@folds", None)
data = experiment.prepare("sklearn-digits", 0)
spec = TrialSpec("s", 0, 1, 0, {"epochs": 4, "learning_rate": 0.01, "block": 1})
result = experiment.train(spec, data, lambda epoch, values: None)
assert result.engine == "compiled"
assert not {"tensorflow", "keras"} & set(sys.modules)
assert result.metrics["best_val_accuracy"] > 0.8
from digitexp.tensorflow_setup import set_up_tensorflow  # judged by Keras it is the same
set_up_tensorflow()
model = experiment.load_model(spec.config, result.weights, data.info)
for name, answers in experiment.recomputed(model, spec.config, data).items():
    np.testing.assert_allclose(result.arrays[name], answers, rtol=1e-4, atol=1e-4)
"""


@pytest.mark.slow
@pytest.mark.keras
def test_a_dense_net_is_trained_and_judged_on_a_fold_without_keras():
    subprocess.run([sys.executable, "-c", ON_A_FOLD], check=True, timeout=120)


def test_another_drawing_has_other_folds_of_the_same_images(data):
    images, split = data.payload.source.images, data.payload.split
    first, other = (
        [experiment.divided({"block": number, "fresh": fresh}, data) for number in range(4)]
        for fresh in (0, 3)
    )
    assert sorted(np.concatenate([fold.samples for fold in other])) == list(split.train_indices)
    for one, another in zip(first, other, strict=True):
        assert not np.array_equal(one.samples, another.samples)
        assert one.data.payload.part == another.data.payload.part
        scored = another.data.payload.arrays.fold[0]
        assert np.array_equal(scored, images[another.samples].reshape(len(scored), -1))


@pytest.mark.keras
def test_a_training_is_scored_on_its_fold_and_stopped_on_a_part_of_its_own(data):
    config = {"epochs": 3, "learning_rate": 0.01, "block": 1}
    found = experiment.train(TrialSpec("s", 0, 1, 0, config), data, lambda epoch, values: None)
    images, labels = data.payload.source.images, data.payload.source.labels
    network = experiment.load_network(config, found.weights, data.info)
    numbers = experiment.divided(config, data).samples
    assert np.array_equal(found.arrays["fold_samples"], numbers)
    logits = network.forward(images[numbers].reshape(1000, -1).astype(np.float32))[0]
    right = logits.argmax(axis=1) == labels[numbers]
    assert np.array_equal(found.arrays["best_val_accuracy_by_sample"], right)
    assert found.metrics["best_val_accuracy"] == right.mean()
    entropy = found.arrays["best_val_cross_entropy_by_sample"]
    assert found.metrics["best_val_cross_entropy"] == pytest.approx(entropy.mean(), abs=1e-12)
    assert found.arrays["confusion"].sum(axis=(1, 2)).tolist() == [400] * 3, "the part that stops"
    assert found.info["n_train"] == 3600


@pytest.mark.keras
def test_a_refit_is_trained_on_everything_and_answers_at_the_temperature_it_is_given(data):
    config = {"epochs": 9, "refit_epochs": 2, "temperature": 1.25, "learning_rate": 0.01}
    found = experiment.train(TrialSpec("s", 0, 1, 0, config), data, lambda epoch, values: None)
    assert found.metrics.keys() == {"best_epoch", "epochs", "train_seconds", "parameters"}
    assert (found.metrics["epochs"], found.info["temperature"]) == (2, 1.25)
    with pytest.raises(ValueError, match="trained on everything"):
        experiment.examine(config, data, found)
