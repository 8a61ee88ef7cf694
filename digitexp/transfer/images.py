"""Images for a comparison: so many of each class, and those of a source in the target's size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from digitexp.data.source import Images, Labels

__all__ = ["draw_images", "resized"]

Indices = NDArray[np.int64]


def draw_images(labels: Labels, among: Indices, per_class: int, seed: int) -> Indices:
    """Draw images of each class at random, without putting back.

    As for splits, each image draws one 64-bit number from PCG64 (whose stream NumPy keeps, NEP 19),
    and the smallest of a class are taken: fewer images of the same seed are a part of more.

    Args:
        labels: (n,) of all images.
        among: Indices that may be drawn, such as a training part.
        per_class: So many of each class; all of a class that has fewer.
        seed: Any whole number from 0.

    Returns:
        Indices, sorted.
    """
    keys = np.random.PCG64(seed).random_raw(len(labels))
    drawn = []
    for number in np.unique(labels[among]):
        members = among[labels[among] == number]
        drawn.append(members[np.argsort(keys[members], kind="stable")[:per_class]])
    return np.sort(np.concatenate(drawn))


def resized(images: Images, shape: tuple[int, int]) -> Images:
    """Return images in another height and width, by Pillow's bilinear resampling.

    It averages over as many pixels as a new one covers where images become smaller. Proportions are
    not kept: each side is brought to its own new length.

    Args:
        images: float32 (n, height, width), in [0, 1].
        shape: The new height and width.

    Returns:
        float32 (n, *shape), in [0, 1]; the same array if nothing changes.
    """
    if images.shape[1:] == shape:
        return images
    from PIL import Image

    height, width = shape
    bilinear = Image.Resampling.BILINEAR
    changed = [np.asarray(Image.fromarray(one).resize((width, height), bilinear)) for one in images]
    result: Images = np.clip(np.stack(changed), 0, 1).astype(np.float32)
    return result
