"""What may vary of an estimator: lists, distributions of scipy and Optuna, objects, YAML."""

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from scipy.stats import loguniform, norm, randint, uniform

from search_spaces.values import Categorical, Float, Int
from sweeps.errors import UsageError
from sweeps.estimators.spaces import space_of

CONDITIONAL = """
parameters:
  kernel: {type: categorical, choices: [linear, rbf]}
  gamma: {type: float, low: 0.01, high: 1, log: true, when: kernel == 'rbf'}
fixed: {C: 2.0}
"""


def made(given):
    return space_of(given, "here:it", "accuracy", "svc", 6)


@pytest.mark.parametrize(
    ("given", "domain"),
    [
        ([3, 2.5, None, True, "a"], Categorical((3, 2.5, None, True, "a"))),
        (np.array([0.1, 1.0]), Categorical((0.1, 1.0))),
        (loguniform(1e-3, 10), Float(1e-3, 10.0, log=True)),
        (uniform(2, 3), Float(2.0, 5.0)),
        (randint(2, 5, loc=10), Int(12, 14)),
        (FloatDistribution(0.1, 10, log=True), Float(0.1, 10.0, log=True)),
        (FloatDistribution(0, 1, step=0.25), Float(0.0, 1.0, step=0.25)),
        (IntDistribution(1, 64, log=True), Int(1, 64, log=True)),
        (IntDistribution(1, 9, step=2), Int(1, 9, step=2)),
        (CategoricalDistribution(["a", None]), Categorical(("a", None))),
    ],
)
def test_every_form_has_the_values_that_its_library_gives_it(given, domain):
    space, _ = made({"C": given})
    assert {one.name: one.domain for one in space.body.parameters} == {"C": domain}
    assert (space.objective.direction, space.defaults.trials) == ("maximize", 6)


def test_objects_stand_in_the_space_as_texts_and_a_single_value_is_fixed():
    space, objects = made({"sizes": [(5,), (5, 5), None], "of": [(1, 2)]})
    assert space.body.parameters[0].domain == Categorical(("(5,)", "(5, 5)", None))
    assert space.fixed == {"of": "(1, 2)"}
    assert objects == {"sizes": {"(5,)": (5,), "(5, 5)": (5, 5)}, "of": {"(1, 2)": (1, 2)}}


@pytest.mark.parametrize("more", ["", "defaults: {trials: 99}", "defaults:"])
def test_a_file_says_what_depends_on_what_and_the_call_says_the_rest(tmp_path, more):
    (tmp_path / "svc.yaml").write_text(CONDITIONAL + more)
    space, _ = made(tmp_path / "svc.yaml")
    assert (space.experiment, space.objective.metric) == ("here:it", "accuracy")
    assert space.defaults.trials == 6
    assert space.configuration({"kernel": "linear"}) == {"C": 2.0, "kernel": "linear"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "give a dict of what may vary"),
        ("none.yaml", "none.yaml: no such file"),
        ({"C": 3}, "C: received 3; give a list of values, scipy"),
        ({"C": "abc"}, "C: received 'abc'"),
        ({"C": norm(0, 1)}, "C: received scipy.stats.norm"),
        ({"C": []}, "C: choices is empty"),
        ({"C": [1, "1"]}, "C: two of its values look alike"),
        ({"C": [1, float("nan")]}, "C.choices.1: received nan"),
    ],
)
def test_anything_else_is_refused_by_the_name_of_the_parameter(given, said):
    with pytest.raises(UsageError) as raised:
        made(given)
    assert said in str(raised.value)
