"""What a served model is asked and answers: images checked, logits as probabilities. NumPy only."""

from __future__ import annotations

import numpy as np

from digitexp.numpy_functions import softmax

__all__ = ["checked_images", "probabilities"]


def checked_images(images: np.ndarray, n_features: int) -> np.ndarray:
    """Return images as the network takes them, or say why it cannot.

    Args:
        images: (n, n_features), grey values from 0 to 1, row by row.
        n_features: Pixels of an image, such as 400 for 20x20.

    Returns:
        The same as float32.

    Raises:
        ValueError: They have another shape, are no numbers, or lie outside [0, 1].
    """
    if images.ndim != 2 or images.shape[1] != n_features:
        raise ValueError(
            f"images of shape {images.shape}; give (n, {n_features}): each image as one row of "
            "pixels, row by row"
        )
    if images.dtype.kind not in "fiu":
        raise ValueError(f"images of dtype {images.dtype}; give numbers, best float32")
    with np.errstate(over="ignore"):
        checked = images.astype(np.float32)
    bad = ~((checked >= 0) & (checked <= 1))  # true for NaN, too
    if bad.any():
        row, pixel = (int(index) for index in np.argwhere(bad)[0])
        raise ValueError(
            f"pixel {pixel} of image {row} is {images[row, pixel]}; give values from 0 "
            "(background) to 1 (ink)"
        )
    return checked


def probabilities(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Return the softmax of logits (n, classes), as float32; each row adds up to 1.

    Args:
        logits: Any size: computed in float64 with the largest subtracted first.
        temperature: Logits are divided by it, see `digitexp.evaluation.calibration`.
    """
    return softmax(logits, temperature).astype(np.float32)
