"""A point of one space in another: same configuration, or none."""

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from search_spaces.bodies import Declaration, Declared, parse_expression, random_answers
from search_spaces.errors import SpaceError
from search_spaces.mapping import counterpart
from search_spaces.objectives import Objective
from search_spaces.parameters import ParameterInfo, find_parameter
from search_spaces.space import Defaults, Space
from search_spaces.values import Categorical, Float, Int, same

KNOWN = {
    "rate": ParameterInfo("float", 0.0, 100.0, required=True),
    "layers": ParameterInfo("int", 0, 5, default=0),
    "units_{i}": ParameterInfo("int", 1, 64, default=8),
    "kind": ParameterInfo("categorical", choices=("a", "b", "c"), default="a"),
    "dropout": ParameterInfo("float", 0.0, 0.9, default=0.0),
    "batch": ParameterInfo("int", 1, 64, default=32),
}


def make_space(*parameters, **fixed):
    return Space(
        name="made",
        description="",
        experiment="somewhere:experiment",
        objectives=(Objective("score", "maximize"),),
        fixed=fixed,
        baselines={},
        constraints=(),
        defaults=Defaults(),
        body=Declared(tuple(parameters)),
    )


def rate(low=0.0, high=1.0):
    return Declaration("rate", Float(low, high))


LAYERS = (
    Declaration("layers", Int(0, 2)),
    Declaration("units", Int(1, 16), repeat="layers"),
)


def moved(before, after, params):
    return counterpart(after, params, before.configuration(params), KNOWN)


@pytest.mark.parametrize(
    ("before", "after", "params", "expected"),
    [
        pytest.param([rate()], [rate(0, 2)], {"rate": 0.3}, {"rate": 0.3}, id="widened"),
        pytest.param([rate()], [rate(0, 0.5)], {"rate": 0.3}, {"rate": 0.3}, id="narrowed around"),
        pytest.param(
            [rate(), Declaration("kind", Categorical(("a", "b")))],
            [rate(), Declaration("kind", Categorical(("c", "b", "a")))],
            {"rate": 0.3, "kind": "b"},
            {"rate": 0.3, "kind": "b"},
            id="more choices",
        ),
        pytest.param(
            [rate()],
            [Declaration("dropout", Float(0, 0.5)), rate()],
            {"rate": 0.3},
            {"dropout": 0.0, "rate": 0.3},
            id="new parameter, at its default",
        ),
        pytest.param(
            [rate(), Declaration("dropout", Float(0, 0.5))],
            [rate()],
            {"rate": 0.3, "dropout": 0.0},
            {"rate": 0.3},
            id="parameter gone, at its default",
        ),
        pytest.param(
            [rate(), *LAYERS],
            [
                rate(),
                Declaration("layers", Int(0, 4)),
                Declaration("units", Int(1, 32), repeat="layers"),
            ],
            {"rate": 0.3, "layers": 2, "units_1": 4, "units_2": 16},
            {"rate": 0.3, "layers": 2, "units_1": 4, "units_2": 16},
            id="repeated",
        ),
        pytest.param(
            [rate()],
            [
                rate(),
                Declaration("dropout", Float(0.1, 0.5), when=parse_expression("rate > 0.5")),
            ],
            {"rate": 0.3},
            {"rate": 0.3},
            id="new parameter, not active here",
        ),
    ],
)
def test_a_trial_keeps_its_values_in_a_changed_space(before, after, params, expected):
    found = moved(make_space(*before), make_space(*after), params)
    assert found == expected
    assert list(found) == list(expected)


@pytest.mark.parametrize(
    ("before", "after", "params", "message"),
    [
        pytest.param([rate()], [rate(0.5, 1)], {"rate": 0.3}, "rate: received 0.3, outside 0.5..1"),
        pytest.param(
            [rate(), Declaration("kind", Categorical(("a", "b")))],
            [rate(), Declaration("kind", Categorical(("a", "c")))],
            {"rate": 0.3, "kind": "b"},
            "kind: received 'b'; allowed: a, c",
        ),
        pytest.param(
            [rate()],
            [rate(), Declaration("dropout", Float(0.1, 0.5))],
            {"rate": 0.3},
            "dropout: received 0, outside 0.1..0.5",
            id="the default lies outside",
        ),
        pytest.param(
            [rate(), Declaration("dropout", Float(0, 0.5))],
            [rate()],
            {"rate": 0.3, "dropout": 0.2},
            "dropout: was 0.2, would be 0",
            id="gone, and not at its default",
        ),
        pytest.param(
            [rate(), Declaration("dropout", Float(0, 0.5))],
            [
                rate(),
                Declaration("dropout", Float(0, 0.5), when=parse_expression("rate > 0.5")),
            ],
            {"rate": 0.3, "dropout": 0.2},
            "dropout: was 0.2, would be 0",
            id="no longer active here",
        ),
    ],
)
def test_a_trial_outside_a_changed_space_is_told_why(before, after, params, message):
    with pytest.raises(SpaceError) as caught:
        moved(make_space(*before), make_space(*after), params)
    assert str(caught.value) == message


def test_a_fixed_value_counts_as_a_value_and_as_a_difference():
    before = make_space(rate(), batch=16)
    sampled = make_space(rate(), Declaration("batch", Int(8, 64)))
    assert moved(before, sampled, {"rate": 0.3}) == {"rate": 0.3, "batch": 16}
    assert moved(sampled, before, {"rate": 0.3, "batch": 16}) == {"rate": 0.3}
    with pytest.raises(SpaceError, match="batch: was 16, would be 32"):
        moved(before, make_space(rate()), {"rate": 0.3})
    with pytest.raises(SpaceError, match="rate: was not set, would be 1"):
        counterpart(make_space(rate=1.0), {}, {}, KNOWN)


def test_a_bundle_is_the_same_choice_only_while_it_sets_the_same():
    def bundled(size):
        bundles = {"small": {"batch": size}, "none": {}}
        return make_space(rate(), Declaration("size", Categorical(("small", "none"), bundles)))

    params = {"rate": 0.3, "size": "small"}
    assert moved(bundled(8), bundled(8), params) == params
    with pytest.raises(SpaceError, match="batch: was 8, would be 16"):
        moved(bundled(8), bundled(16), params)


@st.composite
def spaces(draw):
    """Small spaces over the same few parameters: sampled, fixed or left alone; conditional too."""
    low, high = draw(st.sampled_from([(0, 1), (0, 0.8), (0.2, 5), (0, 100)]))
    parameters, fixed = [rate(low, high)], {}
    how = draw(st.sampled_from(["sampled", "sampled", "fixed", "absent"]))
    if how == "sampled":
        most = draw(st.integers(1, 3))
        units = Int(draw(st.integers(1, 4)), draw(st.integers(5, 9)))
        parameters += [
            Declaration("layers", Int(0, most)),
            Declaration("units", units, repeat="layers"),
        ]
    elif how == "fixed":
        fixed["layers"] = draw(st.integers(0, 1))
    choices = draw(st.permutations("abc"))[: draw(st.integers(2, 3))]
    parameters.append(Declaration("kind", Categorical(tuple(choices))))
    if draw(st.booleans()):
        when = draw(st.sampled_from([None, "kind == 'a'", "kind != 'a'"]))
        domain = draw(st.sampled_from([Float(0, 0.4), Float(0, 0.8, step=0.2), Float(0.1, 0.2)]))
        parameters.append(
            Declaration("dropout", domain, when=parse_expression(when) if when else None)
        )
    return make_space(*parameters, **fixed)


def effective(config):
    """What the experiment makes of a configuration, defaults included; only what is not default."""
    return {
        name: value
        for name, value in config.items()
        if find_parameter(name, KNOWN).required
        or not same(value, find_parameter(name, KNOWN).default)
    }


@settings(
    max_examples=200,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.filter_too_much],  # most points of most spaces do not move
)
@given(before=spaces(), after=spaces(), seed=st.integers(0, 2**16))
def test_whatever_moves_means_the_same_configuration_and_lies_in_the_new_space(before, after, seed):
    params = before.walk(random_answers(seed)).params
    try:
        found = moved(before, after, params)
    except SpaceError:
        assume(False)
    after.configuration(found)
    assert found == after.canonical(found)
    old, new = effective(before.configuration(params)), effective(after.configuration(found))
    assert old.keys() == new.keys()
    assert all(
        new[name] == (pytest.approx(value) if isinstance(value, float) else value)
        for name, value in old.items()
    )


@settings(max_examples=200, deadline=None, phases=[Phase.generate])
@given(before=spaces(), after=spaces(), seed=st.integers(0, 2**16))
def test_whatever_does_not_move_has_no_point_in_the_new_space(before, after, seed):
    """Sought from the other side: a point of the new space always finds its way to itself."""
    point = after.walk(random_answers(seed)).params
    config = after.configuration(point)
    try:
        back = counterpart(before, point, config, KNOWN)
    except SpaceError:
        back = None
    if back is not None:
        assert moved(before, after, back) == pytest.approx(point)
    assert moved(after, after, point) == point
