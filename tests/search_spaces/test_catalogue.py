"""The shipped spaces are what they promise; checked against the experiment they are for."""

import pytest

from digitexp.config import TrialConfig
from search_spaces.loading import catalogue, load_space
from search_spaces.space import Space


@pytest.mark.parametrize("name", list(catalogue()))
def test_every_configuration_is_one_the_digits_experiment_accepts(name):
    space = load_space(name)
    configs = [walk.config for walk in space.samples(200)]
    configs += [space.configuration(params) for params in space.baselines.values()]
    for config in configs:
        assert config.items() <= TrialConfig.from_params(config).to_params().items()


@pytest.mark.parametrize("name", list(catalogue()))
def test_it_is_rebuilt_from_its_stored_form(name):
    space = load_space(name)
    assert Space.from_dict(space.to_dict()).digest() == space.digest()
    assert space.directory is None


def test_mlp_varies_what_the_issue_names():
    space = load_space("mlp")
    assert {row.name: row.range for row in space.parameters} == {
        "learning_rate": "0.0001..0.01 log",
        "batch_size": "16, 32, 64, 128",
        "hidden_layers": "1..3",
        "units_1 .. units_3": "8..128 log",
        "dropout": "0..0.5",
        "l2": "1e-07..0.01 log",
    }
    objective = space.objective
    assert (objective.metric, objective.direction) == ("best_val_cross_entropy", "minimize")
    assert (space.defaults.trials, space.defaults.pruner.name) == (20, "none")
    assert space.conditional


def test_the_baselines_of_mlp_are_the_tutorial_nets():
    space = load_space("mlp")
    nets = [TrialConfig.from_params(space.configuration(p)) for p in space.baselines.values()]
    assert [net.units for net in nets] == [(25, 15), (50, 20)]
    for net in nets:
        assert (net.learning_rate, net.batch_size, net.dropout, net.l2) == (1e-3, 32, 0, 1e-7)
        assert (net.epochs, net.early_stopping_patience_epochs) == (40, 5)


def test_smoke_is_one_layer_and_eight_epochs_with_many_points():
    space = load_space("smoke")
    sampled = {tuple(walk.params) for walk in space.samples(50)}
    assert sampled == {("learning_rate", "engine", "batch_size", "units_1", "dropout", "l2")}
    points = {tuple(walk.params.values()) for walk in space.samples(1500)}
    assert len(points) > 1000
    config = TrialConfig.from_params(space.samples(0)[0].config)
    assert (config.hidden_layers, config.epochs) == (1, 8)
    assert space.defaults.pruner.name == "none"


TUTORIAL = {
    "plain": TrialConfig(units=(25, 15)),
    "dropout": TrialConfig(units=(25, 15), dropout=(0.2, 0)),
    "l2_drop": TrialConfig(units=(25, 15), dropout=(0.3, 0.2), l2=0.01, epochs=100),
    "wide": TrialConfig(units=(50, 20)),
    "deep": TrialConfig(units=(25, 15, 10)),
}


def test_tutorial_is_each_net_of_the_tutorial_exactly():
    space = load_space("tutorial")
    assert [point["net"] for point in space.enumerate()] == list(TUTORIAL)
    for net, expected in TUTORIAL.items():
        config = TrialConfig.from_params(space.configuration({"net": net}))
        assert config.units == expected.units
        assert config.dropout_rates == expected.dropout_rates
        assert (config.l2, config.epochs) == (expected.l2, expected.epochs)
        assert (config.learning_rate, config.batch_size) == (0.001, 32)
        assert config.early_stopping_patience_epochs == (5 if net == "l2_drop" else None)
        assert config.plateau_patience_epochs is None
    assert (space.defaults.sampler.name, space.defaults.trials) == ("grid", space.size())
