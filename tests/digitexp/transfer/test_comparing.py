"""What is trained on what, and that both halves of a pair have the same."""

import numpy as np
import pytest

from digitexp.config import ConfigError, TrialConfig
from digitexp.data import load_source, split_source
from digitexp.data.splits import draw
from digitexp.training.train import train
from digitexp.transfer import (
    compare,
    pretrain,
    pretraining_data,
    transfer_config,
)


def test_the_default_is_a_small_convolutional_net_with_time_enough():
    config = transfer_config({})
    assert (config.architecture, config.filters, config.units) == ("cnn", (8, 16), (32,))
    assert (config.epochs, config.early_stopping_patience_epochs) == (100, 8)


@pytest.mark.parametrize(
    ("given", "filters", "units"),
    [
        ({"filters_1": 4}, (4,), (32,)),
        ({"hidden_layers": 0}, (8, 16), ()),
        ({"architecture": "mlp"}, (32, 64), (25, 15)),
        ({"architecture": "mlp", "units_1": 7}, (32, 64), (7,)),
    ],
)
def test_another_net_is_asked_for_by_its_parameters(given, filters, units):
    config = transfer_config(given)
    assert (config.filters, config.units) == (filters, units)


@pytest.mark.parametrize(
    ("name", "option"),
    [("initial_weights", "--from"), ("frozen_layers", "--freeze"), ("seed", "--seeds")],
)
def test_what_an_option_decides_is_no_parameter(name, option):
    with pytest.raises(ConfigError, match=f"{name} is given by --set; the comparison has {option}"):
        transfer_config({name: 1})


def test_a_source_is_learnt_in_the_targets_size_and_from_its_own_training_part():
    source = load_source("sklearn-digits")
    data = pretraining_data(source, (12, 10), 200, split_seed=0)
    assert data.image_shape == (12, 10)
    np.testing.assert_array_equal(np.bincount(data.train_labels), [20] * 10)
    np.testing.assert_array_equal(np.bincount(data.validation_labels), [5] * 10)
    whole = pretraining_data(source, (8, 8), None, split_seed=0)
    split = split_source(source, 0)
    np.testing.assert_array_equal(whole.train_labels, source.labels[split.train_indices])
    np.testing.assert_array_equal(
        whole.validation_images, source.images[split.validation_indices].reshape(-1, 64)
    )


MLP = TrialConfig(units=(10,), epochs=3, learning_rate=0.01)


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("sizes", [[8], pytest.param([4, 8], marks=pytest.mark.nightly)])
def test_pairs_have_the_same_images_and_seeds(tmp_path, sizes):
    said = []
    target = load_source("sklearn-digits")
    learnt = pretraining_data(target, (8, 8), 300, split_seed=0)
    weights = pretrain(MLP, learnt, tmp_path / "first", said.append)
    found = compare(
        MLP, target, str(weights), images_per_class=sizes, frozen=[0, 1], seeds=2, split_seed=0,
        say=said.append,
    )  # fmt: skip
    pairs = [(size, frozen) for size in sizes for frozen in (0, 1)]
    assert [(one.images_per_class, one.frozen_layers) for one in found] == pairs
    assert found[-2].alone == found[-1].alone
    assert len({tuple(one.alone) for one in found}) == len(sizes)
    count = 6 * len(sizes)
    assert [line.split(maxsplit=1)[0] for line in said[1:]] == [
        f"{i}/{count}" for i in range(1, count + 1)
    ]

    from dataclasses import replace

    from digitexp.training.outcome import TrainingData

    split = split_source(target, 0)
    drawn = draw(target.labels, 8, 1, split.train_indices)
    data = TrainingData.from_split(
        target.images, target.labels, drawn, split.validation_indices, target.class_names
    )
    alone = replace(MLP, seed=1)
    started = replace(alone, initial_weights=str(weights), frozen_layers=1)
    assert train(alone, data).metrics["best_val_accuracy"] == found[-1].alone[1]
    assert train(started, data).metrics["best_val_accuracy"] == found[-1].started[1]


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_training_that_diverges_ends_the_comparison(tmp_path):
    data = pretraining_data(load_source("sklearn-digits"), (8, 8), 100, split_seed=0)
    wild = TrialConfig(units=(200,) * 10, activation="leaky_relu", learning_rate=10.0, epochs=3)
    with pytest.raises(ValueError, match=r"training diverged .*a smaller --set learning_rate"):
        pretrain(wild, data, tmp_path, print)
    assert not list(tmp_path.iterdir())
