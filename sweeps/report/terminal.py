"""Sections of a report in a terminal: texts and tables; charts are for the page."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich import table as rich_table
from rich.console import Group, RenderableType
from rich.text import Text as RichText

from sweeps.report.blocks import Block, Section, Table, Text
from sweeps.report.numbers import broken


def render_sections(sections: Sequence[Section]) -> RenderableType:
    """Return what a terminal can show of some sections; those it cannot are left out."""
    parts: list[RenderableType] = []
    for section in sections:
        shown = [rendered for block in section.blocks if (rendered := _render(block)) is not None]
        if shown:
            parts += [RichText(section.title, style="bold"), *shown, RichText("")]
    return Group(*parts[:-1])


def _render(block: Block) -> RenderableType | None:
    if isinstance(block, Text):
        return RichText(block.text, style="dim" if block.kind == "note" else "")
    if not isinstance(block, Table):
        return None
    table = rich_table.Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1))
    for number, column in enumerate(block.columns):
        table.add_column(broken(column), overflow="fold", no_wrap=number == 0)
    for row in block.rows:
        table.add_row(*map(RichText, row))
    return table
