"""Logits whose right temperature is known, because labels are drawn from it."""

import numpy as np
from scipy.special import erf

CLASSES, SPREAD, BINS = 10, 6.0, 15


def drawn(images, temperature, seed=0, spread=SPREAD, classes=CLASSES):
    """Return logits and labels such that softmax(logits / temperature) is how labels come."""
    rng = np.random.default_rng(seed)
    honest = rng.normal(size=(images, classes)) * spread
    shares = _shares(honest)
    labels = (shares.cumsum(axis=1) > rng.random((images, 1)) * (1 - 1e-12)).argmax(axis=1)
    return honest * temperature, labels


def true_changes(images, temperature, sets=100):
    """Return what the right temperature changes `ece` and `nll` by, on average, on so many images.

    From the shares that labels are drawn from: no label is drawn, and nothing estimated.
    """
    rng = np.random.default_rng(10**9)
    changes = {"ece": [], "nll": []}
    for _ in range(sets):
        honest = rng.normal(size=(images, CLASSES)) * SPREAD
        said, shares = _shares(honest * temperature), _shares(honest)
        right = shares.max(axis=1)
        error = _expected_error(right, right) - _expected_error(said.max(axis=1), right)
        changes["ece"].append(error)
        changes["nll"].append((shares * np.log(said / shares)).sum(axis=1).mean())
    return {name: np.mean(values) for name, values in changes.items()}


def _expected_error(confidence, right):
    """Return the mean calibration error of answers that are right with these chances.

    A bin's gap is all but normal; the mean of its size is that of a folded normal distribution
    (Leone, Nelson & Nottingham 1961).
    """
    at = np.ceil(confidence * BINS).astype(int)
    mean = np.bincount(at, confidence - right)
    spread = np.sqrt(np.bincount(at, right * (1 - right))) + 1e-12
    sizes = spread * np.sqrt(2 / np.pi) * np.exp(-((mean / spread) ** 2) / 2)
    return (sizes + mean * erf(mean / spread / np.sqrt(2))).sum() / len(confidence)


def _shares(logits):
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)
