"""A sheet of pixels to draw on: strokes by matplotlib's Agg, letters by Pillow.

Every trial of a sweep gets two pictures, drawn beside its training. A figure with axes spends
nearly all its time on tick and text objects (200 ms for the two); the same Agg strokes and
letters put straight on a sheet take a tenth. No sheet knows of another, and what is cached
(fonts, letters already drawn) never changes: threads may draw at once, and the same calls give
the same bytes with the same versions of matplotlib and Pillow.
"""

from __future__ import annotations

import struct
import zlib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from digitexp.plots.colors import INK, PAPER, rgb
from digitexp.plots.fonts import Face
from digitexp.plots.lettering import ENGLISH, Lettering

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

__all__ = ["Sheet", "text_width"]

DPI = 130
RGBA = 6
"""PNG's number for four channels."""

CAPITAL_HEIGHT = 0.73
"""Height of a capital or a digit of DejaVu Sans, as a share of the font size."""

Align = Literal["left", "center", "right"]
BEFORE: dict[Align, float] = {"left": 0.0, "center": 0.5, "right": 1.0}
"""Share of a text's width that lies left of where it is put."""


@lru_cache(maxsize=4096)
def text_width(
    text: str, size: float, *, bold: bool = False, lettering: Lettering = ENGLISH
) -> int:
    """Return the width in pixels of a line of text; `size` in points."""
    return round(_font(size, bold, lettering.face(text, bold=bold)).getlength(text))


class Sheet:
    """White paper; x to the right and y downwards, in pixels from the upper left corner.

    Widths of strokes and sizes of letters are points, as everywhere in matplotlib.
    """

    def __init__(self, width: int, height: int, lettering: Lettering = ENGLISH) -> None:
        from matplotlib.backends.backend_agg import RendererAgg

        self._height = height
        self.lettering = lettering
        self._agg = RendererAgg(width, height, DPI)  # type: ignore[no-untyped-call]
        self._pixels = np.asarray(self._agg.buffer_rgba())  # type: ignore[no-untyped-call]
        self.fill((0, width), (0, height), rgb(PAPER))

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
            color: Of the line and its markers.
            width: Of the line, in points.
            **look: What `matplotlib.lines.Line2D` takes, such as `marker` or `alpha`.
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
        color: str = INK,
        *,
        align: Align = "left",
        bold: bool = False,
        upward: bool = False,
    ) -> None:
        """Write one line; what does not fit on the sheet is cut off.

        Args:
            x: Where the text begins, has its middle, or ends, as `align` says.
            y: The middle of its capitals and digits.
            text: Any line.
            size: In points.
            color: Of the letters.
            align: Along the direction of the text.
            bold: Use the bold face.
            upward: Turn by 90 degrees, to be read from below; `x` and `y` swap roles.
        """
        ink, left, above = _letters(text, size, bold, self.lettering.face(text, bold=bold))
        along = -BEFORE[align] * self.width_of(text, size, bold=bold) + left
        if upward:
            ink = np.rot90(ink)
            top, start = y - along - len(ink), x - above
        else:
            top, start = y - above, x + along
        self._blend(ink, round(start), round(top), rgb(color))

    def width_of(self, text: str, size: float, *, bold: bool = False) -> int:
        """Return the width in pixels of a line as `write` writes it; `size` in points."""
        return text_width(text, size, bold=bold, lettering=self.lettering)

    def png(self) -> bytes:
        """Return the picture as a PNG file.

        Flat colours compress no better with a filter on each row, and choosing filters, as
        image libraries do, takes more time than everything else here.
        """
        height, width, channels = self._pixels.shape
        rows = np.zeros((height, 1 + width * channels), np.uint8)  # each begins with: no filter
        rows[:, 1:] = self._pixels.reshape(height, -1)
        head = struct.pack(">IIBBBBB", width, height, 8, RGBA, 0, 0, 0)
        return (
            b"\x89PNG\r\n\x1a\n"
            + _chunk(b"IHDR", head)
            + _chunk(b"IDAT", zlib.compress(rows.data, level=3))
            + _chunk(b"IEND", b"")
        )

    def _blend(
        self, ink: NDArray[np.uint8], left: int, top: int, color: tuple[int, int, int]
    ) -> None:
        ink = ink[max(-top, 0) :, max(-left, 0) :]
        top, left = max(top, 0), max(left, 0)
        place = self._pixels[top : top + ink.shape[0], left : left + ink.shape[1], :3]
        share = ink[: place.shape[0], : place.shape[1], np.newaxis] / np.float32(255)
        place[:] = place + share * (np.array(color, np.float32) - place) + np.float32(0.5)


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
    """Return how much ink is where (0 to 255), and how far that lies right of and above a text."""
    font = _font(size, bold, face)
    mask, (left, top) = font.getmask2(text, mode="L", anchor="ls")
    width, height = mask.size
    ink = np.frombuffer(bytes(mask), np.uint8).reshape(height, width)
    return ink, round(left), -top - CAPITAL_HEIGHT * font.size / 2
