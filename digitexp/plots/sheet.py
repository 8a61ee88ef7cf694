"""A sheet of pixels to draw on: strokes by matplotlib's Agg, letters by Pillow.

Every trial of a sweep gets a picture of its curves, drawn beside its training. A figure with axes
spends nearly all its time on tick and text objects; the same Agg strokes and letters put straight
on a sheet take a tenth. Sheets share only caches (fonts, letters already
drawn), whose entries never change. So threads may draw at once, and the same calls give the same
bytes with the same versions of matplotlib and Pillow.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from digitexp.plots import colors
from digitexp.plots.language import Face, face_of

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

MARGIN = 0.05
"""Share of the values' range left free at either end."""

LOGARITHMIC_FROM = 30.0
"""Where the largest value is this many times the smallest, a linear axis hides the small ones."""

NARROWEST, SMALLEST = 1e-3, 1e-9
"""A range less wide than this, as a share of its values or in itself, is widened: its labels
would need more digits than there is room for."""


@dataclass(frozen=True)
class Scale:
    """One axis: the range of its values, and the pixels between which they lie."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False
    whole: bool = False
    """Only whole numbers are ticks."""

    def pixels(self, values: ArrayLike) -> NDArray[np.float64]:
        """Return the pixels of values; NaN for a value that is not finite."""
        numbers = np.asarray(values, dtype=float)
        numbers = np.where(np.isfinite(numbers), numbers, np.nan)
        low, high = self.low, self.high
        if self.logarithmic:
            numbers, low, high = np.log10(numbers), math.log10(low), math.log10(high)
        return np.asarray(self.start + (numbers - low) / (high - low) * (self.end - self.start))

    def ticks(self) -> dict[float, str]:
        """Return round values inside the range, with their labels."""
        values = self._decades() if self.logarithmic else self._steps()
        values = values[(values >= self.low) & (values <= self.high)]
        if self.logarithmic or not 1e-3 <= np.abs(values).max(initial=0) < 1e5:
            return {value: f"{value:g}" for value in values.tolist()}
        decimals = _decimals(values)
        values = values.round(decimals) + 0.0  # no -0
        return {value: f"{value:.{decimals}f}" for value in values.tolist()}

    def _steps(self) -> NDArray[np.float64]:
        from matplotlib.ticker import MaxNLocator

        steps = [1, 2, 5, 10] if self.whole else [1, 2, 2.5, 5, 10]
        locator = MaxNLocator(nbins=9, steps=steps, integer=self.whole, min_n_ticks=1)
        return np.asarray(locator.tick_values(self.low, self.high))

    def _decades(self) -> NDArray[np.float64]:
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        step = max(1, (last - first) // 6)
        powers = 10.0 ** np.arange(first - first % step, last + 1, step)
        between = (1, 2, 5) if last - first <= 3 else (1,)
        return np.sort(np.outer(powers, between).ravel())


def epoch_scale(epochs: int, start: float, end: float) -> Scale:
    """Return an axis of the epochs from 1 on, half an epoch free at either end."""
    return Scale(0.5, epochs + 0.5, start, end, whole=True)


def value_scale(
    values: Iterable[float], start: float, end: float, *, may_be_logarithmic: bool
) -> Scale:
    """Return an axis that shows all finite values; [0, 1] when there is none."""
    numbers = np.array(list(values), dtype=float)
    numbers = numbers[np.isfinite(numbers)]
    if not len(numbers):
        return Scale(0.0, 1.0, start, end)
    low, high = float(numbers.min()), float(numbers.max())
    if may_be_logarithmic and low > 0 and high > LOGARITHMIC_FROM * low:
        factor = (high / low) ** MARGIN
        return Scale(low / factor, high * factor, start, end, logarithmic=True)
    largest = max(abs(low), abs(high))
    if high - low > max(NARROWEST * largest, SMALLEST):
        free = MARGIN * (high - low)
    else:
        free = MARGIN * (largest if largest > SMALLEST else 1.0)
    return Scale(low - free, high + free, start, end)


def _decimals(values: NDArray[np.float64]) -> int:
    """Return the fewest decimals that tell evenly spaced values apart without rounding them."""
    step = float(values[1] - values[0]) if len(values) > 1 else float(values[0])
    exact = (
        decimals
        for decimals in range(10)
        if math.isclose(step * 10**decimals, round(step * 10**decimals), rel_tol=1e-6)
    )
    return next(exact, 10)


DPI = 130
KINDS = {3: 2, 4: 6}
"""Channels -> PNG's number for them."""

CAPITAL_HEIGHT = 0.73
"""Height of a capital or a digit of DejaVu Sans, as a share of the font size."""

Align = Literal["left", "center", "right"]
BEFORE: dict[Align, float] = {"left": 0.0, "center": 0.5, "right": 1.0}
"""Share of a text's width that lies left of where it is put."""


def font_of(text: str, pixels: float, bold: bool) -> FreeTypeFont:
    """Return the font in which a line of text is written in the language of the context."""
    return _font(pixels * 72 / DPI, bold, face_of(text, bold=bold))


def text_width(text: str, size: float, *, bold: bool = False) -> int:
    """Return the width in pixels of a line of text; `size` in points."""
    return _width(text, size, bold, face_of(text, bold=bold))


@lru_cache(maxsize=4096)
def _width(text: str, size: float, bold: bool, face: Face | None) -> int:
    return round(_font(size, bold, face).getlength(text))


class Sheet:
    """White paper; x to the right and y downwards, in pixels from the upper left corner.

    Widths of strokes and sizes of letters are points, as everywhere in matplotlib.
    """

    def __init__(self, width: int, height: int) -> None:
        from matplotlib.backends.backend_agg import RendererAgg

        self._height = height
        self._agg = RendererAgg(width, height, DPI)  # type: ignore[no-untyped-call]
        self._pixels = np.asarray(self._agg.buffer_rgba())  # type: ignore[no-untyped-call]
        self.fill((0, width), (0, height), colors.rgb(colors.PAPER))

    def fill(self, x: tuple[int, int], y: tuple[int, int], color: tuple[int, int, int]) -> None:
        """Fill a rectangle with red, green, blue; ends are excluded, as in a slice."""
        whole = self._pixels.view(np.uint32)[..., 0]  # one number a pixel: ten times faster
        whole[slice(*y), slice(*x)] = np.array([*color, 255], np.uint8).view(np.uint32)[0]

    def paste(self, x: int, y: int, shades: NDArray[np.uint8]) -> None:
        """Put a grey picture (height, width), from 0 (black) to 255, with its upper left corner."""
        height, width = shades.shape
        self._pixels[y : y + height, x : x + width, :3] = shades[..., np.newaxis]

    def stroke(self, xs: ArrayLike, ys: ArrayLike, color: str, width: float, **look: Any) -> None:
        """Draw a line through points; NaN leaves a gap.

        Args:
            xs: Any number of places, in pixels.
            ys: As many.
            color: Color of the line and its markers.
            width: Width of the line, in points.
            **look: Arguments of `matplotlib.lines.Line2D`, such as `marker` or `alpha`.
        """
        from matplotlib.lines import Line2D

        up = self._height - np.asarray(ys, dtype=float)  # Agg counts from below
        look = {"solid_capstyle": "round", "color": color, "linewidth": width, **look}
        Line2D(np.asarray(xs, dtype=float), up, **look).draw(self._agg)

    def write(
        self,
        x: float,
        y: float,
        text: str,
        size: float = 8,
        color: str = colors.INK,
        *,
        align: Align = "left",
        bold: bool = False,
    ) -> None:
        """Write one line; it is cut off at the edges of the sheet.

        Args:
            x: Where the text begins, has its middle, or ends, as `align` says.
            y: The middle of its capitals and digits.
            text: Any line.
            size: Size of the letters, in points.
            color: Color of the letters.
            align: Which part of it is at `x`.
            bold: Use the bold face.
        """
        ink, left, above = _letters(text, size, bold, face_of(text, bold=bold))
        start = x - BEFORE[align] * text_width(text, size, bold=bold) + left
        self._blend(ink, round(start), round(y - above), colors.rgb(color))

    def png(self) -> bytes:
        """Return the picture as a PNG file."""
        return encode_png(self._pixels)

    def _blend(
        self, ink: NDArray[np.uint8], left: int, top: int, color: tuple[int, int, int]
    ) -> None:
        ink = ink[max(-top, 0) :, max(-left, 0) :]
        top, left = max(top, 0), max(left, 0)
        place = self._pixels[top : top + ink.shape[0], left : left + ink.shape[1], :3]
        share = ink[: place.shape[0], : place.shape[1], np.newaxis] / np.float32(255)
        place[:] = place + share * (np.array(color, np.float32) - place) + np.float32(0.5)


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """Return pixels as a PNG file.

    Flat colours compress no better with a filter on each row, and choosing filters, as image
    libraries do, takes more time than everything else here.

    Args:
        pixels: (height, width, channels): red, green, blue, and opacity if there are four.
    """
    height, width, channels = pixels.shape
    rows = np.zeros((height, 1 + width * channels), np.uint8)  # each begins with: no filter
    rows[:, 1:] = pixels.reshape(height, -1)
    head = struct.pack(">IIBBBBB", width, height, 8, KINDS[channels], 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", head)
        + _chunk(b"IDAT", zlib.compress(rows.data, level=3))
        + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    """Return a chunk of a PNG file (https://www.w3.org/TR/png-3/, section 5)."""
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


@lru_cache(maxsize=64)
def _font(size: float, bold: bool, face: Face | None) -> FreeTypeFont:
    import matplotlib
    from PIL import ImageFont

    if face is not None:
        basic = ImageFont.Layout.BASIC
        return ImageFont.truetype(face.path, size * DPI / 72, face.index, layout_engine=basic)

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    path = Path(matplotlib.get_data_path(), "fonts", "ttf", name)  # comes with matplotlib
    return ImageFont.truetype(path, size * DPI / 72, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=512)  # some MB at most: titles are new in every picture
def _letters(
    text: str, size: float, bold: bool, face: Face | None
) -> tuple[NDArray[np.uint8], int, float]:
    """Return a text's ink, 0 to 255, and how far right of its start and above its middle it is."""
    font = _font(size, bold, face)
    mask, (left, top) = font.getmask2(text, mode="L", anchor="ls")
    width, height = mask.size
    ink = np.frombuffer(bytes(mask), np.uint8).reshape(height, width)
    return ink, round(left), -top - CAPITAL_HEIGHT * font.size / 2


BELOW, BESIDE = 13, 7
"""Pixels from an axis to its labels."""


def draw_axes(sheet: Sheet, x: Scale, y: Scale) -> None:
    """Draw a grid at the ticks of both scales, between the pixels they span."""
    left, right = int(x.start), int(x.end)
    bottom, top = int(y.start), int(y.end)
    grid, frame = colors.rgb(colors.GRID), colors.rgb(colors.FRAME)
    for value, label in x.ticks().items():
        place = round(float(x.pixels(value)))
        sheet.fill((place, place + 1), (top, bottom), grid)
        sheet.write(place, bottom + BELOW, label, 8, colors.LABEL, align="center")
    for value, label in y.ticks().items():
        place = round(float(y.pixels(value)))
        sheet.fill((left, right), (place, place + 1), grid)
        sheet.write(left - BESIDE, place, label, 8, colors.LABEL, align="right")
    sheet.fill((left, left + 1), (top, bottom + 1), frame)
    sheet.fill((left, right), (bottom, bottom + 1), frame)
