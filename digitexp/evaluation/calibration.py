"""Whether probabilities can be taken at their word, and the temperature that makes them so.

Temperature scaling (Guo, Pleiss, Sun & Weinberger 2017, "On calibration of modern neural
networks"): probabilities are softmax(logits / T) for the T that minimises the negative
log-likelihood. The most likely class stays what it is, and so does the accuracy. NumPy only.

The confidence of an answer is its probability, the largest of the image's. Answers are put into
bins by their confidence; in each, the mean confidence should be the share that is right. The
expected calibration error (ECE) is the mean distance of the two, over images (Naeini, Cooper &
Hauskrecht 2015).

The validation part is all there is to fit a temperature on, and judging it there flatters it. So
each image is judged at the temperature that the other folds gave (cross-fitting); the temperature
that is told, and would be served, is that of all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from digitexp.numpy_functions import softmax, sparse_cross_entropy

__all__ = [
    "FOLDS",
    "HIGHEST",
    "LOWEST",
    "Comparison",
    "CrossFitted",
    "Interval",
    "Reliability",
    "binned",
    "calibration_terms",
    "checked_logits",
    "compare",
    "cross_fit",
    "cross_fitted_temperatures",
    "error_if_calibrated",
    "expected_calibration_error",
    "fit_temperature",
    "measured_terms",
    "reliability",
    "temperature_to_serve",
]


LOWEST, HIGHEST = 0.05, 20.0
"""Where a temperature is looked for; one that lies at an end is no minimum, but a limit."""

HALVINGS: Final = 36
"""Of the interval of log T: it is then narrower than 1e-10."""


def fit_temperature(logits: ArrayLike, labels: ArrayLike) -> float:
    """Return the temperature with the smallest mean negative log-likelihood.

    In 1/T the likelihood is convex and its slope is the mean of (expected logit - logit of the
    label), so that halving an interval of log T by the sign of that slope finds the only minimum.
    The same logits give the same number to the bit.

    Args:
        logits: (n, classes), finite, of images that trained nothing.
        labels: (n,), integers from 0 to classes - 1.

    Returns:
        Between `LOWEST` and `HIGHEST`. Where every image is right the likelihood grows for ever as
        T falls: then `LOWEST`. Where the logits know nothing of the labels: `HIGHEST`.

    Raises:
        ValueError: There is no image, a logit is no finite number, or a label is no class.
    """
    wide, numbers = checked_logits(logits, labels)
    wanted = wide[np.arange(len(numbers)), numbers]

    def is_too_hot(temperature: float) -> bool:
        expected = (softmax(wide, temperature) * wide).sum(axis=1)
        return bool(np.mean(expected - wanted) < 0)  # a larger 1/T would be likelier

    low, high = math.log(LOWEST), math.log(HIGHEST)
    if is_too_hot(LOWEST) or _all_right(wide, numbers):
        return LOWEST
    if not is_too_hot(HIGHEST):
        return HIGHEST
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if is_too_hot(math.exp(middle)) else (middle, high)
    return math.exp((low + high) / 2)


def temperature_to_serve(logits: ArrayLike, labels: ArrayLike) -> float:
    """Return the fitted temperature, or 1 where every image is right.

    Images without a mistake say nothing about how often to expect one: the limit that
    `fit_temperature` then returns would have a model answer 1.0 to everything.

    Args:
        logits: See `fit_temperature`.
        labels: See `fit_temperature`.

    Raises:
        ValueError: See `fit_temperature`.
    """
    wide, numbers = checked_logits(logits, labels)
    return 1.0 if _all_right(wide, numbers) else fit_temperature(wide, numbers)


def cross_fitted_temperatures(
    logits: ArrayLike, labels: ArrayLike, folds: int = 5
) -> NDArray[np.float64]:
    """Return for each image the temperature that the other folds' images give.

    So the images that a temperature is judged on did not fit it. Folds are stratified: of each
    class, every fold has as many images, give or take one; which, a fixed draw decides.

    Args:
        logits: See `fit_temperature`.
        labels: See `fit_temperature`.
        folds: How many, 2 or more; no more than images.

    Returns:
        (n,), by `temperature_to_serve`.

    Raises:
        ValueError: See `fit_temperature`; or there are fewer than 2 folds, or more than images.
    """
    wide, numbers = checked_logits(logits, labels)
    if not 2 <= folds <= len(numbers):
        raise ValueError(f"folds {folds}: give 2 to {len(numbers)}, the number of images")
    keys = np.random.PCG64(0).random_raw(len(numbers))
    order = np.lexsort((keys, numbers))  # class by class, drawn within each
    fold = np.empty(len(numbers), np.int64)
    fold[order] = np.arange(len(numbers)) % folds
    temperatures = np.empty(len(numbers))
    for number in range(folds):
        judged = fold == number
        temperatures[judged] = temperature_to_serve(wide[~judged], numbers[~judged])
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


def _all_right(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> bool:
    return bool((logits[np.arange(len(labels)), labels] >= logits.max(axis=1)).all())


BINS = 15
"""As many as Guo et al. 2017 have."""


@dataclass(frozen=True, eq=False)
class Reliability:
    """The content of a reliability diagram: images by the confidence of their answer.

    Attributes:
        edges: (bins + 1,) of the bins, from 0 to 1; a bin holds its upper edge.
        counts: (bins,) images in each.
        confidence: (bins,) their mean confidence; NaN in an empty bin.
        accuracy: (bins,) the share of them that is right; NaN in an empty bin.
    """

    edges: NDArray[np.float64] = field(repr=False)
    counts: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]


def reliability(
    logits: ArrayLike, labels: ArrayLike, temperature: float = 1.0, bins: int = BINS
) -> Reliability:
    """Return the data of a reliability diagram, with bins of equal width.

    Args:
        logits: (n, classes), finite.
        labels: (n,), integers from 0 to classes - 1.
        temperature: Logits are divided by it, see `softmax`.
        bins: How many, 1 or more.

    Raises:
        ValueError: There is no image, a logit is no finite number, a label is no class, or there
            are no bins.
    """
    confidence, right = _answers(logits, labels, temperature)
    edges = _edges(confidence, bins, equal_mass=False)
    at = binned(confidence, edges)
    counts = np.bincount(at, minlength=bins)
    filled = np.where(counts > 0, counts, np.nan)
    means = [np.bincount(at, weights=values, minlength=bins) / filled
             for values in (confidence, right)]  # fmt: skip
    return Reliability(edges, counts, *means)


def expected_calibration_error(
    logits: ArrayLike,
    labels: ArrayLike,
    temperature: float = 1.0,
    bins: int = BINS,
    *,
    equal_mass: bool = False,
) -> float:
    """Return the expected calibration error, from 0 to 1.

    It is above 0 for finitely many images however well calibrated the network is: see
    `error_if_calibrated`.

    Args:
        logits: See `reliability`.
        labels: See `reliability`.
        temperature: See `reliability`.
        bins: See `reliability`.
        equal_mass: Give each bin as many images instead of the same width (Nguyen & O'Connor
            2015); answers of one confidence stay in one bin.

    Raises:
        ValueError: See `reliability`.
    """
    terms = calibration_terms(logits, labels, temperature, bins, equal_mass=equal_mass)
    return float(terms.mean())


def calibration_terms(
    logits: ArrayLike,
    labels: ArrayLike,
    temperature: float = 1.0,
    bins: int = BINS,
    *,
    equal_mass: bool = False,
) -> NDArray[np.float64]:
    """Return (n,) what each image adds: the mean of it is the expected calibration error.

    It is confidence minus (1 if right, else 0), with the sign that this has in the image's bin on
    average. As long as no bin changes sides, it is all that one image changes in the error, so
    that errors of it follow as of any mean.

    Args:
        logits: See `reliability`.
        labels: See `reliability`.
        temperature: See `reliability`.
        bins: See `reliability`.
        equal_mass: See `expected_calibration_error`.

    Raises:
        ValueError: See `reliability`.
    """
    confidence, right = _answers(logits, labels, temperature)
    at = binned(confidence, _edges(confidence, bins, equal_mass=equal_mass))
    gaps = confidence - right
    signs = np.sign(np.bincount(at, weights=gaps, minlength=bins))
    return np.asarray(signs[at] * gaps)


def error_if_calibrated(
    logits: ArrayLike, labels: ArrayLike, temperature: float = 1.0, bins: int = BINS
) -> float:
    """Return the expected calibration error of a perfect network with these confidences.

    What finitely many images leave by chance: in each bin the mean of |N(0, s)|, s^2 the sum of
    p (1 - p) over its images.

    Args:
        logits: See `reliability`.
        labels: Checked only.
        temperature: See `reliability`.
        bins: See `reliability`.

    Raises:
        ValueError: See `reliability`.
    """
    confidence, _ = _answers(logits, labels, temperature)
    at = binned(confidence, _edges(confidence, bins, equal_mass=False))
    variances = np.bincount(at, weights=confidence * (1 - confidence), minlength=bins)
    return float(math.sqrt(2 / math.pi) * np.sqrt(variances).sum() / len(confidence))


def binned(confidence: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return (n,) the bin of each confidence, from 0; a bin holds its upper edge."""
    return np.asarray(np.searchsorted(edges[1:-1], confidence, side="left"), np.int64)


def _edges(confidence: NDArray[np.float64], bins: int, *, equal_mass: bool) -> NDArray[np.float64]:
    if bins < 1:
        raise ValueError(f"bins {bins}: give 1 or more")
    edges = np.linspace(0.0, 1.0, bins + 1)
    return np.asarray(np.quantile(confidence, edges)) if equal_mass else edges


def _answers(
    logits: ArrayLike, labels: ArrayLike, temperature: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the confidence of each answer, and 1 where it is right."""
    wide, numbers = checked_logits(logits, labels)
    confidence = softmax(wide, temperature).max(axis=1)
    return confidence, (wide.argmax(axis=1) == numbers).astype(np.float64)


Word = Literal["lower", "higher", "cannot tell"]


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """One measure on the same images, before and after.

    Attributes:
        before: With the logits as they are.
        after: With the logits divided by their temperatures.
        change: After minus before; negative is better.
    """

    before: Interval
    after: Interval
    change: Interval

    @property
    def word(self) -> Word:
        """Return whether the interval of the change is on one side of 0."""
        if self.change.high < 0:
            return "lower"
        return "higher" if self.change.low > 0 else "cannot tell"


def compare(
    logits: ArrayLike, labels: ArrayLike, temperatures: ArrayLike, bins: int = BINS
) -> dict[str, Comparison]:
    """Return what temperatures do to the calibration error and the negative log-likelihood.

    Both are means over images of `measured_terms`, so that each interval is the mean's, by the
    normal distribution; that of the change is of the differences image by image. They answer for
    as many other images of the same kind, not for another training. Of the calibration error they
    are somewhat too wide where a bin's gap is within its noise. A bootstrap would not do: resampled
    images are noisier than images, and the error of a good network is mostly noise (in simulations,
    its intervals of the change covered in 72 to 78 of 100 cases, these in 96 or more).

    Args:
        logits: (n, classes), finite, two images or more.
        labels: (n,), integers from 0 to classes - 1; of images that did not fit their temperature.
        temperatures: (n,), above 0, or one for all.
        bins: Of the calibration error, of equal width.

    Returns:
        `ece` and `nll`, the latter in nats.

    Raises:
        ValueError: See `reliability`; or there is one image only, or a temperature is not above 0.
    """
    before, after = measured_terms(logits, labels, temperatures, bins)
    return {
        name: Comparison(
            _interval(before[name], 0.0), _interval(after[name], 0.0),
            _interval(after[name] - before[name], -np.inf),
        )
        for name in before
    }  # fmt: skip


def measured_terms(
    logits: ArrayLike, labels: ArrayLike, temperatures: ArrayLike, bins: int = BINS
) -> tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.float64]]]:
    """Return what each image adds to `ece` and `nll`, before and after; shaped as the labels.

    Args:
        logits: See `compare`; or (networks, n, classes): bins then hold the answers of all.
        labels: See `compare`; or (networks, n).
        temperatures: Above 0; as the labels, or what is broadcast to that.
        bins: See `compare`.

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
            "ece": calibration_terms(one, numbers, bins=bins).reshape(shape),
            "nll": sparse_cross_entropy(one, numbers).reshape(shape),
        }
        for one in (wide, wide / scale[:, np.newaxis])
    )
    return before, after


def _interval(terms: NDArray[np.float64], least: float) -> Interval:
    if len(terms) < 2:
        raise ValueError("one image: give two or more")
    value = float(terms.mean())
    half = NormalDist().inv_cdf(0.975) * float(terms.std(ddof=1)) / len(terms) ** 0.5
    return Interval(value, max(value - half, least), value + half)


FOLDS: Final = 5


@dataclass(frozen=True, eq=False)
class CrossFitted:
    """The effect of a temperature on one network, judged on images that did not fit it.

    Attributes:
        images: How many.
        accuracy: The share that is right, at any temperature.
        temperature: Fitted on all images.
        temperatures: Of the folds, the smallest first.
        measures: `ece` and `nll` (nats), see `compare`.
        equal_mass: The calibration error before and after with bins of as many images each.
        if_calibrated: What a perfect network with these confidences would have, before and after.
        before: Data of the reliability diagram.
        after: The same, cross-fitted.
    """

    images: int
    accuracy: float
    temperature: float
    temperatures: tuple[float, ...]
    measures: Mapping[str, Comparison]
    equal_mass: tuple[float, float]
    if_calibrated: tuple[float, float]
    before: Reliability
    after: Reliability

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, JSON-compatible; a value with its interval is [value, low, high]."""
        measures = {
            name: {
                "before": _listed(one.before),
                "after": _listed(one.after),
                "change": _listed(one.change),
                "verdict": one.word,
            }
            for name, one in self.measures.items()
        }
        return {
            "images": self.images,
            "accuracy": self.accuracy,
            "temperature": self.temperature,
            "folds": FOLDS,
            "temperatures": list(self.temperatures),
            **measures,
            "ece_equal_mass": list(self.equal_mass),
            "ece_if_calibrated": list(self.if_calibrated),
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
    each = cross_fitted_temperatures(wide, numbers, FOLDS)
    cooled = wide / each[:, np.newaxis]
    both = (wide, cooled)
    mass, perfect = (
        (one(wide, numbers), one(cooled, numbers)) for one in (_equal_mass, error_if_calibrated)
    )
    before, after = (reliability(one, numbers) for one in both)
    return CrossFitted(
        images=len(numbers),
        accuracy=float((wide.argmax(axis=1) == numbers).mean()),
        temperature=temperature_to_serve(wide, numbers),
        temperatures=tuple(sorted(set(each.tolist()))),
        measures=compare(wide, numbers, each, BINS),
        equal_mass=mass,
        if_calibrated=perfect,
        before=before,
        after=after,
    )


def _equal_mass(logits: ArrayLike, labels: ArrayLike) -> float:
    return expected_calibration_error(logits, labels, equal_mass=True)


def _listed(interval: Interval) -> list[float]:
    return [interval.value, interval.low, interval.high]


def _bins(shown: Reliability) -> dict[str, list[float | None]]:
    return {
        "edges": shown.edges.tolist(),
        "counts": shown.counts.tolist(),
        "confidence": [None if np.isnan(v) else v for v in shown.confidence.tolist()],
        "accuracy": [None if np.isnan(v) else v for v in shown.accuracy.tolist()],
    }
