"""What one hyperparameter may be, and the error that says it is not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Literal

__all__ = ["ConfigError", "Parameter", "Scalar"]

Scalar = bool | int | float | str | None
"""A flat value, as written in YAML, on a command line or in a record."""


class ConfigError(ValueError):
    """A hyperparameter is unknown, missing, of the wrong kind, out of limits or contradictory."""


@dataclass(frozen=True)
class Parameter:
    """One hyperparameter.

    Attributes:
        kind: What its values are; an `int` is accepted where a `float` is expected.
        meaning: One line, with the unit.
        default: Value where nothing is given.
        low: Smallest allowed number, inclusive.
        high: Largest allowed number, inclusive.
        choices: Allowed texts; None = any text.
        optional: Whether None ("off") is allowed.
    """

    kind: Literal["float", "int", "bool", "categorical"]
    meaning: str
    default: Scalar = None
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] | None = None
    optional: bool = False

    def check(self, name: str, value: Scalar) -> Scalar:
        """Return `value` as a plain bool, int, float, str or None.

        Raises:
            ConfigError: It is of another kind or outside the limits.
        """
        if value is None and self.optional:
            return None
        if self.kind == "categorical":
            is_text = isinstance(value, str) and value.strip() != ""
            if is_text and (self.choices is None or value in self.choices):
                return value
            raise self._refused(name, value)
        if self.kind == "bool":
            if isinstance(value, bool):
                return value
            raise self._refused(name, value)
        kind = Integral if self.kind == "int" else Real
        if isinstance(value, bool) or not isinstance(value, kind):
            raise self._refused(name, value)
        number = int(value) if self.kind == "int" else float(value)
        if not math.isfinite(number) or not self._within(number):
            raise self._refused(name, value)
        return number

    def _within(self, number: float) -> bool:
        above = self.low is None or number >= self.low
        return above and (self.high is None or number <= self.high)

    def _refused(self, name: str, value: object) -> ConfigError:
        return ConfigError(f"{name} is {value!r}; it must be {self.allowed}.")

    @property
    def allowed(self) -> str:
        """What is allowed, in words: `a number from 0 to 10`."""
        if self.kind == "bool":
            words = "true or false"
        elif self.kind == "categorical":
            words = "a text" if self.choices is None else "one of " + ", ".join(self.choices)
        else:
            noun = "an integer" if self.kind == "int" else "a number"
            words = f"{noun} from {self.low:.15g} to {self.high:.15g}"
        return f"{words}, or none (off)" if self.optional else words
