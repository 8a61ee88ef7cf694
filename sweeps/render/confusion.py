"""Draws a confusion matrix: large, as a file of its trial, or small, for MLflow's image grid.

Every trial gets a large one, and at the end of a start ten trials get six small ones each, while
somebody waits. So Pillow draws all of it; of matplotlib only the font is loaded. A pixel is one
byte, the number of its colour: to draw and to compress three would take three times as long. So
cells have a few shades, and between a shade and the letters on it lie a few more colours.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import distribution
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Color = tuple[int, int, int]
RIGHT: Final = 0, 114, 178
WRONG: Final = 213, 94, 0
"""Okabe and Ito's blue and vermilion, told apart with every common colour blindness."""
PAPER: Final = 255, 255, 255
INK: Final = 38, 38, 38
LABEL: Final = 80, 80, 80
MUTED: Final = 112, 112, 112
FRAME: Final = 176, 176, 176
GRID: Final = 232, 232, 232

CELL: Final = 60
"""Pixels of a cell, where the size of the matrix leaves a choice."""
SMALLEST_CELL_WITH_LINES: Final = 6
SMALLEST_CELL_WITH_NAMES: Final = 17
MOST_CLASSES_WITH_COUNTS: Final = 30


@dataclass(frozen=True)
class Size:
    """How large a matrix is drawn, and how much is written around it; lengths are pixels."""

    sides: tuple[int, int]  # least and most of the matrix
    above: int  # space above the matrix
    right: int  # space right of it
    beside: int  # space left of it and below it, more than the names take
    title: float  # height of the title's letters
    letters: float  # height of all others
    longest_name: int  # characters that are written of a class's name
    is_detailed: bool  # whether the axes are named, and recalls written
    legend: int  # space for the legend below all else; 0: it lies above the matrix


LARGE: Final = Size((416, 1820), 97, 97, 52, 17, 14.4, longest_name=40, is_detailed=True, legend=0)
SMALL: Final = Size((320, 320), 40, 4, 16, 19, 16, longest_name=3, is_detailed=False, legend=24)
"""Its letters are large, because a thumbnail halves them."""

Font = Callable[[str, float, bool], ImageFont.FreeTypeFont]
"""A text, the height of its letters, whether they are bold -> their font."""


@lru_cache(maxsize=64)
def dejavu(size: float, bold: bool) -> ImageFont.FreeTypeFont:
    """Return DejaVu Sans, which comes with matplotlib."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    path = distribution("matplotlib").locate_file(f"matplotlib/mpl-data/fonts/ttf/{name}")
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)


SHADES: Final = 16
"""Shades of blue, for recalls, and of orange, for mistakes; paper is none of them."""
STRONGEST: Final = 0.8
"""Share of orange of the worst mistake."""
MOST_RIGHT_WITH_INK: Final = 9
"""Shades of blue on which counts are dark; on stronger ones they are white."""


def _between(low: Color, high: Color, share: float) -> Color:
    red, green, blue = (round(a + share * (b - a)) for a, b in zip(low, high, strict=True))
    return red, green, blue


BLUES: Final = [_between(PAPER, RIGHT, step / SHADES) for step in range(SHADES + 1)]
ORANGES: Final = [_between(PAPER, WRONG, STRONGEST * step / SHADES) for step in range(SHADES + 1)]


class _Palette:
    """The colours of all pictures, and the steps from each ground to the letters on it."""

    def __init__(self) -> None:
        on_paper = [(color, PAPER, 12) for color in (INK, LABEL, MUTED)]
        on_blue = [(INK if step <= MOST_RIGHT_WITH_INK else PAPER, BLUES[step], 7)
                   for step in range(1, SHADES + 1)]  # fmt: skip
        on_orange = [(INK, shade, 6) for shade in ORANGES[1:]]
        self.numbers: dict[Color, int] = {}
        for color in (PAPER, GRID, FRAME, WRONG, *BLUES, *ORANGES):
            self.numbers.setdefault(color, len(self.numbers))
        self.tables: dict[tuple[Color, Color], list[int]] = {}
        for ink, ground, steps in (*on_paper, *on_blue, *on_orange):
            shades = [_between(ground, ink, step / steps) for step in range(steps + 1)]
            for shade in shades:
                self.numbers.setdefault(shade, len(self.numbers))
            covered = [self.numbers[shades[round(level / 255 * steps)]] for level in range(256)]
            self.tables[ink, ground] = covered
        self.bytes = bytes(part for color in self.numbers for part in color)


PALETTE: Final = _Palette()


@lru_cache(maxsize=1024)
def _written(
    text: str, font: ImageFont.FreeTypeFont, anchor: str, ink: Color, ground: Color
) -> tuple[Image.Image, int, int]:
    """Return a text on its ground, and where its corner lies from the place at the anchor.

    Few texts stand in many cells, and letters take longer to draw than all else.
    """
    drawn = ImageDraw.Draw(Image.new("L", (1, 1)))  # unlike a font, it knows several lines
    left, top, right, bottom = drawn.textbbox((0, 0), text, font, anchor)
    corner = math.floor(left), math.floor(top)
    mask = Image.new("L", (math.ceil(right) - corner[0], math.ceil(bottom) - corner[1]))
    ImageDraw.Draw(mask).text((-corner[0], -corner[1]), text, 255, font, anchor)
    return mask.point(PALETTE.tables[ink, ground]), *corner


def png(picture: Image.Image) -> bytes:
    """Return a picture as a PNG file."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=3)  # smaller files take half as long again
    return buffer.getvalue()


def draw_confusion(
    counts: NDArray[np.integer],
    names: Sequence[str],
    title: str,
    size: Size = LARGE,
    *,
    say: Callable[[str], str] = str,
    font: Font = lambda _, size, bold: dejavu(size, bold),
) -> Image.Image:
    """Return the picture of a confusion matrix, with a palette.

    Right answers are blue, by the class's recall; mistakes are orange, by their share of the
    worst mistake, so that they stand out however few they are. A legend says so.

    Args:
        counts: (classes, classes), [true, predicted].
        names: Names in the order of the labels.
        title: Line above the matrix.
        size: `LARGE` or `SMALL`.
        say: Returns an English word in the language of the picture.
        font: Returns the font of a text, as a rule DejaVu Sans.
    """
    matrix = _Matrix(counts, names, size, font)
    matrix.fill()
    matrix.write_names()
    matrix.write_counts()
    if size.is_detailed:
        matrix.write_details(say)
    matrix.write_legend(say)
    start = 0 if size.is_detailed else 8 - matrix.left
    matrix.write(start, -0.66 * size.above, title, "lm", INK, size.title, size.is_detailed)
    matrix.picture.putpalette(PALETTE.bytes)
    return matrix.picture


class _Matrix:
    """A matrix on its paper; places are pixels from the upper left corner of the matrix."""

    def __init__(
        self, counts: NDArray[np.integer], names: Sequence[str], size: Size, font: Font
    ) -> None:
        self._counts, self._size, self._font = counts, size, font
        self._totals = counts.sum(axis=1)
        self._recalls = np.diagonal(counts) / np.maximum(self._totals, 1)
        self._shades = _shades(counts, self._recalls)
        least, most = size.sides
        self._cell = max(min(max(CELL * len(counts), least), most) // len(counts), 1)
        self._side = self._cell * len(counts)
        self._middles = [(index + 0.5) * self._cell for index in range(len(counts))]
        has_names = self._cell >= SMALLEST_CELL_WITH_NAMES
        self._names = [name[: size.longest_name] for name in names] if has_names else []
        widths = [font(name, size.letters, False).getlength(name) for name in self._names]
        self._widest_name = round(max(widths, default=0))
        self.left, self._top = self._widest_name + size.beside, size.above
        width = self.left + self._side + size.right
        height = self._top + self._side + self.left + size.legend
        self.picture = Image.new("L", (width, height), PALETTE.numbers[PAPER])
        self._draw = ImageDraw.Draw(self.picture)

    def write(
        self, x: float, y: float, text: str, anchor: str, color: Color = LABEL,
        letters: float | None = None, bold: bool = False, ground: Color = PAPER,
    ) -> None:  # fmt: skip
        """Write a line on a ground; `anchor` is Pillow's."""
        font = self._font(text, letters or self._size.letters, bold)
        written, left, top = _written(text, font, anchor, color, ground)
        self.picture.paste(written, (round(self.left + x) + left, round(self._top + y) + top))

    def fill(self) -> None:
        numbers = [np.array([PALETTE.numbers[one] for one in shades], np.uint8)
                   for shades in (BLUES, ORANGES)]  # fmt: skip
        colors = np.where(np.eye(len(self._shades), dtype=bool),
                          numbers[0][self._shades], numbers[1][self._shades])  # fmt: skip
        cells, left, top, side = Image.fromarray(colors), self.left, self._top, self._side
        self.picture.paste(cells.resize((side, side), Image.Resampling.NEAREST), (left, top))
        if self._cell >= SMALLEST_CELL_WITH_LINES:
            grid = PALETTE.numbers[GRID]
            for edge in range(0, side, self._cell):
                self._draw.line((left + edge, top, left + edge, top + side), grid)
                self._draw.line((left, top + edge, left + side, top + edge), grid)
        frame = left - 1, top - 1, left + side + 1, top + side + 1
        self._draw.rectangle(frame, outline=PALETTE.numbers[FRAME], width=2)

    def write_names(self) -> None:
        is_upward = self._widest_name > self._cell - 4
        for middle, name in zip(self._middles, self._names, strict=False):
            self.write(-8, middle, name, "rm")
            if not is_upward:
                self.write(middle, self._side + 14, name, "mm")
        if is_upward:  # those on the left, turned
            left, top = self.left - self._widest_name - 8, self._top
            names = self.picture.crop((left, top, self.left - 2, top + self._side))
            upward = names.transpose(Image.Transpose.ROTATE_90)
            self.picture.paste(upward, (self.left, top + self._side + 2))

    def write_counts(self) -> None:
        if not self._names or len(self._counts) > MOST_CLASSES_WITH_COUNTS:
            return
        largest, letters = str(self._counts.max()), self._size.letters
        room = (self._cell - 6) / self._font(largest, letters, True).getlength(largest)
        for true, said in np.argwhere(self._counts).tolist():
            right, text = true == said, str(self._counts[true, said])
            shade = int(self._shades[true, said])
            color = PAPER if right and shade > MOST_RIGHT_WITH_INK else INK
            x, y = self._middles[said], self._middles[true]
            ground = (BLUES if right else ORANGES)[shade]
            self.write(x, y, text, "mm", color, letters * min(room, 1.0), right, ground)

    def write_legend(self, say: Callable[[str], str]) -> None:
        height = self._side + self.left + self._size.legend / 2 if self._size.legend else -19
        x, letters = 0.0, self._size.letters
        for color, word in ((RIGHT, say("right")), (WRONG, say("wrong"))):
            left, top = round(self.left + x), round(self._top + height - letters / 2)
            square = left, top, left + round(letters), top + round(letters)
            self._draw.rectangle(square, fill=PALETTE.numbers[color])
            self.write(x + 1.5 * letters, height, word, "lm", MUTED)
            x += 3 * letters + self._font(word, letters, False).getlength(word)

    def write_details(self, say: Callable[[str], str]) -> None:
        true, middle, right = say("true"), self._side / 2, self._side + 12
        font = self._font(true, self._size.letters, False)
        written, *_ = _written(true, font, "lt", LABEL, PAPER)
        upward = written.transpose(Image.Transpose.ROTATE_90)
        self.picture.paste(upward, (18, round(self._top + middle - upward.height / 2)))
        self.write(middle, self._side + self.left - 22, say("predicted"), "mm")
        self.write(right, -19, say("recall"), "lm", MUTED)
        for y, recall, total in zip(self._middles, self._recalls, self._totals, strict=True):
            self.write(right, y, f"{recall:.1%}" if total else "-", "lm", MUTED)


def _shades(counts: NDArray[np.integer], recalls: NDArray[np.floating]) -> NDArray[np.integer]:
    """Return the shade of each cell, from 0: of blue on the diagonal, of orange elsewhere."""
    wrong = counts.astype(float)
    np.fill_diagonal(wrong, 0)
    strength = (wrong / max(wrong.max(), 5)) ** 0.7
    np.fill_diagonal(strength, recalls)
    shades: NDArray[np.int64] = np.ceil(strength * SHADES - 0.5).astype(np.int64)
    shades[(strength > 0) & (shades < 1)] = 1
    return shades
