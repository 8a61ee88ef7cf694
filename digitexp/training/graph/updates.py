"""The optimizers: TensorFlow's fused kernels, which compute what Keras's classes compute.

Import this after `set_up_tensorflow()`. With g the clipped gradient, a the learning rate and t the
number of the step, from 1:

    Adam, AdamW  m += (1 - b1)(g - m), v += (1 - b2)(g^2 - v),
                 w -= a sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + epsilon)
    SGD          w -= a g;   with momentum u = mu u - a g, w += u;   Nesterov: w += mu u - a g
    RMSprop      v = rho v + (1 - rho) g^2, u = mu u + a g / sqrt(v + epsilon), w -= u

Weights that decay lose a d w first (Loshchilov & Hutter 2019).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import keras
import tensorflow as tf

from digitexp.training.graph import keras_internals as internals

__all__ = ["clipped", "n_slots", "update"]

raw = tf.raw_ops


def n_slots(optimizer: Any) -> int:
    """Return how many variables the kernel keeps for each weight."""
    if type(optimizer) is keras.optimizers.SGD:
        return 1 if optimizer.momentum else 0
    return 2


def clipped(gradients: Sequence[Any], numbers: Mapping[str, Any]) -> list[Any]:
    """Return gradients clipped as Keras does: by each one's norm, all together, or by value."""
    dtype = gradients[0].dtype
    if "clipnorm" in numbers:
        largest = tf.cast(numbers["clipnorm"], dtype)
        return [tf.clip_by_norm(gradient, largest) for gradient in gradients]
    if "global_clipnorm" in numbers:
        largest = tf.cast(numbers["global_clipnorm"], dtype)
        return list(tf.clip_by_global_norm(gradients, largest)[0])
    if "clipvalue" in numbers:
        largest = tf.cast(numbers["clipvalue"], dtype)
        return [tf.clip_by_value(gradient, -largest, largest) for gradient in gradients]
    return list(gradients)


def update(
    optimizer: Any,
    handles: Sequence[Any],
    slots: Sequence[Sequence[Any]],
    gradients: Sequence[Any],
    numbers: Mapping[str, Any],
    rate: Any,
    step: Any,
) -> list[Any]:
    """Update weights in place.

    Args:
        optimizer: Says which kernel; its numbers are not read.
        handles: Of the weights.
        slots: Handles of what the optimizer keeps for each weight, a list for each kind.
        gradients: Of the weights, dense and clipped.
        numbers: The optimizer's settings, scalar tensors by their names.
        rate: Learning rate of this step.
        step: Number of this step from 1, as the weights' type.

    Returns:
        The update operations.
    """
    kernel = _KERNELS[type(optimizer)]
    kept = list(zip(*slots, strict=True)) if slots else [()] * len(handles)
    return [
        kernel(optimizer, handle, own, gradient, _Numbers(numbers, rate, step, gradient.dtype))
        for handle, own, gradient in zip(handles, kept, gradients, strict=True)
    ]


class _Numbers:
    """Settings in the type of one weight."""

    def __init__(self, numbers: Mapping[str, Any], rate: Any, step: Any, dtype: Any) -> None:
        self._numbers, self._dtype = numbers, dtype
        self.rate, self.step = tf.cast(rate, dtype), tf.cast(step, dtype)

    def __getitem__(self, name: str) -> Any:
        return tf.cast(self._numbers[name], self._dtype)

    def as_cast(self, name: str) -> Any:
        """Return a setting that Keras casts before it uses it."""
        return internals.as_cast(self._numbers[name], self._dtype)


def _adam(_: Any, handle: Any, own: Any, gradient: Any, numbers: _Numbers) -> Any:
    first, second = own
    return raw.ResourceApplyAdam(
        var=handle,
        m=first,
        v=second,
        beta1_power=tf.pow(numbers.as_cast("beta_1"), numbers.step),
        beta2_power=tf.pow(numbers.as_cast("beta_2"), numbers.step),
        lr=numbers.rate,
        beta1=numbers["beta_1"],
        beta2=numbers["beta_2"],
        epsilon=numbers["epsilon"],
        grad=gradient,
    )


def _sgd(optimizer: Any, handle: Any, own: Any, gradient: Any, numbers: _Numbers) -> Any:
    if not own:
        return raw.ResourceApplyGradientDescent(var=handle, alpha=numbers.rate, delta=gradient)
    return raw.ResourceApplyKerasMomentum(
        var=handle,
        accum=own[0],
        lr=numbers.rate,
        grad=gradient,
        momentum=numbers.as_cast("momentum"),
        use_nesterov=optimizer.nesterov,
    )


def _rmsprop(_: Any, handle: Any, own: Any, gradient: Any, numbers: _Numbers) -> Any:
    squares, momentums = own
    return raw.ResourceApplyRMSProp(
        var=handle,
        ms=squares,
        mom=momentums,
        lr=numbers.rate,
        rho=numbers["rho"],
        momentum=numbers["momentum"],
        epsilon=numbers["epsilon"],
        grad=gradient,
    )


_KERNELS: Final[dict[type, Callable[..., Any]]] = {
    keras.optimizers.Adam: _adam,
    keras.optimizers.AdamW: _adam,
    keras.optimizers.SGD: _sgd,
    keras.optimizers.RMSprop: _rmsprop,
}
