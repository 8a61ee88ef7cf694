import numpy as np
import pytest

from sweeps.analysis import importance
from sweeps.analysis.importance import FEWEST
from tests.sweeps.analysis.findings.builders import sweep_data


def points(count, seed=0, deep=lambda random: True):
    random = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        point = {
            "learning_rate": float(10 ** random.uniform(-4, -2)),
            "kind": str(random.choice(["a", "b", "c"])),
        }
        if deep(random):
            point["units"] = int(random.integers(8, 129))
        made.append(point)
    return made


def rate_matters(point):
    return -((np.log10(point["learning_rate"]) + 3) ** 2)


def test_what_matters_stands_out_from_noise_and_the_rest_does_not():
    made = points(80)
    found = {i.name: i for i in sweep_data(made, map(rate_matters, made)).importances}
    assert set(found) == {"learning_rate", "kind", "units", "noise (reference)"}
    assert found["learning_rate"].stands_out
    assert not found["kind"].stands_out
    assert not found["units"].stands_out
    rate = found["learning_rate"]
    assert rate.value > 0.6
    assert rate.low <= rate.value <= rate.high + 0.1
    assert found["noise (reference)"].is_reference


@pytest.mark.parametrize(("seed", "does"), [(3, False), (6, True), (7, False)])
def test_whose_interval_overlaps_that_of_noise_does_not_stand_out(seed, does):
    """In each the share is about 0.8, and every noise that was drawn lies below it."""
    made = points(20, seed)
    random = np.random.default_rng(seed + 100)
    objectives = [rate_matters(point) + 0.1 * random.normal() for point in made]
    found = {one.name: one for one in sweep_data(made, objectives).importances}
    rate, noise = found["learning_rate"], found["noise (reference)"]
    assert rate.value > 0.75 > noise.high
    assert rate.low > noise.value
    assert rate.stands_out == does == (rate.low > noise.high)


@pytest.mark.slow
def test_of_noise_alone_hardly_anything_stands_out():
    claims = 0
    for seed in range(10):
        objectives = np.random.default_rng(seed).normal(size=50)
        claims += sum(i.stands_out for i in sweep_data(points(50, seed), objectives).importances)
    assert claims <= 3, "of 30 chances"


def test_a_minimum_is_found_as_a_maximum_is():
    made = points(60)
    best = sweep_data(made, [-rate_matters(p) for p in made], direction="minimize").importances
    assert best[0].name == "learning_rate"


def test_a_conditional_parameter_is_judged_among_the_trials_that_have_it():
    made = points(80, deep=lambda random: random.random() < 0.5)
    objectives = [float(point.get("units", 0)) for point in made]
    found = {i.name: i for i in sweep_data(made, objectives).importances}
    assert found["units"].trials == sum("units" in point for point in made)
    assert found["units"].stands_out


def test_the_same_sweep_has_the_same_importances():
    made = points(20)
    one = sweep_data(made, map(rate_matters, made)).importances
    importance._importances.cache_clear()
    assert sweep_data(made, map(rate_matters, made)).importances == one


def test_too_few_trials_say_nothing():
    made = points(FEWEST - 1)
    assert sweep_data(made, map(rate_matters, made)).importances == []
