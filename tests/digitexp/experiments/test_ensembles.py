"""Ensembles of the digits' nets and of Keras models: what trials kept, and one model of several."""

import subprocess
import sys

import numpy as np
import pytest

from digitexp.experiment import experiment as digits
from digitexp.keras_experiment import KerasExperiment
from sweeps.capabilities import SupportsEnsemble
from sweeps.experiment import TrialSpec

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]
WEIGHTS = [0.5, 0.3, 0.2]


def trained(experiment, data, configs):
    return [
        experiment.train(TrialSpec("s", trial, 1, trial, config), data, lambda *_: None)
        for trial, config in enumerate(configs)
    ]


def exported(experiment, data, configs, folder):
    """Return the mean of what three trials recorded, and what the model of all predicts."""
    assert isinstance(experiment, SupportsEnsemble)
    results = trained(experiment, data, configs)
    kept = [experiment.validation_predictions(result, data) for result in results]
    mean = np.tensordot(WEIGHTS, kept, 1)
    truth = experiment.validation_truth(data)
    for result, own in zip(results, kept, strict=True):
        judged = experiment.judged(own, truth)
        shared = {*judged.metrics} & {*result.metrics} - {"best_val_cross_entropy"}
        assert shared
        for name in shared:
            assert judged.metrics[name] == pytest.approx(result.metrics[name], rel=1e-3)
    info = {**data.info, **results[0].info}
    models = [
        experiment.load_model(config, result.weights, info)
        for config, result in zip(configs, results, strict=True)
    ]
    code, now = experiment.export_ensemble(models, WEIGHTS, info, data, folder)
    (folder / "use.py").write_text(code)
    subprocess.run([sys.executable, "use.py"], cwd=folder, check=True, capture_output=True)
    return mean, now


def test_nets_of_the_digits_are_one_model_of_mean_probabilities(tmp_path):
    data = digits.prepare(None, 0)
    configs = [{"hidden_layers": 1, "units_1": units, "epochs": 2} for units in (8, 12, 8)]
    mean, now = exported(digits, data, configs, tmp_path)
    assert np.abs(now - mean).max() < 1e-4
    assert np.allclose(now.sum(axis=1), 1, atol=1e-5)


def build(params):
    import keras

    outputs = params["outputs"]
    inputs = keras.layers.Input((3,))
    hidden = keras.layers.Dense(params["units"], "relu")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(outputs, params["activation"])(hidden))
    loss = {
        ("linear", 3): keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        ("softmax", 3): "sparse_categorical_crossentropy",
        ("sigmoid", 1): "binary_crossentropy",
        ("linear", 1): "mse",
    }[params["activation"], outputs]
    model.compile("adam", loss, metrics=["mae"] if loss == "mse" else ["accuracy"])
    return model


@pytest.mark.parametrize(
    ("activation", "outputs", "task"),
    [
        ("linear", 3, "classification"),
        ("softmax", 3, "classification"),
        ("sigmoid", 1, "classification"),
        ("linear", 1, "regression"),
    ],
)
def test_models_of_keras_are_one_model_whatever_their_last_layer(
    tmp_path, activation, outputs, task
):
    random = np.random.default_rng(0)
    x = random.normal(size=(200, 3)).astype("float32")
    y = (x[:, 0] if task == "regression" else np.arange(200) % max(2, outputs)).astype(
        "float32" if task == "regression" else int
    )
    defaults = {"units": 4, "activation": activation, "outputs": outputs}
    own = KerasExperiment(build, (x, y), defaults, task=task, name="own")
    configs = [{**defaults, "units": units, "epochs": 2} for units in (4, 6, 4)]
    mean, now = exported(own, own.prepare(None, 0), configs, tmp_path)
    assert now.shape == mean.shape
    assert np.abs(now - mean).max() < 1e-4
