"""A sheet of pixels to draw on: lines and dots in NumPy, letters by Pillow.

Every trial of a sweep gets a picture of its curves, drawn beside its training. A matplotlib figure
spends nearly all its time on tick and text objects, and importing it takes longer than drawing the
curves of twenty trials; of matplotlib only the font is taken. Sheets share only caches (fonts,
letters already drawn), whose entries never change. So threads may draw at once, and the same calls
give the same bytes with the same version of Pillow.
"""

from __future__ import annotations

import math
import struct
import sys
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import distribution
from typing import TYPE_CHECKING, Final, Literal

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

MOST_STEPS = 9
"""Most steps between the ticks of a linear axis."""


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
        """Return multiples of the smallest round step that has at most ten of them in the range."""
        least = (self.high - self.low) / MOST_STEPS
        power = 10.0 ** math.floor(math.log10(least))
        rounds = (1, 2, 5, 10) if self.whole else (1, 2, 2.5, 5, 10)
        step = next(number * power for number in rounds if number * power >= least * (1 - 1e-9))
        step = max(step, 1.0) if self.whole else step
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        return np.arange(first, last + 1, dtype=float) * step

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
POINT: Final = DPI / 72
"""Pixels in a point."""
LETTER_LEVELS: Final = 16
STROKE_LEVELS: Final = 8
"""Steps from paper to ink at the edge of a letter and of a line: a picture has few colours then,
and its file takes a third of the time to compress."""

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

    Widths of lines and sizes of letters and dots are points.
    """

    def __init__(self, width: int, height: int) -> None:
        self._whole = np.full((height, width), _one(colors.rgb(colors.PAPER)))
        self._pixels = self._whole.view(np.uint8).reshape(height, width, 4)

    def fill(
        self,
        x: tuple[int, int],
        y: tuple[int, int],
        color: tuple[int, int, int],
        *,
        dotted: bool = False,
    ) -> None:
        """Fill a rectangle with red, green, blue; ends are excluded, as in a slice.

        With `dotted`, of five pixels along its longer side two are filled.
        """
        place = self._whole[slice(*y), slice(*x)]
        if dotted:
            along = place if place.shape[0] > place.shape[1] else place.T
            along[::5] = along[1::5] = _one(color)
        else:
            place[...] = _one(color)

    def paste(self, x: int, y: int, shades: NDArray[np.uint8]) -> None:
        """Put a grey picture (height, width), from 0 (black) to 255, with its upper left corner."""
        height, width = shades.shape
        self._pixels[y : y + height, x : x + width, :3] = shades[..., np.newaxis]

    def line(
        self, xs: ArrayLike, ys: ArrayLike, color: str, width: float, dot: float = 0.0
    ) -> None:
        """Draw a line with round ends through points; NaN leaves a gap.

        Args:
            xs: Any number of places, in pixels.
            ys: As many.
            color: Color of the line.
            width: Width of the line, in points.
            dot: Diameter of a dot at each point, in points; 0: there are none.
        """
        points = np.column_stack([np.asarray(xs, float), np.asarray(ys, float)])
        covered = [_near_segments(points, width * POINT / 2)]
        if dot:
            covered.append(_near_points(points, dot * POINT / 2))
        columns, rows, shares = (np.concatenate(parts) for parts in zip(*covered, strict=True))
        self._cover(columns, rows, shares, color)

    def dots(
        self, xs: ArrayLike, ys: ArrayLike, color: str, size: float, opacity: float = 1.0
    ) -> None:
        """Draw dots; those that are not opaque become darker where they overlap.

        Args:
            xs: Any number of places, in pixels; one that is not finite gets no dot.
            ys: As many.
            color: Color of the dots.
            size: Their diameter, in points.
            opacity: From 0 to 1.
        """
        points = np.column_stack([np.asarray(xs, float), np.asarray(ys, float)])
        self._cover(*_near_points(points, size * POINT / 2), color, opacity)

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
        levels, left, above = _letters(text, size, bold, face_of(text, bold=bold))
        start = round(x - BEFORE[align] * text_width(text, size, bold=bold) + left)
        top = round(y - above)
        levels = levels[max(-top, 0) :, max(-start, 0) :]
        top, start = max(top, 0), max(start, 0)
        place = self._whole[top : top + levels.shape[0], start : start + levels.shape[1]]
        levels = levels[: place.shape[0], : place.shape[1]]
        if not place.size:
            return
        if (place == place[0, 0]).all():  # as a rule the paper
            place[...] = _ramp(color, int(place[0, 0]), LETTER_LEVELS).take(levels)
        else:
            mixed = _mix(color, place.ravel(), levels.ravel(), LETTER_LEVELS)
            place[...] = mixed.reshape(place.shape)

    def png(self) -> bytes:
        """Return the picture as a PNG file."""
        return encode_png(self._pixels)

    def _cover(
        self,
        columns: NDArray[np.int64],
        rows: NDArray[np.int64],
        shares: NDArray[np.float64],
        color: str,
        opacity: float = 1.0,
    ) -> None:
        """Mix a colour into pixels, by the share of each that is covered; one may come twice.

        Opaque ink covers a pixel as its most, other ink as one layer upon the other.
        """
        height, width = self._whole.shape
        inside = (shares > 0) & (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
        places, shares = (rows * width + columns)[inside], np.minimum(shares[inside], 1.0)
        if opacity < 1:
            places, which = np.unique(places, return_inverse=True)
            shares = 1 - np.exp(np.bincount(which, np.log1p(-opacity * shares), len(places)))
        levels = (shares * STROKE_LEVELS + 0.5).astype(np.uint8)
        order = np.argsort(levels, kind="stable")  # of a pixel's levels the last, and most, stays
        places, levels = places[order], levels[order]
        whole = self._whole.ravel()
        below = whole[places]
        paper = int(_one(colors.rgb(colors.PAPER)))
        mixed = _ramp(color, paper, STROKE_LEVELS).take(levels)
        other = np.flatnonzero(below != paper)
        mixed[other] = _mix(color, below[other], levels[other], STROKE_LEVELS)
        whole[places] = mixed


Near = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]
"""Columns and rows of pixels, and the share of each that is covered: not above 0 if none is."""


def _near_segments(points: NDArray[np.float64], half: float) -> Near:
    """Return the pixels near the segments between points (n, 2), which are 2 `half` wide.

    Those of a segment are looked for across the axis along which it is longer. A pixel is covered
    by how far its middle lies inside.
    """
    ends = np.stack([points[:-1], points[1:]], axis=2)  # segment, axis, end
    ends = ends[np.isfinite(ends).all(axis=(1, 2))]
    long = np.abs(ends[..., 1] - ends[..., 0])
    is_steep = long[:, 1] > long[:, 0]
    ends[is_steep] = ends[is_steep, ::-1]  # first the axis along which it is longer
    reach = math.ceil(math.sqrt(2) * (half + 0.5) - 0.5)  # as far as at 45 degrees
    first = np.floor(ends[:, 0].min(axis=1) - half).astype(int)
    counts = np.ceil(ends[:, 0].max(axis=1) + half).astype(int) - first
    which = np.repeat(np.arange(len(ends)), counts)
    place = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts) + first[which]
    begin, base = ends[which, :, 0].T[..., np.newaxis]
    length, rise = (ends[which, :, 1] - ends[which, :, 0]).T[..., np.newaxis]
    along = place[:, np.newaxis] + 0.5 - begin
    middle = base + rise * np.clip(along / np.where(length, length, 1), 0, 1)
    across = np.floor(middle) + np.arange(-reach, reach + 1)
    beside = across + 0.5 - base
    share = (along * length + beside * rise) / np.maximum(length**2 + rise**2, 1e-12)
    share = np.clip(share, 0, 1)  # of the segment, at the place that is nearest
    distance = np.hypot(along - share * length, beside - share * rise)
    turned, across = is_steep[which, np.newaxis], across.astype(int)
    columns = np.where(turned, across, place[:, np.newaxis])
    rows = np.where(turned, place[:, np.newaxis], across)
    return columns.ravel(), rows.ravel(), (half + 0.5 - distance).ravel()


def _near_points(points: NDArray[np.float64], radius: float) -> Near:
    """Return the pixels near points (n, 2), from which they are covered as far as a radius."""
    points = points[np.isfinite(points).all(axis=1)]
    reach = math.ceil(radius)
    around = np.arange(-reach, reach + 1)
    places = np.floor(points)[..., np.newaxis] + around  # point, axis, pixel
    beside = places + 0.5 - points[..., np.newaxis]
    distance = np.hypot(beside[:, 0, np.newaxis, :], beside[:, 1, :, np.newaxis])
    columns, rows = np.broadcast_arrays(
        places[:, 0, np.newaxis, :].astype(int), places[:, 1, :, np.newaxis].astype(int)
    )
    return columns.ravel(), rows.ravel(), (radius + 0.5 - distance).ravel()


@lru_cache(maxsize=64)
def _one(color: tuple[int, int, int]) -> np.uint32:
    """Return an opaque colour as one number, as a pixel is in memory."""
    return np.uint32(int.from_bytes([*color, 255], sys.byteorder))


def _mix(
    color: str, grounds: NDArray[np.uint32], levels: NDArray[np.uint8], most: int
) -> NDArray[np.uint32]:
    """Return what each of the grounds (n,) becomes by ink at a level (n,), from 0 to `most`."""
    below = grounds.view(np.uint8).reshape(-1, 4).astype(np.int32)
    share = levels[:, np.newaxis].astype(np.int32)
    ink = np.array([*colors.rgb(color), 255], np.int32)
    mixed = (share * ink + (most - share) * below + most // 2) // most
    return mixed.astype(np.uint8).view(np.uint32).ravel()


@lru_cache(maxsize=64)
def _ramp(color: str, ground: int, most: int) -> NDArray[np.uint32]:
    """Return the colours from a ground to an ink, one for each level."""
    grounds = np.full(most + 1, ground, np.uint32)
    return _mix(color, grounds, np.arange(most + 1, dtype=np.uint8), most)


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """Return pixels as a PNG file, with a palette if it has at most 256 colours.

    Flat colours compress no better with a filter on each row, and choosing filters, as image
    libraries do, takes more time than everything else here.

    Args:
        pixels: (height, width, 4): red, green, blue, and opacity, which is 255 everywhere.
    """
    height, width, _ = pixels.shape
    found = _indexed(np.ascontiguousarray(pixels).view(np.uint32)[..., 0])
    kind, content = (2, pixels[..., :3].reshape(height, -1)) if found is None else (3, found[0])
    rows = np.zeros((height, 1 + content.shape[1]), np.uint8)  # each begins with: no filter
    rows[:, 1:] = content
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))
        + (b"" if found is None else _chunk(b"PLTE", found[1]))
        + _chunk(b"IDAT", zlib.compress(rows.data, level=3))
        + _chunk(b"IEND", b"")
    )


def _indexed(whole: NDArray[np.uint32]) -> tuple[NDArray[np.uint8], bytes] | None:
    """Return pixels as numbers of colours, and these; None if there are more than 256.

    The paper is number 0, and only what is not paper is looked at. A hash that tells the colours
    apart is looked for: a table by it takes a fifth of the time of a search.
    """
    flat, paper = whole.ravel(), whole[0, 0]
    inked = np.flatnonzero(flat != paper)
    ink = flat[inked]
    found = np.sort(ink)
    found = found[np.flatnonzero(np.diff(found, prepend=~found[:1]))]
    for factor in map(np.uint32, range(0x9E3779B1, 0x9E3779B1 + 64, 2)):
        slots = found * factor >> np.uint32(16)
        if len(found) < 256 and len(np.unique(slots)) == len(found):
            table = np.zeros(1 << 16, np.uint8)
            table[slots] = np.arange(1, len(found) + 1)
            numbers = np.zeros(flat.shape, np.uint8)
            numbers[inked] = table[ink * factor >> np.uint32(16)]
            palette = np.concatenate([[paper], found]).astype(np.uint32).view(np.uint8)
            return numbers.reshape(whole.shape), palette.reshape(-1, 4)[:, :3].tobytes()
    return None


def _chunk(kind: bytes, content: bytes) -> bytes:
    """Return a chunk of a PNG file (https://www.w3.org/TR/png-3/, section 5)."""
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


@lru_cache(maxsize=64)
def _font(size: float, bold: bool, face: Face | None) -> FreeTypeFont:
    from PIL import ImageFont

    basic = ImageFont.Layout.BASIC
    if face is not None:
        return ImageFont.truetype(face.path, size * DPI / 72, face.index, layout_engine=basic)

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    path = distribution("matplotlib").locate_file(f"matplotlib/mpl-data/fonts/ttf/{name}")
    return ImageFont.truetype(str(path), size * DPI / 72, layout_engine=basic)


@lru_cache(maxsize=512)  # some MB at most: titles are new in every picture
def _letters(
    text: str, size: float, bold: bool, face: Face | None
) -> tuple[NDArray[np.uint8], int, float]:
    """Return a text's ink in levels, and how far right of its start and above its middle it is."""
    font = _font(size, bold, face)
    mask, (left, top) = font.getmask2(text, mode="L", anchor="ls")
    width, height = mask.size
    ink = np.frombuffer(bytes(mask), np.uint8).reshape(height, width)
    levels = np.rint(ink / 255 * LETTER_LEVELS).astype(np.uint8)
    return levels, round(left), -top - CAPITAL_HEIGHT * font.size / 2


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
