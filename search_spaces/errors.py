"""Mistakes in a search space, each said in one message that a person can act on."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Final

Path = tuple[str | int, ...]
"""A place in a space file: `("parameters", "units", "low")`."""


class SpaceError(ValueError):
    """A search space, an override or a point that cannot be used.

    Attributes:
        parameter: Name of the parameter at fault, where one is known.
    """

    def __init__(self, message: str, *, parameter: str | None = None) -> None:
        super().__init__(message)
        self.parameter = parameter


class Problems:
    """Collects what is wrong with one space, so that one message names all of it.

    Args:
        source: File or function that the space was read from; stands in front of every line.
        lines: Line number (from 1) of each known place in the source.
    """

    def __init__(self, source: str, lines: Mapping[Path, int]) -> None:
        self._source = source
        self._lines = lines
        self._found: list[tuple[int, str]] = []

    def add(self, path: Path, text: str) -> None:
        """Note one problem at a place; the line is that of the nearest known place above it."""
        known = path
        while known and known not in self._lines:
            known = known[:-1]
        line = self._lines.get(known)
        prefix = self._source if line is None else f"{self._source}:{line}"
        place = ".".join(str(part) for part in path)
        self._found.append(
            (line or 0, f"{prefix}: {place}: {text}" if place else f"{prefix}: {text}")
        )

    def raise_if_any(self) -> None:
        """Raise one SpaceError with a line per problem, in the order of the file."""
        if self._found:
            ordered = sorted(self._found, key=lambda problem: problem[0])
            raise SpaceError("\n".join(dict.fromkeys(text for _, text in ordered)))


def did_you_mean(name: object, allowed: Iterable[object]) -> str:
    """Return `; did you mean 'x'?` for the closest allowed name, or an empty text."""
    by_lower = {str(item).lower(): str(item) for item in allowed}
    close = difflib.get_close_matches(str(name).lower(), by_lower, n=1, cutoff=0.6)
    return f"; did you mean {by_lower[close[0]]!r}?" if close else ""


def listing(items: Iterable[object], limit: int = 40) -> str:
    """Join names with commas; a long list is cut and says so."""
    texts = [show(item) if not isinstance(item, str) else item for item in items]
    shown = ", ".join(texts[:limit])
    return f"{shown}, ... ({len(texts)} in all)" if len(texts) > limit else shown or "none"


HALF_CHARACTER: Final = re.compile("[\ud800-\udfff]")
"""Half of a surrogate pair: no UTF-8, so that nothing can store or send it."""
HALF: Final = "which has half a character (a lone surrogate); write the whole character"


def show(value: object, limit: int = 60) -> str:
    """Write a value as a space file would, cut to a readable length."""
    if value is None or isinstance(value, bool):
        text = {None: "null", True: "true", False: "false"}[value]
    elif isinstance(value, float):
        text = f"{value:g}" if float(f"{value:g}") == value else repr(value)
    elif isinstance(value, Mapping):
        text = "a mapping"
    elif isinstance(value, list | tuple):
        text = "a list"
    else:
        text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}..."
