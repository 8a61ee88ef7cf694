"""Sections of a report in a terminal: texts and tables, without charts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich import box
from rich import table as rich_table
from rich.console import Group, RenderableType
from rich.text import Text as RichText

from sweeps.render.section import Block, Section, Table, Text
from sweeps.wording import broken

MOST_UNBROKEN: Final = 14
"""Longest word, in characters, that a table never breaks."""


def render_sections(sections: Sequence[Section]) -> RenderableType:
    """Return the texts and tables of sections; a section without any is left out."""
    parts: list[RenderableType] = []
    for section in sections:
        shown = [rendered for block in section.blocks if (rendered := _render(block)) is not None]
        if shown:
            parts += [RichText(section.title, style="bold"), *shown, RichText("")]
    return Group(*parts[:-1])


def _is_word(block: Table, number: int) -> bool:
    """Whether a column is never broken: the first, and one of short words such as intervals."""
    words = [row[number] for row in block.rows]
    return number == 0 or all(" " not in w and len(w) <= MOST_UNBROKEN for w in words)


def _longest_word(block: Table, number: int) -> int:
    words = [word for row in block.rows for word in row[number].split()]
    return min(max(map(len, words), default=1), MOST_UNBROKEN)


def _render(block: Block) -> RenderableType | None:
    if isinstance(block, Text):
        return RichText(block.text, style="dim" if block.kind == "note" else "")
    if not isinstance(block, Table):
        return None
    table = rich_table.Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1))
    for number, column in enumerate(block.columns):
        table.add_column(
            broken(column),
            overflow="fold",
            no_wrap=_is_word(block, number),
            min_width=_longest_word(block, number),
        )
    for row in block.rows:
        table.add_row(*map(RichText, row))
    return table
