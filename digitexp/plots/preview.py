"""A sheet of 8x8 images with their labels: the first look at a data set."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitexp.plots.colors import MUTED, TRAIN
from digitexp.plots.lettering import ENGLISH, Lettering
from digitexp.plots.style import new_figure, png, styled

SIDE = 8
"""Images in a row, and rows at most."""

CELL_INCHES = 0.95
HEADER_INCHES = 0.65


def draw_preview(
    images: NDArray[np.float32],
    labels: NDArray[np.int64],
    seed: int = 0,
    lettering: Lettering = ENGLISH,
) -> bytes:
    """Draw 64 images chosen at random, each with its label, or all if there are fewer.

    Args:
        images: (n, height, width), in [0, 1]; 0 is drawn as paper, 1 as ink.
        labels: (n,), the number written above each image.
        seed: Decides which images; the same choice on every machine.
        lettering: Language and font of the caption.

    Returns:
        A PNG file, the same bytes for the same images and matplotlib.
    """
    chosen = choose_images(len(images), seed)
    rows = -(-len(chosen) // SIDE)
    total_height = HEADER_INCHES + rows * CELL_INCHES * 1.2
    with styled():
        figure = new_figure(SIDE * CELL_INCHES, total_height)
        edges = {"left": 0.02, "right": 0.98, "bottom": 0.02}
        edges["top"] = 1 - HEADER_INCHES / total_height
        grid = figure.subplots(
            rows, SIDE, squeeze=False, gridspec_kw={**edges, "wspace": 0.12, "hspace": 0.3}
        )
        for axes in grid.flat:
            axes.axis("off")
        for axes, index in zip(grid.flat, chosen, strict=False):
            # a little below 0, so that the paper of an image differs from that around it
            axes.imshow(images[index], cmap="gray_r", vmin=-0.04, vmax=1, interpolation="nearest")
            axes.set_title(str(labels[index]), loc="center", fontsize=9, color=TRAIN, pad=2)
        height, width = images.shape[1:]
        caption = lettering.say(
            "{shown} of {total} images, {height}x{width}",
            shown=len(chosen), total=len(images), height=height, width=width,
        )  # fmt: skip
        y, face = 1 - 0.12 / total_height, lettering.face(caption, bold=False)
        look: dict[str, Any] = {"font": face.path} if face else {}
        figure.text(0.02, y, caption, va="top", fontsize=10, color=MUTED, **look)
        return png(figure)


def choose_images(total: int, seed: int) -> NDArray[np.int64]:
    """Return up to 64 different indices below `total`, in random order."""
    keys = np.random.PCG64(seed).random_raw(total)
    return np.asarray(np.argsort(keys, kind="stable")[: SIDE * SIDE], np.int64)
