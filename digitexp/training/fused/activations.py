"""Activations h = f(z) of the hidden layers and, for the backward pass, f'(z) times the upstream.

Import this after `set_up_tensorflow()`. Most derivatives follow from the output h alone, and
TensorFlow has a kernel for each; GELU and SiLU need the input z.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
import tensorflow as tf

__all__ = ["DIFFERENTIABLE", "Differentiable"]

_SLOPE: Final = 0.2
"""Keras's negative slope of leaky_relu."""

_ROOT_HALF: Final = float(np.float32(math.sqrt(0.5)))
"""The root of 1/2 as `tf.nn.gelu` has it: rounded to float32, also for float64."""


class Differentiable(NamedTuple):
    """An activation with its derivative.

    Attributes:
        value: z -> h, of equal shape.
        backward: (upstream, z, h) -> upstream * f'(z), of equal shape.
    """

    value: Callable[[Any], Any]
    backward: Callable[[Any, Any, Any], Any]


def _normal_cdf(z: Any) -> Any:
    return 0.5 * tf.math.erfc(-_ROOT_HALF * z)


def _gelu_backward(upstream: Any, z: Any, _h: Any) -> Any:
    """f(z) = z Phi(z), so f' = Phi(z) + z phi(z), Phi and phi of the standard normal."""
    density = tf.exp(-tf.square(_ROOT_HALF * z)) * (_ROOT_HALF / math.sqrt(math.pi))
    return upstream * (_normal_cdf(z) + z * density)


def _silu_backward(upstream: Any, z: Any, h: Any) -> Any:
    """f(z) = z s with s = sigmoid(z), so f' = s + z s (1 - s) = s + h (1 - s)."""
    sigmoid = tf.sigmoid(z)
    return upstream * (sigmoid + h * (1 - sigmoid))


raw = tf.raw_ops
DIFFERENTIABLE: dict[str, Differentiable] = {
    "relu": Differentiable(tf.nn.relu, lambda g, _, h: raw.ReluGrad(gradients=g, features=h)),
    "leaky_relu": Differentiable(  # h has the sign of z
        lambda z: tf.nn.leaky_relu(z, _SLOPE),
        lambda g, _, h: raw.LeakyReluGrad(gradients=g, features=h, alpha=_SLOPE),
    ),
    "elu": Differentiable(tf.nn.elu, lambda g, _, h: raw.EluGrad(gradients=g, outputs=h)),
    "selu": Differentiable(tf.nn.selu, lambda g, _, h: raw.SeluGrad(gradients=g, outputs=h)),
    "gelu": Differentiable(lambda z: z * _normal_cdf(z), _gelu_backward),
    "silu": Differentiable(lambda z: z * tf.sigmoid(z), _silu_backward),
    "tanh": Differentiable(tf.tanh, lambda g, _, h: raw.TanhGrad(y=h, dy=g)),
    "sigmoid": Differentiable(tf.sigmoid, lambda g, _, h: raw.SigmoidGrad(y=h, dy=g)),
}
"""Activations by the names of `digitexp.parameters.ACTIVATIONS`."""
