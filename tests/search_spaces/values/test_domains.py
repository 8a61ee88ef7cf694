import json

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces.errors import SpaceError
from search_spaces.values import Categorical, Fixed, Float, Int, domain_from_dict
from tests.search_spaces.known import answers_of

DOMAINS = [
    Float(1e-4, 1e-2, log=True),
    Float(-1, 1),
    Float(0, 0.5, step=0.1),
    Float(2, 2),
    Int(1, 3),
    Int(8, 128, log=True),
    Int(0, 10, step=5),
    Categorical((16, 32.5, "a", None, True)),
    Categorical(("p", "q"), {"p": {"l2": 0}, "q": {"l2": 1}}),
]


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda domain: domain.text)
@settings(deadline=None)
@given(fraction=st.floats(0, 1))
def test_a_value_picked_anywhere_in_a_domain_is_accepted_unchanged(domain, fraction):
    value = domain.pick(fraction)
    accepted = domain.accept(value)
    assert accepted == value
    assert type(accepted) is type(value)


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda domain: domain.text)
def test_what_optuna_suggests_is_accepted(domain):
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1)).ask()
    accepted = domain.accept(answers_of(trial)("x", domain))
    assert accepted == pytest.approx(trial.params["x"])
    assert domain.accept(accepted) == accepted


@pytest.mark.parametrize("domain", [*DOMAINS, Fixed(3), Fixed("p", {"l2": 0})], ids=repr)
def test_a_domain_survives_json(domain):
    assert domain_from_dict(json.loads(json.dumps(domain.to_dict()))) == domain


@pytest.mark.parametrize(
    ("domain", "values"),
    [
        (Float(0, 0.3, step=0.1), [0, 0.1, 0.2, 0.3]),
        (Float(2, 2), [2]),
        (Int(0, 10, step=5), [0, 5, 10]),
        (Int(1, 3, log=True), [1, 2, 3]),
        (Categorical(("b", "a")), ["b", "a"]),
        (Fixed(7), [7]),
    ],
)
def test_finite_domains_count_their_values_exactly(domain, values):
    assert [domain.value_at(index) for index in range(domain.size)] == values


@pytest.mark.parametrize("domain", [Float(0, 1), Float(0.1, 1, log=True)])
def test_continuous_ranges_have_no_size(domain):
    assert domain.size is None


def test_a_float_on_steps_comes_back_exactly_on_its_step():
    assert Float(0, 0.5, step=0.1).accept(0.1 + 0.2) == 0.3


@pytest.mark.parametrize(
    ("domain", "value", "fragment"),
    [
        (Float(0, 1), 1.01, "outside 0..1"),
        (Float(0, 1), "a", "a number in 0..1 is needed"),
        (Float(0, 1), True, "a number in 0..1 is needed"),
        (Float(0, 1), float("nan"), "a number in 0..1 is needed"),
        (Float(0, 1, step=0.25), 0.3, "not on the steps of 0..1 step 0.25"),
        (Int(0, 4, step=2), 3, "not on the steps of 0..4 step 2"),
        (Int(0, 4), 5, "outside 0..4"),
        (Int(0, 4), 2.5, "a whole number in 0..4 is needed"),
        (Categorical((1, 2)), True, "allowed: 1, 2"),
        (Categorical(("sgd", "adam")), "Adam", "did you mean 'adam'"),
        (Fixed(3), 4, "it is fixed to 3"),
    ],
)
def test_a_value_outside_is_refused_with_what_is_allowed(domain, value, fragment):
    with pytest.raises(SpaceError, match=fragment):
        domain.accept(value)


def test_a_float_domain_stores_whole_numbers_as_floats():
    assert type(Float(0, 1).accept(1)) is float
    assert Float(0, 1).to_dict() == Float(0.0, 1.0).to_dict()


@pytest.mark.parametrize(
    ("low", "high"), [("a", 1), (1, "a"), (float("inf"), 1), (0, float("nan")), (True, 2)]
)
def test_bounds_of_a_float_must_be_finite_numbers(low, high):
    with pytest.raises(SpaceError, match="a finite number is needed"):
        Float(low, high)


def test_bounds_of_an_int_must_be_whole():
    with pytest.raises(SpaceError, match=r"low is 1.5; a whole number is needed"):
        Int(1.5, 3)


def test_a_long_list_of_choices_is_cut_in_messages():
    assert Categorical(tuple(range(50))).text.endswith("... (50 in all)")
