"""A trained network in NumPy, for pages and the explorer, which run without TensorFlow.

The formulas are those of the Keras layers that `digitexp.models` builds, at inference: dropout does
nothing, batch normalisation uses its stored means and variances. A test compares the two networks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitexp.config import TrialConfig

__all__ = ["Network"]


Floats = NDArray[np.float32]

AT_ONCE = 256
"""Images that go through the convolutions together: more would leave the cache."""
_EPSILON = 1e-3
"""Default epsilon of Keras's `BatchNormalization`."""


@dataclass(frozen=True, eq=False)
class Network:
    """A trained network.

    Attributes:
        config: Its configuration; only its layers matter.
        image_shape: Height and width.
        weights: By name, as `digitexp.models.model_weights` returns them.
    """

    config: TrialConfig
    image_shape: tuple[int, int]
    weights: Mapping[str, np.ndarray] = field(repr=False)

    def logits(self, images: np.ndarray) -> Floats:
        """Return (n, classes) logits of images (n, pixels) or (n, h, w) in [0, 1]."""
        return self.head(self.hidden(images))

    def head(self, hidden: np.ndarray) -> Floats:
        """Return (n, classes) logits of the last hidden layer's outputs (n, units)."""
        return self._dense(hidden.astype(np.float32, copy=False), "output")

    def hidden(self, images: np.ndarray) -> Floats:
        """Return the last hidden layer's outputs (n, units); without such a layer, the features."""
        flat = images.astype(np.float32, copy=False).reshape(-1, math.prod(self.image_shape))
        parts = [self._hidden(flat[i : i + AT_ONCE]) for i in range(0, len(flat), AT_ONCE)]
        return np.concatenate(parts) if parts else self._hidden(flat)

    def _hidden(self, flat: Floats) -> Floats:
        outputs = self._features(flat) if self.config.architecture == "cnn" else flat
        for number in range(1, len(self.config.units) + 1):
            outputs = self._activated(self._dense(outputs, f"hidden_{number}"))
        return outputs

    def _features(self, flat: Floats) -> Floats:
        """Return the flattened outputs of the convolutional blocks."""
        maps = flat.reshape(-1, *self.image_shape, 1)
        for block in range(1, len(self.config.filters) + 1):
            for turn in range(1, self.config.convs_per_block + 1):
                maps = self._convolved(maps, f"{block}_{turn}")
            maps = _pooled(maps)
        return maps.reshape(len(maps), math.prod(maps.shape[1:]))

    def _convolved(self, maps: Floats, name: str) -> Floats:
        kernel, bias = (self._weight(f"conv_{name}/{part}") for part in ("kernel", "bias"))
        side = kernel.shape[0]
        before = (side - 1) // 2
        margins = (before, side - 1 - before)
        padded = np.pad(maps, ((0, 0), margins, margins, (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(1, 2))
        # windows: (n, h, w, channels, side, side); the kernel: (side, side, channels, filters)
        summed = np.tensordot(windows, kernel, axes=((4, 5, 3), (0, 1, 2))) + bias
        if self.config.batch_norm:
            scale, shift, mean, variance = (
                self._weight(f"norm_{name}/{part}")
                for part in ("gamma", "beta", "moving_mean", "moving_variance")
            )
            summed = (summed - mean) / np.sqrt(variance + np.float32(_EPSILON)) * scale + shift
        return self._activated(summed)

    def _dense(self, inputs: Floats, name: str) -> Floats:
        outputs: Floats = inputs @ self._weight(f"{name}/kernel") + self._weight(f"{name}/bias")
        return outputs

    def _activated(self, inputs: Floats) -> Floats:
        with np.errstate(over="ignore", under="ignore"):
            outputs: Floats = _ACTIVATIONS[self.config.activation](inputs)
        return outputs

    def _weight(self, name: str) -> Floats:
        return np.asarray(self.weights[name], np.float32)


def _elu(z: Floats) -> Floats:
    outputs: Floats = np.where(z > 0, z, np.expm1(np.minimum(z, 0)))
    return outputs


def _selu(z: Floats) -> Floats:
    outputs: Floats = np.where(z > 0, z, np.float32(1.67326324) * _elu(z))
    outputs *= np.float32(1.05070098)
    return outputs


def _sigmoid(z: Floats) -> Floats:
    outputs: Floats = np.reciprocal(1 + np.exp(-z))
    return outputs


def _gelu(z: Floats) -> Floats:
    from scipy.special import erf

    half: Floats = z * (1 + erf(z / np.float32(math.sqrt(2)))) / 2
    return half


_ACTIVATIONS: Mapping[str, Callable[[Floats], Any]] = {
    "relu": lambda z: np.maximum(z, 0),
    "leaky_relu": lambda z: np.where(z > 0, z, np.float32(0.2) * z),
    "elu": _elu,
    "selu": _selu,
    "gelu": _gelu,
    "silu": lambda z: z * _sigmoid(z),
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
}
"""Keras's activations with their defaults: https://keras.io/api/layers/activations/."""


def _pooled(maps: Floats) -> Floats:
    """Return the maximum of each 2x2 cell; an odd side is padded by -inf below or right."""
    (_, height, width, _) = maps.shape
    margins = ((0, 0), (0, height % 2), (0, width % 2), (0, 0))
    padded = np.pad(maps, margins, constant_values=-np.inf)
    rows = np.maximum(padded[:, ::2], padded[:, 1::2])
    return np.maximum(rows[:, :, ::2], rows[:, :, 1::2])
