"""The values one parameter may take: ranges (Float, Int), Categorical, or Fixed to one value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from search_spaces.errors import SpaceError, did_you_mean, listing, show
from search_spaces.parameters import Suggester, Value
from search_spaces.values.scalars import is_number, same

# Ranges of numbers: Float (continuous, logarithmic or on a grid) and Int.
#
# A range that makes no sense raises SpaceError when it is made, so that YAML files, Python spaces,
# overrides and stored sweeps share one set of rules. Messages leave out the place; callers know it.


MAX_INTEGER = 2**53
"""Optuna stores every number as a float; beyond this, neighbours become equal."""


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


@dataclass(frozen=True)
class Categorical:
    """One of several values; with `bundles`, each is a label that sets several parameters."""

    choices: tuple[Value, ...]
    bundles: Mapping[str, Mapping[str, Value]] | None = None

    def __post_init__(self) -> None:
        if not self.choices:
            raise SpaceError("choices is empty; at least one value is needed")
        for index, choice in enumerate(self.choices):
            check_scalar(choice)
            if (
                choice in self.choices[:index]
            ):  # also true beside 1: samplers cannot tell them apart
                raise SpaceError(f"choices has {show(choice)} twice")

    @property
    def size(self) -> int:
        """Number of values."""
        return len(self.choices)

    @property
    def text(self) -> str:
        """The choices as a person writes them."""
        return listing(self.choices, limit=12)

    def value_at(self, index: int) -> Value:
        """Return choice number `index`, from 0."""
        return self.choices[index]

    def accept(self, value: object) -> Value:
        """Return the choice equal to the value, or raise SpaceError."""
        for choice in self.choices:
            if same(choice, value):
                return choice
        hint = did_you_mean(value, self.choices)
        raise SpaceError(f"received {show(value)}; allowed: {self.text}{hint}")

    def suggest(self, trial: Suggester, name: str) -> Value:
        """Ask the trial for a value."""
        return self.accept(trial.suggest_categorical(name, self.choices))

    def pick(self, fraction: float) -> Value:
        """Return the choice at a fraction in [0, 1] of the list."""
        return self.choices[min(int(fraction * self.size), self.size - 1)]

    def expand(self, name: str, value: Value) -> dict[str, Value]:
        """Return what a choice sets: the parameter itself, or everything in its bundle."""
        if self.bundles is None:
            return {name: value}
        return dict(self.bundles[str(value)])

    def to_dict(self) -> dict[str, Any]:
        """Return the canonical, JSON-compatible form."""
        if self.bundles is None:
            return {"type": "categorical", "choices": list(self.choices)}
        bundles = [
            {"label": label, "values": dict(self.bundles[str(label)])} for label in self.choices
        ]
        return {"type": "categorical", "bundles": bundles}


@dataclass(frozen=True)
class Fixed:
    """One value, set by an override: still in every configuration, no longer sampled."""

    value: Value
    bundle: Mapping[str, Value] | None = None

    @property
    def size(self) -> int:
        """Number of values."""
        return 1

    @property
    def text(self) -> str:
        """The value."""
        return f"{show(self.value)} (fixed)"

    def value_at(self, index: int) -> Value:
        """Return the value."""
        return self.value

    def accept(self, value: object) -> Value:
        """Return the value if it is equal, or raise SpaceError."""
        if not same(value, self.value):
            raise SpaceError(f"received {show(value)}; it is fixed to {show(self.value)}")
        return self.value

    def expand(self, name: str) -> dict[str, Value]:
        """Return what the value sets: the parameter itself, or everything in its bundle."""
        return {name: self.value} if self.bundle is None else dict(self.bundle)

    def to_dict(self) -> dict[str, Any]:
        """Return the canonical, JSON-compatible form."""
        bundle = None if self.bundle is None else dict(self.bundle)
        return {"type": "fixed", "value": self.value, "bundle": bundle}


Sampled = Float | Int | Categorical
Domain = Sampled | Fixed


def domain_from_dict(stored: Mapping[str, Any]) -> Domain:
    """Rebuild a domain from `to_dict()`."""
    kind = stored["type"]
    if kind == "float":
        return Float(stored["low"], stored["high"], stored["log"], stored["step"])
    if kind == "int":
        return Int(stored["low"], stored["high"], stored["log"], stored["step"])
    if kind == "fixed":
        return Fixed(stored["value"], stored["bundle"])
    if "bundles" in stored:
        bundles = {bundle["label"]: bundle["values"] for bundle in stored["bundles"]}
        return Categorical(tuple(bundles), bundles)
    return Categorical(tuple(stored["choices"]))


def check_scalar(value: object) -> None:
    """Refuse what a record could not store: anything but text, a finite number, a bool or None."""
    if value is None or isinstance(value, str | bool) or is_number(value):
        return
    raise SpaceError(
        f"received {show(value)}; text, a finite number, true, false or null is needed"
    )
