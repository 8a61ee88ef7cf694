"""What each role looks like, in every chart; readable with every common colour blindness.

Okabe and Ito's palette; on dark paper the darker ones would drown, so each role has two colours.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Role = Literal[
    "trial", "best", "baseline", "pruned", "failed", "reference", "first", "second", "third",
    "fourth", "fifth",
]  # fmt: skip


class Colors(NamedTuple):
    """A role's colour on white and on dark paper."""

    light: str
    dark: str


_BLUE, _VERMILION = Colors("#0072B2", "#56B4E9"), Colors("#D55E00", "#FF8C42")
_GREEN, _AMBER = Colors("#00795A", "#2BC59A"), Colors("#B87A00", "#F0B429")
_PURPLE, _GREY = Colors("#A4467C", "#E08FBC"), Colors("#8A8A8A", "#8F98A3")

COLORS: Final[dict[Role, Colors]] = {
    "trial": _BLUE,
    "best": _VERMILION,
    "baseline": _GREEN,
    "pruned": _AMBER,
    "failed": _PURPLE,
    "reference": _GREY,
    "first": _BLUE,
    "second": _VERMILION,
    "third": _GREEN,
    "fourth": _PURPLE,
    "fifth": _AMBER,
}

COMPARED: Final[tuple[Role, ...]] = ("first", "second", "third", "fourth", "fifth")
"""Roles of things that are compared, in their order."""

SEQUENCE: Final = "cividis"
"""Colour scale of a quantity, known to plotly and matplotlib alike; safe for colour blindness."""

COUNTS: Final = ((0.0, "#F2F6FA"), (0.5, "#6FA8D6"), (1.0, "#08416F"))
DIFFERENCES: Final = ((0.0, "#B2560B"), (0.5, "#F5F5F5"), (1.0, "#0B66A8"))
"""Colour scales of counts and of signed differences around 0."""
