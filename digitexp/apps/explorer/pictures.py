"""Reads the ink of a picture file, and refuses in words a file that is no picture or too large."""

from __future__ import annotations

import base64
import io
import warnings
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

__all__ = ["FORMATS", "PictureError", "png_address", "read_ink"]

FORMATS: Final = ("PNG", "JPEG")
MOST_PIXELS: Final = 25_000_000
"""A telephone's photograph has 12 million; one of more is most likely meant to fill the memory."""
SMALL: Final = 64
"""Longer side of a picture that is taken pixel for pixel, as a data set's images are."""
LARGE: Final = 1024
"""Longer side that a larger picture is brought to first: digits end up at 20 or 28 pixels."""


class PictureError(ValueError):
    """A file holds no picture of a digit; the message says why."""


def read_ink(content: bytes) -> NDArray[np.float32]:
    """Return the ink (h, w) of a PNG or JPEG file: 0 is paper and 1 full ink.

    The border is paper, whether dark or light. In a photograph (any picture larger than `SMALL`)
    paper is not even and ink not black: pixels that differ from the paper no more than the border
    itself does are paper too, and the strongest ink becomes 1.

    Raises:
        PictureError: The file is no PNG or JPEG, is damaged, or has too many pixels.
    """
    grey = _grey(content)
    border = np.concatenate([grey[0], grey[-1], grey[1:-1, 0], grey[1:-1, -1]])
    paper = int(np.median(border))
    ink = (grey.astype(np.int16) - paper) * (-1 if paper > 127 else 1)
    span = np.float32(paper if paper > 127 else 255 - paper)
    found: NDArray[np.float32] = np.maximum(ink, 0).astype(np.float32) / span
    if max(grey.shape) <= SMALL:
        return found
    uneven = 2 * float(np.percentile(np.abs(border.astype(float) - paper), 95)) / float(span)
    if uneven >= 1:
        raise PictureError("its border is no paper: leave an even margin around the digit")
    without: NDArray[np.float32] = np.maximum(found - np.float32(uneven), 0)
    without /= without.max(initial=np.float32(1e-9))
    return without


def _grey(content: bytes) -> NDArray[np.uint8]:
    """Return (h, w) grey values of a file, turned upright; transparent parts are paper."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pixels: the limit here is our own
        try:
            picture = Image.open(io.BytesIO(content), formats=FORMATS)
        except UnidentifiedImageError:
            raise PictureError("no picture: PNG and JPEG are read") from None
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise PictureError(f"cannot be read: {error}") from None
        width, height = picture.size
        if width * height > MOST_PIXELS:
            raise PictureError(
                f"{width}x{height} pixels: at most {MOST_PIXELS // 10**6} million are read"
            )
        try:
            picture.draft("L", (LARGE, LARGE))  # a JPEG is then decoded at a fraction of its size
            upright = ImageOps.exif_transpose(picture)
            upright.load()
        except (OSError, ValueError, SyntaxError, EOFError) as error:
            raise PictureError(f"damaged: {error}") from None
    if max(upright.size) > LARGE:
        upright.thumbnail((LARGE, LARGE))
    return _flattened(upright)


def _flattened(picture: Image.Image) -> NDArray[np.uint8]:
    if picture.mode.startswith("I"):  # 16 bits a pixel
        wide = np.asarray(picture, np.float64)
        return np.asarray(np.clip(wide / 257, 0, 255).round(), np.uint8)
    if "A" not in picture.mode and "transparency" not in picture.info:
        return np.asarray(picture.convert("L"))
    layers = np.asarray(picture.convert("LA"), np.float32)
    light, opacity = layers[..., 0], layers[..., 1] / 255
    drawn = float((light * opacity).sum()) / max(float(opacity.sum()), 1e-9)
    paper = 0.0 if drawn > 127 else 255.0  # light ink is meant to lie on something dark
    return np.asarray((light * opacity + paper * (1 - opacity)).round(), np.uint8)


def png_address(image: NDArray[np.floating]) -> str:
    """Return a `data:` address of an image (h, w) in [0, 1], ink light as a network sees it."""
    bytes_ = np.asarray((np.clip(image, 0, 1) * 255).round(), np.uint8)
    file = io.BytesIO()
    Image.fromarray(bytes_).save(file, "PNG", compress_level=1)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
