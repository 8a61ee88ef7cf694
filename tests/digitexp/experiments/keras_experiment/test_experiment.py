"""A convolutional net and a regression of a user's own, trained, drawn and brought back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import sweeps
from digitexp.keras_experiment import KerasExperiment
from sweeps.errors import UsageError
from sweeps.executors.attempt import checked
from sweeps.experiment import ParameterInfo, Stop, TrialSpec
from tests.digitexp.experiments.keras_experiment import own
from tests.digitexp.experiments.keras_experiment.own import (
    build_cnn,
    cnn,
    images,
    regression,
    streamed,
)

SPEC = TrialSpec("s", trial=3, attempt=1, seed=7, config={"epochs": 4})


def go_on(epoch, metrics):
    return None


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_convolutional_net_is_trained_judged_and_brought_back():
    data = cnn.prepare(None, split_seed=0)
    heard = []
    result = checked(cnn.train(SPEC, data, lambda epoch, values: heard.append(epoch)))
    assert (result.outcome, result.stop_reason, heard) == ("complete", "max_epochs", [0, 1, 2, 3])
    assert result.metrics["best_val_accuracy"] > 0.85
    assert set(cnn.metrics) == set(result.metrics)
    assert result.arrays["confusion"].shape == (1, 10, 10)
    assert result.arrays["confusion"].sum() == data.info["n_validation"] == 360
    assert len(result.history["val_loss"]) == 4
    files = cnn.draw(SPEC, result)
    assert set(files) == {"loss_curves.png", "confusion_matrix.png", "confusion_matrix.json"}

    model = cnn.load_model(SPEC.config, result.weights, data.info)
    x, y = data.payload.validation
    right = float((model.predict(x, verbose=0).argmax(axis=1) == y).mean())
    assert right == pytest.approx(result.metrics["best_val_accuracy"])


@pytest.mark.slow
@pytest.mark.tensorflow
def test_the_same_seed_gives_the_same_bits_and_another_one_does_not():
    data = cnn.prepare(None, split_seed=0)
    first, again = (cnn.train(SPEC, data, go_on) for _ in range(2))
    other = cnn.train(replace(SPEC, seed=8), data, go_on)
    assert first.history == again.history != other.history
    for name, array in first.weights.items():
        np.testing.assert_array_equal(array, again.weights[name])


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_regression_is_judged_by_its_residuals():
    data = regression.prepare(None, split_seed=0)
    result = checked(regression.train(replace(SPEC, config={"epochs": 30}), data, go_on))
    assert set(regression.metrics) == set(result.metrics)
    assert 0.3 < result.metrics["best_val_mae"] < 0.7
    assert result.metrics["best_val_mae"] <= result.metrics["best_val_rmse"]
    assert result.metrics["best_val_r2"] > 0.2
    assert set(regression.draw(SPEC, result)) == {"loss_curves.png", "residuals.png"}


@pytest.mark.slow
@pytest.mark.tensorflow
def test_datasets_are_made_anew_where_they_are_needed():
    data = streamed.prepare(None, split_seed=0)
    assert data.payload is None
    assert data.info["n_validation"] == 300
    result = checked(streamed.train(SPEC, data, go_on))
    assert result.metrics["best_val_accuracy"] > 0.85


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_verdict_ends_it_and_the_best_epoch_counts():
    data = cnn.prepare(None, split_seed=0)
    result = cnn.train(SPEC, data, lambda epoch, _: Stop("pruned") if epoch == 1 else None)
    assert (result.outcome, result.stop_reason) == ("stopped", "pruned")
    assert len(result.history["loss"]) == 2


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_training_that_diverges_says_so():
    data = cnn.prepare(None, split_seed=0)
    wild = replace(SPEC, config={"epochs": 4, "learning_rate": 1e30})
    result = checked(cnn.train(wild, data, go_on))
    assert (result.outcome, result.stop_reason) == ("diverged", "diverged")
    assert len(result.history["loss"]) < 4


def not_a_model(params):
    return params


def not_compiled(params):
    import keras

    return keras.Sequential([keras.layers.Input((8, 8, 1)), keras.layers.Flatten()])


def without_accuracy(params):
    import keras

    layers = [keras.layers.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
    model = keras.Sequential(layers)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def without_input(params):
    import keras

    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("adam", "mse")
    return model


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("build", "said"),
    [
        (not_a_model, r"build\(\) returned dict, not a keras.Model"),
        (not_compiled, "not compiled"),
        (without_accuracy, "reports no val_accuracy, only .*; compile it"),
        (without_input, r"begin it with keras.layers.Input\(shape\)"),
    ],
)
def test_what_build_does_wrong_is_said(build, said):
    wrong = KerasExperiment(build, images, {"filters": 2, "learning_rate": 0.01})
    with pytest.raises(ValueError, match=said):
        wrong.train(SPEC, wrong.prepare(None, 0), go_on)


def test_parameters_are_known_by_their_defaults_before_anything_is_built():
    experiment = KerasExperiment(
        build_cnn,
        images,
        {"a": 1, "b": 0.5, "c": True, "d": "relu", "e": ParameterInfo("int", 1, 9, default=3)},
    )
    kinds = {name: experiment.parameters[name].type for name in "abcde"}
    assert kinds == {"a": "int", "b": "float", "c": "bool", "d": "categorical", "e": "int"}
    assert experiment.parameters["epochs"].default == 40
    assert experiment.name == "build_cnn"


@pytest.mark.parametrize(
    ("parameters", "options", "said"),
    [
        ({"epochs": 3}, {}, "every experiment has them already"),
        ({"a": None}, {}, "give a ParameterInfo"),
        ({}, {"task": "clustering"}, "write 'classification' or 'regression'"),
    ],
)
def test_mistakes_in_the_description_are_refused_at_once(parameters, options, said):
    with pytest.raises(ValueError, match=said):
        KerasExperiment(build_cnn, images, parameters, **options)


@pytest.mark.parametrize(
    ("parameters", "source", "expected"),
    [
        ("source", "here", "here"),
        ("source", None, None),
        ("source=None", "here", "here"),
        ("path='train.csv'", None, "train.csv"),
        ("path='train.csv', seed=0", "here", "here"),
        ("n=1500, seed=0", None, 1500),
        ("*, n=1500", None, 1500),
        ("*names, n=1500", None, 1500),
    ],
)
def test_a_data_function_is_called_with_its_defaults(parameters, source, expected):
    names, called = {"seen": []}, parameters.replace("*, ", "").replace("*names, ", "")
    first = called.partition("=")[0].partition(",")[0]
    exec(
        f"def load({parameters}):\n    seen.append({first})\n    return [[0.0]] * 10, [0, 1] * 5",
        names,
    )
    KerasExperiment(build_cnn, names["load"], {}, name="own").prepare(source, 0)
    assert names["seen"] == [expected]


def test_defaults_that_are_no_text_take_no_source():
    experiment = KerasExperiment(build_cnn, lambda n=10, seed=0: None, {})
    with pytest.raises(ValueError, match="the data function takes no source; leave --data out"):
        experiment.prepare("here", 0)


def test_a_source_is_refused_where_nothing_takes_one():
    for data in (images, images()):
        experiment = KerasExperiment(build_cnn, data, {"filters": 2})
        with pytest.raises(ValueError, match="leave --data out"):
            experiment.prepare("elsewhere", 0)
    taking = KerasExperiment(build_cnn, lambda source: images(), {"filters": 2})
    assert taking.prepare("elsewhere", 0).name == "elsewhere"


SPACE = """
experiment: tests.digitexp.experiments.keras_experiment.own:{name}
objective: {{metric: {metric}, direction: {direction}}}
parameters:
  learning_rate: {{type: float, low: 1e-3, high: 1e-1, log: true}}
  units: {{type: int, low: 4, high: 32}}
fixed: {{epochs: 20}}
baselines:
  default: {{learning_rate: 0.01, units: 16}}
"""


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("name", "metric", "direction", "pictures", "bound"),
    [
        ("wine", "best_val_accuracy", "maximize", {"confusion_matrix.png"}, 0.6),
        pytest.param(
            *("regression", "best_val_mae", "minimize", {"residuals.png"}, -0.8),
            marks=pytest.mark.nightly,
        ),
    ],
)
def test_it_is_swept_by_workers_and_in_this_process_alike(
    tmp_path, make_home, name, metric, direction, pictures, bound
):
    space = tmp_path / f"{name}.yaml"
    space.write_text(SPACE.format(name=name, metric=metric, direction=direction))
    options = {"trials": 3, "progress": "quiet"}
    sweep = sweeps.run(str(space), home=make_home(), workers=2, **options)
    assert [row.state for row in sweep.rows()] == ["COMPLETE"] * 3
    sign = 1 if direction == "maximize" else -1
    assert sign * sweep.best().value > bound
    found = {path.name for path in make_home().rglob("*.png") if path.parent.name != "images"}
    assert found == {"loss_curves.png"} | pictures
    alone = sweeps.run(str(space), home=make_home("alone"), workers=0, **options)
    assert [row.objective for row in alone.rows()] == [row.objective for row in sweep.rows()]


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize(
    "name", [pytest.param("wine", marks=pytest.mark.nightly), "regression", "seeded"]
)
def test_an_export_answers_as_the_trial_that_was_recorded(tmp_path, make_home, monkeypatch, name):
    space = tmp_path / f"{name}.yaml"
    metric, direction = "best_val_loss", "minimize"
    text = SPACE.format(name=name, metric=metric, direction=direction).replace("20}", "2}")
    space.write_text(text.replace("units", "filters") if name == "seeded" else text)
    sweep = sweeps.run(str(space), home=make_home(), workers=0, trials=1, progress="quiet")
    count = sweep.info.data["info"]["n_validation"]
    sweeps.export(sweep, tmp_path / "model", trial=sweep.best().number)
    said = (tmp_path / "model" / "README.md").read_text()
    assert f"Its answers to {count} samples equal" in said
    experiment = getattr(own, name)
    built = experiment._build

    def edited(params):
        model = built(params)
        model.layers[0].activation = keras.activations.tanh
        return model

    monkeypatch.setattr(experiment, "_build", edited)
    import keras

    with pytest.raises(UsageError, match="is not the one that was trained: its predicted"):
        sweeps.export(sweep, tmp_path / "other", trial=sweep.best().number)


def shuffled_validation():
    import tensorflow as tf

    x, y = images()
    whole = tf.data.Dataset.from_tensor_slices((x[:300], y[:300]))
    return whole.batch(32), whole.take(100).shuffle(100).batch(50)


def build_restless(params):
    import keras

    class Noise(keras.layers.Layer):
        def call(self, inputs):
            return inputs + keras.random.normal(keras.ops.shape(inputs), stddev=1.0)

    model = build_cnn(params)
    model = keras.Sequential([keras.layers.Input((8, 8, 1)), Noise(), *model.layers])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("build", "data"), [(build_cnn, shuffled_validation), (build_restless, images)]
)
def test_answers_that_cannot_be_compared_are_not(build, data):
    experiment = KerasExperiment(build, data, {"filters": 2, "learning_rate": 0.01})
    prepared = experiment.prepare(None, 0)
    result = experiment.train(replace(SPEC, config={"epochs": 1}), prepared, go_on)
    model = experiment.load_model({}, result.weights, prepared.info)
    assert experiment.recomputed(model, {}, prepared) == {}


def test_it_is_called_after_the_first_name_that_says_something(monkeypatch, tmp_path):
    def build(params):
        return None

    def build_fork(params):
        return None

    assert KerasExperiment(build_fork, images, {}).name == "build_fork"
    assert KerasExperiment(build, images, {}).name == "test_experiment"
    assert KerasExperiment(build, images, {}, name="mine").name == "mine"
    build.__module__ = "__main__"  # as a notebook has it
    (tmp_path / "wines").mkdir()
    monkeypatch.chdir(tmp_path / "wines")
    assert KerasExperiment(build, images, {}).name == "wines"
