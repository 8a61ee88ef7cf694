"""How far probabilities are from how often they come true. NumPy only, float64 throughout.

The confidence of an answer is its probability, the largest of the image's. Answers are put into
bins by their confidence; in each, the mean confidence should be the share that is right. The
expected calibration error (ECE) is the mean distance of the two, over images (Naeini, Cooper &
Hauskrecht 2015).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from digitexp.calibration.temperature import checked_logits
from digitexp.functions import softmax

__all__ = [
    "Reliability",
    "binned",
    "calibration_terms",
    "error_if_calibrated",
    "expected_calibration_error",
    "reliability",
]

BINS = 15
"""As many as Guo et al. 2017 have."""


@dataclass(frozen=True, eq=False)
class Reliability:
    """What a reliability diagram shows: images by the confidence of their answer.

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
