"""Reading PNG files back."""

import io

import numpy as np


def pixels(png: bytes) -> np.ndarray:
    """Return (height, width, 3) colours of a PNG, integers from 0 to 255."""
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def share_of(png: bytes, color: str) -> float:
    """Return the share of pixels that have a colour such as `#0072B2`, give or take a little."""
    wanted = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    return float(np.mean(np.abs(pixels(png) - wanted).max(axis=2) < 12))
