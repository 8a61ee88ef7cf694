"""Parses conditions and constraints: `hidden_layers >= 2`, `optimizer in [sgd, adam] and l2 > 0`.

A comparison has a name on its left and a value on its right; after `<`, `<=`, `>` and `>=` the
right side may be a second name (`units_2 <= units_1`). Nothing is ever evaluated as code.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from search_spaces.errors import SpaceError, show
from search_spaces.parameters import Value
from search_spaces.values import is_number, parse_scalar, same

HELP = "write it like `parameters <= 20000`, `optimizer == sgd` or `units_1 in [16, 32] and l2 > 0`"

_ORDER: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_LEFT = re.compile(rf"({_NAME})\s*(<=|>=|==|!=|<(?!=)|>(?!=)|\bin\b)")
_BARE = re.compile(r"[^\s<>=!,\[\]'\"&|()*/]+")


@dataclass(frozen=True)
class Name:
    """A second name on the right side of a comparison."""

    text: str


@dataclass(frozen=True)
class Comparison:
    """One `name operator value`."""

    left: str
    operator: str
    right: Value | Name | tuple[Value, ...]

    def holds(self, values: Mapping[str, Value], *, if_absent: bool) -> bool:
        """Return whether it is true, or `if_absent` if a name has no value at this point."""
        if self.left not in values:
            return if_absent
        left = values[self.left]
        if isinstance(self.right, tuple):
            return any(same(left, item) for item in self.right)
        if self.operator in ("==", "!="):
            return same(left, self.right) == (self.operator == "==")
        right: object = self.right
        if isinstance(right, Name):
            if right.text not in values:
                return if_absent
            right = values[right.text]
        if not (isinstance(left, int | float) and isinstance(right, int | float)):
            return if_absent  # a parameter that is switched off (null) has no order
        return _ORDER[self.operator](left, right)

    def __str__(self) -> str:
        if isinstance(self.right, tuple):
            return f"{self.left} in [{', '.join(_written(item) for item in self.right)}]"
        right = self.right.text if isinstance(self.right, Name) else _written(self.right)
        return f"{self.left} {self.operator} {right}"


@dataclass(frozen=True)
class Expression:
    """Comparisons that must all hold."""

    comparisons: tuple[Comparison, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Every name used, in order, once."""
        found: dict[str, None] = {}
        for comparison in self.comparisons:
            found[comparison.left] = None
            if isinstance(comparison.right, Name):
                found[comparison.right.text] = None
        return tuple(found)

    def holds(self, values: Mapping[str, Value], *, if_absent: bool) -> bool:
        """Return whether every comparison is true; see `Comparison.holds`."""
        return all(part.holds(values, if_absent=if_absent) for part in self.comparisons)

    def __str__(self) -> str:
        return " and ".join(str(part) for part in self.comparisons)


def parse_expression(text: str) -> Expression:
    """Parse a condition or a constraint.

    Raises:
        SpaceError: A part is not understood; the message quotes it and says how to write it.
    """
    return Expression(tuple(_comparison(part) for part in re.split(r"\band\b", text)))


def _comparison(text: str) -> Comparison:
    text = text.strip()
    match = _LEFT.match(text)
    right = text[match.end() :].strip() if match else ""
    if match is None or not right:
        raise SpaceError(f"received {show(text)}, which is not a comparison; {HELP}")
    left, symbol = match.groups()
    if symbol == "in":
        return Comparison(left, symbol, _members(right))
    value = _operand(right)
    if symbol in _ORDER and not is_number(value):
        if not (isinstance(value, str) and re.fullmatch(_NAME, right)):
            raise SpaceError(f"received {show(right)} after {symbol}; a number or a name is needed")
        return Comparison(left, symbol, Name(right))
    return Comparison(left, symbol, value)


def _members(text: str) -> tuple[Value, ...]:
    if not (text.startswith("[") and text.endswith("]") and text[1:-1].strip()):
        raise SpaceError(f"received {show(text)} after in; a list is needed: `in [16, 32]`")
    return tuple(_operand(item.strip()) for item in text[1:-1].split(","))


def _operand(text: str) -> Value:
    if len(text) >= 2 and text[0] in "'\"" and text[-1] == text[0] and text[0] not in text[1:-1]:
        return text[1:-1]
    if not _BARE.fullmatch(text):
        raise SpaceError(f"received {show(text)}, which is not one value; {HELP}")
    return parse_scalar(text)


def _written(value: Value) -> str:
    if not isinstance(value, str):
        return show(value)
    if _BARE.fullmatch(value) and _reads_as_text(value):
        return value
    return f"'{value}'" if '"' in value else f'"{value}"'


def _reads_as_text(text: str) -> bool:
    try:
        return isinstance(parse_scalar(text), str)
    except SpaceError:
        return False
