"""Checks that each parameter lies within its distribution, which is kept as Optuna writes it.

Checked without Optuna: lists and tables are read before anything is imported.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from search_spaces.parameters import Value
from sweeps.records.shapes import shaped

_TOLERANCE: Final = 1e-8
"""Optuna's: how far from a multiple of its step a value may be, in steps."""


@dataclass(frozen=True)
class _Range:
    low: float
    high: float
    log: bool
    step: float | None

    def allows(self, value: Value) -> bool:
        if not isinstance(value, int | float) or not self.low <= value <= self.high:
            return False
        steps = (value - self.low) / self.step if self.step else 0.0
        return abs(steps - round(steps)) < _TOLERANCE

    @property
    def is_sound(self) -> bool:
        is_finite = -math.inf < self.low <= self.high < math.inf
        return is_finite and (self.step is None or self.step > 0) and (self.low > 0 or not self.log)


@dataclass(frozen=True)
class _Choices:
    choices: tuple[Value, ...]

    def allows(self, value: Value) -> bool:
        return value in self.choices

    @property
    def is_sound(self) -> bool:
        return bool(self.choices)


@dataclass(frozen=True)
class _Stored:
    name: Literal["FloatDistribution", "IntDistribution", "CategoricalDistribution"]
    attributes: _Range | _Choices


def check_sampled(params: Mapping[str, Value], distributions: Mapping[str, str]) -> None:
    """Refuse parameters that cannot have been sampled from their distributions.

    Args:
        params: Values by name.
        distributions: Of each, as the JSON text that Optuna makes of it.

    Raises:
        ValueError: Only some have one, one lies outside of it, or it is none.
    """
    odd = sorted(params.keys() ^ distributions.keys())
    if odd and distributions:
        raise ValueError(f"{odd[0]} has a value or a distribution, and not both")
    for name, text in distributions.items():
        if not _domain(text, name).allows(params[name]):
            raise ValueError(f"{name} is {params[name]!r}, outside of its distribution")


@lru_cache(maxsize=1024)
def _domain(text: str, name: str) -> _Range | _Choices:
    stored = shaped(_Stored, json.loads(text), f"the distribution of {name}")
    domain = stored.attributes
    if isinstance(domain, _Choices) != (stored.name == "CategoricalDistribution"):
        raise ValueError(f"the distribution of {name} has other attributes than its name says")
    if not domain.is_sound:
        raise ValueError(f"the distribution of {name} allows nothing")
    return domain
