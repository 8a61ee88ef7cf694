"""Several inputs and outputs: trained, judged one by one, drawn, brought back, exported."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import sweeps
from digitexp.experiments.keras_experiment.data import read_parts
from digitexp.keras_experiment import KerasExperiment
from sweeps.executors.attempt import checked
from sweeps.experiment import TrialSpec
from sweeps.experiments.loading import load_experiment
from sweeps.runner.replaying import replay
from tests.digitexp.experiments.keras_experiment.own import (
    build_cnn,
    build_several,
    images,
    several_arrays,
    several_of,
    several_streamed,
)

SPEC = TrialSpec("s", trial=3, attempt=1, seed=7, config={"epochs": 3})
TASK = {"digit": "classification", "half": "regression"}
PICTURES = {
    "loss_curves.png",
    "confusion_matrix_digit.png",
    "confusion_matrix_digit.json",
    "residuals_half.png",
}


def go_on(epoch, metrics):
    return None


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("form", ["dict", "list", pytest.param("tuple", marks=pytest.mark.nightly)])
def test_outputs_are_judged_and_drawn_one_by_one(form):
    experiment = several_of(several_arrays(form), form)
    data = experiment.prepare(None, split_seed=0)
    result = checked(experiment.train(SPEC, data, go_on))
    assert set(experiment.metrics) == set(result.metrics)
    assert result.metrics["best_val_digit_accuracy"] > 0.5
    assert 0 < result.metrics["best_val_half_mae"] < 2
    assert result.arrays["confusion_digit"].shape == (1, 10, 10)
    assert result.arrays["confusion_digit"].sum() == data.info["n_validation"] == 120
    assert len(result.arrays["predicted_half"]) == 120
    assert set(experiment.draw(SPEC, result)) == PICTURES

    model = experiment.load_model(SPEC.config | {"form": form}, result.weights, data.info)
    x, y = data.payload.validation
    answers = model.predict(x, verbose=0)
    digits = answers["digit"] if form == "dict" else answers[0]
    truth = y["digit"] if form == "dict" else y[0]
    right = float((digits.argmax(axis=1) == truth).mean())
    assert right == pytest.approx(result.metrics["best_val_digit_accuracy"])


SPACE = """
experiment: tests.digitexp.experiments.keras_experiment.own:{name}
objective: {{metric: best_val_digit_accuracy, direction: maximize}}
parameters:
  units: {{type: int, low: 4, high: 16}}
fixed: {{epochs: 2, form: dict}}
"""


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("name", "workers"),
    [("several", 0), *(pytest.param(name, 2, marks=pytest.mark.nightly)
                       for name in ("several", "several_streamed"))],
)  # fmt: skip
def test_they_are_swept_replayed_and_exported(tmp_path, make_home, name, workers):
    space = tmp_path / "several.yaml"
    space.write_text(SPACE.format(name=name))
    sweep = sweeps.run(str(space), home=make_home(), workers=workers, trials=2, progress="quiet")
    assert [row.state for row in sweep.rows()] == ["COMPLETE"] * 2
    found = {path.name for path in make_home().rglob("*.png") if path.parent.name != "images"}
    assert found == {name for name in PICTURES if name.endswith(".png")}
    experiment = load_experiment(sweep.info.experiment, None)
    record = sweep.home.store(sweep.info.id).read("0001-1")
    assert replay(record, experiment, experiment.prepare(None, 0)).is_bit_equal
    written = sweeps.export(sweep, tmp_path / "model", trial=sweep.best().number)
    readme = next(path for path in written if path.name == "README.md").read_text()
    assert f"Its answers to {sweep.info.data['info']['n_validation']} samples equal" in readme
    code = readme.split("```python\n")[1].split("```")[0]
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "model", capture_output=True, check=True
    )
    assert b"digit" in ran.stdout
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["data"]["info"]["inputs"]["pixels"]["shape"] == [8, 8]


@pytest.mark.nightly
@pytest.mark.tensorflow
def test_each_trial_on_datasets_of_dicts_is_a_function_of_its_seed():
    data = several_streamed.prepare(None, split_seed=0)
    assert data.irreproducible is None
    assert data.info["classes"] == {"digit": 10, "half": None}
    assert "each output has a picture of its own" in several_streamed.plan({}, data).reason
    assert several_streamed.signature(data.info) is None
    first, again = (several_streamed.train(SPEC, data, go_on) for _ in range(2))
    other = several_streamed.train(replace(SPEC, seed=8), data, go_on)
    assert first.history == again.history != other.history


def data_of(inputs=None, targets=None):
    x, y = several_arrays("dict")
    return (x if inputs is None else inputs(x)), (y if targets is None else targets(y))


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("data", "form", "said"),
    [
        (data_of(lambda x: x["pixels"]), "dict", "takes the inputs ink, pixels, the data have 1"),
        (data_of(lambda x: {"pixels": x["pixels"]}), "dict", "the data have pixels; give x as a"),
        (data_of(lambda x: [x["pixels"], x["ink"]]), "dict", "the data have 2; give x as a dict"),
        (data_of(targets=lambda y: [y["half"], y["digit"]]), "list", "in this order"),
    ],
)
def test_a_model_that_does_not_fit_its_data_is_refused(data, form, said):
    task = {"half": "regression", "digit": "classification"} if "order" in said else TASK
    parameters = {"units": 4, "learning_rate": 1e-2, "form": form}
    experiment = KerasExperiment(build_several, data, parameters, task=task)
    with pytest.raises(ValueError, match=said):
        experiment.train(SPEC, experiment.prepare(None, 0), go_on)


@pytest.mark.slow
@pytest.mark.tensorflow
def test_several_outputs_with_targets_of_one_and_the_other_way_round_are_refused():
    x, y = several_arrays("dict")
    parameters = {"units": 4, "learning_rate": 1e-2, "form": "dict"}
    one = KerasExperiment(build_several, (x, y["digit"]), parameters)
    with pytest.raises(ValueError, match="has the outputs digit, half, the data targets of one"):
        one.train(SPEC, one.prepare(None, 0), go_on)
    pixels, labels = images()
    two = KerasExperiment(
        build_cnn,
        (pixels, {"digit": labels, "half": labels * 0.5}),
        {"filters": 2, "learning_rate": 1e-2},
        task=TASK,
    )
    with pytest.raises(ValueError, match="`task` names digit, half: give both the same names"):
        two.train(SPEC, two.prepare(None, 0), go_on)


X, Y = np.arange(40, dtype=np.float32).reshape(20, 2), np.arange(20) % 2
R = np.linspace(0, 1, 20)


@pytest.mark.parametrize(
    ("data", "task", "n_train"),
    [
        (([X, X], [Y, R]), TASK, 16),
        (((X, X), (Y, R)), TASK, 16),
        (((X, {"digit": Y, "half": R}), (X, {"digit": Y, "half": R})), TASK, 20),
        ((([X, X], [Y, R]), ([X[:5], X[:5]], [Y[:5], R[:5]])), TASK, 20),
        ([[X, X], Y], "classification", 16),
        (([X, X], [X, X]), "regression", 20),  # without names of outputs, two parts as ever
        ((X, [*np.eye(2)[Y]]), "classification", 16),  # an array as a list of its rows
        (([*X], Y), "classification", 16),
        ((X, [int(y) for y in Y]), "classification", 16),
    ],
)
def test_lists_are_told_from_parts_and_from_rows(data, task, n_train):
    assert read_parts(data, task, split_seed=0).n_train == n_train


def test_the_same_arrays_under_other_names_are_other_data():
    first = read_parts(({"a": X, "b": X}, Y), "classification", 0)
    other = read_parts(({"a": X, "c": X}, Y), "classification", 0)
    assert first.digest != other.digest
    assert first.inputs == {"a": first.inputs["b"], "b": {"shape": [2], "dtype": "float32"}}


@pytest.mark.parametrize(
    ("data", "task", "said"),
    [
        ((X, {"digit": Y, "half": R}), "classification", "targets of 2 outputs; .*'half': 'class"),
        ((X, Y), TASK, "targets are one array, and `task` names the outputs digit, half"),
        ((X, [Y, R, R]), TASK, "targets are 3 arrays"),
        ((X, {"digit": Y, "other": R}), TASK, "targets of digit, other; `task` names"),
        ((X, {"digit": R, "half": R}), TASK, "digit: targets of type float64"),
        (({"a": X, "b": X[:3]}, Y), "classification", "20 and 3 inputs and 20 targets"),
        (({"a": {"b": X}}, Y), "classification", "must be arrays of numbers"),
        (({"a": X, "b": X * np.nan}, Y), "classification", "b: some inputs are NaN"),
    ],
)
def test_what_is_no_data_of_several_is_refused_with_the_way_out(data, task, said):
    with pytest.raises(ValueError, match=said):
        read_parts(data, task, split_seed=0)


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ({"a": "clustering"}, "task 'clustering' of output 'a': write"),
        ({"a/b": "regression"}, "its name needs letters"),
        ({}, "name the outputs"),
    ],
)
def test_a_task_that_is_none_is_refused_at_once(task, said):
    with pytest.raises(ValueError, match=said):
        KerasExperiment(build_cnn, images, {}, task=task)
