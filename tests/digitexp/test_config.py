import math
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitexp.activations import ACTIVATIONS
from digitexp.config import ConfigError, TrialConfig


def test_the_default_is_the_tutorials_net():
    config = TrialConfig()
    assert (config.units, config.learning_rate, config.batch_size) == ((25, 15), 0.001, 32)
    assert (config.epochs, config.dropout, config.l2, config.activation) == (40, 0.0, 0.0, "relu")


def test_nothing_given_is_the_default():
    assert TrialConfig.from_params({}) == TrialConfig()


def test_a_configuration_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        TrialConfig().epochs = 3


configs = st.builds(
    TrialConfig,
    learning_rate=st.floats(1e-5, 1.0),
    batch_size=st.integers(1, 512),
    units=st.shared(st.lists(st.integers(1, 300), max_size=4).map(tuple), key="units"),
    dropout=st.one_of(
        st.floats(0, 0.9),
        st.shared(st.lists(st.integers(1, 300), max_size=4).map(tuple), key="units").flatmap(
            lambda units: st.tuples(*[st.floats(0, 0.9)] * len(units)) if units else st.just(0.0)
        ),
    ),
    l2=st.floats(0, 1),
    activation=st.sampled_from(ACTIVATIONS),
    clipnorm=st.none() | st.floats(0.01, 10),
    early_stopping_patience_epochs=st.none() | st.integers(4, 20),
    plateau_monitor=st.sampled_from(["val_loss", "loss"]),
    plateau_patience_epochs=st.none() | st.integers(1, 3),
    label_smoothing=st.floats(0, 0.5),
    learning_rate_schedule=st.sampled_from(["plateau", "cosine"]),
    seed=st.integers(0, 2**32 - 1),
)
nets = st.builds(
    TrialConfig,
    architecture=st.just("cnn"),
    filters=st.lists(st.integers(1, 64), min_size=1, max_size=4).map(tuple),
    batch_norm=st.booleans(),
    rotation=st.floats(0.1, 20),
    augment_worst_classes=st.none() | st.integers(1, 9),
    precision=st.sampled_from(["float32", "mixed_bfloat16"]),
)


@given(configs | nets)
def test_the_flat_form_leads_back_to_the_same_configuration(config):
    assert TrialConfig.from_params(config.to_params()) == config


def test_the_number_of_layers_follows_from_the_units():
    assert TrialConfig.from_params({"units_1": 50, "units_2": 20}).hidden_layers == 2
    assert TrialConfig.from_params({"hidden_layers": 0}).units == ()


def test_dropout_may_differ_by_layer():
    config = TrialConfig.from_params({"dropout_1": 0.3, "dropout_2": 0})
    assert config.dropout_rates == (0.3, 0.0)
    assert TrialConfig(dropout=0.2).dropout_rates == (0.2, 0.2)


def test_whole_numbers_become_floats_and_numpy_numbers_plain_ones():
    config = TrialConfig.from_params({"learning_rate": 1, "batch_size": np.int64(64)})
    assert type(config.learning_rate) is float
    assert type(config.batch_size) is int


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"lerning_rate": 0.1}, "Did you mean learning_rate"),
        ({"unit_1": 3}, "Did you mean units_1"),
        ({"units_01": 3}, "no parameter 'units_01'"),
        ({"units_{i}": 3}, "no parameter"),
        ({"qqqq": 3}, "no parameter 'qqqq'. Known: learning_rate"),
        ({"hidden_layers": 2, "units_1": 8}, "units_2 is missing: there are 2 hidden layers"),
        ({"hidden_layers": 1}, "units_1 is missing: there is only 1 hidden layer."),
        ({"units_1": 8, "units_3": 8}, "units_2 is missing"),
        ({"hidden_layers": 1, "units_1": 8, "units_2": 8}, "units_2 is given, but there is only 1"),
        ({"hidden_layers": 2.0, "units_1": 8, "units_2": 8}, "hidden_layers is 2.0"),
        ({"hidden_layers": None, "units_11": 8}, "hidden_layers is 11"),
        ({"dropout": 0.1, "dropout_1": 0.1}, "dropout and dropout_1 are both given"),
        ({"dropout_1": 0.1}, "dropout_2 is missing"),
        ({"units_1": 8, "dropout_1": 0.1, "dropout_2": 0.1}, "dropout_2 is given"),
        ({"dropout_1": 0.1, "dropout_2": 0.96}, "dropout_2 is 0.96; it must be a number from 0"),
        ({"batch_size": True}, "batch_size is True; it must be an integer from 1 to 65536"),
        ({"batch_size": 32.0}, "batch_size is 32.0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"units_1": "25"}, "units_1 is '25'"),
        ({"learning_rate": math.nan}, "learning_rate is nan"),
        ({"learning_rate": math.inf}, "learning_rate is inf"),
        ({"learning_rate": 0}, "learning_rate is 0"),
        ({"learning_rate": False}, "learning_rate is False"),
        ({"learning_rate": None}, "learning_rate is None"),
        ({"dropout": 1.0}, "dropout is 1.0; it must be a number from 0 to 0.95"),
        ({"l2": -1e-9}, "l2 is -1e-09"),
        ({"clipnorm": 0}, "or none (off)"),
        ({"activation": "rely"}, "activation is 'rely'; it must be one of relu, leaky_relu"),
        ({"activation": None}, "activation is None"),
        ({"plateau_monitor": "val_los"}, "one of val_loss, loss"),
        ({"plateau_factor": 1.0}, "plateau_factor is 1.0"),
        ({"seed": 2**32}, "seed is 4294967296"),
        ({"plateau_patience_epochs": 5}, "training would stop before the learning rate can fall"),
        ({"min_learning_rate": 0.01}, "the rate could never fall"),
    ],
)
def test_a_mistake_is_refused_with_what_was_given_and_what_is_allowed(params, message):
    with pytest.raises(ConfigError) as caught:
        TrialConfig.from_params(params)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"units": [25, 15], "dropout": (0.1,)}, "dropout has 1 values for 2 hidden layers"),
        ({"units": 25}, "units is 25; it must be a tuple"),
        ({"units": (8,) * 11}, "hidden_layers is 11"),
        ({"units": (8, True)}, "units_2 is True"),
        ({"dropout": "0.1"}, "dropout is '0.1'"),
    ],
)
def test_the_class_itself_refuses_the_same(fields, message):
    with pytest.raises(ConfigError) as caught:
        TrialConfig(**fields)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "params",
    [
        {"plateau_patience_epochs": None, "min_learning_rate": 0.01},
        {"plateau_patience_epochs": 9, "early_stopping_patience_epochs": None},
        {"plateau_patience_epochs": 9, "plateau_monitor": "loss"},
        {"plateau_patience_epochs": 4},
        {"min_learning_rate": 0.001},
    ],
)
def test_pairs_that_can_work_are_accepted(params):
    assert params.items() <= TrialConfig.from_params(params).to_params().items()


def test_a_configuration_describes_itself_in_one_line():
    assert TrialConfig().describe() == "25-15  ·  learning rate 0.001  ·  batch 32"
    full = TrialConfig(units=(8, 4), dropout=(0.3, 0.2), l2=0.01)
    assert full.describe().endswith("batch 32  ·  dropout 0.3-0.2  ·  l2 0.01")
    assert TrialConfig(units=()).describe().startswith("no hidden layer")


def test_a_dense_net_says_nothing_of_convolutions():
    params = TrialConfig().to_params()
    assert not {"conv_blocks", "filters_1", "kernel_size", "batch_norm"} & set(params)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"kernel_size": 5}, "kernel_size is 5, but an mlp has no convolutions; set architecture"),
        ({"filters_1": 8}, "filters is .8,., but an mlp has no convolutions"),
        (
            {"architecture": "cnn", "filters_2": 8},
            "filters_1 is missing: there are 2 convolutional",
        ),
        (
            {"architecture": "cnn", "conv_blocks": 1, "filters_1": 8, "filters_2": 8},
            "filters_2 is given, but there is only 1 convolutional block; raise conv_blocks",
        ),
        ({"architecture": "cnn", "batch_norm": 1}, "batch_norm is 1; it must be true or false"),
        ({"augment_worst_classes": 2}, "nothing is augmented; set rotation, shift or zoom above 0"),
        ({"engine": "compiled", "rotation": 5}, "trains no such net: images are augmented"),
        ({"engine": "compiled", "architecture": "cnn"}, "Set it to auto or keras"),
    ],
)
def test_what_does_not_go_together_is_refused(params, said):
    with pytest.raises(ConfigError, match=said):
        TrialConfig.from_params(params)


def test_only_a_plateau_minds_the_patience_and_the_smallest_rate():
    late = {"plateau_patience_epochs": 9, "early_stopping_patience_epochs": 3}
    with pytest.raises(ConfigError, match="plateau_patience_epochs is 9"):
        TrialConfig(**late)
    assert TrialConfig(**late, learning_rate_schedule="cosine").plateau_patience_epochs == 9
