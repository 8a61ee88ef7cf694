import optuna
import pytest

from sweeps.errors import UsageError
from sweeps.study.samplers import Choice, make_pruner, sampler_factory


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (Choice("tppe"), r"unknown sampler 'tppe'; did you mean 'tpe'\?.*random, qmc, grid"),
        (Choice("tpe", {"sed": 1}), r"sampler 'tpe': .*sed"),
        (Choice("optuna.samplers.NoSampler"), r"optuna\.samplers has no 'NoSampler'"),
        (Choice("no_such_package.Sampler"), r"cannot be imported: No module named"),
        (Choice("optuna.pruners.MedianPruner"), r"no subclass of optuna's BaseSampler"),
        (Choice("optuna.samplers.CmaEsSampler"), r"needs the package 'cmaes': pip install cmaes"),
    ],
)
def test_a_wrong_sampler_is_refused_by_name_before_anything_is_created(choice, expected):
    with pytest.raises(UsageError, match=expected):
        sampler_factory(choice)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (Choice("medium"), r"unknown pruner 'medium'; did you mean 'median'\?"),
        (Choice("median", {"n_startup_trials": -1}), r"pruner 'median'"),
        (Choice("optuna.samplers.TPESampler"), r"no subclass of optuna's BasePruner"),
    ],
)
def test_a_wrong_pruner_is_refused_by_name(choice, expected):
    with pytest.raises(UsageError, match=expected):
        make_pruner(choice)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("median", optuna.pruners.MedianPruner),
        ("hyperband", optuna.pruners.HyperbandPruner),
        ("asha", optuna.pruners.SuccessiveHalvingPruner),
        ("optuna.pruners.NopPruner", optuna.pruners.NopPruner),
    ],
)
def test_pruners_are_made_by_name_or_path(name, kind):
    assert isinstance(make_pruner(Choice(name)), kind)


def test_no_pruner_is_none():
    assert make_pruner(Choice("none")) is None


def test_options_reach_the_sampler():
    factory = sampler_factory(Choice("tpe", {"n_startup_trials": 3}))
    assert factory.make(0, 0)._n_startup_trials == 3
    assert factory.stateless


def test_a_sampler_by_path_is_seeded_where_it_takes_a_seed():
    path = "optuna.samplers.NSGAIISampler"
    one, two = (sampler_factory(Choice(path)).make(0, seed) for seed in (1, 2))
    space = {"x": optuna.distributions.FloatDistribution(0, 1)}
    study = optuna.create_study()
    trial = study.ask()
    frozen = study.trials[trial.number]
    draws = [s.sample_independent(study, frozen, "x", space["x"]) for s in (one, two)]
    assert draws[0] != draws[1]


class OneObjective(optuna.samplers.RandomSampler):
    """Asks for the direction, of which there is one as a rule."""

    def sample_relative(self, study, trial, search_space):
        assert study.direction
        return {}


@pytest.mark.parametrize("name", ["tpe", "random", "qmc", "optuna.samplers.NSGAIISampler"])
def test_several_objectives_are_no_matter_to_these(name):
    assert sampler_factory(Choice(name), 3)


def test_a_sampler_that_takes_one_objective_is_refused_with_several():
    choice = Choice(f"{__name__}.OneObjective")
    sampler_factory(choice)
    with pytest.raises(UsageError, match=r"does not take 2 objectives .*tpe, random, qmc, grid"):
        sampler_factory(choice, 2)
