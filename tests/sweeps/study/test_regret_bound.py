"""The rule of `--stop auto`: a bound of the regret, against the noise of the objective."""

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from sweeps.study.regret_bound import (
    CompleteTrial,
    Encoder,
    StopWhenEnough,
    _Process,
    regret_bound,
)

RATE, UNITS = FloatDistribution(1e-4, 1e-2, log=True), IntDistribution(0, 10)
KIND = CategoricalDistribution(("a", "b"))


def test_points_are_placed_in_a_cube_and_what_is_not_active_is_marked():
    encoder = Encoder([{"rate": RATE, "kind": KIND}, {"rate": RATE, "kind": KIND, "units": UNITS}])
    half = 0.5**0.5
    assert encoder.encode({"rate": 1e-3, "kind": "a", "units": 10}) == pytest.approx(
        [1, 0.5, half, 0, 1]
    )
    assert encoder.encode({"rate": 1e-2, "kind": "b"}) == pytest.approx([0, 1, 0, half, 0.5])


def test_the_process_predicts_what_it_was_made_of_and_finds_the_noise():
    rng = np.random.default_rng(1)
    points = rng.random((60, 2))
    truth = np.sin(4 * points[:, 0])
    values = truth + rng.normal(0, 0.1, 60)
    scale = values.std()
    model = _Process(points, (values - values.mean()) / scale)
    means, errors = model.predict(points)
    assert np.abs(scale * means + values.mean() - truth).mean() < 0.08
    assert 0.05 < scale * np.sqrt(model.noise) < 0.2
    assert model.lengths[1] > model.lengths[0], "the second coordinate says nothing"
    far = model.predict(np.full((1, 2), 3.0))[1]
    assert far[0] > 3 * errors.mean()


def searched(count, noise, seed=0, width=2):
    """Return points that draw nearer to the best, at 0.3, and what they showed."""
    rng = np.random.default_rng(seed)
    spread = np.linspace(0.5, 0.05, count)[:, None]
    points = np.clip(0.3 + spread * rng.normal(size=(count, width)), 0, 1)
    return points, ((points - 0.3) ** 2).sum(axis=1) + rng.normal(0, noise, count)


def test_the_bound_falls_below_the_noise_once_the_best_region_is_known():
    anywhere = np.random.default_rng(5).random((500, 2))
    points, values = searched(60, noise=0.02)
    few, noise = regret_bound(points[:20], values[:20], anywhere)
    assert few > noise
    many, noise = regret_bound(points, values, anywhere)
    assert many < noise
    assert (many, noise) == regret_bound(points, values, anywhere), "nothing is random"
    scaled = regret_bound(points, 1000 * values + 7, anywhere)
    assert scaled == pytest.approx((1000 * many, 1000 * noise), rel=1e-6)
    assert regret_bound(points, np.ones(60), anywhere) == (0.0, 0.0)


def test_diverged_values_among_the_worse_half_change_nothing():
    anywhere = np.random.default_rng(5).random((500, 2))
    points, values = searched(60, noise=0.02)
    wild = np.where(values > np.median(values), 1e6, values)
    assert regret_bound(points, wild, anywhere) == regret_bound(points, values, anywhere)


class Square:
    """A space of which only random points are asked for."""

    def samples(self, count):
        rng = np.random.default_rng(0)

        class Walk:
            def __init__(self):
                self.params = {"x": float(rng.random()), "y": float(rng.random())}

        return [Walk() for _ in range(count)]


def test_with_few_trials_nothing_is_enough():
    side = FloatDistribution(0, 1)
    points, values = searched(60, noise=0.02)
    values[40] = values.min() - 0.001
    trials = [
        CompleteTrial({"x": float(x), "y": float(y)}, {"x": side, "y": side}, float(value))
        for (x, y), value in zip(points, values, strict=True)
    ]
    rule = StopWhenEnough(Square())
    assert not rule.is_enough(trials[:19])
    assert not rule.is_enough(trials[:20])
    assert rule.is_enough(trials)
    newest = CompleteTrial(trials[-1].params, trials[-1].distributions, values.min() - 0.001)
    assert not rule.is_enough([*trials, newest]), "the last one was the best"
    assert rule.is_enough([*trials[:-6], newest, *trials[-5:]]), "five others followed"
