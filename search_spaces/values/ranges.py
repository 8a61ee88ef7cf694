"""Ranges of numbers: Float (continuous, logarithmic or on a grid) and Int.

A range refuses to exist when it makes no sense, so YAML files, Python spaces, overrides and stored
sweeps share one set of rules. Messages leave out the place; callers know it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from search_spaces.errors import SpaceError, show
from search_spaces.suggesting import Suggester
from search_spaces.values.scalars import is_number

MAX_INTEGER = 2**53
"""Optuna stores every number as a float; beyond this, neighbours would become one."""


@dataclass(frozen=True)
class Float:
    """Numbers from `low` to `high`, both included; on a grid from `low` where `step` is given."""

    low: float
    high: float
    log: bool = False
    step: float | None = None

    def __post_init__(self) -> None:
        _check_range(self.low, self.high)
        if self.log and self.low <= 0:
            raise SpaceError(f"low is {show(self.low)}; with log it must be above 0")
        if self.step is None:
            return
        if self.log:
            raise SpaceError("log and step exclude each other; leave one out")
        if not is_number(self.step) or self.step <= 0:
            raise SpaceError(f"step is {show(self.step)}; a number above 0 is needed")
        _check_whole_steps(self.low, self.high, self.step)

    @property
    def size(self) -> int | None:
        """Number of values; None for a continuous range."""
        if self.step is None:
            return 1 if self.low == self.high else None
        return int(_steps(self.low, self.high, self.step)) + 1

    @property
    def text(self) -> str:
        """The range as a person writes it."""
        step = "" if self.step is None else f" step {show(self.step)}"
        return f"{show(self.low)}..{show(self.high)}{' log' if self.log else ''}{step}"

    def value_at(self, index: int) -> float:
        """Return the value number `index`, from 0, of a finite range."""
        if self.step is None:
            return float(self.low)
        return float(Decimal(str(self.low)) + index * Decimal(str(self.step)))

    def accept(self, value: object) -> float:
        """Return the value as this range stores it, or raise SpaceError."""
        if not is_number(value):
            raise SpaceError(f"received {show(value)}; a number in {self.text} is needed")
        if not self.low <= value <= self.high:
            raise SpaceError(f"received {show(value)}, outside {self.text}")
        if self.step is None:
            return float(value)
        index = round((value - self.low) / self.step)
        nearest = self.value_at(index)
        if abs(value - nearest) > 1e-8 * max(self.step, abs(nearest)):
            raise SpaceError(f"received {show(value)}, not on the steps of {self.text}")
        return nearest

    def suggest(self, trial: Suggester, name: str) -> float:
        """Ask the trial for a value."""
        value = trial.suggest_float(
            name, float(self.low), float(self.high), log=self.log, step=self.step
        )
        return self.accept(value)  # 0.1 + 2 * 0.1 comes back as 0.3: equal points look equal

    def pick(self, fraction: float) -> float:
        """Return the value at a fraction in [0, 1] of the range, on its own scale."""
        if (size := self.size) is not None:
            return self.value_at(min(int(fraction * size), size - 1))
        if self.log:
            low, high = math.log(self.low), math.log(self.high)
            value = math.exp(low + fraction * (high - low))
        else:
            value = self.low * (1 - fraction) + self.high * fraction
        return min(max(float(value), float(self.low)), float(self.high))

    def to_dict(self) -> dict[str, Any]:
        """Return the canonical, JSON-compatible form."""
        step = None if self.step is None else float(self.step)
        return {
            "type": "float",
            "low": float(self.low),
            "high": float(self.high),
            "log": self.log,
            "step": step,
        }


@dataclass(frozen=True)
class Int:
    """Whole numbers from `low` to `high`, both included, `step` apart."""

    low: int
    high: int
    log: bool = False
    step: int = 1

    def __post_init__(self) -> None:
        for key, value in (("low", self.low), ("high", self.high), ("step", self.step)):
            if not isinstance(value, int) or isinstance(value, bool):
                raise SpaceError(f"{key} is {show(value)}; a whole number is needed")
            if abs(value) > MAX_INTEGER:
                raise SpaceError(f"{key} is {show(value)}; at most {MAX_INTEGER} either way")
        _check_range(self.low, self.high)
        if self.log and self.low < 1:
            raise SpaceError(f"low is {self.low}; with log it must be at least 1")
        if self.step < 1:
            raise SpaceError(f"step is {self.step}; at least 1 is needed")
        if self.log and self.step != 1:
            raise SpaceError("log and step exclude each other; leave one out")
        _check_whole_steps(self.low, self.high, self.step)

    @property
    def size(self) -> int:
        """Number of values."""
        return (self.high - self.low) // self.step + 1

    @property
    def text(self) -> str:
        """The range as a person writes it."""
        step = "" if self.step == 1 else f" step {self.step}"
        return f"{self.low}..{self.high}{' log' if self.log else ''}{step}"

    def value_at(self, index: int) -> int:
        """Return the value number `index`, from 0."""
        return self.low + index * self.step

    def accept(self, value: object) -> int:
        """Return the value as this range stores it, or raise SpaceError."""
        if not is_number(value) or value != int(value):
            raise SpaceError(f"received {show(value)}; a whole number in {self.text} is needed")
        number = int(value)
        if not self.low <= number <= self.high:
            raise SpaceError(f"received {show(value)}, outside {self.text}")
        if (number - self.low) % self.step:
            raise SpaceError(f"received {show(value)}, not on the steps of {self.text}")
        return number

    def suggest(self, trial: Suggester, name: str) -> int:
        """Ask the trial for a value."""
        return self.accept(
            trial.suggest_int(name, self.low, self.high, step=self.step, log=self.log)
        )

    def pick(self, fraction: float) -> int:
        """Return the value at a fraction in [0, 1] of the range, on its own scale."""
        if self.log:
            value = self.low * math.pow(self.high / self.low, fraction)
            return min(max(round(value), self.low), self.high)
        return self.value_at(min(int(fraction * self.size), self.size - 1))

    def to_dict(self) -> dict[str, Any]:
        """Return the canonical, JSON-compatible form."""
        return {
            "type": "int",
            "low": self.low,
            "high": self.high,
            "log": self.log,
            "step": self.step,
        }


def _check_range(low: object, high: object) -> None:
    if not is_number(low):
        raise SpaceError(f"low is {show(low)}; a finite number is needed")
    if not is_number(high):
        raise SpaceError(f"high is {show(high)}; a finite number is needed")
    if low > high:
        raise SpaceError(f"low is {show(low)}, above high, which is {show(high)}; swap them?")


def _steps(low: float, high: float, step: float) -> Decimal:
    return (Decimal(str(high)) - Decimal(str(low))) / Decimal(str(step))


def _check_whole_steps(low: float, high: float, step: float) -> None:
    steps = _steps(low, high, step)
    if steps == int(steps):
        return
    start, width = Decimal(str(low)), Decimal(str(step))
    below, above = (show(float(start + (int(steps) + more) * width)) for more in (0, 1))
    raise SpaceError(
        f"high is {show(high)}, not low plus a whole number of steps; use {below} or {above}"
    )
