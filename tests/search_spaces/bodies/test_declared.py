"""Walking, counting and enumerating declared spaces; Optuna is the suggester."""

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces.bodies import (
    Declaration,
    Declared,
    parse_expression,
    random_answers,
)
from search_spaces.errors import SpaceError
from search_spaces.objectives import Objective
from search_spaces.space import Defaults, Space
from search_spaces.values import Categorical, Fixed, Float, Int
from sweeps.study.gaussian_process import value_at
from sweeps.study.points import walked
from tests.search_spaces.known import answers_of


def trials(count: int):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    return [study.ask() for _ in range(count)]


def test_a_walk_returns_what_optuna_stored_in_declared_order(space):
    for trial in trials(30):
        params = space.walk(answers_of(trial)).params
        assert list(params) == list(trial.params)
        assert params == pytest.approx(trial.params)


def test_repetitions_follow_the_number_sampled(space):
    for trial in trials(30):
        params = space.walk(answers_of(trial)).params
        units = [name for name in params if name.startswith("units_")]
        assert units == [f"units_{i}" for i in range(1, params["hidden_layers"] + 1)]


def test_conditions_decide_what_is_sampled(space):
    walks = [space.walk(answers_of(trial)).params for trial in trials(30)]
    assert {params["optimizer"] for params in walks} == {"sgd", "adam"}
    for params in walks:
        assert ("momentum" in params) == (params["optimizer"] == "sgd")


def test_optuna_receives_the_distributions_of_the_file(space):
    points = [walked(space, lambda _, d, seed=seed: value_at(d, seed / 20)) for seed in range(20)]
    distributions = {name: d for point in points for name, d in point.distributions.items()}
    assert distributions["learning_rate"] == optuna.distributions.FloatDistribution(
        1e-4, 1e-2, log=True
    )
    assert distributions["units_1"] == optuna.distributions.IntDistribution(8, 128, log=True)
    assert distributions["momentum"] == optuna.distributions.FloatDistribution(0, 1, step=0.1)
    assert distributions["batch_size"] == optuna.distributions.CategoricalDistribution(
        (16, 32, 64, 128)
    )


def test_every_walk_of_optuna_is_contained(space):
    for trial in trials(50):
        params = space.walk(answers_of(trial)).params
        assert space.canonical(params) == params


def test_a_configuration_is_fixed_plus_sampled(space):
    params = space.walk(answers_of(trials(1)[0])).params
    assert space.configuration(params) == {"epochs": 40, **params}


def test_a_bundle_sets_several_values_and_its_label_is_gone(load):
    space = load(
        "experiment: a:b\nobjective: {metric: m, direction: minimize}\nparameters:\n"
        "  net: {type: categorical, choices: {p: {units_1: 25, l2: 0}, q: {units_1: 50, d: 1}}}\n"
        "  rate: {type: int, low: 1, high: 2, when: net == q}\n"
    )
    assert space.configuration({"net": "p"}) == {"units_1": 25, "l2": 0}
    assert space.configuration({"net": "q", "rate": 2}) == {"units_1": 50, "d": 1, "rate": 2}
    assert list(space.enumerate()) == [
        {"net": "p"},
        {"net": "q", "rate": 1},
        {"net": "q", "rate": 2},
    ]


def test_enumeration_is_nested_loops_with_the_first_parameter_slowest(finite):
    points = list(finite.enumerate())
    assert points[0] == {"optimizer": "sgd", "momentum": 0.0, "hidden_layers": 0}
    assert points[1] == {
        "optimizer": "sgd",
        "momentum": 0.0,
        "hidden_layers": 1,
        "units_1": 8,
        "clipnorm": None,
    }
    assert points[2]["clipnorm"] == 1.5
    # 4 momenta under sgd and none under adam; no layer, or 3 or 9 widths with 2 clip norms
    assert len(points) == finite.size() == (4 + 1) * (1 + 3 * 2 + 9 * 2)


def test_an_infinite_space_has_no_size_and_says_how_to_make_it_finite(space):
    assert space.size() is None
    with pytest.raises(
        SpaceError, match=r"learning_rate: is continuous .*give it a step, or a list"
    ):
        space.enumerate()


def test_an_enormous_finite_space_is_counted_without_being_walked(load):
    space = load(
        "experiment: a:b\nobjective: {metric: m, direction: minimize}\nparameters:\n"
        "  n: {type: int, low: 0, high: 100}\n"
        "  u: {type: int, low: 1, high: 1000, repeat: n}\n"
    )
    assert space.size() == sum(1000**n for n in range(101))


def test_a_condition_on_an_inactive_parameter_does_not_hold():
    body = Declared(
        (
            Declaration("a", Int(0, 1)),
            Declaration("b", Int(0, 1), when=parse_expression("a == 1")),
            Declaration("c", Int(5, 6), when=parse_expression("b == 0")),
        )
    )
    points = list(body.points({}))
    assert points == [
        {"a": 0},
        {"a": 1, "b": 0, "c": 5},
        {"a": 1, "b": 0, "c": 6},
        {"a": 1, "b": 1},
    ]
    assert body.size({}) == 4


@pytest.mark.parametrize(
    ("domain", "most"),
    [(Int(0, 4), 4), (Categorical((1, 3)), 3), (Fixed(2), 2), (Fixed("a"), 0), (Float(0, 9), 0)],
)
def test_the_most_repetitions_are_those_of_the_largest_value(domain, most):
    repeated = Declaration("units", Int(1, 8), repeat="layers")
    assert Declared((Declaration("layers", domain), repeated)).most(repeated, {}) == most


def test_a_repetition_may_follow_a_fixed_value(load):
    space = load(
        "experiment: a:b\nobjective: {metric: m, direction: minimize}\nparameters:\n"
        "  u: {type: int, low: 1, high: 2, repeat: n}\nfixed: {n: 2}\n"
    )
    assert space.size() == 4
    assert not space.conditional
    assert [row.name for row in space.parameters] == ["u_1 .. u_2"]


def test_a_condition_may_ask_for_a_fixed_value(load):
    text = (
        "experiment: a:b\nobjective: {metric: m, direction: minimize}\nparameters:\n"
        "  a: {type: int, low: 1, high: 2, when: f == on}\n"
        "  b: {type: int, low: 1, high: 2, when: f == off}\nfixed: {f: on}\n"
    )
    space = load(text)
    assert list(space.enumerate()) == [{"a": 1}, {"a": 2}]
    assert not space.conditional


def test_tables_name_range_kind_and_condition(space):
    rows = {row.name: row for row in space.parameters}
    assert rows["learning_rate"].range == "0.0001..0.01 log"
    assert rows["units_1 .. units_3"].condition == "as many as hidden_layers"
    assert rows["momentum"].condition == "when optimizer == sgd"
    assert rows["batch_size"].kind == "categorical"


# Properties over arbitrary small spaces.

_ranges = st.tuples(st.integers(0, 3), st.integers(0, 2)).map(lambda t: Int(t[0], t[0] + t[1]))
_grids = st.integers(0, 3).map(lambda n: Float(0, n / 10, step=0.1) if n else Float(1, 1))
_choices = st.lists(st.sampled_from([1, 2, 4, "x", None]), min_size=1, max_size=3, unique=True)
_domains = _ranges | _grids | _choices.map(lambda c: Categorical(tuple(c)))


@st.composite
def bodies(draw):
    parameters: list[Declaration] = []
    for index in range(draw(st.integers(1, 4))):
        plain = [p for p in parameters if p.repeat is None]
        counters = [p.name for p in plain if isinstance(p.domain, Int)]
        deciders = [p for p in plain if p.domain.size]
        when = repeat = None
        if deciders and draw(st.booleans()):
            decider = draw(st.sampled_from(deciders))
            number = draw(st.integers(0, decider.domain.size - 1))
            symbol = draw(st.sampled_from(["==", "!="]))
            value = decider.domain.value_at(number)
            when = parse_expression(f"{decider.name} {symbol} {'null' if value is None else value}")
        if counters and draw(st.booleans()):
            repeat = draw(st.sampled_from(counters))
        parameters.append(Declaration(f"p{index}", draw(_domains), when, repeat))
    return Declared(tuple(parameters))


def as_space(body: Declared) -> Space:
    objective = Objective("m", "maximize")
    return Space("s", "", "a:b", (objective,), {"f": 1}, {}, (), Defaults(), body)


@settings(max_examples=100, deadline=None)
@given(bodies())
def test_enumeration_yields_size_distinct_points_each_of_them_contained(body):
    space = as_space(body)
    if space.size() > 300:
        return
    points = list(space.enumerate())
    assert len({repr(point) for point in points}) == len(points) == space.size()
    for point in points:
        space.configuration(point)
        assert space.canonical(dict(reversed(point.items()))) == point


@settings(max_examples=150, deadline=None)
@given(bodies(), st.integers(0, 10**6))
def test_every_walked_point_is_contained_and_every_enlarged_or_reduced_one_is_not(body, seed):
    space = as_space(body)
    params = space.walk(random_answers(seed)).params
    space.configuration(params)
    with pytest.raises(SpaceError, match="stranger"):
        space.configuration({**params, "stranger": 1})
    for name in params:
        with pytest.raises(SpaceError):
            space.configuration({key: value for key, value in params.items() if key != name})


@settings(max_examples=100, deadline=None)
@given(bodies())
def test_a_stored_space_is_the_same_space(body):
    space = as_space(body)
    again = Space.from_dict(space.to_dict())
    assert again == space
    assert again.digest() == space.digest()
