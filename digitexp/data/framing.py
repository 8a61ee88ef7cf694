"""How digits fill their frame: `cut_and_centre` made the embedded ones, `Framing` measures others.

Drawings and pictures are framed in the browser (`digitexp/pages/framing.js`), by what is measured
here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitexp.data.source import Array


def cut_and_centre(image: Array, shape: tuple[int, int]) -> Array:
    """Cut (h, w) pixels to the box of their ink and centre it, smaller margins above and left.

    Args:
        image: 0 is paper; any dtype.
        shape: Height and width of the result; of a larger box the middle is kept.

    Returns:
        An image of that shape and the same dtype; all paper if there is no ink.
    """
    framed = np.zeros(shape, image.dtype)
    box = cut(image)
    for axis, side in enumerate(shape):
        over = max(box.shape[axis] - side, 0)
        box = np.take(box, range(over // 2, box.shape[axis] - (over - over // 2)), axis)
    top, left = (shape[0] - box.shape[0]) // 2, (shape[1] - box.shape[1]) // 2
    framed[top : top + box.shape[0], left : left + box.shape[1]] = box
    return framed


def cut(image: Array) -> Array:
    """Return the box of the ink of (h, w) pixels; (0, 0) if there is none."""
    is_ink = image > 0
    rows, columns = np.flatnonzero(is_ink.any(axis=1)), np.flatnonzero(is_ink.any(axis=0))
    if not len(rows):
        return image[:0, :0]
    return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


@dataclass(frozen=True)
class Framing:
    """The way in which the training images fill their frame, measured on them.

    Attributes:
        shape: Height and width of an image.
        side: Median of the longer side of the ink's box, in pixels.
        by_mass: Whether the ink's centre of mass lies in the middle, as in MNIST's own 28x28
            images; if not, the ink's box does, as in digits20.
    """

    shape: tuple[int, int]
    side: int
    by_mass: bool

    @classmethod
    def of(cls, images: NDArray[np.float32]) -> Framing:
        """Measure training images (n, h, w) in [0, 1]; the first 500 are enough."""
        looked_at = [image for image in images[:500] if image.any()]
        height, width = images.shape[1:]
        sides = [max(cut(image).shape) for image in looked_at]
        framed = [cut_and_centre(image, (height, width)) for image in looked_at]
        off = [_both_off(*pair) for pair in zip(looked_at, framed, strict=True)]
        by_mass, by_box = np.mean(off, axis=0) if off else (0.0, 0.0)
        side = int(np.median(sides)) if sides else min(height, width)
        return cls((int(height), int(width)), side, bool(by_mass < by_box))


def _off_centre(image: Array) -> NDArray[np.floating]:
    """Return (rows, columns) by which the centre of mass lies below and right of the middle."""
    mass = image.astype(float)
    total = mass.sum()
    if not total:
        return np.zeros(2)
    centres = [
        float((mass.sum(axis=1 - axis) * np.arange(mass.shape[axis])).sum() / total)
        for axis in (0, 1)
    ]
    return np.array(centres) - (np.array(mass.shape) - 1) / 2


def _both_off(image: Array, boxed: Array) -> tuple[float, float]:
    """Return how far the mass lies from the middle, and from its place with the box centred."""
    mass = _off_centre(image)
    return float(np.abs(mass).max()), float(np.abs(_off_centre(boxed) - mass).max())
