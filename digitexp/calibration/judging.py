"""Before and after: whether a temperature lowers the errors, with intervals over images."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from digitexp.calibration.error import BINS, calibration_terms
from digitexp.calibration.temperature import checked_logits
from digitexp.functions import sparse_cross_entropy

__all__ = ["Comparison", "Interval", "compare", "measured_terms"]

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
        """What became of the measure: whether the interval of the change is on one side of 0."""
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
