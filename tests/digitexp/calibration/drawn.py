"""Logits whose right temperature is known, because labels are drawn from it."""

import numpy as np


def drawn(images, temperature, seed=0, spread=6.0, classes=10):
    """Return logits and labels such that softmax(logits / temperature) is how labels come."""
    rng = np.random.default_rng(seed)
    honest = rng.normal(size=(images, classes)) * spread
    shares = np.exp(honest - honest.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    labels = (shares.cumsum(axis=1) > rng.random((images, 1)) * (1 - 1e-12)).argmax(axis=1)
    return honest * temperature, labels
