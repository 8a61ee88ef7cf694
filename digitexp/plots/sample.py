"""One image as a small PNG."""

from __future__ import annotations

import io

import numpy as np

__all__ = ["draw_sample"]


def draw_sample(image: np.ndarray) -> bytes:
    """Return an image as a PNG of its own size, ink on paper.

    Args:
        image: (height, width), or (height, width, channels) with one or three; from 0 (paper) to 1.
    """
    from PIL import Image

    pixels = np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.ndim == 2:
        pixels = 255 - pixels  # as on paper
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
