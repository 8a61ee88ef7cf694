import json
import math

import numpy as np
import pytest
from typer.testing import CliRunner

import sweeps
from digitexp.calibration import fit_temperature
from digitexp.config import ConfigError, TrialConfig
from digitexp.experiments.digits import experiment, recorded_config
from search_spaces.parameters import find_parameter
from sweeps.cli import app
from sweeps.experiment import Stop, TrialSpec

CONFIG = {"units_1": 12, "dropout": 0.1, "epochs": 3, "l2": 1e-4}


@pytest.fixture(scope="module")
def data():
    return experiment.prepare("sklearn-digits", 0)


@pytest.fixture(scope="module")
def spec():
    return TrialSpec(sweep="s", trial=7, attempt=1, seed=11, config=CONFIG)


@pytest.fixture(scope="module")
def result(spec, data):
    return experiment.train(spec, data, lambda _epoch, _metrics: None)


def test_every_flat_parameter_but_the_seed_is_offered():
    flat = TrialConfig(dropout=(0.1, 0.2)).to_params()
    unknown = {name for name in flat if find_parameter(name, experiment.parameters) is None}
    assert unknown == {"seed"}
    assert experiment.parameters["clipnorm"].optional
    assert experiment.parameters["units_{i}"].high == 4096


def test_the_defaults_offered_make_a_valid_configuration():
    offered = {name: info.default for name, info in experiment.parameters.items()}
    defaults = {name: value for name, value in offered.items() if "{i}" not in name}
    del defaults["hidden_layers"], defaults["conv_blocks"]  # follow from their series
    experiment.check(defaults)


@pytest.mark.parametrize(
    ("config", "message"),
    [({"batch_size": 0}, "batch_size is 0"), ({"seed": 3}, "the sweep gives each trial its own")],
)
def test_an_impossible_configuration_is_refused(config, message):
    with pytest.raises(ValueError, match=message):
        experiment.check(config)


@pytest.mark.parametrize("engine", ["compiled", "auto", "keras"])
def test_a_recorded_trial_that_names_the_engine_that_is_gone_is_read_and_not_trained(engine):
    experiment.check({"units_1": 8, "engine": engine})
    recorded = {"units_1": 8, "engine": "fused"}
    assert recorded_config(recorded).engine == "auto"
    assert recorded_config({**recorded, "engine": engine}).engine == engine
    with pytest.raises(ConfigError, match=r"engine is 'fused'; .* auto, compiled, keras"):
        experiment.check(recorded)


SPACE = """\
experiment: digitexp.experiment:experiment
objective: {metric: best_val_accuracy, direction: maximize}
parameters: {l2: {type: float, low: 0, high: 1}}
fixed: {epochs: 1}
"""
IN_A_SPACE = {
    "fixed": (SPACE.replace("epochs: 1", "engine: fused"), ()),
    "sampled": (
        SPACE.replace("{l2", "{engine: {type: categorical, choices: [fused, keras]}, l2"), (),
    ),
    "in a choice": (
        SPACE.replace("{l2", "{how: {type: categorical, choices: {old: {engine: fused}}}, l2"), (),
    ),
    "set": (SPACE, ("--set", "engine=fused")),
}  # fmt: skip


@pytest.mark.parametrize("named", IN_A_SPACE)
def test_the_engine_that_is_gone_is_refused_with_those_of_today(named, tmp_path):
    text, words = IN_A_SPACE[named]
    (tmp_path / "space.yaml").write_text(text)
    home = tmp_path / "home"
    asked = ["run", str(tmp_path / "space.yaml"), *words, "--trials", "1", "--home", str(home)]
    ran = CliRunner().invoke(app, asked)
    assert ran.exit_code == 2
    assert ran.output.count("\n") == 1
    assert "received 'fused'; allowed: one of auto, compiled, keras" in ran.output
    assert not home.exists()


def test_prepared_data_has_flat_images_facts_and_digests(data):
    assert data.name == "sklearn-digits"
    assert data.info["image_shape"] == [8, 8]
    assert data.info["class_names"] == [str(digit) for digit in range(10)]
    assert data.payload.arrays.train_images.shape == (data.info["n_train"], 64)
    assert data.payload.arrays.train_images.dtype == np.float32
    assert data.info["n_train"] + data.info["n_validation"] == 1797
    assert data.info["n_test"] is None
    other = experiment.prepare("sklearn-digits", 1)
    assert (other.digest, other.split_digest == data.split_digest) == (data.digest, False)


def test_parameters_are_counted_and_the_plan_is_made_before_training(data):
    assert experiment.measure(CONFIG, data) == {"parameters": 64 * 12 + 12 + 12 * 10 + 10}
    assert set(experiment.measures) == {"parameters"}
    assert experiment.plan(CONFIG, data).engine == "compiled"
    assert experiment.plan({**CONFIG, "engine": "keras"}, data).engine == "keras"


def test_a_result_holds_what_records_and_reports_need(result, data):
    assert (result.outcome, result.stop_reason, result.engine) == (
        "complete", "max_epochs", "compiled",
    )  # fmt: skip
    assert set(result.metrics) == set(experiment.metrics)
    assert all(math.isfinite(value) for value in result.metrics.values())
    watched = {info.epoch_metric for info in experiment.metrics.values()} - {None}
    assert watched <= set(result.history)
    assert result.arrays["confusion"].shape == (3, 10, 10)
    logits = result.arrays["validation_logits"]
    assert (logits.shape, logits.dtype) == ((data.info["n_validation"], 10), np.float32)
    assert all(name.endswith("_seconds") for name in result.timings)
    assert "hidden_1" in result.summary
    assert result.info["temperature"] == fit_temperature(
        logits, data.payload.arrays.validation_labels
    )


@pytest.mark.slow
def test_the_seed_of_the_spec_decides(spec, data, result):
    again = experiment.train(spec, data, lambda _epoch, _metrics: None)
    assert again.history == result.history
    assert again.info == result.info, "the temperature to the bit, too"
    other = TrialSpec("s", 7, 1, seed=12, config=CONFIG)
    assert experiment.train(other, data, lambda *_: None).history != result.history


@pytest.mark.slow
def test_a_stop_ends_the_trial_with_its_reason(spec, data):
    result = experiment.train(spec, data, lambda epoch, _: Stop("pruned") if epoch else None)
    assert (result.outcome, result.stop_reason) == ("stopped", "pruned")
    assert len(result.history["loss"]) == 2


@pytest.mark.tensorflow
def test_the_model_comes_back_from_configuration_weights_and_info(result, data):
    model = experiment.load_model(CONFIG, result.weights, result.info)
    logits = model(data.payload.arrays.validation_images).numpy()
    np.testing.assert_allclose(logits, result.arrays["validation_logits"], atol=1e-5)
    assert experiment.load_model(CONFIG, result.weights, data.info).count_params() == 910


@pytest.mark.tensorflow
def test_probabilities_are_at_the_fitted_temperature_and_logits_as_they_are(result, data):
    images = data.payload.arrays.validation_images[:20]
    model = experiment.load_model(CONFIG, result.weights, {**data.info, "temperature": 2.5})
    logits = model(images).numpy()
    powers = np.exp(logits.astype(np.float64) / 2.5)
    expected = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(experiment.predict(model, images), expected, atol=1e-6)
    earlier = experiment.load_model(CONFIG, result.weights, data.info)
    assert np.array_equal(earlier(images).numpy(), logits)
    powers = np.exp(logits.astype(np.float64))
    expected = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(experiment.predict(earlier, images), expected, atol=1e-6)


def test_the_pictures_are_drawn_from_the_result_alone(spec, result):
    files = experiment.draw(spec, result)
    assert set(files) == {"loss_curves.png", "confusion_matrix.png", "confusion_matrix.json"}


def test_a_trial_that_diverged_at_once_has_only_curves(spec):
    from sweeps.experiment import TrialResult

    names = ("loss", "accuracy", "val_loss", "val_accuracy")
    result = TrialResult(
        outcome="diverged", stop_reason="diverged", metrics={},
        history={**{name: [math.nan] for name in names}, "learning_rate": [0.1]},
        arrays={"confusion": np.zeros((1, 2, 2), np.uint32)},
        info={"class_names": ["0", "1"], "image_shape": [1, 1]},
    )  # fmt: skip
    assert list(experiment.draw(spec, result)) == ["loss_curves.png"]


def test_what_it_gets_wrong_is_examined_from_the_result_alone(result, data):
    files = experiment.examine(CONFIG, data, result)
    found = json.loads(files["diagnostics.json"])
    assert found["accuracy"] == pytest.approx(result.metrics["best_val_accuracy"])
    assert found["train_accuracy"] == result.metrics["train_accuracy"]
    best = int(result.metrics["best_epoch"])
    assert found["confusion"] == result.arrays["confusion"][best - 1].tolist()
    for digit in "0123456789":
        recall = found["report"][digit]["recall"]
        assert recall == pytest.approx(result.metrics[f"recall_{digit}"])


def test_a_trial_without_logits_cannot_be_examined(data):
    from sweeps.experiment import TrialResult

    diverged = TrialResult("diverged", "diverged", {}, {})
    with pytest.raises(ValueError, match="kept no logits"):
        experiment.examine(CONFIG, data, diverged)


@pytest.mark.slow
def test_a_pruner_of_the_default_space_watches_the_cross_entropy_of_each_epoch(make_home):
    swept = sweeps.run(
        "mlp", trials=5, workers=0, pruner="median", ask_ahead=1, home=make_home(),
        pruner_options={"n_startup_trials": 2}, overrides=["epochs=5"],
        data="sklearn-digits", progress="quiet",
    )  # fmt: skip
    assert swept.info.epoch_metric == "val_cross_entropy"
    records = swept.home.store(swept.info.id).read_all()
    histories = {r.trial: r.result.history["val_cross_entropy"] for r in records}
    pruned = {row.trial for row in swept.rows() if row.state == "PRUNED"}
    assert pruned
    assert {trial for trial, values in histories.items() if len(values) < 5} == pruned
