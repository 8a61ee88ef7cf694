"""Measures the accuracy on attacked images, over the size of the attack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from digitexp.metrics import accuracy

__all__ = ["EPSILONS", "attacked_accuracies"]


EPSILONS: Final = (0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3)
"""Sizes of an attack, in pixel values of [0, 1]; 0.3 is what MNIST's literature goes up to."""


def attacked_accuracies(
    model: Any, images: np.ndarray, labels: np.ndarray, epsilons: Sequence[float] = EPSILONS
) -> np.ndarray:
    """Return the accuracy (len(epsilons),) on images attacked by the network's own gradients.

    The attack is the fast gradient sign method (Goodfellow, Shlens & Szegedy 2015): one step,
    against this very network. Stronger attacks exist, so the accuracy is an upper bound of
    robustness.

    Args:
        model: A compiled Keras model that returns logits; TensorFlow must be set up.
        images: (n, pixels), float32 in [0, 1].
        labels: (n,), integers from 0.
        epsilons: How far each pixel may move.
    """
    import tensorflow as tf

    from digitexp.trained import logits_of
    from digitexp.training.augmentation import attacked

    found = []
    for epsilon in epsilons:
        parts = [
            np.asarray(attacked(model, tf.constant(part), tf.constant(those), epsilon))
            for part, those in _chunks(images, labels.astype(np.int32))
        ]
        found.append(accuracy(logits_of(model, np.concatenate(parts)), labels))
    return np.array(found)


def _chunks(
    images: np.ndarray, labels: np.ndarray, size: int = 1000
) -> list[tuple[np.ndarray, np.ndarray]]:
    starts = range(0, len(images), size)
    return [(images[i : i + size], labels[i : i + size]) for i in starts]
