"""A report as data: sections with their texts, facts, tables and charts; depends on no library.

Drawn as HTML by `page`, as text by `summaries`. A mark of a chart has a role, whose colour is in
the palette.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from sweeps.wording import counted

Role = Literal[
    "trial", "best", "baseline", "pruned", "failed", "reference", "first", "second", "third",
    "fourth", "fifth",
]  # fmt: skip


class Colors(NamedTuple):
    """A role's colour on white and on dark paper, where Okabe and Ito's darker ones hardly show."""

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
"""The palette of all charts: Okabe and Ito's, readable with every common colour blindness."""

COMPARED: Final[tuple[Role, ...]] = ("first", "second", "third", "fourth", "fifth")
"""Roles of the trials that are compared, in their order."""

SEQUENCE: Final = "cividis"
"""Colour scale of a quantity, known to plotly and matplotlib alike; safe for colour blindness."""

DIFFERENCES: Final = ((0.0, "#B2560B"), (0.5, "#F5F5F5"), (1.0, "#0B66A8"))
"""Colour scale of signed numbers around 0: places from 0 to 1 and their colours."""


Number = float | int | None


@dataclass(frozen=True)
class Axis:
    """One axis.

    Attributes:
        title: The quantity, with its unit.
        log: Whether it is logarithmic.
        labels: Names of its positions, from first to last, if it has no numbers.
        whole: Whether only whole numbers make sense.
        is_tiny: Whether its numbers are written like 1e-5.
        is_short: Whether a logarithmic axis spans so little that 2 and 5 are named, too.
    """

    title: str = ""
    log: bool = False
    labels: tuple[str, ...] | None = None
    whole: bool = False
    is_tiny: bool = False
    is_short: bool = False


@dataclass(frozen=True)
class Points:
    """Dots.

    Attributes:
        name: Name in the legend.
        x: Positions; labels on an axis with labels.
        y: Positions.
        role: Role that decides the colour.
        text: Texts shown under the pointer, one a point.
        low: Lower ends of intervals in y, None without.
        high: Upper ends of these intervals.
        values: A quantity shown by colour in place of the role's colour.
        values_title: Name of that quantity.
        is_diamond: Whether they are diamonds, to differ from other dots.
        shift: Shift to the right on an axis with labels, in distances of two labels.
        is_sideways: Whether they lie beside the labels of the vertical axis: `x` is upright then,
            and `y`, with its intervals, goes to the right.
    """

    name: str
    x: Sequence[Number | str]
    y: Sequence[Number]
    role: Role
    text: Sequence[str] = ()
    low: Sequence[Number] | None = None
    high: Sequence[Number] | None = None
    values: Sequence[Number] | None = None
    values_title: str = ""
    is_diamond: bool = False
    shift: float = 0.0
    is_sideways: bool = False

    def places(self, axis: Axis) -> list[Number]:
        """Return the positions as numbers; a label's is its number on the axis, from 0."""
        if axis.labels is None:
            return [x for x in self.x if not isinstance(x, str)]
        at = {label: place for place, label in enumerate(axis.labels)}
        return [at[str(x)] + self.shift for x in self.x]


@dataclass(frozen=True)
class Line:
    """A line; None in `y` interrupts it.

    Attributes:
        name: Name in the legend; an empty one is not listed.
        x: Positions.
        y: Positions.
        role: Role that decides the colour.
        text: Texts shown under the pointer, one a position; without texts and name, none is shown.
        dashed: Whether it is dashed.
        steps: Whether it keeps its height until the next position.
        faint: Whether it is one of many, thin and half transparent.
    """

    name: str
    x: Sequence[Number]
    y: Sequence[Number]
    role: Role
    text: Sequence[str] = ()
    dashed: bool = False
    steps: bool = False
    faint: bool = False


@dataclass(frozen=True)
class Bars:
    """Horizontal bars, the first on top.

    Attributes:
        name: Name in the legend; an empty one is not listed.
        labels: Names of the bars.
        values: Lengths of the bars.
        role: Role that decides the colour.
        low: Lower ends of intervals, None without.
        high: Upper ends of these intervals.
        text: Texts shown under the pointer, one a bar.
    """

    name: str
    labels: Sequence[str]
    values: Sequence[Number]
    role: Role
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    text: Sequence[str] = ()


@dataclass(frozen=True)
class Heatmap:
    """A matrix with its numbers; 0 is the middle of the colour scale.

    Attributes:
        values: The numbers, rows from top to bottom.
        rows: Names of the rows.
        columns: Names of the columns.
        text: Texts shown under the pointer, shaped like `values`.
        colors: Numbers from -1 to 1 that decide the colours in place of `values`; these are then
            counts, else differences, written with their sign.
        legend: Names of the colours of positive and of negative numbers.
    """

    values: Sequence[Sequence[float]]
    rows: Sequence[str]
    columns: Sequence[str]
    text: Sequence[Sequence[str]]
    legend: tuple[str, str]
    colors: Sequence[Sequence[float]] | None = None


@dataclass(frozen=True)
class Dimension:
    """One axis of parallel coordinates: a value a line.

    Attributes:
        title: The quantity.
        values: Numbers, or names if there are `labels`; None where a line has no value.
        log: Whether it is logarithmic.
        labels: The names, from bottom to top.
    """

    title: str
    values: Sequence[Number | str]
    log: bool = False
    labels: tuple[str, ...] | None = None

    def places(self) -> tuple[list[float], list[tuple[float, str]]]:
        """Return where each line crosses the axis, and the ticks; missing values lie below all."""
        if self.labels is not None:
            at = {label: float(place) for place, label in enumerate(self.labels)}
            known = [None if value is None else at[str(value)] for value in self.values]
            ticks = [(place, label) for label, place in at.items()]
        else:
            numbers = [None if value is None else float(value) for value in self.values]
            known = [math.log10(n) if self.log and n is not None else n for n in numbers]
            ticks = self._ticks([place for place in known if place is not None])
        present = [place for place in known if place is not None] or [0.0]
        below = min(present) - 0.15 * ((max(present) - min(present)) or 1.0)
        if None in known:
            ticks = [(below, "none"), *ticks]
        return [below if place is None else place for place in known], ticks

    def _ticks(self, places: Sequence[float]) -> list[tuple[float, str]]:
        if not places:
            return []
        low, high = min(places), max(places)
        steps = [low + (high - low) * step / 4 for step in range(5)] if high > low else [low]
        return [(step, f"{10**step if self.log else step:.3g}") for step in steps]


@dataclass(frozen=True)
class Parallel:
    """Parallel coordinates: a line a trial, coloured by a quantity.

    Attributes:
        dimensions: The axes, from left to right.
        values: The quantity, a value a line.
        title: Name of the quantity.
        text: Texts shown under the pointer, one a line.
        is_lower_better: Whether the lowest value has the lightest colour, not the highest.
    """

    dimensions: Sequence[Dimension]
    values: Sequence[float]
    title: str
    text: Sequence[str]
    is_lower_better: bool = False

    def lines(self) -> tuple[list[list[float]], list[tuple[int, float, str]]]:
        """Return each line's heights, from 0 to 1, and (axis, height, label) of the ticks."""
        heights: list[list[float]] = [[] for _ in self.values]
        labels = []
        for number, dimension in enumerate(self.dimensions):
            values, ticks = dimension.places()
            ends = [*values, *(place for place, _ in ticks)]
            low, span = min(ends), (max(ends) - min(ends)) or 1.0
            for line, value in zip(heights, values, strict=True):
                line.append((value - low) / span)
            labels += [(number, (place - low) / span, label) for place, label in ticks]
        return heights, labels


Mark = Points | Line | Bars | Heatmap | Parallel


@dataclass(frozen=True)
class Chart:
    """One chart.

    Attributes:
        name: Name of its file and its anchor on the page; letters, digits and `-`.
        title: One line above it.
        marks: The marks, the last one on top.
        x: Horizontal axis.
        y: Vertical axis.
        size: `wide` takes the whole width of the page, `half` shares it, `third` more so.
        note: One or two sentences below it that say how to read it.
    """

    name: str
    title: str
    marks: Sequence[Mark]
    x: Axis = field(default_factory=Axis)
    y: Axis = field(default_factory=Axis)
    size: Literal["wide", "half", "third"] = "half"
    note: str = ""

    @property
    def rows(self) -> int:
        """The number of rows, which are named from top to bottom; 0 without names."""
        bars = [len(mark.labels) for mark in self.marks if isinstance(mark, Bars)]
        beside = any(isinstance(mark, Points) and mark.is_sideways for mark in self.marks)
        return max(bars, default=len(self.y.labels or ()) if beside else 0)

    @property
    def alternative(self) -> str:
        """The chart in words, for those who do not see it."""
        axes = [axis.title for axis in (self.x, self.y) if axis.title]
        against = f" {' against '.join(reversed(axes))}." if axes else ""
        return (
            f"{self.title}.{against} {' '.join(filter(None, map(_in_words, self.marks)))}".strip()
        )


_MOST_IN_WORDS: Final = 12


def _in_words(mark: Mark) -> str:
    match mark:
        case Heatmap():
            texts = [text for row in mark.text for text in row if text]
            size = f"{counted(len(mark.rows), 'row')}, {counted(len(mark.columns), 'column')}."
            return size if texts else ""
        case Parallel():
            titles = ", ".join(dimension.title for dimension in mark.dimensions)
            return f"{counted(len(mark.values), 'line')} across {titles}."
        case Bars():
            return _listed(mark.name, mark.labels, mark.values, mark.low, mark.high)
        case Points():
            return _listed(mark.name or "dots", mark.x, mark.y, mark.low, mark.high)
        case Line(name=""):
            return ""
        case Line():
            known = [y for y in mark.y if y is not None]
            ends = f"from {_short(known[0])} to {_short(known[-1])}" if known else "empty"
            return f"{mark.name}: a line {_reach(known) if mark.faint else ends}."


def _listed(
    name: str,
    places: Sequence[Number | str],
    values: Sequence[Number],
    low: Sequence[Number] | None,
    high: Sequence[Number] | None,
) -> str:
    known = [value for value in values if value is not None]
    if len(places) > _MOST_IN_WORDS or not known:
        return f"{name}: {len(places)} {_reach(known)}."
    none: Sequence[Number] = [None] * len(places)
    said = []
    for place, value, least, most in zip(places, values, low or none, high or none, strict=True):
        interval = "" if least is None else f" ({_short(least)} to {_short(most)})"
        said.append(f"{_short(place)} {_short(value)}{interval}")
    return f"{name}: {'; '.join(said)}."


def _reach(known: Sequence[float | int]) -> str:
    return f"between {_short(min(known))} and {_short(max(known))}" if known else "without a value"


def _short(value: Number | str) -> str:
    if isinstance(value, str):
        return value
    return "none" if value is None else f"{value:.4g}"


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
