"""Draws a confusion matrix small and fast, as the two files that MLflow's image grid shows.

Ten trials get nine pictures each at the end of a start, beside which somebody waits: cells are
filled as an array, letters are Pillow's own, and nothing of matplotlib is loaded.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image

RIGHT: Final = np.array([0, 114, 178.0])
WRONG: Final = np.array([213, 94, 0.0])
"""Okabe and Ito's blue and vermilion, told apart with every common colour blindness."""
INK: Final = (38, 38, 38)
MUTED: Final = (95, 95, 95)
SIDE: Final = 320
"""Pixels of the matrix, about."""
HEAD: Final = 40
EDGE: Final = 32
TITLE, NAME, COUNT = 22, 17, 18
"""Sizes of letters: large, for they are halved in the thumbnail."""
THUMBNAIL_PIXELS: Final = 188
"""So that ten stand in two rows on a common screen; MLflow's own have 256."""
SMALLEST_CELL_WITH_COUNTS: Final = 17
LONGEST_NAME: Final = 3
"""Characters of a class's name that fit beside its row."""


def draw_confusion(counts: NDArray[np.integer], names: Sequence[str], title: str) -> Image:
    """Return the picture of a matrix: right answers blue by recall, mistakes orange.

    Args:
        counts: (classes, classes), [true, predicted].
        names: Names in the order of the labels; cut, as there is little room.
        title: Line above the matrix.
    """
    from PIL import Image, ImageDraw

    classes = len(counts)
    cell = max(SIDE // classes, 1)
    side = cell * classes
    picture = Image.new("RGB", (EDGE + side + 4, HEAD + side + EDGE), "white")
    picture.paste(Image.fromarray(_cells(counts, cell)), (EDGE, HEAD))
    draw = ImageDraw.Draw(picture)
    draw.text((EDGE // 2, HEAD // 2), title, INK, _font(TITLE), anchor="lm")
    if cell >= SMALLEST_CELL_WITH_COUNTS:
        _write(draw, counts, names, cell)
    return picture


def encode(picture: Image) -> tuple[bytes, bytes]:
    """Return a picture as PNG, and as the WebP thumbnail that the grid shows first."""
    whole, small = io.BytesIO(), io.BytesIO()
    picture.save(whole, "PNG", compress_level=4)
    thumbnail = picture.copy()
    thumbnail.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS), reducing_gap=2.0)
    thumbnail.save(small, "WEBP", quality=85, method=1)
    return whole.getvalue(), small.getvalue()


def _cells(counts: NDArray[np.integer], cell: int) -> NDArray[np.uint8]:
    """Return the cells as pixels, a light line between them where there is room for one."""
    wrong = counts.astype(float)
    np.fill_diagonal(wrong, 0)
    strength = 0.8 * (wrong / max(wrong.max(), 5)) ** 0.7
    colors = 255 - strength[..., np.newaxis] * (255 - WRONG)
    diagonal = np.arange(len(counts))
    recall = np.diagonal(counts) / np.maximum(counts.sum(axis=1), 1)
    colors[diagonal, diagonal] = 255 - recall[:, np.newaxis] * (255 - RIGHT)
    small = np.asarray(colors.round(), np.uint8)
    pixels: NDArray[np.uint8] = small.repeat(cell, axis=0).repeat(cell, axis=1)
    if cell >= 6:
        pixels[::cell], pixels[:, ::cell] = 225, 225
    return pixels


def _write(draw: Any, counts: NDArray[np.integer], names: Sequence[str], cell: int) -> None:
    digits = len(str(counts.max()))
    size = int(min(cell * 0.55, (cell - 3) / (0.58 * digits), COUNT))
    recall = np.diagonal(counts) / np.maximum(counts.sum(axis=1), 1)
    for true, said in np.argwhere(counts).tolist():
        place = EDGE + (said + 0.5) * cell, HEAD + (true + 0.5) * cell
        ink = "white" if true == said and recall[true] > 0.55 else INK
        draw.text(place, str(counts[true, said]), ink, _font(size), anchor="mm")
    bottom = HEAD + len(counts) * cell
    for index, name in enumerate(names):
        middle, short = (index + 0.5) * cell, name[:LONGEST_NAME]
        draw.text((EDGE - 6, HEAD + middle), short, MUTED, _font(NAME), anchor="rm")
        draw.text((EDGE + middle, bottom + 15), short, MUTED, _font(NAME), anchor="mm")


@lru_cache(maxsize=16)
def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)
