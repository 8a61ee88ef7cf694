"""The sampler `gp`: a Gaussian process that knows what is in flight.

It is our own, because Optuna's `GPSampler` needs PyTorch, and draws conditional parameters at
random, since they are in no intersection of search spaces. NumPy and SciPy are installed anyway.

- **Space.** Candidates are walks through the space, so that each has the parameters that are active
  together. In the model an inactive parameter stands in the middle of its range, and a dimension of
  its own says whether it is active.
- **Outcomes** count by their rank, as normal scores (Salinas et al. 2020, arXiv 1909.13595): no
  outlier flattens the rest. Pruned trials rank behind complete ones, those pruned early behind
  those pruned late, as in TPE; diverged ones come last.
- **Kernel.** Matern 5/2 with a length a dimension; lengths, signal and noise are those of the
  highest posterior density. Lengths grow with the number of dimensions by their prior (Hvarfner et
  al. 2024, arXiv 2402.02229).
- **In flight.** A running trial is believed to show what the model predicts of it (kriging
  believer, Ginsbourger et al. 2010), which leaves the mean and lowers the variance around it.
- **Proposal.** The candidate of the largest expected improvement on the best mean of a point that
  was tried, among random walks and steps from the best points.

A proposal depends on the trials that it may see and on its seed alone. At most `MOST` trials make
the model: the newest of those in flight, then one half of the rest the best, the other the newest.
Products run on one thread, and hyperparameters are rounded, so that the number of cores does not
decide a proposal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, cast

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState

from search_spaces.parameters import Value
from search_spaces.space import Space
from sweeps.study.sampler_view import AskingTrial

Array = NDArray[np.float64]

MOST: Final = 200
"""Most trials that the model knows, those in flight included."""
_MOST_IN_FLIGHT: Final = 100
_MOST_FITTED: Final = 100
"""Most trials that decide the hyperparameters; their cost grows with the third power."""
_RANDOM: Final = 192
"""Candidates that are random walks."""
_BEST: Final = 4
"""Points from which candidates step away."""
_STEPS: Final = 16
"""Candidates a point and round."""
_LENGTHS: Final = (0.2, 0.1, 0.03)
"""Standard deviation of the steps in each round, as a share of the range."""
_FEW: Final = 8
_ITERATIONS: Final = 15


@dataclass(frozen=True)
class ModelPoint:
    """Parameters with their distributions."""

    params: Mapping[str, Value]
    distributions: Mapping[str, BaseDistribution]

    @property
    def key(self) -> tuple[tuple[str, Value], ...]:
        """Equal for equal points."""
        return tuple(sorted(self.params.items()))


class GaussianProcessSampler(optuna.samplers.BaseSampler):
    """Proposes the candidate of the largest expected improvement, see the module."""

    def __init__(
        self, space: Space, *, seed: int, n_startup_trials: int = 5, is_cautious: bool = False
    ) -> None:
        """Make the sampler of one proposal.

        Args:
            space: The space that trials come from.
            seed: Seed of the proposal.
            n_startup_trials: Trials with an outcome before the model proposes, from 2.
            is_cautious: Whether the best of few candidates is proposed, as after a rejection: all
                candidates together lead to the point that was rejected.
        """
        if not isinstance(n_startup_trials, int) or n_startup_trials < 2:
            raise ValueError(
                f"n_startup_trials={n_startup_trials!r}: give a whole number from 2 on"
            )
        self._space = space
        self._rng = np.random.default_rng(seed)
        self._random = optuna.samplers.RandomSampler(seed=seed)
        self._start_up = n_startup_trials
        self._is_cautious = is_cautious
        self._chosen: Mapping[str, Value] = {}

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Choose the point, whose parameters are the search space; none before the model."""
        self._chosen = {}
        others = [t for t in study.get_trials(deepcopy=False) if t.number != trial.number]
        known = [t for t in others if t.state in {TrialState.COMPLETE, TrialState.PRUNED}]
        if len(known) < self._start_up:
            return {}
        running = [t for t in others if t.state == TrialState.RUNNING and t.params]
        is_minimized = study.direction == optuna.study.StudyDirection.MINIMIZE
        with _pools().limit(limits=1):
            found = self._choose(
                *_subset(known, _scores(known, is_minimized), running),
                seen={_point(t).key for t in others},
            )
        if found is None:
            return {}
        self._chosen = found.params
        return dict(found.distributions)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the point chosen."""
        return dict(self._chosen)

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Draw uniformly: before the model, or what the chosen point has not."""
        return self._random.sample_independent(study, trial, param_name, param_distribution)

    def _choose(
        self,
        known: Sequence[ModelPoint],
        scores: Array,
        running: Sequence[ModelPoint],
        seen: set[tuple[tuple[str, Value], ...]],
    ) -> ModelPoint | None:
        candidates = [self._walk() for _ in range(_FEW if self._is_cautious else _RANDOM)]
        coding = Coding(candidates, [*known, *running])
        model = Model.fitted(coding, known, scores).with_running(running)
        tried = [*known, *running]
        best = np.argsort(model.means_of_known(), kind="stable")[:_BEST]
        centres = [self._walked_again(tried[place]) for place in best]
        if self._is_cautious:
            candidates += [self._step(centres[n % len(centres)], _LENGTHS[0]) for n in range(_FEW)]
            return _first_unseen(candidates, model.gains(candidates), seen)
        found: list[ModelPoint] = []
        gains = np.empty(0)
        for length in _LENGTHS:
            candidates += [self._step(centre, length) for centre in centres for _ in range(_STEPS)]
            found, gains = found + candidates, np.append(gains, model.gains(candidates))
            candidates = []
            centres = [found[place] for place in np.argsort(-gains, kind="stable")[:_BEST]]
        return _first_unseen(found, gains, seen)

    def _walk(self) -> ModelPoint:
        draws = iter(self._rng.random(64).tolist())
        return _walked(self._space, lambda _, d: value_at(d, self._next(draws)))

    def _walked_again(self, point: ModelPoint) -> ModelPoint:
        """Return a point with the distributions of a walk, which are quick to compare."""
        return _walked(self._space, lambda name, d: point.params.get(name, value_at(d, 0.5)))

    def _step(self, centre: ModelPoint, length: float) -> ModelPoint:
        """Return a point near another: each parameter moves with a chance of one half."""
        uniform = iter(self._rng.random(128).tolist())
        normal = iter((length * self._rng.standard_normal(64)).tolist())

        def answer(name: str, distribution: BaseDistribution) -> Value:
            if centre.distributions.get(name) is not distribution:
                return value_at(distribution, self._next(uniform))
            value = centre.params[name]
            if self._next(uniform) < 0.5:
                return value
            if isinstance(distribution, CategoricalDistribution):
                return value_at(distribution, self._next(uniform))
            assert isinstance(distribution, FloatDistribution | IntDistribution)
            step = next(normal, None) or length * self._rng.standard_normal()
            moved = abs(float(_places(distribution, value)) + step)
            return value_at(distribution, moved if moved <= 1 else max(0.0, 2 - moved))

        return _walked(self._space, answer)

    def _next(self, draws: Iterator[float]) -> float:
        drawn = next(draws, None)
        return float(self._rng.random()) if drawn is None else drawn


def _walked(space: Space, answer: Callable[[str, BaseDistribution], Value]) -> ModelPoint:
    asked: dict[str, BaseDistribution] = {}

    def noted(name: str, distribution: BaseDistribution) -> Value:
        asked[name] = distribution
        return answer(name, distribution)

    params = space.walk(AskingTrial(noted)).params
    return ModelPoint(params, {name: asked[name] for name in params})


def _span(distribution: FloatDistribution | IntDistribution) -> tuple[float, float]:
    """Return the range on its own scale; a value with a step stands for half a step around it."""
    half = (distribution.step or 0) / 2
    low, high = distribution.low - half, distribution.high + half
    return (math.log(low), math.log(high)) if distribution.log else (low, high)


def _places(distribution: FloatDistribution | IntDistribution, values: Any) -> Any:
    """Return where numbers lie in their range, from 0 to 1."""
    low, high = _span(distribution)
    return (np.log(values) - low if distribution.log else values - low) / (high - low or 1.0)


def value_at(distribution: BaseDistribution, place: float) -> Value:
    """Return the value at a place from 0 to 1."""
    if isinstance(distribution, CategoricalDistribution):
        count = len(distribution.choices)
        return distribution.choices[min(int(place * count), count - 1)]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high = _span(distribution)
    value = low + place * (high - low)
    value = math.exp(value) if distribution.log else value
    if distribution.step:
        steps = round((value - distribution.low) / distribution.step)
        value = distribution.low + steps * distribution.step
    return cast("Value", min(max(value, distribution.low), distribution.high))


class Coding:
    """Points as rows of numbers: columns of known parameters, each with the length that scales it.

    Attributes:
        lengths: Number of lengths, one a parameter, and one more if it may be inactive.
        owners: Which length scales each column.
    """

    def __init__(self, candidates: Sequence[ModelPoint], trials: Sequence[ModelPoint]) -> None:
        """Find out what varies.

        Args:
            candidates: Walks through the space, from which the ranges are taken.
            trials: Points tried; they may have parameters that no candidate has.
        """
        points = [*candidates, *trials]
        kinds: dict[str, list[BaseDistribution]] = {}
        for point in candidates:
            for name, distribution in point.distributions.items():
                known = kinds.setdefault(name, [])
                if not any(one is distribution for one in known):
                    known.append(distribution)
        for point in trials:
            for name in point.params.keys() - kinds.keys():
                kinds[name] = [point.distributions[name]]
        self._numbers: dict[str, FloatDistribution | IntDistribution] = {}
        self._choices: dict[str, list[str]] = {}
        self._conditional: list[str] = []
        owners: list[int] = []
        self.lengths = 0
        for name in sorted(kinds):
            choices = [d for d in kinds[name] if isinstance(d, CategoricalDistribution)]
            if choices:
                self._choices[name] = sorted({repr(one) for d in choices for one in d.choices})
                owners += [self.lengths] * len(self._choices[name])
            else:
                self._numbers[name] = _common(kinds[name])
                owners.append(self.lengths)
            self.lengths += 1
        for name in sorted(kinds):
            if not all(name in point.params for point in points):
                self._conditional.append(name)
                owners.append(self.lengths)
                self.lengths += 1
        self._order = sorted(kinds)
        self.owners = np.array(owners, np.int64)

    def rows(self, points: Sequence[ModelPoint]) -> Array:
        """Return (points, columns)."""
        columns: list[Array] = []
        for name in self._order:
            if name in self._choices:
                texts = [repr(p.params[name]) if name in p.params else None for p in points]
                # Two different choices are 1 apart.
                columns += [
                    np.array([text == choice for text in texts], np.float64) / math.sqrt(2)
                    for choice in self._choices[name]
                ]
                continue
            distribution = self._numbers[name]
            low, high = _span(distribution)
            middle = math.exp((low + high) / 2) if distribution.log else (low + high) / 2
            numbers = np.array([p.params.get(name, middle) for p in points], np.float64)
            columns.append(np.asarray(_places(distribution, numbers)))
        columns += [
            np.array([name in point.params for point in points], np.float64)
            for name in self._conditional
        ]
        return np.stack(columns, axis=1)


def _common(kinds: Sequence[BaseDistribution]) -> FloatDistribution | IntDistribution:
    """Return the distribution of a number; if it has several, one that covers them."""
    found = cast("list[FloatDistribution | IntDistribution]", list(kinds))
    if len(found) == 1:
        return found[0]
    low, high = min(one.low for one in found), max(one.high for one in found)
    return FloatDistribution(low, high, log=all(one.log for one in found))


@dataclass(frozen=True)
class Model:
    """The process, conditioned on trials; lower scores are better.

    Attributes:
        rows: (known, columns), then those in flight.
        known: Number of rows with an outcome.
        weights: (known,), by which covariances become the mean.
        factor: Lower Cholesky factor of the covariance of all rows.
    """

    coding: Coding
    hyperparameters: Hyperparameters
    rows: Array
    known: int
    weights: Array
    factor: Array

    @staticmethod
    def fitted(coding: Coding, known: Sequence[ModelPoint], scores: Array) -> Model:
        """Return the model of trials with an outcome, its hyperparameters fitted to them."""
        rows = coding.rows(known)
        chosen = _best_and_newest(scores, _MOST_FITTED)
        found = fit(rows[chosen], scores[chosen], coding)
        factor = _factor(found, coding, rows)
        from scipy.linalg import cho_solve

        weights = np.asarray(cho_solve((factor, True), scores, check_finite=False))
        return Model(coding, found, rows, len(rows), weights, factor)

    def with_running(self, running: Sequence[ModelPoint]) -> Model:
        """Return the model that believes its own mean of trials in flight: the mean stays."""
        if not running:
            return self
        rows = np.concatenate([self.rows, self.coding.rows(running)])
        factor = _factor(self.hyperparameters, self.coding, rows)
        return Model(self.coding, self.hyperparameters, rows, self.known, self.weights, factor)

    def means_of_known(self) -> Array:
        """Return the mean at each row."""
        return self._covariances(self.rows)[: self.known].T @ self.weights

    def gains(self, points: Sequence[ModelPoint]) -> Array:
        """Return the logarithm of the expected improvement on the least mean of a row."""
        from scipy.linalg import solve_triangular

        covariances = self._covariances(self.coding.rows(points))
        means = covariances[: self.known].T @ self.weights
        reduced = solve_triangular(self.factor, covariances, lower=True, check_finite=False)
        variances = self.hyperparameters.signal - (reduced**2).sum(axis=0)
        return _log_improvement(
            self.means_of_known().min() - means, np.sqrt(np.maximum(variances, 1e-12))
        )

    def _covariances(self, rows: Array) -> Array:
        found = self.hyperparameters
        return found.signal * _matern(_squares(found, self.coding, self.rows, rows))


@dataclass(frozen=True)
class Hyperparameters:
    """Of the kernel: a length each, variance of the signal and of the noise."""

    lengths: Array
    signal: float
    noise: float


def fit(rows: Array, scores: Array, coding: Coding) -> Hyperparameters:
    """Return the hyperparameters of the highest posterior density, rounded.

    Args:
        rows: (trials, columns).
        scores: (trials,).
        coding: That of the rows.
    """
    from scipy.optimize import minimize

    parts = np.array(
        [_apart(rows[:, coding.owners == one]).ravel() for one in range(coding.lengths)]
    )
    length = math.log(0.5) + 0.5 * math.log(coding.lengths)  # that the prior expects
    prior = np.array([*[length] * coding.lengths, 0.0, math.log(0.1)])
    widths = np.array([*[1.0] * coding.lengths, 0.5, 1.0])

    def posterior(logs: Array) -> tuple[float, Array]:
        value, gradient = _likelihood(logs, parts, scores)
        off = (logs - prior) / widths
        return value + 0.5 * float(off @ off), gradient + off / widths

    bounds = [(-3.0, 6.0)] * coding.lengths + [(-3.0, 3.0), (-9.0, 2.0)]
    found = minimize(
        posterior, prior, jac=True, method="L-BFGS-B", bounds=bounds,
        options={"maxiter": _ITERATIONS},
    ).x  # fmt: skip
    kept = np.exp(np.round(found, 2))
    return Hyperparameters(kept[:-2], float(kept[-2]), float(kept[-1]))


def _likelihood(logs: Array, parts: Array, scores: Array) -> tuple[float, Array]:
    """Return the negative logarithm of the likelihood, and its gradient."""
    from scipy.linalg import cho_factor, cho_solve

    count = len(scores)
    inverse_squares = np.exp(-2 * logs[:-2])
    signal, noise = math.exp(logs[-2]), math.exp(logs[-1])
    root = np.sqrt(5 * (inverse_squares @ parts)).reshape(count, count)
    decay = np.exp(-root)
    kernel = signal * (1 + root + root**2 / 3) * decay
    factor = cho_factor(kernel + (noise + _JITTER) * np.eye(count), lower=True, check_finite=False)
    weights = cho_solve(factor, scores, check_finite=False)
    inverse = cho_solve(factor, np.eye(count), check_finite=False)
    value = 0.5 * float(scores @ weights) + float(np.log(np.diag(factor[0])).sum())
    slope = inverse - np.outer(weights, weights)
    by_square = slope * (signal * 5 / 3) * (1 + root) * decay
    gradient = np.empty(len(logs))
    gradient[:-2] = 0.5 * inverse_squares * (parts @ by_square.ravel())
    gradient[-2] = 0.5 * float((slope * kernel).sum())
    gradient[-1] = 0.5 * noise * float(np.trace(slope))
    return value, gradient


_JITTER: Final = 1e-6


def _factor(found: Hyperparameters, coding: Coding, rows: Array) -> Array:
    covariance = found.signal * _matern(_squares(found, coding, rows, rows))
    noisy = covariance + (found.noise + _JITTER) * np.eye(len(rows))
    return np.asarray(np.linalg.cholesky(noisy), np.float64)


def _squares(found: Hyperparameters, coding: Coding, one: Array, other: Array) -> Array:
    """Return the squared distances of rows, each dimension by its length."""
    scale = found.lengths[coding.owners]
    one, other = one / scale, other / scale
    squares = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1) - 2 * one @ other.T
    return np.asarray(np.maximum(squares, 0.0))


def _apart(columns: Array) -> Array:
    """Return the squared distances of rows in the columns of one length."""
    return np.asarray(((columns[:, None, :] - columns[None, :, :]) ** 2).sum(axis=2))


def _matern(squares: Array) -> Array:
    root = np.sqrt(5 * squares)
    return (1 + root + root**2 / 3) * np.exp(-root)


def _log_improvement(ahead: Array, deviations: Array) -> Array:
    """Return log E[max(ahead + deviation * normal, 0)], also where it underflows."""
    from scipy.special import log_ndtr, ndtr

    units = ahead / deviations
    density = np.exp(-(units**2) / 2) / math.sqrt(2 * math.pi)
    near = np.log(np.maximum(density + units * ndtr(units), 1e-300))
    far = log_ndtr(units) - 2 * np.log(np.maximum(-units, 1.0))  # density / units^2, nearly
    return np.asarray(np.log(deviations) + np.where(units > -5, near, far))


def _scores(known: Sequence[FrozenTrial], is_minimized: bool) -> Array:
    """Return the normal scores of trials by rank, the best lowest; equal ones share theirs."""
    from scipy.special import ndtri

    sign = 1.0 if is_minimized else -1.0
    orders = [_order(trial, sign) for trial in known]
    places = {order: place for place, order in enumerate(sorted(set(orders)))}
    _, which, counts = np.unique(
        [places[order] for order in orders], return_inverse=True, return_counts=True
    )
    middles = np.cumsum(counts) - counts / 2
    return np.asarray(ndtri(middles[which] / len(known)))


def _order(trial: FrozenTrial, sign: float) -> tuple[int, float, float]:
    """Return what trials are sorted by: complete, then pruned by the last step, then diverged."""
    if trial.state == TrialState.COMPLETE:
        return 0, 0.0, sign * float(cast("float", trial.value))
    step = trial.last_step
    if any(value > 0 for value in trial.constraints.values()) or step is None:
        return 2, 0.0, 0.0
    value = trial.intermediate_values[step]
    return 1, -float(step), sign * value if math.isfinite(value) else math.inf


def _subset(
    known: Sequence[FrozenTrial], scores: Array, running: Sequence[FrozenTrial]
) -> tuple[list[ModelPoint], Array, list[ModelPoint]]:
    """Return what makes the model: trials with an outcome, their scores, and those in flight."""
    newest = running[-_MOST_IN_FLIGHT:]
    kept = _best_and_newest(scores, MOST - len(newest))
    return [_point(known[n]) for n in kept], scores[kept], [_point(t) for t in newest]


def _best_and_newest(scores: Array, most: int) -> NDArray[np.int64]:
    """Return places of trials, ascending: one half of `most` the best, the other the newest."""
    if len(scores) <= most:
        return np.arange(len(scores))
    best = np.argsort(scores, kind="stable")[: most // 2]
    rest = np.setdiff1d(np.arange(len(scores)), best)
    return np.sort(np.concatenate([best, rest[-(most - len(best)) :]]))


def _point(trial: FrozenTrial) -> ModelPoint:
    return ModelPoint(trial.params, trial.distributions)


def _first_unseen(
    points: Sequence[ModelPoint], gains: Array, seen: set[tuple[tuple[str, Value], ...]]
) -> ModelPoint | None:
    order = np.argsort(-gains, kind="stable")
    return next((points[place] for place in order if points[place].key not in seen), None)


@cache
def _pools() -> Any:
    import scipy.linalg  # noqa: F401  its pool of threads is found once it is loaded
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
