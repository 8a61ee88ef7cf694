"""The functions of a classifier in NumPy: each takes arrays or lists and returns float64.

A test compares each with TensorFlow's. Training uses the formulas of its engines.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def relu(z: ArrayLike) -> Floats:
    """Return z where it is positive, else 0; any shape. NaN stays NaN."""
    return np.maximum(0.0, _floats(z))


def sigmoid(z: ArrayLike) -> Floats:
    """Return 1 / (1 + exp(-z)), between 0 and 1; any shape.

    Only exp(-|z|) is computed, so no z overflows.
    """
    wide = _floats(z)
    small = np.exp(-np.abs(wide))
    return np.where(wide >= 0, 1.0, small) / (1.0 + small)


def softmax(logits: ArrayLike, temperature: float = 1.0) -> Floats:
    """Return probabilities that add to 1 over the last axis.

    The largest logit is subtracted first, so no logit overflows.

    Args:
        logits: (n,) of one example, or (m, n) of m; finite.
        temperature: Divisor of the logits: below 1 the largest probability grows, above 1 all
            become more alike (Hinton et al. 2015). The most likely class stays the same.

    Raises:
        ValueError: The temperature is not above 0, or there is no logit.
    """
    return np.asarray(np.exp(log_softmax(logits, temperature)))


def log_softmax(logits: ArrayLike, temperature: float = 1.0) -> Floats:
    """Return the logarithms of `softmax`, exact also where a probability is too small for a float.

    Args:
        logits: See `softmax`.
        temperature: See `softmax`.

    Raises:
        ValueError: See `softmax`.
    """
    if not temperature > 0:
        raise ValueError(f"temperature {temperature}: give a number above 0")
    wide = _floats(logits) / temperature
    if wide.ndim == 0 or wide.shape[-1] == 0:
        raise ValueError(f"logits of shape {wide.shape}: give at least one, as (n,) or (m, n)")
    shifted = wide - wide.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def sparse_cross_entropy(logits: ArrayLike, labels: ArrayLike, temperature: float = 1.0) -> Floats:
    """Return the cross-entropy of each example in nats, from logits and class numbers.

    Args:
        logits: (m, n).
        labels: (m,), integers from 0 to n - 1.
        temperature: See `softmax`.

    Returns:
        (m,), 0 or more.

    Raises:
        ValueError: The shapes do not fit, or a label is no class.
    """
    logs, numbers = log_softmax(logits, temperature), np.asarray(labels)
    if logs.ndim != 2 or numbers.shape != logs.shape[:1]:
        raise ValueError(f"logits {logs.shape} and labels {numbers.shape}: give (m, n) and (m,)")
    if (
        not np.issubdtype(numbers.dtype, np.integer)
        or not ((numbers >= 0) & (numbers < logs.shape[1])).all()
    ):
        raise ValueError(f"labels: give integers from 0 to {logs.shape[1] - 1}")
    return np.asarray(-logs[np.arange(len(numbers)), numbers])


def one_hot_cross_entropy(logits: ArrayLike, targets: ArrayLike) -> Floats:
    """Return the cross-entropy of each example in nats, from logits and target probabilities.

    Args:
        logits: (m, n).
        targets: (m, n), one row an example: 1 at its class, or smoothed; each row adds to 1.

    Raises:
        ValueError: The shapes differ.
    """
    logs, wanted = log_softmax(logits), _floats(targets)
    if logs.ndim != 2 or wanted.shape != logs.shape:
        raise ValueError(f"logits {logs.shape} and targets {wanted.shape}: give (m, n) twice")
    return np.asarray(-(wanted * logs).sum(axis=1))


def cross_entropy_from_probabilities(probabilities: ArrayLike, labels: ArrayLike) -> Floats:
    """Return -log of the probability of each label, the loss after a softmax in the last layer.

    The loss is infinite where a probability is too small for a float, and gives no gradient there.
    Computed from logits (`sparse_cross_entropy`) it is finite; hence the last layer is linear.

    Args:
        probabilities: (m, n), any float type; computed in that type.
        labels: (m,), integers from 0 to n - 1.
    """
    found, numbers = np.asarray(probabilities), np.asarray(labels)
    with np.errstate(divide="ignore"):
        return np.asarray(-np.log(found[np.arange(len(numbers)), numbers]), dtype=np.float64)


def _floats(values: ArrayLike) -> Floats:
    return np.asarray(values, dtype=np.float64)
