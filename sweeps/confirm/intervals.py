"""Estimates how far apart two finalists are, with an error for new samples and new seeds.

A sample is easier for one finalist than for the other whichever seed trained them, and a seed is
better than another whichever samples it is evaluated on. So the outcomes are crossed, samples by
folds (Owen 2007, "The pigeonhole bootstrap"). The difference of two finalists at sample i in fold s
is modelled as mu + image_i + fold_s + noise. The mean of all then has the variance

    sample^2 / N + fold^2 / S + noise^2 / (S n)

for N samples and S folds of n samples. The variance between the means of single samples estimates
the first and the third term. The variance between the means of folds, beyond what their samples
explain, estimates the second.

Folds may evaluate different numbers of samples n_s, T = sum n_s together. The mean is then that of
all T outcomes. The fold effects add fold^2 sum n_s^2 / T^2, as much as those of
S* = T^2 / sum n_s^2 folds of one size. The squared deviation of a fold's mean is weighted by n_s^2
likewise: its noise is that of folds of n* = sum n_s^2 / T samples, and its degrees of freedom are
those of (sum n_s^2)^2 / sum n_s^4 folds (Satterthwaite 1946). If all n_s are n, these numbers are
S, n and S.

Arrays are as wide as the largest fold. Where a smaller fold has no sample, the sample's number is
`NO_SAMPLE`, and the entry does not count.

A metric that is not known of each sample leaves one number per fold. Folds share most of their
training samples, so that s^2 / S is too small an error; s^2 (1/S + 1/3) corrects it (Nadeau &
Bengio 2003, "Inference for the generalization error"; 1/3 is the ratio of evaluated to other
samples, Bouckaert & Frank 2004). More folds do not reduce the second part.

Samples of the pool also train. What another pool would train otherwise is alike in all folds, so
that no spread of folds shows it: no estimate from the folds is right for every learner (Bengio &
Grandvalet 2004, "No unbiased estimator of the variance of k-fold cross-validation"). `pool_factor`
makes up for it as simulated learners need it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from sweeps.capabilities import FOLDS_A_REPEAT
from sweeps.interval import Interval

NO_SAMPLE: Final = -1


def stacked(arrays: Sequence[ArrayLike], dtype: DTypeLike, filled: Any = 0) -> NDArray[Any]:
    """Return arrays of folds as one, (folds, n, ...); shorter ones end in the value `filled`."""
    folds = [np.asarray(array) for array in arrays]
    widest = max(len(fold) for fold in folds)
    whole = np.full((len(folds), widest, *folds[0].shape[1:]), filled, dtype)
    for place, fold in zip(whole, folds, strict=True):
        place[: len(fold)] = fold
    return whole


def sizes_of(samples: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (folds,) the number of samples that each fold evaluates."""
    sizes: NDArray[np.int64] = (samples != NO_SAMPLE).sum(axis=1)
    return sizes


def effective(weights: NDArray[np.int64]) -> float:
    """Return the effective number of weights: (sum w)^2 / sum w^2 (Kish 1965)."""
    whole = [int(weight) for weight in weights]  # exact, however many samples there are
    return sum(whole) ** 2 / sum(weight**2 for weight in whole)


@dataclass(frozen=True)
class Outcomes:
    """Outcomes of finalists trained on the same folds, and evaluated on the same samples of each.

    Attributes:
        scores: (finalists, folds, n) the score of each sample, larger is better: whether it was
            recognised, or minus its loss; 0 without a sample. n is 1 for one number per fold.
        samples: (folds, n) the number of each sample in the pool, or `NO_SAMPLE`. None for one
            number per fold.
    """

    scores: NDArray[Any] = field(repr=False)
    samples: NDArray[np.int64] | None = field(repr=False)

    def __post_init__(self) -> None:
        needed = (self.scores.shape[1], 1) if self.samples is None else self.samples.shape
        if self.scores.ndim != 3 or self.scores.shape[1:] != needed:
            raise ValueError(
                f"scores {self.scores.shape}, samples {needed}: needed are "
                "(finalists, folds, n) and (folds, n)"
            )
        if self.samples is not None and self.scores[:, self.samples == NO_SAMPLE].any():
            raise ValueError("no sample, and a score")

    def first(self, folds: int) -> Outcomes:
        """Return the outcomes of the first folds."""
        samples = None if self.samples is None else self.samples[:folds]
        return Outcomes(self.scores[:, :folds], samples)

    @property
    def finalists(self) -> int:
        """Number of finalists."""
        return int(self.scores.shape[0])

    @property
    def folds(self) -> int:
        """Number of folds."""
        return int(self.scores.shape[1])

    @property
    def by_fold(self) -> NDArray[np.float64]:
        """(finalists, folds) mean score of each fold's samples."""
        means: NDArray[np.float64] = self.scores.sum(axis=2) / self.sizes
        return means

    @property
    def sizes(self) -> NDArray[np.int64]:
        """(folds,) number of samples that each fold evaluates; 1 for one number per fold."""
        if self.samples is None:
            return np.ones(self.folds, np.int64)
        return sizes_of(self.samples)

    @property
    def means(self) -> NDArray[np.float64]:
        """(finalists,) mean score; all samples of all folds count alike."""
        sizes = self.sizes
        return np.average(self.by_fold, axis=-1, weights=sizes / sizes.mean())

    @property
    def leader(self) -> int:
        """The number of the finalist with the best mean; the first of equal ones."""
        return int(self.means.argmax())


MANY_SAMPLES: Final = 4000
"""With as many samples, errors of networks need no factor."""
_A_FACTOR: Final = 0.1
"""By so much for each factor e that there are fewer.

It was chosen by looking at draws of learners such as those of `python -m benchmarks learners`, and
is too small for those that single samples change much, such as nearest neighbours.
"""


def pool_factor(pool: int) -> float:
    """Return the factor of the error of a difference that its pool, which also trains, needs.

    Args:
        pool: Number of samples, or of their groups.
    """
    return 1 + _A_FACTOR * max(math.log(MANY_SAMPLES / pool), 0.0)


FEWEST_FOLDS = 8
"""With fewer folds no finalist is called better: the variance between folds is hardly known."""


@dataclass(frozen=True)
class Estimate:
    """A mean score, or the difference of two.

    Attributes:
        value: The mean.
        of_samples: Variance due to the choice of samples, noise included; more folds do not reduce
            it, but for `of_noise`.
        of_folds: Variance due to seeds and splits.
        freedom: Degrees of freedom of the standard error (Satterthwaite 1946).
        of_noise: The part of `of_samples` that is noise of single outcomes; more folds reduce it.
    """

    value: float
    of_samples: float
    of_folds: float
    freedom: float
    of_noise: float = 0.0

    @property
    def error(self) -> float:
        """Its standard error."""
        return math.sqrt(self.of_samples + self.of_folds)

    def times(self, factor: float) -> Estimate:
        """Return the same with so many times the error."""
        parts = (self.of_samples, self.of_folds, self.of_noise)
        of_samples, of_folds, of_noise = (factor**2 * part for part in parts)
        return Estimate(self.value, of_samples, of_folds, self.freedom, of_noise)

    def interval(self, compared: int = 2, unit: str = "share") -> Interval:
        """Return the value with its two-sided 95 % interval.

        Args:
            compared: Number of finalists compared, each with each. The interval holds for all pairs
                at once (Tukey-Kramer), also for a pair that was chosen because it stood out. For
                two finalists it is Student's t.
            unit: Unit of the value.
        """
        return Interval.around(
            self.value, critical_value(compared, self.freedom) * self.error, unit
        )


def crossed_difference(outcomes: Outcomes, first: int, second: int) -> Estimate:
    """Return the score of the first finalist minus the second's, with its crossed error."""
    difference = outcomes.scores[first].astype(float) - outcomes.scores[second]
    return crossed_estimate(difference, outcomes.samples)


def crossed_mean(outcomes: Outcomes, finalist: int) -> Estimate:
    """Return the score of a finalist, with its crossed error."""
    return crossed_estimate(outcomes.scores[finalist].astype(float), outcomes.samples)


def crossed_estimate(values: NDArray[np.float64], samples: NDArray[np.int64] | None) -> Estimate:
    """Return the mean of values that are crossed by samples and folds.

    Args:
        values: (folds, n); entries without a sample do not count.
        samples: (folds, n) the number of the sample of each value, or `NO_SAMPLE`; every sample is
            in the same number of folds, two or more. None: values (folds, 1) are one number per
            fold, whose error is corrected.

    Raises:
        ValueError: A sample is in fewer than two folds.
    """
    return moments_of(values[np.newaxis], samples).mean_estimates()[0]


def moments_of(
    values: NDArray[np.float64], samples: NDArray[np.int64] | None
) -> Moments | FoldMoments:
    """Return the moments of (K, folds, n) values; see `crossed_estimate`."""
    if samples is not None:
        return Moments.of(values, samples)
    numbers = values[:, :, 0]
    covariance = np.atleast_2d(np.cov(numbers)) if len(numbers) else np.zeros((0, 0))
    return FoldMoments(numbers.mean(axis=1), covariance, numbers.shape[1])


class _Parts(NamedTuple):
    """Estimates of several means or differences at once; arrays of one shape, see `Estimate`."""

    of_samples: NDArray[np.float64]
    of_folds: NDArray[np.float64]
    freedom: NDArray[np.float64]
    of_noise: NDArray[np.float64]


class _Pairs(NamedTuple):
    """Second moments (K, K) of K finalists, see `Moments`."""

    samples: NDArray[np.float64]
    noise: NDArray[np.float64]
    folds: NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """The crossed moments of K finalists, from which every error is made.

    Attributes:
        means: (K,) means.
        of_pairs: (K, K) each: the covariance of the means of single samples, that of the noise,
            and the mean product of what folds differ by beyond their samples.
        pool: Number of samples.
        sizes: (folds,) number of samples that each fold evaluates.
    """

    means: NDArray[np.float64]
    of_pairs: _Pairs = field(repr=False)
    pool: int
    sizes: NDArray[np.int64] = field(repr=False)

    @classmethod
    def of(cls, values: NDArray[np.float64], samples: NDArray[np.int64]) -> Moments:
        """Return the moments of (K, folds, n) values; see `crossed_estimate`."""
        present = samples != NO_SAMPLE
        values = np.array(values)
        values[:, ~present] = 0.0
        sizes = sizes_of(samples)
        total, squares = int(sizes.sum()), sizes**2
        size = int(squares.sum()) / total
        counts = np.bincount(samples[present])
        if counts[counts > 0].min() < 2:
            raise ValueError("every sample is needed in two folds or more")
        per_sample = np.array([
            np.bincount(samples[present], weights=own[present]) / np.maximum(counts, 1)
            for own in values
        ])  # fmt: skip
        pool = int((counts > 0).sum())
        # A fold minus its samples' means leaves the fold's effect, and noise.
        rest = values - per_sample[:, samples]
        rest[:, ~present] = 0.0
        flat = rest.reshape(len(rest), -1)
        by_fold = rest.sum(axis=2) / sizes
        own = per_sample[:, counts > 0]
        own = own - own.mean(axis=1, keepdims=True)
        pairs = _Pairs(
            own @ own.T / (pool - 1) / pool,
            flat @ flat.T / (pool * (total / pool - 1)),
            by_fold * (squares / size**2) @ by_fold.T / (squares / size**2).sum(),
        )
        return cls(values.sum(axis=(1, 2)) / total, pairs, pool, sizes)

    def estimates(
        self,
        of_samples: NDArray[np.float64],
        noise: NDArray[np.float64],
        between: NDArray[np.float64],
    ) -> _Parts:
        """Return the parts of the variance of means or differences from their second moments."""
        squares, total, folds = self.sizes**2, int(self.sizes.sum()), effective(self.sizes)
        _, scale, repeats = self._shares()
        of_folds = np.maximum(self._beyond(noise, between), 0.0)
        independent = effective(squares)
        uncertain = (between / scale / folds) ** 2 / max(independent - independent / repeats, 1)
        uncertain = uncertain + of_samples**2 / (self.pool - 1)
        variance = of_samples + of_folds
        with np.errstate(divide="ignore", invalid="ignore"):
            freedom = np.where(uncertain > 0, variance**2 / uncertain, np.inf)
        return _Parts(of_samples, of_folds, freedom, np.minimum(noise / total, of_samples))

    def _shares(self) -> tuple[float, float, float]:
        """Return the share of noise in `folds`, that of fold effects, and the number of repeats."""
        total, folds = int(self.sizes.sum()), effective(self.sizes)
        repeats = total / self.pool
        # A sample's mean takes away a part of the fold's effect, and a part of the effects of folds
        # of other repeats, which share its samples in proportion to their sizes.
        kept, size = 1 - 1 / repeats, int((self.sizes**2).sum()) / total
        return kept, kept**2 + kept / (folds / repeats) / repeats - kept / size, repeats

    def _beyond(
        self, noise: NDArray[np.float64], between: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the variance of folds beyond noise, of the mean of all."""
        kept, scale, _ = self._shares()
        size = int((self.sizes**2).sum()) / int(self.sizes.sum())
        return (between - kept * noise / size) / scale / effective(self.sizes)

    def differences(self) -> _Parts:
        """Return the parts (K, K) of the variance of the difference of every two."""
        return self.estimates(*(_of_differences(matrix) for matrix in self.of_pairs))

    def mean_estimates(self) -> list[Estimate]:
        """Return every mean with its error."""
        parts = self.estimates(*(np.diag(matrix) for matrix in self.of_pairs))
        return [Estimate(*map(float, one)) for one in zip(self.means, *parts, strict=True)]

    def fixed_covariance(self) -> NDArray[np.float64]:
        """Return (K, K) the part of the covariance of the means that more folds do not reduce."""
        return self.of_pairs.samples - self.of_pairs.noise / int(self.sizes.sum())

    @property
    def factor(self) -> float:
        """See `pool_factor`."""
        return pool_factor(self.pool)

    def covariance(self) -> NDArray[np.float64]:
        """Return (K, K) the covariance of the means; what folds add is made semidefinite."""
        beyond = self._beyond(self.of_pairs.noise, self.of_pairs.folds)
        values, vectors = np.linalg.eigh((beyond + beyond.T) / 2)
        of_folds = (vectors * np.maximum(values, 0.0)) @ vectors.T
        whole: NDArray[np.float64] = self.of_pairs.samples + of_folds
        return whole


@dataclass(frozen=True)
class FoldMoments:
    """The moments of K finalists with one number per fold each, with the corrected variance.

    Attributes:
        means: (K,) means over folds.
        between: (K, K) the covariance of single folds.
        folds: Number of folds.
    """

    means: NDArray[np.float64]
    between: NDArray[np.float64] = field(repr=False)
    folds: int
    factor = 1.0  # they have a correction of their own

    def _parts(self, variance: NDArray[np.float64]) -> _Parts:
        nothing = np.zeros_like(variance)
        fixed = variance / (FOLDS_A_REPEAT - 1)
        return _Parts(fixed, variance / self.folds, nothing + self.folds - 1, nothing)

    def differences(self) -> _Parts:
        """Return the parts (K, K) of the variance of the difference of every two."""
        return self._parts(_of_differences(self.between))

    def mean_estimates(self) -> list[Estimate]:
        """Return every mean with its error."""
        parts = self._parts(np.diag(self.between))
        return [Estimate(*map(float, one)) for one in zip(self.means, *parts, strict=True)]

    def fixed_covariance(self) -> NDArray[np.float64]:
        """Return (K, K) the part of the covariance of the means that more folds do not reduce."""
        return self.between / (FOLDS_A_REPEAT - 1)

    def covariance(self) -> NDArray[np.float64]:
        """Return (K, K) the covariance of the means."""
        return self.between * (1 / self.folds + 1 / (FOLDS_A_REPEAT - 1))


def _of_differences(moments: NDArray[np.float64]) -> NDArray[np.float64]:
    own = np.diag(moments)
    return np.maximum(own[:, None] + own[None] - 2 * moments, 0.0)


def critical_value(compared: int, freedom: float) -> float:
    """Return the half-width of the 95 % interval of a difference, in standard errors."""
    from scipy.stats import norm, t

    if compared > 2:
        return _range_value(compared, _coarse(freedom))
    return float(norm.ppf(0.975) if freedom == float("inf") else t.ppf(0.975, freedom))


@lru_cache(maxsize=1000)
def _range_value(compared: int, freedom: float) -> float:
    from scipy.stats import studentized_range

    return float(studentized_range.ppf(0.95, compared, freedom)) / math.sqrt(2)


def _coarse(freedom: float) -> float:
    """Round degrees of freedom down to two significant digits.

    The quantile takes a quarter of a second to compute, and hardly changes between them.
    """
    if freedom >= 1e5:
        return 1e6
    step = 10.0 ** max(math.floor(math.log10(max(freedom, 1.0))) - 1, 0)
    return max(math.floor(freedom / step) * step, 1.0)
