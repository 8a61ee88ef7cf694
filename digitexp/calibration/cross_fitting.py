"""The calibration of one network by its validation images alone: fitted on some, judged on others.

The validation part is all there is to fit a temperature on, and judging it there flatters it. So
each image is judged at the temperature that the other folds gave (cross-fitting); the temperature
that is told, and would be served, is that of all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from digitexp.calibration.error import (
    BINS,
    Reliability,
    error_if_calibrated,
    expected_calibration_error,
    reliability,
)
from digitexp.calibration.judging import Comparison, Interval, compare
from digitexp.calibration.temperature import (
    checked_logits,
    cross_fitted_temperatures,
    temperature_to_serve,
)

__all__ = ["FOLDS", "CrossFitted", "cross_fit"]

FOLDS: Final = 5


@dataclass(frozen=True, eq=False)
class CrossFitted:
    """What a temperature does to one network, judged on images that did not fit it.

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
