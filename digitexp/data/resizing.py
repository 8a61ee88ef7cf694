"""Resizes the images of one source for nets that were trained on another source."""

from __future__ import annotations

import numpy as np

from digitexp.data.source import Images

__all__ = ["resized"]


def resized(images: Images, shape: tuple[int, int]) -> Images:
    """Return images in another height and width, by Pillow's bilinear resampling.

    Where images become smaller, a new pixel averages over all pixels that it covers. Proportions
    are not kept: each side is brought to its own new length.

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
