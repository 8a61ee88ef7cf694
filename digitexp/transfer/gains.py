"""What a start is worth: paired accuracies -> mean gain, its interval, a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np

__all__ = ["Gain", "paired_gain"]

Verdict = Literal["gain", "none", "harm"]


@dataclass(frozen=True)
class Gain:
    """By how much accuracy rose, as a share (0.01 = one point).

    Attributes:
        mean: Mean difference over the pairs.
        low: Lower end of its 95 % interval.
        high: Upper end.
    """

    mean: float
    low: float
    high: float

    @property
    def verdict(self) -> Verdict:
        """`none` where the interval contains 0: no gain is shown, nor that there is none."""
        if self.low > 0:
            return "gain"
        return "harm" if self.high < 0 else "none"


def paired_gain(alone: Sequence[float], started: Sequence[float]) -> Gain:
    """Compare accuracies by pairs of the same seed and images (paired t-interval; Student, 1908).

    The interval is over what the seeds decide: weights at the start, order, and which images are
    trained on. The validation images are the same throughout, and so is the start.

    Args:
        alone: Accuracies from nothing, at least two.
        started: Accuracies of the same seeds from the start.

    Raises:
        ValueError: They are no pairs, or fewer than two.
    """
    if len(alone) != len(started) or len(alone) < 2:
        raise ValueError(
            f"{len(alone)} and {len(started)} accuracies; give pairs, two at least, since an "
            "interval needs more than one"
        )
    from scipy.stats import t

    differences = np.subtract(started, alone)
    mean, pairs = float(differences.mean()), len(differences)
    half = float(t.ppf(0.975, pairs - 1)) * float(differences.std(ddof=1)) / sqrt(pairs)
    return Gain(mean, mean - half, mean + half)
