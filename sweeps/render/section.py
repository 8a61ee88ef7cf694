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
    """One figure, large, with its label above and a remark below."""

    label: str
    value: str
    detail: str = ""


@dataclass(frozen=True)
class Facts:
    """Several figures in a row."""

    facts: Sequence[Fact]


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        columns: Names of the columns.
        rows: Texts of the cells; numbers are aligned to the right.
        anchors: Anchors of the rows, for links; empty: none.
        is_searchable: Whether a reader may sort and filter it.
        title: Line above it.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    anchors: Sequence[str] = ()
    is_searchable: bool = False
    title: str = ""


@dataclass(frozen=True)
class Code:
    """Lines to copy; with `file`, a page folds them and offers them as a file of that name."""

    text: str
    title: str = ""
    file: str = ""


@dataclass(frozen=True)
class Picture:
    """A PNG with a caption, a remark below it, and what is said in place of the picture."""

    png: bytes
    caption: str
    remark: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Gallery:
    """Small pictures side by side."""

    pictures: Sequence[Picture]


@dataclass(frozen=True)
class Folded:
    """What lies below a picture and is unfolded by whoever wants it; paper shows all of it.

    Attributes:
        title: Its one visible line.
        blocks: What is folded.
        anchor: Its address on the page, with which the contents list it, too; empty: none.
    """

    title: str
    blocks: Sequence[Text | Table | Code]
    anchor: str = ""


Block = Text | Facts | Table | Code | Gallery | Folded | Chart


@dataclass(frozen=True)
class Section:
    """A part of a report.

    Attributes:
        anchor: Its address on the page.
        title: Its heading.
        blocks: Its blocks, in order.
    """

    anchor: str
    title: str
    blocks: Sequence[Block]

    @property
    def listed(self) -> list[Folded]:
        """What is folded in it and has an address."""
        return [block for block in self.blocks if isinstance(block, Folded) and block.anchor]

    @property
    def charts(self) -> list[Chart]:
        """Its charts."""
        return [block for block in self.blocks if isinstance(block, Chart)]
