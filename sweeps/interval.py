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

    def within(self, metric: str) -> Self:
        """Return the interval of a metric's value within what the metric can be.

        It is as wide near its value, on a scale without limits: the logit between two, the log
        beside one (the delta method). Near a limit it is so wider on the other side; beside one
        limit at most twice as far.
        """
        least, most = limits_of(metric)
        below, above = self.value - least, most - self.value
        if below < 0 or above < 0 or (math.isinf(below) and math.isinf(above)):
            return self  # without a limit; or in percent, or negated: not what its name says
        if not (below and above):
            return replace(self, low=max(least, self.low), high=min(most, self.high))

        def end(half: float) -> float:
            """Return the end so far from the value; it is above 0 for the upper one."""
            slope = half * (1 / below + 1 / above)  # 1 / inf is 0
            grown = math.exp(max(-500.0, min(slope, 500.0)))
            if math.isinf(above):
                moved = below * (grown - 1)
                return self.value + (min(moved, 2 * half) if half > 0 else moved)
            if math.isinf(below):
                moved = above * (1 - 1 / grown)
                return self.value + (max(moved, 2 * half) if half < 0 else moved)
            return least + (most - least) * below * grown / (below * grown + above)

        return replace(self, low=end(self.low - self.value), high=end(self.high - self.value))

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
