"""Images of one size in another one: of a source that is to serve another source's nets."""

from __future__ import annotations

import numpy as np

from digitexp.data.source import Images

__all__ = ["resized"]


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
