"""A value with its interval: the one form in which all packages give an uncertain number."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Self

Z: Final = 1.959964
"""Standard errors from the middle of a normal distribution to the ends of its middle 95 %."""


@dataclass(frozen=True)
class Interval:
    """A value, and the interval that holds the true value with probability `level`.

    Attributes:
        value: The estimate.
        low: Lower end.
        high: Upper end.
        unit: Unit of all three: `share` (from 0 to 1, or a difference of two shares), `nats`, or
            `number` for any other.
        level: Share of such intervals that hold the true value.
    """

    value: float
    low: float
    high: float
    unit: str = "share"
    level: float = 0.95

    @classmethod
    def around(cls, value: float, half: float, unit: str = "share") -> Self:
        """Return the symmetric interval from `value - half` to `value + half`."""
        return cls(value=value, low=value - half, high=value + half, unit=unit)

    @property
    def ends(self) -> tuple[float, float]:
        """The lower and the upper end."""
        return self.low, self.high

    @property
    def is_told_apart(self) -> bool:
        """Whether the interval excludes 0: for a difference, whether there is one."""
        return self.low > 0 or self.high < 0

    @property
    def half(self) -> float:
        """The distance from the value to the end that is farther."""
        return max(self.high - self.value, self.value - self.low)

    def cut(self, metric: str) -> Self:
        """Return the interval of a metric's value as far as the metric can be there."""
        low, high = limits_of(metric)
        if not low <= self.value <= high:
            return self  # in percent, or negated: another metric than its name says
        return replace(self, low=max(low, self.low), high=min(high, self.high))

    def lies_within(self, margin: float) -> bool:
        """Whether the whole interval lies between `-margin` and `margin`, ends excluded."""
        return -margin < self.low and self.high < margin

    def __neg__(self) -> Self:
        """Return the difference with the other sign."""
        return replace(self, value=-self.value, low=-self.high, high=-self.low)


LIMITS: Final[Mapping[str, tuple[float, float]]] = {
    **dict.fromkeys(
        ("accuracy", "acc", "auc", "dice", "f1", "iou", "precision", "recall"), (0.0, 1.0)
    ),
    "r2": (-math.inf, 1.0),
    **dict.fromkeys(
        ("brier", "entropy", "crossentropy", "error", "logloss", "loss", "mae", "mape", "mse",
         "rmse", "rmsle"),
        (0.0, math.inf),
    ),
}  # fmt: skip
"""The least and the most that a metric can be, by a word of its name."""
_NO_VALUES: Final = frozenset(("delta", "diff", "difference", "gain", "gap"))


def limits_of(metric: str) -> tuple[float, float]:
    """Return the least and the most that a metric can be, as far as its name says so."""
    words = re.split(r"[^a-z0-9]+", metric.lower())
    known = [LIMITS[word] for word in words if word in LIMITS]
    return known[0] if known and _NO_VALUES.isdisjoint(words) else (-math.inf, math.inf)


def wilson(right: int, total: int) -> Interval:
    """Return `right / total` with its 95 % interval (Wilson 1927); of total 0: 0, from 0 to 1."""
    if total == 0:
        return Interval(0.0, 0.0, 1.0)
    share = right / total
    middle = share + Z**2 / (2 * total)
    half = Z * math.sqrt(share * (1 - share) / total + Z**2 / (4 * total**2))
    scale = 1 + Z**2 / total
    return Interval(share, (middle - half) / scale, (middle + half) / scale)
