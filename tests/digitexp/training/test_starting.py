"""Trainings that start from weights: what is taken over, what is frozen, what is refused."""

from dataclasses import replace

import numpy as np
import pytest

import sweeps
from digitexp.config import ConfigError, TrialConfig
from digitexp.models import build_model, model_weights, set_weights
from digitexp.tensorflow_setup import known_warnings_ignored
from digitexp.training.outcome import TrainingData
from digitexp.training.train import train
from digitexp.weights_files import file_digest
from tests.digitexp.small_data import small_digits

pytestmark = pytest.mark.tensorflow

MLP = TrialConfig(units=(12, 8), epochs=2, seed=3)
CNN = TrialConfig(
    architecture="cnn", filters=(4, 6), units=(8,), batch_norm=True, conv_dropout=0.1, epochs=2
)
"""Batch normalisation has means and variances that move without gradients."""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Weights of both nets as every kind of file, by name."""
    folder = tmp_path_factory.mktemp("weights")
    for name, config in (("mlp", MLP), ("cnn", CNN)):
        net = train(replace(config, seed=11), small_digits())
        np.savez(folder / f"{name}.npz", **net.weights)
        model = build_model(config, (8, 8), 10)
        set_weights(model, net.weights)
        with known_warnings_ignored():
            model.save_weights(folder / f"{name}.weights.h5")
            model.save(folder / f"{name}.keras")
    return folder


def start(files, name, config, **changes):
    return replace(config, initial_weights=str(files / name), **changes)


def weights_at_the_start(config):
    """The weights before the first step: a rate of 1e-8 moves none of them visibly."""
    still = replace(config, learning_rate=1e-8, plateau_patience_epochs=None, epochs=1)
    return train(still, small_digits()).weights


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "config"),
    [("mlp.npz", MLP), ("mlp.weights.h5", MLP), ("cnn.keras", CNN),
     pytest.param("cnn.npz", CNN, marks=pytest.mark.nightly),
     pytest.param("cnn.weights.h5", CNN, marks=pytest.mark.nightly)],
)  # fmt: skip
def test_all_layers_but_the_output_are_taken_over_by_name(files, name, config):
    with np.load(files / f"{name[:3]}.npz", allow_pickle=False) as stored:
        expected = dict(stored)
    begun = weights_at_the_start(start(files, name, config))
    fresh = weights_at_the_start(config)
    for key, array in begun.items():
        if "moving" in key:  # one epoch moves them, whatever the rate
            continue
        source = fresh if key.startswith("output/") else expected
        np.testing.assert_allclose(array, source[key], atol=1e-5, err_msg=key)
    assert not np.allclose(fresh["hidden_1/kernel"], expected["hidden_1/kernel"], atol=1e-2)


@pytest.mark.slow
def test_what_was_used_is_recorded_with_its_digest(files):
    config = start(files, "mlp.weights.h5", MLP)
    told = train(config, small_digits()).info["initial_weights"]
    assert told == {
        "path": config.initial_weights,
        "sha256": file_digest(files / "mlp.weights.h5"),
        "layers": ["hidden_1", "hidden_2"],
    }
    assert train(MLP, small_digits()).info == {}


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["compiled", "keras"])
def test_a_start_works_with_both_engines_and_helps_at_once(files, engine):
    started = train(start(files, "mlp.npz", MLP, engine=engine, epochs=1), small_digits())
    alone = train(replace(MLP, engine=engine, epochs=1), small_digits())
    assert started.engine == engine
    assert started.history["loss"][0] < alone.history["loss"][0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "config", "frozen", "still"),
    [
        ("mlp.npz", MLP, 1, {"hidden_1"}),
        ("mlp.weights.h5", replace(MLP, l2=0.01, clipnorm=1.0), 2, {"hidden_1", "hidden_2"}),
        pytest.param(*("cnn.npz", CNN, 1, {"conv_1_1", "norm_1_1"}), marks=pytest.mark.nightly),
        ("cnn.keras", CNN, 2, {"conv_1_1", "norm_1_1", "conv_2_1", "norm_2_1"}),
        pytest.param(
            *("cnn.weights.h5", CNN, 3),
            {"conv_1_1", "norm_1_1", "conv_2_1", "norm_2_1", "hidden_1"},
            marks=pytest.mark.nightly,
        ),
    ],
)
def test_frozen_layers_stay_the_same_to_the_bit_while_all_others_move(
    files, name, config, frozen, still
):
    with np.load(files / f"{name[:3]}.npz", allow_pickle=False) as stored:
        before = dict(stored)
    outcome = train(start(files, name, config, frozen_layers=frozen), small_digits())
    is_cnn = config.architecture == "cnn"
    assert outcome.engine == ("keras" if is_cnn else "compiled")
    same = {key for key, array in outcome.weights.items() if np.array_equal(array, before[key])}
    assert same == {key for key in before if key.split("/")[0] in still}


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bits(files):
    config = start(files, "cnn.npz", CNN, frozen_layers=1)
    first, again = train(config, small_digits()), train(config, small_digits())
    other = train(replace(config, seed=1), small_digits())
    assert first.history == again.history != other.history
    np.testing.assert_array_equal(
        first.arrays["validation_logits"], again.arrays["validation_logits"]
    )


def test_an_output_layer_of_other_classes_is_no_mismatch(files):
    small, labels = small_digits(), small_digits().train_labels
    chosen, judged = labels < 3, small.validation_labels < 3
    three = TrainingData(
        small.train_images[chosen], labels[chosen],
        small.validation_images[judged], small.validation_labels[judged],
        ("0", "1", "2"), (8, 8),
    )  # fmt: skip
    outcome = train(start(files, "mlp.npz", MLP), three)
    assert outcome.weights["output/kernel"].shape == (8, 3)


@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        ("mlp.npz", replace(MLP, units=(12, 9)),
         r"kernel of layer hidden_2 has shape \(12, 8\) there, \(12, 9\) here"),
        ("mlp.weights.h5", replace(MLP, units=(12, 8, 4)), "layer hidden_3 is not in it"),
        ("mlp.npz", replace(MLP, units=(12,)), "layer hidden_2 has no place in this net"),
        ("mlp.npz", CNN, "layer conv_1_1 is not in it"),
        ("cnn.keras", replace(CNN, batch_norm=False), "layer norm_1_1 has no place"),
        ("cnn.weights.h5", replace(CNN, kernel_size=5),
         r"kernel of layer conv_1_1 has shape \(3, 3, 1, 4\) there, \(5, 5, 1, 4\) here"),
    ],
)  # fmt: skip
def test_weights_of_another_net_are_refused_with_the_first_difference(files, name, config, message):
    with pytest.raises(ConfigError, match=message):
        train(start(files, name, config), small_digits())


def test_an_array_that_is_missing_is_named(files, tmp_path):
    with np.load(files / "mlp.npz", allow_pickle=False) as stored:
        np.savez(tmp_path / "half.npz", **{k: v for k, v in stored.items() if k != "hidden_1/bias"})
    with pytest.raises(ConfigError, match="layer hidden_1 has kernel there, kernel, bias here"):
        train(replace(MLP, initial_weights=str(tmp_path / "half.npz")), small_digits())


SPACE = """
experiment: digitexp.experiment:experiment
objective: {{metric: best_val_accuracy, direction: maximize}}
parameters:
  frozen_layers: {{type: int, low: 0, high: 2}}
  initial_weights: {{type: categorical, choices: ['{first}', '{second}']}}
fixed: {{hidden_layers: 2, units_1: 12, units_2: 8, epochs: 2}}
"""


@pytest.mark.slow
def test_a_sweep_searches_where_to_start_and_how_much_to_freeze(files, tmp_path, make_home):
    starts = [str(files / name) for name in ("mlp.npz", "mlp.keras")]
    space = tmp_path / "start.yaml"
    space.write_text(SPACE.format(first=starts[0], second=starts[1]))
    sweep = sweeps.run(
        str(space), home=make_home(), trials=6, sampler="grid", workers=0,
        data="sklearn-digits", progress="quiet",
    )  # fmt: skip
    rows = sweep.rows()
    assert [row.state for row in rows] == ["COMPLETE"] * 6
    tried = {(row.params["frozen_layers"], row.params["initial_weights"]) for row in rows}
    assert tried == {(frozen, path) for frozen in (0, 1, 2) for path in starts}


def test_a_sweep_from_a_file_that_is_away_is_refused_before_anything_exists(tmp_path):
    space = tmp_path / "start.yaml"
    space.write_text(SPACE.format(first=tmp_path / "a.npz", second=tmp_path / "b.npz"))
    with pytest.raises(ValueError, match=r"there is no such file; give a \.weights\.h5"):
        sweeps.run(
            str(space), home=tmp_path / "home", trials=2, workers=0, data="sklearn-digits",
            progress="quiet",
        )  # fmt: skip
    assert not (tmp_path / "home").exists()


def test_frozen_weights_are_served_like_any_other(files):
    model = build_model(start(files, "mlp.npz", MLP, frozen_layers=1), (8, 8), 10)
    assert set(model_weights(model)) == set(model_weights(build_model(MLP, (8, 8), 10)))
    assert [layer.trainable for layer in model.layers] == [False, True, True]
