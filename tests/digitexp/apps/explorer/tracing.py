"""A digit as an image -> the strokes a pen would have made: thinned to one pixel, then followed."""

import numpy as np
from PIL import Image

FINER = 4
AROUND = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))


def traced(image: np.ndarray) -> list[list[tuple[float, float]]]:
    """Return strokes (x, y) in pixels of an image (h, w), uint8, 0 paper."""
    height, width = image.shape
    fine = Image.fromarray(image).resize((width * FINER, height * FINER), Image.Resampling.BICUBIC)
    ink = np.pad(np.asarray(fine) > 110, 1)
    strokes = [smoothed(stroke) for stroke in followed(thinned(ink))]
    return [[(x / FINER, y / FINER) for y, x in stroke] for stroke in strokes]


def thinned(ink: np.ndarray) -> np.ndarray:
    """Return the skeleton of (h, w) bool (Zhang & Suen 1984); the border must be paper."""
    ink = ink.copy()
    while True:
        before = ink.sum()
        for turn in (0, 1):
            p = [np.roll(ink, (-dy, -dx), (0, 1)) for dy, dx in AROUND]  # p[0] is north, clockwise
            count = sum(q.astype(int) for q in p)
            rises = sum((~p[i] & p[(i + 1) % 8]).astype(int) for i in range(8))
            north, east, south, west = p[0], p[2], p[4], p[6]
            if turn == 0:
                open_ = ~(north & east & south) & ~(east & south & west)
            else:
                open_ = ~(north & east & west) & ~(north & south & west)
            ink &= ~(ink & (count >= 2) & (count <= 6) & (rises == 1) & open_)
        if ink.sum() == before:
            return ink


def followed(skeleton: np.ndarray) -> list[list[tuple[int, int]]]:
    """Return the pixels of a skeleton as strokes, from ends on, straight over crossings."""
    left = {(int(y), int(x)) for y, x in np.argwhere(skeleton)}
    everything = frozenset(left)
    strokes = []
    while left:
        at = min(left, key=lambda pixel: (len(beside(pixel, left)), pixel))
        # What was followed before may be where this stroke comes from: the line stays whole.
        roots = [pixel for pixel in beside(at, everything) if pixel not in left]
        stroke = [*roots[:1], at]
        left.discard(at)
        while choices := beside(stroke[-1], left):
            step = min(choices, key=lambda pixel: turning(stroke, pixel))
            stroke.append(step)
            left.discard(step)
        joined = [pixel for pixel in beside(stroke[-1], everything) if pixel not in stroke[-3:]]
        stroke += joined[:1]
        strokes.append(stroke)
    long = [stroke for stroke in strokes if len(stroke) > 2 * FINER]
    return long or strokes


def beside(pixel: tuple[int, int], pixels) -> list[tuple[int, int]]:
    y, x = pixel
    return [(y + dy, x + dx) for dy, dx in AROUND if (y + dy, x + dx) in pixels]


def turning(stroke: list[tuple[int, int]], pixel: tuple[int, int]) -> float:
    """Return how much a step turns away from where the stroke was going, 0 for straight on."""
    back = stroke[max(len(stroke) - 6, 0)]
    was = np.subtract(stroke[-1], back)
    step = np.subtract(pixel, stroke[-1])
    length = np.linalg.norm(was) * np.linalg.norm(step)
    return float(1 - was @ step / length) if length else float(np.abs(step).sum() / 2)


def smoothed(stroke: list[tuple[int, int]], reach: int = 3) -> list[tuple[float, float]]:
    """Return a stroke without the steps of its pixels; its ends stay."""
    path = np.array(stroke, float)
    padded = np.concatenate([path[:1].repeat(reach, 0), path, path[-1:].repeat(reach, 0)])
    kernel = np.ones(2 * reach + 1) / (2 * reach + 1)
    columns = [np.convolve(padded[:, axis], kernel, "valid") for axis in (0, 1)]
    middle = np.stack(columns, axis=1)
    middle[0], middle[-1] = path[0], path[-1]
    return [(float(y), float(x)) for y, x in middle]
