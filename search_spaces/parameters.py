"""Parameters as an experiment describes them, and the protocol by which a space asks for values.

A space may only vary or fix parameters that its experiment understands, within their limits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Value = bool | int | float | str | None
"""A parameter's value: what a sampler proposes, YAML can write and a record can store."""


@dataclass(frozen=True)
class ParameterInfo:
    """One parameter an experiment understands.

    Attributes:
        type: Kind of value. `int` values are accepted where a float is expected; `any` accepts
            whatever a space can say.
        low: Smallest allowed number, inclusive; None = unbounded.
        high: Largest allowed number, inclusive; None = unbounded.
        choices: Allowed values of a categorical parameter; None = any string.
        default: Value used where a space neither varies nor fixes the parameter.
        optional: Whether None (YAML `null`, "switched off") is allowed too.
        required: Whether a space must vary or fix it, because there is no default.
        description: One line for errors and documentation, with the unit.
    """

    type: Literal["float", "int", "bool", "categorical", "any"]
    low: float | None = None
    high: float | None = None
    choices: tuple[Value, ...] | None = None
    default: Value = None
    optional: bool = False
    required: bool = False
    description: str = ""


class AnyParameter(dict[str, ParameterInfo]):
    """Parameters of any name: beside those that are known, each of kind `any`."""

    def __init__(self, known: Mapping[str, ParameterInfo], description: str) -> None:
        """Describe those that are known, and all others alike."""
        super().__init__(known)
        self._other = ParameterInfo("any", description=description)

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> ParameterInfo:
        return self._other


def find_parameter(name: str, known: Mapping[str, ParameterInfo]) -> ParameterInfo | None:
    """Return the description of a parameter, or None if the experiment has no such parameter.

    A key such as `units_{i}` stands for `units_1`, `units_2`, and so on.
    """
    if name in known:
        return known[name]
    match = re.fullmatch(r"(.+)_([1-9][0-9]*)", name)
    return known.get(f"{match[1]}_{{i}}") if match else None
