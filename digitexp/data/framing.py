"""Brings drawings and pictures of a digit into a frame as the training images fill theirs.

`cut_and_centre` made the embedded digits, and serves drawings and pictures as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from digitexp.data.source import Array

INK = 0.05
"""Pixels above this share of the darkest are ink: photographed paper is never quite 0."""
FINE = 16
"""Strokes are drawn so many times finer, then averaged, for soft edges as a scanner makes them."""
PEN = 0.12
"""Width of a stroke, in sides of the digit: about what MNIST's writers used."""

Strokes = Sequence[Sequence[tuple[float, float]]]
"""The strokes of a pen, each the points (x, y) from touch to lift; any unit, y downwards."""


def cut_and_centre(image: Array, shape: tuple[int, int], ink: float = 0.0) -> Array:
    """Cut (h, w) pixels to the box of their ink and centre it, smaller margins above and left.

    Args:
        image: 0 is paper; any dtype.
        shape: Height and width of the result; of a larger box the middle is kept.
        ink: Pixels above it are ink.

    Returns:
        An image of that shape and the same dtype; all paper if there is no ink.
    """
    framed = np.zeros(shape, image.dtype)
    box = cut(image, ink)
    for axis, side in enumerate(shape):
        over = max(box.shape[axis] - side, 0)
        box = np.take(box, range(over // 2, box.shape[axis] - (over - over // 2)), axis)
    top, left = (shape[0] - box.shape[0]) // 2, (shape[1] - box.shape[1]) // 2
    framed[top : top + box.shape[0], left : left + box.shape[1]] = box
    return framed


def cut(image: Array, ink: float = 0.0) -> Array:
    """Return the box of the ink of (h, w) pixels; (0, 0) if there is none."""
    is_ink = image > ink
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

    def strokes(self, strokes: Strokes) -> NDArray[np.float32]:
        """Draw strokes at the size of the training digits with their pen; float32 in [0, 1].

        Strokes of any size come out equally large. Without a stroke the image is all paper.
        """
        points = np.array([point for stroke in strokes for point in stroke], float)
        if not len(points):
            return np.zeros(self.shape, np.float32)
        low, high = points.min(axis=0), points.max(axis=0)
        pen = PEN * self.side
        scale = (self.side - pen) / max((high - low).max(), 1e-9)
        scale = min(scale, 1e6)
        size = np.maximum((high - low) * scale, 0) + 2 * pen
        width, height = (int(np.ceil(length)) * FINE for length in size)
        drawing = Image.new("L", (width, height))
        draw = ImageDraw.Draw(drawing)
        for stroke in strokes:
            path = ((np.array(stroke, float) - low) * scale + pen) * FINE
            _draw(draw, path, pen * FINE)
        return self._placed(_averaged(cut(np.asarray(drawing)), self.side))

    def picture(self, ink: NDArray[np.floating]) -> NDArray[np.float32]:
        """Bring a picture of one digit (h, w), 0 paper and 1 ink, into the frame.

        A picture of the frame's own size stays as it is. One whose ink fits the frame, and which is
        no more than 1.4 times as large (as MNIST's images are beside digits20), is taken pixel for
        pixel. Any other is scaled until its ink is as large as that of the training images.
        """
        pixels = ink.astype(np.float32)
        if pixels.shape == self.shape:
            return pixels
        is_small = max(pixels.shape) <= 1.4 * max(self.shape)
        if is_small and max((whole := cut(pixels)).shape) <= min(self.shape):
            return self._placed(whole)  # the faintest pixel counts, as in `cut_and_centre`
        box = cut(pixels, INK * float(pixels.max(initial=0.0)))
        fits = is_small and max(box.shape) <= min(self.shape)
        return self._placed(box if fits else self._scaled(box))

    def _scaled(self, box: Array) -> Array:
        """Scale a box of ink until its longer side is as long as in the training images."""
        if not box.size:
            return box
        factor = self.side / max(box.shape)
        height, width = (max(round(length * factor), 1) for length in box.shape)
        way = Image.Resampling.BOX if factor < 1 else Image.Resampling.BILINEAR
        return np.asarray(Image.fromarray(box).resize((width, height), way), np.float32)

    def _placed(self, box: Array) -> NDArray[np.float32]:
        framed = cut_and_centre(np.clip(box, 0, 1).astype(np.float32), self.shape)
        if self.by_mass and framed.any():
            shift = np.round(-_off_centre(framed)).astype(int)
            framed = np.roll(framed, shift, axis=(0, 1))
        return framed


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


def _averaged(fine: Array, side: int) -> Array:
    """Average a drawing over squares of `FINE` pixels; both sides share what is over or lacking."""
    for axis in (0, 1):
        over = max(fine.shape[axis] - side * FINE, 0)  # a pen's edge may be rounded up
        fine = np.take(fine, range(over // 2, fine.shape[axis] - (over - over // 2)), axis)
    lacking = [-length % FINE for length in fine.shape]
    whole = np.pad(fine, [(number // 2, number - number // 2) for number in lacking])
    height, width = (length // FINE for length in whole.shape)
    squares = whole.reshape(height, FINE, width, FINE).astype(np.float32)
    return np.asarray(squares.mean(axis=(1, 3)) / 255)


def _both_off(image: Array, boxed: Array) -> tuple[float, float]:
    """Return how far the mass lies from the middle, and from its place with the box centred."""
    mass = _off_centre(image)
    return float(np.abs(mass).max()), float(np.abs(_off_centre(boxed) - mass).max())


def _draw(draw: ImageDraw.ImageDraw, path: NDArray[np.floating], width: float) -> None:
    """Draw one stroke with a round pen."""
    points = [(float(x), float(y)) for x, y in path]
    if len(points) > 1:
        draw.line(points, fill=255, width=round(width), joint="curve")
    for x, y in points:
        draw.circle((x, y), width / 2, fill=255)
