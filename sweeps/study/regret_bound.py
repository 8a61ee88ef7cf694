"""Bounds what more trials can bring, from a Gaussian process over those that have ended.

After Makarova et al. 2022, "Automatic Termination for Hyperparameter Optimization" (AutoML-Conf):
with the confidence band of a Gaussian process, the regret of the best configuration tried so far is
at most its upper end less the lowest lower end anywhere in the space. Once this bound is below the
noise of the objective, what another trial would win could hardly be told from luck.

Their band holds for the whole space at once, and with it no search of 100 trials of our tables ever
ends. So the band is narrower here (`_BAND`), and the bound is what is expected rather than what is
certain; docs/evidence/search.md has what that saves and costs. Nor is it enough while the best is
among the newest trials: where the last ones have won something, the model knows the least. As in
the terminator of Optuna 3 and 4, only the better half of the trials is modelled, for the worst say
nothing about the best and would dominate the scale. The kernel is Matern 5/2 with a length for each
parameter. Its lengths and its noise maximise the posterior density on a fixed grid, one after the
other, so that the same outcomes give the same bound.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution

from search_spaces.parameters import Value
from search_spaces.space import Space

Points = NDArray[np.float64]

FEWEST: Final = 20
"""With fewer complete trials nothing is bounded."""
EVERY: Final = 5
"""The bound is computed whenever so many more trials have ended."""
_ANYWHERE: Final = 1000
"""How many random points stand for the space."""
_BAND: Final = 0.5
"""Half the width of the confidence band, in standard errors."""
_TOP: Final = 0.5
"""The share of the trials that is modelled, the best ones."""
_LENGTHS: Final = np.exp(np.linspace(math.log(0.1), math.log(4.0), 7))
_NOISES: Final = np.exp(np.linspace(math.log(1e-3), math.log(1.0), 8))
"""Variances of the noise, where the values have variance 1."""
_ROUNDS: Final = 3


class Encoder:
    """Places points of a space in a cube; what is not active lies in the middle, and is marked."""

    def __init__(self, seen: Sequence[Mapping[str, BaseDistribution]]) -> None:
        """Take the distributions of each trial's parameters."""
        self._known: dict[str, BaseDistribution] = {}
        for distributions in seen:
            self._known |= distributions
        self._optional = [n for n in self._known if any(n not in one for one in seen)]

    def encode(self, params: Mapping[str, Value]) -> list[float]:
        """Return the coordinates of a point, most of them from 0 to 1."""
        found = [float(name in params) for name in self._optional]
        for name, distribution in self._known.items():
            found += _coordinates(distribution, params.get(name))
        return found


def _coordinates(distribution: BaseDistribution, value: Value | None) -> list[float]:
    if isinstance(distribution, CategoricalDistribution):
        same = [value == choice and type(value) is type(choice) for choice in distribution.choices]
        return [one / math.sqrt(2) for one in same]
    low, high = float(distribution.low), float(distribution.high)  # type: ignore[attr-defined]
    if value is None or high <= low:
        return [0.5]
    assert isinstance(value, int | float)
    if distribution.log:  # type: ignore[attr-defined]
        low, high, value = math.log(low), math.log(high), math.log(value)
    return [(value - low) / (high - low)]


@dataclass(frozen=True)
class CompleteTrial:
    """A complete trial, as the bound needs it.

    Attributes:
        params: Its parameters.
        distributions: Their distributions.
        value: Its objective, less is better.
    """

    params: Mapping[str, Value]
    distributions: Mapping[str, BaseDistribution]
    value: float


class StopWhenEnough:
    """Says when more trials of a space are not worth their time."""

    def __init__(self, space: Space) -> None:
        self._space = space

    @cached_property
    def _anywhere(self) -> list[Mapping[str, Value]]:
        return [walk.params for walk in self._space.samples(_ANYWHERE)]

    def is_enough(self, trials: Sequence[CompleteTrial]) -> bool:
        """Whether the regret of the best of these trials is below the noise of the objective.

        Never while the best is one of the newest `EVERY`.

        Args:
            trials: Complete trials, in their order.
        """
        values = np.array([trial.value for trial in trials])
        if len(trials) < FEWEST or values.argmin() >= len(trials) - EVERY:
            return False
        encoder = Encoder([trial.distributions for trial in trials])
        points = np.array([encoder.encode(trial.params) for trial in trials])
        anywhere = np.array([encoder.encode(params) for params in self._anywhere])
        bound, noise = regret_bound(points, values, anywhere)
        return bound <= noise


def regret_bound(
    points: Points, values: NDArray[np.float64], anywhere: Points
) -> tuple[float, float]:
    """Return the bound of the regret of the best trial, and the standard deviation of the noise.

    Both are in the unit of the values.

    Args:
        points: (n, d) coordinates of the trials.
        values: (n,) their values, less is better.
        anywhere: (m, d) points all over the space.
    """
    best = np.argsort(values, kind="stable")[: max(FEWEST, round(_TOP * len(values)))]
    points, values = points[best], values[best]
    scale = float(values.std())
    if scale == 0:
        return 0.0, 0.0
    standard = (values - values.mean()) / scale
    model = _Process(points, standard)
    means, errors = model.predict(np.vstack([anywhere, _around(points[:3]), points]))
    upper = float((means + _BAND * errors)[-len(points) :].min())
    lower = float((means - _BAND * errors).min())
    return scale * (upper - lower), scale * math.sqrt(model.noise)


def _around(points: Points) -> Points:
    """Return points near the best ones, where the lowest end is likely to be."""
    steps = np.random.default_rng(0).normal(0, 0.1, (64, points.shape[1]))
    return np.clip(points[:, None] + steps, 0, 1).reshape(-1, points.shape[1])


class _Process:
    """A Gaussian process of variance 1 with noise, its parameters chosen by the values."""

    def __init__(self, points: Points, values: NDArray[np.float64]) -> None:
        self._points, self._values = points, values
        width = points.shape[1]
        self._squares = (points[:, None] - points[None]) ** 2
        lengths, noise = np.full(width, 1.0), 0.1
        best = self._density(lengths, noise)
        for _ in range(_ROUNDS):
            for place in range(width + 1):
                for candidate in _NOISES if place == width else _LENGTHS:
                    tried, other = lengths.copy(), noise
                    if place == width:
                        other = float(candidate)
                    else:
                        tried[place] = candidate
                    density = self._density(tried, other)
                    if density > best:
                        best, lengths, noise = density, tried, other
        self.lengths, self.noise = lengths, noise
        covariance = _matern(self._squares @ lengths**-2) + noise * np.eye(len(values))
        self._inverse = np.linalg.inv(covariance)
        self._weights = self._inverse @ values

    def _density(self, lengths: NDArray[np.float64], noise: float) -> float:
        """Return the logarithm of the posterior density of parameters, up to a constant.

        Priors: lengths log-normal around 1, noise log-normal around 0.1, wide.
        """
        count = len(self._values)
        covariance = _matern(self._squares @ lengths**-2) + noise * np.eye(count)
        try:
            root = np.linalg.cholesky(covariance)
        except np.linalg.LinAlgError:
            return -math.inf
        half = np.linalg.solve(root, self._values)
        likelihood = -0.5 * float(half @ half) - float(np.log(np.diag(root)).sum())
        prior = float((np.log(lengths) ** 2).sum()) / 2 + (math.log(noise / 0.1) / 2) ** 2 / 2
        return likelihood - prior

    def predict(self, points: Points) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return (m,) means and standard errors of the objective without its noise."""
        scaled, known = points / self.lengths, self._points / self.lengths
        squares = (scaled**2).sum(1)[:, None] + (known**2).sum(1) - 2 * scaled @ known.T
        kernel = _matern(np.maximum(squares, 0.0))
        means = kernel @ self._weights
        left = 1 - np.einsum("ij,jk,ik->i", kernel, self._inverse, kernel, optimize=True)
        return means, np.sqrt(np.maximum(left, 0.0))


def _matern(squares: NDArray[np.float64]) -> NDArray[np.float64]:
    distances = np.sqrt(5 * squares)
    found: NDArray[np.float64] = (1 + distances + distances**2 / 3) * np.exp(-distances)
    return found
