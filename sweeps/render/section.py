"""The parts of a section: texts, facts, tables, charts; drawn as HTML, as text, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sweeps.render.charts.chart import Chart


@dataclass(frozen=True)
class Text:
    """A paragraph; `lead` is large, `warning` stands out, `note` is small."""

    text: str
    kind: Literal["plain", "lead", "warning", "note"] = "plain"


@dataclass(frozen=True)
class Fact:
    """One figure, large, with what it is above it and a remark below."""

    label: str
    value: str
    detail: str = ""


@dataclass(frozen=True)
class Facts:
    """A row of figures."""

    facts: Sequence[Fact]


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        columns: Their names.
        rows: Cells as they are shown; numbers are set to the right.
        anchors: Names by which links find the rows; empty: none.
        is_searchable: Whether a reader may sort and filter it.
        title: Line above it.
        size: `half` shares the width of the page.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    anchors: Sequence[str] = ()
    is_searchable: bool = False
    title: str = ""
    size: Literal["wide", "half"] = "wide"


@dataclass(frozen=True)
class Code:
    """Lines to copy; `file` is the name under which a page offers them as a file, folded away."""

    text: str
    title: str = ""
    file: str = ""


@dataclass(frozen=True)
class Picture:
    """A PNG with a caption."""

    png: bytes
    caption: str
    detail: str = ""


@dataclass(frozen=True)
class Gallery:
    """Small pictures beside each other."""

    pictures: Sequence[Picture]


Block = Text | Facts | Table | Code | Gallery | Chart


@dataclass(frozen=True)
class Section:
    """A part of a report.

    Attributes:
        anchor: Its address on the page.
        title: Its heading.
        blocks: What it shows, in order.
    """

    anchor: str
    title: str
    blocks: Sequence[Block]

    @property
    def charts(self) -> list[Chart]:
        """Its charts."""
        return [block for block in self.blocks if isinstance(block, Chart)]
