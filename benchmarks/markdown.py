"""Tables of the benchmarks as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def markdown(columns: Sequence[object], rows: Iterable[Sequence[object]], align: str = "") -> str:
    """Return a table.

    Args:
        columns: Heads.
        rows: A cell for each head.
        align: A letter a column, `l` or `r`; the last one holds for all columns after it, and
            without one all are to the left.
    """
    letters = (align or "l").ljust(len(columns), (align or "l")[-1])
    ruler = ["---:" if letter == "r" else "---" for letter in letters[: len(columns)]]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in (columns, ruler, *rows))


def kept(is_kept: bool) -> str:
    """Return the word for an aim that is reached, or not."""
    return "kept" if is_kept else "missed"


def interval(row: Mapping[str, Any], digits: int = 4, factor: float = 1) -> str:
    """Return a `difference` with its `lower` and `upper` limit."""
    value, low, high = (factor * row[key] for key in ("difference", "lower", "upper"))
    return f"{value:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f})"
