import math
import sys
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna._imports import _LazyImport
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from search_spaces.loading import load_space
from search_spaces.space import Component
from sweeps.errors import UsageError
from sweeps.study import gaussian_process
from sweeps.study.gaussian_process import Coding, GaussianProcessSampler, Model
from sweeps.study.points import Proposal
from sweeps.study.samplers import (
    chosen_by_auto,
    completed,
    make_pruner,
    options_in_full,
    sampler_factory,
)
from tests.sweeps.conftest import TOY
from tests.tools import need


class NeedsMore(optuna.samplers.RandomSampler):
    """Needs a package that nobody has."""

    def __init__(self, seed=None):
        import no_such_package  # noqa: F401

        super().__init__(seed)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (Component("tppe"), r"unknown sampler 'tppe'; did you mean 'tpe'\?.*random, qmc, grid"),
        (Component("tpe", {"sed": 1}), r"sampler 'tpe': .*sed"),
        (Component("optuna.samplers.NoSampler"), r"no attribute 'NoSampler'"),
        (Component("no_such_package.Sampler"), r"cannot be imported: No module named"),
        (Component("optuna.pruners.MedianPruner"), r"no subclass of optuna's BaseSampler"),
        (
            Component(f"{__name__}.NeedsMore"),
            r"needs the package 'no_such_package': pip install no_s",
        ),
    ],
)
def test_a_wrong_sampler_is_refused_by_name_before_anything_is_created(choice, expected):
    with pytest.raises(UsageError, match=expected):
        sampler_factory(choice)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (Component("medium"), r"unknown pruner 'medium'; did you mean 'median'\?"),
        (Component("median", {"n_startup_trials": -1}), r"pruner 'median'"),
        (Component("optuna.samplers.TPESampler"), r"no subclass of optuna's BasePruner"),
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
    assert isinstance(make_pruner(Component(name)), kind)


def test_no_pruner_is_none():
    assert make_pruner(Component("none")) is None


def test_options_reach_the_sampler():
    factory = sampler_factory(Component("tpe", {"n_startup_trials": 3}))
    assert factory.make(0, 0)._n_startup_trials == 3
    assert factory.stateless


def test_a_sampler_by_path_is_seeded_where_it_takes_a_seed():
    path = "optuna.samplers.NSGAIISampler"
    one, two = (sampler_factory(Component(path)).make(0, seed) for seed in (1, 2))
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


PLAIN = TOY.replace("baselines:\n  first: {x: 0.5, layers: 0, kind: a}\n", "")


@pytest.fixture
def toy(tmp_path):
    def load(text=PLAIN):
        file = Path(tmp_path, "toy.yaml")
        file.write_text(text)
        return load_space(str(file))

    return load


@pytest.mark.parametrize(
    ("asked", "stored", "expected"),
    [
        ({}, None, {"n_startup_trials": 5}),
        ({"n_startup_trials": 7}, None, {"n_startup_trials": 7}),
        ({}, {"name": "random", "options": {}}, {"n_startup_trials": 5}),
        ({}, {"name": "tpe", "options": {"n_startup_trials": 5}}, {"n_startup_trials": 5}),
        ({}, {"name": "tpe", "options": {}}, {}),
        ({"n_startup_trials": 10}, {"name": "tpe", "options": {}}, {}),
        ({"n_startup_trials": 7}, {"name": "tpe", "options": {}}, {"n_startup_trials": 7}),
        ({}, {"name": "tpe", "options": {"group": False}}, {}),
    ],
)
def test_the_start_up_of_a_new_sweep_is_said_and_that_of_an_earlier_one_is_kept(
    asked, stored, expected
):
    assert completed(Component("tpe", asked), stored).options == expected


def test_a_start_up_that_nobody_said_is_that_of_earlier_sweeps():
    assert sampler_factory(Component("tpe")).make(0, 0)._n_startup_trials == 10
    assert options_in_full({"name": "tpe", "options": {"group": False}}) == {
        "n_startup_trials": 10,
        "group": False,
    }
    assert options_in_full({"name": "random", "options": {}}) == {}


@pytest.mark.parametrize("name", ["tpe", "random", "qmc", "optuna.samplers.NSGAIISampler"])
def test_several_objectives_are_no_matter_to_these(name):
    assert sampler_factory(Component(name), 3)


def test_a_sampler_that_takes_one_objective_is_refused_with_several():
    choice = Component(f"{__name__}.OneObjective")
    sampler_factory(choice)
    with pytest.raises(UsageError, match=r"does not take 2 objectives .*tpe, random, qmc, grid"):
        sampler_factory(choice, 2)


# The Gaussian process.

WIDE = FloatDistribution(0, 1)


def point(params, distributions):
    return Proposal(params, distributions, params, "sampled")


def at(x, **more):
    distributions = {"x": WIDE} | dict.fromkeys(more, WIDE)
    return point({"x": x, **more}, distributions)


def model_of(values, running=()):
    """A model of x -> value, and of what is in flight."""
    known = [at(x) for x in values]
    scores = np.array(list(values.values()), np.float64)
    return Model(Coding([*known, *running], []), known, scores, running)


VALLEY = {x / 10: (x / 10 - 0.4) ** 2 * 10 - 1 for x in range(11) if x not in {3, 4}}


def test_the_model_expects_most_between_the_best_points():
    grid = [at(x) for x in np.linspace(0, 1, 101)]
    best = grid[int(np.argmax(model_of(VALLEY).gains(grid)))]
    assert 0.2 < best.params["x"] < 0.5


def test_a_trial_in_flight_keeps_others_away_and_leaves_the_mean():
    grid = [at(x) for x in np.linspace(0, 1, 101)]
    alone = model_of(VALLEY)
    favourite = grid[int(np.argmax(alone.gains(grid)))]
    beside = model_of(VALLEY, [favourite])
    assert beside.gains([favourite]) < alone.gains([favourite]) - 0.5
    next_one = grid[int(np.argmax(beside.gains(grid)))]
    assert next_one.params != favourite.params
    assert beside.means()[: len(VALLEY)] == pytest.approx(alone.means())


def test_an_inactive_parameter_stands_in_the_middle_and_a_dimension_says_so():
    points = [at(0.2), at(0.2, y=0.5), at(0.2, y=0.9)]
    coding = Coding(points, [])
    rows = coding.rows(points)
    assert rows.tolist() == [[0.2, 0.5, 0.0], [0.2, 0.5, 1.0], [0.2, 0.9, 1.0]]
    assert coding.lengths == 3


def test_choices_are_equally_far_apart_and_share_a_length():
    kinds = CategoricalDistribution(["a", "b", None, 1, True])
    points = [point({"kind": kind}, {"kind": kinds}) for kind in kinds.choices]
    coding = Coding(points, [])
    rows = coding.rows(points)
    apart = ((rows[:, None] - rows[None]) ** 2).sum(axis=2)
    assert apart == pytest.approx(1 - np.eye(5))
    assert coding.lengths == 1


@pytest.mark.parametrize(
    "distribution",
    [
        FloatDistribution(1e-4, 1e-1, log=True),
        FloatDistribution(0, 1, step=0.25),
        IntDistribution(1, 3),
        IntDistribution(8, 128, log=True),
        IntDistribution(0, 90, step=30),
        FloatDistribution(2, 2),
    ],
)
def test_a_place_is_a_value_and_a_value_is_at_its_place(distribution):
    places = np.linspace(0, 1, 200)
    values = [gaussian_process.value_at(distribution, place) for place in places]
    assert values == sorted(values)
    assert all(distribution._contains(value) for value in values)
    assert [values[0], values[-1]] == pytest.approx([distribution.low, distribution.high])
    again = [gaussian_process._places(distribution, value) for value in values]
    for value, place in zip(values, again, strict=True):
        assert gaussian_process.value_at(distribution, float(place)) == pytest.approx(value)


def trial(state, value=None, *, curve=(), diverged=False):
    return create_trial(
        state=state,
        params={"x": 0.5},
        distributions={"x": WIDE},
        value=value,
        intermediate_values=dict(enumerate(curve)),
        system_attrs={"constraints:diverged": 1.0 if diverged else -1.0},
    )


@pytest.mark.parametrize("sign", [1, -1])
def test_trials_rank_by_value_then_by_how_long_they_lasted_and_diverged_ones_last(sign):
    ranked = [
        trial(TrialState.COMPLETE, sign * 0.1),
        trial(TrialState.COMPLETE, sign * 1e9),
        trial(TrialState.PRUNED, curve=[sign * 9, sign * 9, sign * 9]),
        trial(TrialState.PRUNED, curve=[sign * 1, sign * 1]),
        trial(TrialState.PRUNED, curve=[sign * 1, sign * 2]),
        trial(TrialState.PRUNED, diverged=True),
    ]
    scores = gaussian_process._scores(ranked, is_minimized=sign == 1)
    assert scores.tolist() == sorted(set(scores.tolist()))
    assert scores.sum() == pytest.approx(0)
    twice = gaussian_process._scores([ranked[0], ranked[0], ranked[5]], is_minimized=sign == 1)
    assert twice[0] == twice[1] < twice[2]


def test_no_more_than_two_hundred_trials_make_the_model():
    scores = np.random.default_rng(0).normal(size=500)
    known = [trial(TrialState.COMPLETE, score) for score in scores]
    running = [trial(TrialState.RUNNING) for _ in range(150)]
    points, kept, flying = gaussian_process._subset(known, scores, running)
    assert (len(points), len(flying)) == (100, 100)
    best = set(np.sort(scores)[:50])
    assert best <= set(kept)
    newest = [score for score in scores if score not in best][-50:]
    assert set(kept) == best | set(newest)
    assert len(gaussian_process._subset(known, scores, [])[0]) == 200


def test_what_was_tried_is_not_proposed_by_the_model(toy):
    text = PLAIN.replace("low: -1, high: 1}", "low: -1, high: 1, step: 1}").replace(
        "high: 2", "high: 0"
    )
    sampler = GaussianProcessSampler(toy(text), seed=0, n_startup_trials=2)
    study = optuna.create_study()
    kinds = CategoricalDistribution(["a", "b", "c"])
    layers, x = IntDistribution(0, 0), FloatDistribution(-1, 1, step=1)
    every = [(value, kind) for value in (-1.0, 0.0, 1.0) for kind in "abc"]
    for number, (value, kind) in enumerate(every[:-1]):
        study.add_trial(
            create_trial(
                params={"x": value, "layers": 0, "kind": kind},
                distributions={"x": x, "layers": layers, "kind": kinds},
                value=number,
            )
        )
    asked = study.trials[0]
    frozen = create_trial(state=TrialState.RUNNING)
    frozen.number = len(every)
    space = sampler.infer_relative_search_space(study, frozen)
    assert sampler.sample_relative(study, asked, space) == {"x": 1.0, "layers": 0, "kind": "c"}


@pytest.mark.parametrize(
    "options", [{"n_startup_trials": 1}, {"n_startup_trials": "x"}, {"sed": 1}]
)
def test_a_wrong_option_of_the_gaussian_process_is_refused(toy, options):
    with pytest.raises(UsageError, match="sampler 'gp': "):
        sampler_factory(Component("gp", options), 1, toy())


def test_the_gaussian_process_models_one_objective(toy):
    with pytest.raises(UsageError, match=r"'gp' does not take 2 objectives .*tpe, random, qmc"):
        sampler_factory(Component("gp"), 2, toy())


def test_the_improvement_is_that_of_its_formula_and_does_not_underflow():
    ahead = np.array([0.5, -0.5, -4.9, -5.1, -40.0])
    found = gaussian_process._log_improvement(ahead, np.ones(5))
    exact = [
        math.log(math.exp(-(u**2) / 2) / math.sqrt(2 * math.pi) + u * _phi(u)) for u in ahead[:3]
    ]
    assert found[:3] == pytest.approx(exact, rel=1e-6)
    assert np.all(np.diff(found) < 0)
    assert np.isfinite(found).all()


def _phi(value):
    return math.erfc(-value / math.sqrt(2)) / 2


# What `auto` chooses.


FINITE = PLAIN.replace("low: -1, high: 1}", "low: -1, high: 1, step: 1}").replace(
    "  y: {type: float, low: 0, high: 1, repeat: layers}\n", ""
)
MANY = (
    PLAIN.replace(
        "fixed:",
        "".join(f"  z{n}: {{type: float, low: 0, high: 1}}\n" for n in range(20)) + "fixed:",
    )
    .replace("first: {x: 0.5, layers: 0, kind: a}", "{}")
    .replace("baselines:\n  {}\n", "")
)


@pytest.mark.parametrize(
    ("text", "trials", "name", "why"),
    [
        (PLAIN, 20, "gp", "20 trials of 5 parameters"),
        (PLAIN, 200, "gp", "200 trials of 5 parameters"),
        (PLAIN, 201, "tpe", "201 trials, more than 200"),
        (FINITE, 27, "grid", "27 trials of 27 points"),
        (FINITE, 26, "gp", "26 trials of 3 parameters"),
        (MANY, 20, "tpe", "25 parameters, more than 20"),
        (
            PLAIN.replace("objective: {metric: score, direction: maximize}",
                        "objective: [{metric: score, direction: maximize}, "
                        "{metric: size, direction: minimize}]"),
            20, "tpe", "2 objectives",
        ),
    ],
)  # fmt: skip
def test_auto_chooses_by_its_rule_and_says_why(toy, text, trials, name, why):
    assert chosen_by_auto(toy(text), trials) == (Component(name), why)


# CMA-ES.


def test_a_missing_cmaes_is_named_with_the_extra_that_brings_it(monkeypatch):
    # As in a process that has not imported it.
    monkeypatch.setitem(sys.modules, "cmaes", None)
    monkeypatch.setattr("optuna.samplers._cmaes.cmaes", _LazyImport("cmaes"))
    with pytest.raises(UsageError, match=r"needs the package 'cmaes': .*pip install .*cmaes"):
        sampler_factory(Component("cmaes"))


def test_cmaes_is_optunas_and_asks_for_its_package():
    need("cmaes")
    factory = sampler_factory(Component("cmaes", {"popsize": 5}))
    assert isinstance(factory.make(0, 0), optuna.samplers.CmaEsSampler)
    assert not factory.stateless
    with pytest.raises(UsageError, match=r"sampler 'cmaes': .*popsiz"):
        sampler_factory(Component("cmaes", {"popsiz": 5}))
