"""Measures the calibration of probabilities, and fits the temperature that improves it.

Temperature scaling (Guo, Pleiss, Sun & Weinberger 2017, "On calibration of modern neural
networks"): probabilities are softmax(logits / T) for the T that minimises the negative
log-likelihood. The most likely class stays what it is, and so does the accuracy. NumPy only.

The confidence of an answer is its probability, the largest of the image's. Answers are put into
bins by their confidence; in each, the mean confidence should be the share that is right. The
expected calibration error (ECE) is the mean distance of the two, over images (Naeini, Cooper &
Hauskrecht 2015).

A temperature can only be fitted on the validation part, and judging it there would flatter it. So
each image is judged at the temperature that the other folds gave (cross-fitting). The temperature
that is reported and served is fitted on all images.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from digitexp.data.splits import stratified_folds
from digitexp.numpy_functions import softmax, sparse_cross_entropy

LOWEST, HIGHEST = 0.05, 20.0
"""Range of the search for a temperature; one at an end is a limit, not a minimum."""

FOLDS: Final = 5
"""So many parts of the images judge each other's temperatures."""

MOST_STEPS, CLOSE = 100, 1e-12
"""Steps of the search for a temperature, of which it takes about six; and the relative length of
the last one."""


def fit_temperature(logits: ArrayLike, labels: ArrayLike) -> float:
    """Return the temperature with the smallest mean negative log-likelihood.

    In 1/T the likelihood is convex. Its slope is the mean of (expected logit - logit of the label),
    and grows with the mean variance of the logits: so Newton's method finds the only minimum, and
    halves the interval of log T where it would leave it. The same logits give the same number to
    the bit.

    Args:
        logits: (n, classes), finite, of images that trained nothing.
        labels: (n,), integers from 0 to classes - 1.

    Returns:
        A number from `LOWEST` to `HIGHEST`; `HIGHEST` where the logits are unrelated to the labels.
        It is 1 where every image is right: images without a mistake say nothing about how often to
        expect one, and in the limit a model would answer 1.0 to everything.

    Raises:
        ValueError: There is no image, a logit is no finite number, or a label is no class.
    """
    wide, numbers = checked_logits(logits, labels)
    below = np.ascontiguousarray((wide - wide.max(axis=1, keepdims=True)).T)
    wanted = below[numbers, np.arange(len(numbers))]
    if (wanted >= 0).all():
        return 1.0

    def slope(inverse: float) -> tuple[float, float]:
        """Return the slope at a 1/T, and how fast it grows."""
        weights = np.exp(inverse * below)
        weights /= weights.sum(axis=0)
        weighted = weights * below
        expected = weighted.sum(axis=0)
        variance = (weighted * below).sum(axis=0) - expected**2
        return float(np.mean(expected - wanted)), float(np.mean(variance))

    low, high, inverse = 1 / HIGHEST, 1 / LOWEST, 1.0
    if slope(high)[0] < 0:
        return LOWEST
    if slope(low)[0] >= 0:
        return HIGHEST
    for _ in range(MOST_STEPS):
        now, growth = slope(inverse)
        low, high = (inverse, high) if now < 0 else (low, inverse)
        newton = inverse - now / growth if growth > 0 else math.inf
        before, inverse = inverse, newton if low <= newton <= high else math.sqrt(low * high)
        if abs(inverse - before) <= CLOSE * before:
            break
    return 1 / inverse


def cross_fitted_temperatures(logits: ArrayLike, labels: ArrayLike) -> NDArray[np.float64]:
    """Return for each image (n,) the temperature that the other folds' images give.

    So no temperature is judged on images that it was fitted on. Folds are stratified: of each
    class, every fold has as many images, give or take one. A fixed draw divides them.

    Args:
        logits: See `fit_temperature`; `FOLDS` images or more.
        labels: See `fit_temperature`.

    Raises:
        ValueError: See `fit_temperature`; or there are too few images.
    """
    wide, numbers = checked_logits(logits, labels)
    if len(numbers) < FOLDS:
        raise ValueError(f"{len(numbers)} images: give {FOLDS} or more, one a fold")
    fold = stratified_folds(numbers, FOLDS, 0)
    temperatures = np.empty(len(numbers))
    for number in range(FOLDS):
        judged = fold == number
        temperatures[judged] = fit_temperature(wide[~judged], numbers[~judged])
    return temperatures


def checked_logits(
    logits: ArrayLike, labels: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return logits as float64 and labels as int64.

    Raises:
        ValueError: There is no image, a logit is no finite number, or a label is no class.
    """
    wide, numbers = np.asarray(logits, np.float64), np.asarray(labels)
    if wide.ndim != 2 or 0 in wide.shape:
        raise ValueError(f"logits of shape {wide.shape}: give (n, classes), one image or more")
    if not np.isfinite(wide).all():
        row = int(np.argwhere(~np.isfinite(wide))[0, 0])
        raise ValueError(f"logits of image {row} are {wide[row]}: give finite numbers")
    sparse_cross_entropy(wide, numbers)  # refuses labels that do not fit
    return wide, numbers.astype(np.int64)


BINS = 15
"""The number of bins that Guo et al. 2017 have."""


@dataclass(frozen=True, eq=False)
class Reliability:
    """The content of a reliability diagram: images by the confidence of their answer.

    Attributes:
        edges: (bins + 1,) edges of the bins, from 0 to 1; a bin holds its upper edge.
        counts: (bins,) number of images in each bin.
        confidence: (bins,) mean confidence of these images; NaN in an empty bin.
        accuracy: (bins,) share of these images that is right; NaN in an empty bin.
    """

    edges: NDArray[np.float64] = field(repr=False)
    counts: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]


def reliability(logits: ArrayLike, labels: ArrayLike, bins: int = BINS) -> Reliability:
    """Return the data of a reliability diagram, with bins of equal width.

    Args:
        logits: (n, classes), finite.
        labels: (n,), integers from 0 to classes - 1.
        bins: Number of bins, 1 or more.

    Raises:
        ValueError: There is no image, a logit is no finite number, or a label is no class.
    """
    confidence, right, at = _binned(logits, labels, bins)
    counts = np.bincount(at, minlength=bins)
    filled = np.where(counts > 0, counts, np.nan)
    means = [np.bincount(at, weights=values, minlength=bins) / filled
             for values in (confidence, right)]  # fmt: skip
    return Reliability(np.linspace(0.0, 1.0, bins + 1), counts, *means)


def calibration_terms(
    logits: ArrayLike, labels: ArrayLike, bins: int = BINS
) -> NDArray[np.float64]:
    """Return (n,) the term of each image; the mean of the terms is the calibration error.

    A term is confidence minus (1 if right, else 0), with the sign that this has in the image's bin
    on average. As long as no bin changes its sign, an image changes the error by its own term only,
    so that standard errors follow as those of any mean. For finitely many images the error is above
    0 however well calibrated the network is.

    Args:
        logits: See `reliability`.
        labels: See `reliability`.
        bins: See `reliability`.

    Raises:
        ValueError: See `reliability`.
    """
    confidence, right, at = _binned(logits, labels, bins)
    gaps = confidence - right
    signs = np.sign(np.bincount(at, weights=gaps, minlength=bins))
    return np.asarray(signs[at] * gaps)


def _binned(
    logits: ArrayLike, labels: ArrayLike, bins: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.intp]]:
    """Return of each answer its confidence, 1 where it is right, and its bin from 0."""
    wide, numbers = checked_logits(logits, labels)
    confidence = softmax(wide).max(axis=1)
    edges = np.linspace(0.0, 1.0, bins + 1)
    at = np.searchsorted(edges[1:-1], confidence, side="left")  # a bin holds its upper edge
    return confidence, (wide.argmax(axis=1) == numbers).astype(np.float64), at


Word = Literal["lower", "higher", "cannot tell"]


class ErrorEstimate(NamedTuple):
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Effect:
    """One measure on the same images, before and after.

    Attributes:
        before: With the logits as they are.
        after: With the logits divided by their temperatures.
        change: After minus before; negative is better.
    """

    before: ErrorEstimate
    after: ErrorEstimate
    change: ErrorEstimate

    @property
    def word(self) -> Word:
        """Return whether the interval of the change is on one side of 0."""
        if self.change.high < 0:
            return "lower"
        return "higher" if self.change.low > 0 else "cannot tell"


def compare(logits: ArrayLike, labels: ArrayLike, temperatures: ArrayLike) -> dict[str, Effect]:
    """Compare calibration error and negative log-likelihood before and after temperatures.

    Both are means of `measured_terms` over images. So each interval is that of a mean, by the
    normal distribution; the interval of the change is that of the differences image by image. The
    intervals hold for as many other images of the same kind, not for another training. Those of the
    calibration error are somewhat too wide where a bin's gap is within its noise. A bootstrap would
    not do: resampled images are noisier than images, and the error of a good network is mostly
    noise (in simulations, a bootstrap's intervals of the change covered in 72 to 78 of 100 cases,
    these in 96 or more).

    Args:
        logits: (n, classes), finite, two images or more.
        labels: (n,), integers from 0 to classes - 1; of images that did not fit their temperature.
        temperatures: (n,), above 0, or one for all.

    Returns:
        `ece` and `nll`, the latter in nats.

    Raises:
        ValueError: See `reliability`; or there is one image only, or a temperature is not above 0.
    """
    before, after = measured_terms(logits, labels, temperatures)
    return {
        name: Effect(
            _estimate(before[name], 0.0), _estimate(after[name], 0.0),
            _estimate(after[name] - before[name], -np.inf),
        )
        for name in before
    }  # fmt: skip


def measured_terms(
    logits: ArrayLike, labels: ArrayLike, temperatures: ArrayLike
) -> tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.float64]]]:
    """Return the terms of each image in `ece` and `nll`, before and after; shaped as the labels.

    Args:
        logits: See `compare`; or (networks, n, classes): bins then hold the answers of all.
        labels: See `compare`; or (networks, n).
        temperatures: Above 0; shaped as the labels, or broadcast to their shape.

    Raises:
        ValueError: See `reliability`; or a temperature is not above 0.
    """
    given, shape = np.asarray(logits), np.shape(labels)
    wide, numbers = checked_logits(given.reshape(-1, given.shape[-1]), np.ravel(labels))
    scale = np.broadcast_to(np.asarray(temperatures, np.float64), shape).ravel()
    if not (scale > 0).all():
        raise ValueError("temperatures: give numbers above 0")
    before, after = (
        {
            "ece": calibration_terms(one, numbers).reshape(shape),
            "nll": sparse_cross_entropy(one, numbers).reshape(shape),
        }
        for one in (wide, wide / scale[:, np.newaxis])
    )
    return before, after


def _estimate(terms: NDArray[np.float64], least: float) -> ErrorEstimate:
    if len(terms) < 2:
        raise ValueError("one image: give two or more")
    value = float(terms.mean())
    half = NormalDist().inv_cdf(0.975) * float(terms.std(ddof=1)) / len(terms) ** 0.5
    return ErrorEstimate(value, max(value - half, least), value + half)


@dataclass(frozen=True, eq=False)
class CrossFitted:
    """The effect of a temperature on one network, judged on images that did not fit it.

    Attributes:
        images: Number of images.
        accuracy: Share of right answers, the same at any temperature.
        temperature: Temperature fitted on all images.
        temperatures: Temperatures of the folds, the smallest first.
        measures: `ece` and `nll` (nats), see `compare`.
        before: Data of the reliability diagram.
        after: The same, cross-fitted.
    """

    images: int
    accuracy: float
    temperature: float
    temperatures: tuple[float, ...]
    measures: Mapping[str, Effect]
    before: Reliability
    after: Reliability

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, JSON-compatible; a value with an interval is [value, low, high]."""
        measures = {
            name: {**{when: list(it) for when, it in vars(one).items()}, "verdict": one.word}
            for name, one in self.measures.items()
        }
        return {
            "images": self.images,
            "accuracy": self.accuracy,
            "temperature": self.temperature,
            "folds": FOLDS,
            "temperatures": list(self.temperatures),
            **measures,
            "reliability": {"before": _bins(self.before), "after": _bins(self.after)},
        }


def cross_fit(logits: ArrayLike, labels: ArrayLike) -> CrossFitted:
    """Fit and judge a temperature on the same images, by cross-fitting.

    Args:
        logits: (n, classes), finite, of images that trained nothing; five images or more.
        labels: (n,), integers from 0 to classes - 1.

    Raises:
        ValueError: There are too few images, a logit is no finite number, or a label is no class.
    """
    wide, numbers = checked_logits(logits, labels)
    each = cross_fitted_temperatures(wide, numbers)
    return CrossFitted(
        images=len(numbers),
        accuracy=float((wide.argmax(axis=1) == numbers).mean()),
        temperature=fit_temperature(wide, numbers),
        temperatures=tuple(sorted(set(each.tolist()))),
        measures=compare(wide, numbers, each),
        before=reliability(wide, numbers),
        after=reliability(wide / each[:, np.newaxis], numbers),
    )


def _bins(shown: Reliability) -> dict[str, list[float | None]]:
    return {
        name: [None if np.isnan(v) else v for v in values.tolist()]
        for name, values in vars(shown).items()
    }
