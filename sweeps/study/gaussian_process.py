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
from functools import cache
from itertools import chain
from typing import Any, Final, cast

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
)
from optuna.trial import FrozenTrial, TrialState
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.optimize import minimize
from scipy.special import log_ndtr, ndtr, ndtri
from threadpoolctl import ThreadpoolController

from search_spaces.parameters import Value
from search_spaces.space import Space
from sweeps.study.points import Distribution, Number, Proposal, point_key, walked

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
_JITTER: Final = 1e-6


Point = Proposal | FrozenTrial


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
            is_cautious: Whether the best of few candidates is proposed: after a rejection, all
                together would lead to the same point.
        """
        if not isinstance(n_startup_trials, int) or n_startup_trials < 2:
            raise ValueError(f"{n_startup_trials=}: give a whole number from 2 on")
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
        others = [t for t in study.get_trials(deepcopy=False) if t.number != trial.number]
        known = [t for t in others if t.state in {TrialState.COMPLETE, TrialState.PRUNED}]
        if len(known) < self._start_up:
            return {}
        running = [t for t in others if t.state == TrialState.RUNNING and t.params]
        is_minimized = study.direction == optuna.study.StudyDirection.MINIMIZE
        seen = {point_key(trial.params) for trial in others}
        with _pools().limit(limits=1):
            points, gains = self._candidates(*_subset(known, _scores(known, is_minimized), running))
        for place in np.argsort(-gains, kind="stable"):
            if points[place].key not in seen:
                self._chosen = points[place].params
                return dict(points[place].distributions)
        return {}

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

    def _candidates(
        self, known: Sequence[FrozenTrial], scores: Array, running: Sequence[FrozenTrial]
    ) -> tuple[list[Proposal], Array]:
        """Return points, and the expected improvement by each (its logarithm)."""
        candidates = [self._walk() for _ in range(_FEW if self._is_cautious else _RANDOM)]
        tried = [*known, *running]
        model = Model(Coding(candidates, tried), known, scores, running)
        best = np.argsort(model.means(), kind="stable")[:_BEST]
        centres = [self._walked_again(tried[place]) for place in best]
        if self._is_cautious:
            candidates += [self._step(centres[n % len(centres)], _LENGTHS[0]) for n in range(_FEW)]
            return candidates, model.gains(candidates)
        found: list[Proposal] = []
        gains = np.empty(0)
        for length in _LENGTHS:
            candidates += [self._step(centre, length) for centre in centres for _ in range(_STEPS)]
            found, gains = found + candidates, np.append(gains, model.gains(candidates))
            candidates = []
            centres = [found[place] for place in np.argsort(-gains, kind="stable")[:_BEST]]
        return found, gains

    def _walk(self) -> Proposal:
        draws = _endless(self._rng.random, 64)
        return walked(self._space, lambda _, d: value_at(d, next(draws)))

    def _walked_again(self, point: FrozenTrial) -> Proposal:
        """Return a point with the distributions of a walk, which are quick to compare."""
        return walked(self._space, lambda name, d: point.params.get(name, value_at(d, 0.5)))

    def _step(self, centre: Proposal, length: float) -> Proposal:
        """Return a point near another: each parameter moves with a chance of one half."""
        uniform = _endless(self._rng.random, 128)
        normal = _endless(self._rng.standard_normal, 64)

        def answer(name: str, distribution: Distribution) -> Value:
            if centre.distributions.get(name) is not distribution:
                return value_at(distribution, next(uniform))
            value = centre.params[name]
            if next(uniform) < 0.5:
                return value
            if isinstance(distribution, CategoricalDistribution):
                return value_at(distribution, next(uniform))
            moved = abs(float(_places(distribution, value)) + length * next(normal))
            return value_at(distribution, moved if moved <= 1 else max(0.0, 2 - moved))

        return walked(self._space, answer)


def _endless(draw: Callable[..., Any], first: int) -> Iterator[float]:
    """Return draws without end, of which so many are drawn at once."""
    return chain(draw(first).tolist(), iter(draw, None))


def _span(distribution: Number) -> tuple[float, float]:
    """Return the range on its own scale; a value with a step stands for half a step around it."""
    half = (distribution.step or 0) / 2
    low, high = distribution.low - half, distribution.high + half
    return (math.log(low), math.log(high)) if distribution.log else (low, high)


def _places(distribution: Number, values: Any) -> Any:
    """Return where numbers lie in their range, from 0 to 1."""
    low, high = _span(distribution)
    return (np.log(values) - low if distribution.log else values - low) / (high - low or 1.0)


def value_at(distribution: Distribution, place: float) -> Value:
    """Return the value at a place from 0 to 1."""
    if isinstance(distribution, CategoricalDistribution):
        count = len(distribution.choices)
        return distribution.choices[min(int(place * count), count - 1)]
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

    def __init__(self, candidates: Sequence[Point], trials: Sequence[Point]) -> None:
        """Find out what varies.

        Args:
            candidates: Walks through the space, from which the ranges are taken.
            trials: Points tried; they may have parameters that no candidate has.
        """
        kinds: dict[str, dict[int, BaseDistribution]] = {}
        for point in candidates:
            for name, distribution in point.distributions.items():
                kinds.setdefault(name, {})[id(distribution)] = distribution
        for point in trials:
            for name in point.params.keys() - kinds.keys():
                kinds[name] = {0: point.distributions[name]}
        self._codes = {name: _code([*kinds[name].values()]) for name in sorted(kinds)}
        points = [*candidates, *trials]
        self._conditional = [
            name for name in self._codes if not all(name in point.params for point in points)
        ]
        widths = [len(code) if isinstance(code, list) else 1 for code in self._codes.values()]
        widths += [1] * len(self._conditional)
        self.lengths = len(widths)
        self.owners = np.repeat(np.arange(self.lengths), widths)

    def rows(self, points: Sequence[Point]) -> Array:
        """Return (points, columns)."""
        columns: list[Array] = []
        for name, code in self._codes.items():
            if isinstance(code, list):
                texts = [repr(p.params[name]) if name in p.params else None for p in points]
                # Two different choices are 1 apart.
                columns += [
                    np.array([text == choice for text in texts], np.float64) / math.sqrt(2)
                    for choice in code
                ]
            else:
                low, high = _span(code)
                middle = math.exp((low + high) / 2) if code.log else (low + high) / 2
                numbers = np.array([p.params.get(name, middle) for p in points], np.float64)
                columns.append(_places(code, numbers))
        columns += [
            np.array([name in point.params for point in points], np.float64)
            for name in self._conditional
        ]
        return np.stack(columns, axis=1)


def _code(kinds: Sequence[BaseDistribution]) -> list[str] | Number:
    """Return all choices of a parameter as texts, or the distribution that covers its numbers."""
    categorical = [one for one in kinds if isinstance(one, CategoricalDistribution)]
    if categorical:
        return sorted({repr(choice) for one in categorical for choice in one.choices})
    numbers = cast("list[Number]", kinds)
    if len(numbers) == 1:
        return numbers[0]
    low, high = min(one.low for one in numbers), max(one.high for one in numbers)
    return FloatDistribution(low, high, log=all(one.log for one in numbers))


class Model:
    """The process, conditioned on trials; lower scores are better."""

    def __init__(
        self, coding: Coding, known: Sequence[Point], scores: Array, running: Sequence[Point]
    ) -> None:
        """Fit the hyperparameters.

        Args:
            coding: Makes rows of the points.
            known: Trials with an outcome.
            scores: (known,).
            running: Trials in flight. The model believes its own mean of them: the mean stays.
        """
        rows = coding.rows(known)
        chosen = _best_and_newest(scores, _MOST_FITTED)
        lengths, self._signal, self._noise = fit(rows[chosen], scores[chosen], coding)
        self._coding, self._known, self._scale = coding, len(rows), lengths[coding.owners]
        self._weights = cho_solve((self._factored(rows), True), scores, check_finite=False)
        self._rows = np.concatenate([rows, coding.rows(running)])
        self._factor = self._factored(self._rows)

    def means(self) -> Array:
        """Return the mean at each trial, those in flight last."""
        return np.asarray(
            self._covariances(self._rows, self._rows)[: self._known].T @ self._weights
        )

    def gains(self, points: Sequence[Point]) -> Array:
        """Return the logarithm of the expected improvement on the least mean of a trial."""
        covariances = self._covariances(self._rows, self._coding.rows(points))
        means = covariances[: self._known].T @ self._weights
        reduced = solve_triangular(self._factor, covariances, lower=True, check_finite=False)
        variances = self._signal - (reduced**2).sum(axis=0)
        return _log_improvement(self.means().min() - means, np.sqrt(np.maximum(variances, 1e-12)))

    def _factored(self, rows: Array) -> Array:
        """Return the lower Cholesky factor of the covariance of rows."""
        noise = (self._noise + _JITTER) * np.eye(len(rows))
        return np.asarray(np.linalg.cholesky(self._covariances(rows, rows) + noise))

    def _covariances(self, one: Array, other: Array) -> Array:
        """Return the Matern covariances of rows, by their distances in lengths."""
        one, other = one / self._scale, other / self._scale
        squares = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1) - 2 * one @ other.T
        root = np.sqrt(5 * np.maximum(squares, 0.0))
        return np.asarray(self._signal * ((1 + root + root**2 / 3) * np.exp(-root)))


def fit(rows: Array, scores: Array, coding: Coding) -> tuple[Array, float, float]:
    """Return lengths, variance of the signal, and of the noise, of the highest posterior density.

    The (trials, columns) rows are made by the coding; there is a score for each.
    """
    columns = [rows[:, coding.owners == one] for one in range(coding.lengths)]
    parts = np.array([((c[:, None] - c[None]) ** 2).sum(axis=2).ravel() for c in columns])
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
    return kept[:-2], float(kept[-2]), float(kept[-1])


def _likelihood(logs: Array, parts: Array, scores: Array) -> tuple[float, Array]:
    """Return the negative logarithm of the likelihood, and its gradient."""
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


def _log_improvement(ahead: Array, deviations: Array) -> Array:
    """Return log E[max(ahead + deviation * normal, 0)], also where it underflows."""
    units = ahead / deviations
    density = np.exp(-(units**2) / 2) / math.sqrt(2 * math.pi)
    near = np.log(np.maximum(density + units * ndtr(units), 1e-300))
    far = log_ndtr(units) - 2 * np.log(np.maximum(-units, 1.0))  # density / units^2, nearly
    return np.asarray(np.log(deviations) + np.where(units > -5, near, far))


def _scores(known: Sequence[FrozenTrial], is_minimized: bool) -> Array:
    """Return the normal scores of trials by rank, the best lowest; equal ones share theirs."""
    orders = np.array([_order(trial, 1.0 if is_minimized else -1.0) for trial in known])
    _, which, counts = np.unique(orders, axis=0, return_inverse=True, return_counts=True)
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
) -> tuple[list[FrozenTrial], Array, Sequence[FrozenTrial]]:
    """Return what makes the model: trials with an outcome, their scores, and those in flight."""
    newest = running[-_MOST_IN_FLIGHT:]
    kept = _best_and_newest(scores, MOST - len(newest))
    return [known[n] for n in kept], scores[kept], newest


def _best_and_newest(scores: Array, most: int) -> NDArray[np.int64]:
    """Return places of trials, ascending: one half of `most` the best, the other the newest."""
    if len(scores) <= most:
        return np.arange(len(scores))
    best = np.argsort(scores, kind="stable")[: most // 2]
    rest = np.setdiff1d(np.arange(len(scores)), best)
    return np.sort(np.concatenate([best, rest[-(most - len(best)) :]]))


_pools: Final = cache(ThreadpoolController)
