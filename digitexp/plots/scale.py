"""From values to pixels: the range an axis shows and the values written beside it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Scale", "epoch_scale", "value_scale"]

MARGIN = 0.05
"""Share of the values' range left free at either end."""

LOGARITHMIC_FROM = 30.0
"""Where the largest value is this many times the smallest, a linear axis hides the small ones."""

NARROWEST, SMALLEST = 1e-3, 1e-9
"""A range less wide than this, as a share of its values or in itself, is widened: its labels
would need more digits than there is room for."""


@dataclass(frozen=True)
class Scale:
    """One axis: what it shows, and between which pixels."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False
    whole: bool = False
    """Only whole numbers are ticks."""

    def pixels(self, values: ArrayLike) -> NDArray[np.float64]:
        """Return where values lie, NaN for what is not finite."""
        numbers = np.asarray(values, dtype=float)
        numbers = np.where(np.isfinite(numbers), numbers, np.nan)
        low, high = self.low, self.high
        if self.logarithmic:
            numbers, low, high = np.log10(numbers), math.log10(low), math.log10(high)
        return np.asarray(self.start + (numbers - low) / (high - low) * (self.end - self.start))

    def ticks(self) -> dict[float, str]:
        """Return round values inside the range, with what to write beside them."""
        values = self._decades() if self.logarithmic else self._steps()
        values = values[(values >= self.low) & (values <= self.high)]
        if self.logarithmic or not 1e-3 <= np.abs(values).max(initial=0) < 1e5:
            return {value: f"{value:g}" for value in values.tolist()}
        decimals = _decimals(values)
        values = values.round(decimals) + 0.0  # no -0
        return {value: f"{value:.{decimals}f}" for value in values.tolist()}

    def _steps(self) -> NDArray[np.float64]:
        from matplotlib.ticker import MaxNLocator

        steps = [1, 2, 5, 10] if self.whole else [1, 2, 2.5, 5, 10]
        locator = MaxNLocator(nbins=9, steps=steps, integer=self.whole, min_n_ticks=1)
        return np.asarray(locator.tick_values(self.low, self.high))

    def _decades(self) -> NDArray[np.float64]:
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        step = max(1, (last - first) // 6)
        powers = 10.0 ** np.arange(first - first % step, last + 1, step)
        between = (1, 2, 5) if last - first <= 3 else (1,)
        return np.sort(np.outer(powers, between).ravel())


def epoch_scale(epochs: int, start: float, end: float) -> Scale:
    """Return an axis of the epochs from 1 on, half an epoch free at either end."""
    return Scale(0.5, epochs + 0.5, start, end, whole=True)


def value_scale(
    values: Iterable[float], start: float, end: float, *, may_be_logarithmic: bool
) -> Scale:
    """Return an axis that shows all finite values; [0, 1] when there is none."""
    numbers = np.array(list(values), dtype=float)
    numbers = numbers[np.isfinite(numbers)]
    if not len(numbers):
        return Scale(0.0, 1.0, start, end)
    low, high = float(numbers.min()), float(numbers.max())
    if may_be_logarithmic and low > 0 and high > LOGARITHMIC_FROM * low:
        factor = (high / low) ** MARGIN
        return Scale(low / factor, high * factor, start, end, logarithmic=True)
    largest = max(abs(low), abs(high))
    if high - low > max(NARROWEST * largest, SMALLEST):
        free = MARGIN * (high - low)
    else:
        free = MARGIN * (largest if largest > SMALLEST else 1.0)
    return Scale(low - free, high + free, start, end)


def _decimals(values: NDArray[np.float64]) -> int:
    """Return the fewest decimals that tell evenly spaced values apart without rounding them."""
    step = float(values[1] - values[0]) if len(values) > 1 else float(values[0])
    exact = (
        decimals
        for decimals in range(10)
        if math.isclose(step * 10**decimals, round(step * 10**decimals), rel_tol=1e-6)
    )
    return next(exact, 10)
