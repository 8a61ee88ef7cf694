"""The optimizers: TensorFlow's fused kernels, which compute what Keras's classes compute.

Import this after `set_up_tensorflow()`. With g the clipped gradient, a the learning rate and t the
number of the step, from 1:

    Adam, AdamW  m += (1 - b1)(g - m), v += (1 - b2)(g^2 - v),
                 w -= a sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + epsilon)
    SGD          w -= a g;   with momentum u = mu u - a g, w += u;   Nesterov: w += mu u - a g
    RMSprop      v = rho v + (1 - rho) g^2, u = mu u + a g / sqrt(v + epsilon), w -= u

Weights that decay lose a d w first (Loshchilov & Hutter 2019).

The gradient of an embedding comes in rows, one for each use of a category. As in Keras, g is their
sum but g^2 the sum of their squares; no fused kernel computes that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import keras
import tensorflow as tf

from digitexp.training.graph import keras_internals as internals

raw = tf.raw_ops


def n_slots(optimizer: Any) -> int:
    """Return how many variables the kernel keeps for each weight."""
    if type(optimizer) is keras.optimizers.SGD:
        return 1 if optimizer.momentum else 0
    return 2


class Settings:
    """The numbers of an optimizer in the type of the weights; made once an epoch."""

    def __init__(self, numbers: Mapping[str, Any], dtype: Any) -> None:
        self._exact = {name: tf.cast(value, dtype) for name, value in numbers.items()}
        self._rounded = {name: internals.as_cast(value, dtype) for name, value in numbers.items()}

    def __contains__(self, name: str) -> bool:
        return name in self._exact

    def __getitem__(self, name: str) -> Any:
        return self._exact[name]

    def as_cast(self, name: str) -> Any:
        """Return a number as Keras has it where it casts it first."""
        return self._rounded[name]


def clipped(gradients: Sequence[Any], settings: Settings) -> list[Any]:
    """Return gradients clipped as Keras does: by each one's norm, all together, or by value."""
    if "clipnorm" in settings:
        return [tf.clip_by_norm(gradient, settings["clipnorm"]) for gradient in gradients]
    if "global_clipnorm" in settings:
        return list(tf.clip_by_global_norm(gradients, settings["global_clipnorm"])[0])
    if "clipvalue" in settings:
        largest = settings["clipvalue"]
        return [tf.clip_by_value(gradient, -largest, largest) for gradient in gradients]
    return list(gradients)


def update(
    optimizer: Any,
    handles: Sequence[Any],
    slots: Sequence[Sequence[Any]],
    gradients: Sequence[Any],
    settings: Settings,
    rate: Any,
    step: Any,
) -> list[Any]:
    """Update weights in place.

    Args:
        optimizer: Says which kernel; its numbers are not read.
        handles: Of the weights.
        slots: Handles of what the optimizer keeps for each weight, a list for each kind.
        gradients: Of the weights, clipped; `tf.IndexedSlices` of embeddings.
        settings: The optimizer's numbers.
        rate: Learning rate of this step.
        step: Number of this step from 1; like the rate of the weights' type.

    Returns:
        The update operations.
    """
    kernel = _KERNELS[type(optimizer)](optimizer, settings, rate, step)
    kept = list(zip(*slots, strict=True)) if slots else [()] * len(handles)
    return [kernel(*one) for one in zip(handles, kept, gradients, strict=True)]


_Kernel = Callable[[Any, Any, Any], Any]
"""(handle, handles of what is kept for it, gradient) -> update operation."""


def _adam(_: Any, settings: Settings, rate: Any, step: Any) -> _Kernel:
    powers = [tf.pow(settings.as_cast(name), step) for name in ("beta_1", "beta_2")]

    def apply(handle: Any, kept: Any, gradient: Any) -> Any:
        if isinstance(gradient, tf.IndexedSlices):
            return apply_rows(handle, kept, gradient)
        return raw.ResourceApplyAdam(
            var=handle,
            m=kept[0],
            v=kept[1],
            beta1_power=powers[0],
            beta2_power=powers[1],
            lr=rate,
            beta1=settings["beta_1"],
            beta2=settings["beta_2"],
            epsilon=settings["epsilon"],
            grad=gradient,
        )

    def apply_rows(handle: Any, kept: Any, rows: Any) -> Any:
        first = _moved(kept[0], tf.convert_to_tensor(rows), settings["beta_1"])
        second = _moved(kept[1], _squares(rows), settings["beta_2"])
        alpha = rate * tf.sqrt(1 - powers[1]) / (1 - powers[0])
        change = first * alpha / (tf.sqrt(second) + settings["epsilon"])
        return raw.AssignSubVariableOp(resource=handle, value=change)

    return apply


def _moved(handle: Any, value: Any, share: Any) -> Any:
    """Move a running mean towards a value; return the new mean."""
    before = raw.ReadVariableOp(resource=handle, dtype=value.dtype)
    after = before + (value - before) * (1 - share)
    with tf.control_dependencies([raw.AssignVariableOp(resource=handle, value=after)]):
        return tf.identity(after)


def _squares(rows: Any) -> Any:
    squares = tf.IndexedSlices(tf.square(rows.values), rows.indices, rows.dense_shape)
    return tf.convert_to_tensor(squares)


def _sgd(optimizer: Any, settings: Settings, rate: Any, _: Any) -> _Kernel:
    def apply(handle: Any, kept: Any, gradient: Any) -> Any:
        if not kept:
            return raw.ResourceApplyGradientDescent(
                var=handle, alpha=rate, delta=tf.convert_to_tensor(gradient)
            )
        return raw.ResourceApplyKerasMomentum(
            var=handle,
            accum=kept[0],
            lr=rate,
            grad=tf.convert_to_tensor(gradient),
            momentum=settings.as_cast("momentum"),
            use_nesterov=optimizer.nesterov,
        )

    return apply


def _rmsprop(_: Any, settings: Settings, rate: Any, __: Any) -> _Kernel:
    def apply(handle: Any, kept: Any, gradient: Any) -> Any:
        if isinstance(gradient, tf.IndexedSlices):
            return apply_rows(handle, kept, gradient)
        return raw.ResourceApplyRMSProp(
            var=handle,
            ms=kept[0],
            mom=kept[1],
            lr=rate,
            rho=settings["rho"],
            momentum=settings["momentum"],
            epsilon=settings["epsilon"],
            grad=gradient,
        )

    def apply_rows(handle: Any, kept: Any, rows: Any) -> Any:
        squares = _moved(kept[0], _squares(rows), settings["rho"])
        increment = rate * tf.convert_to_tensor(rows) / tf.sqrt(squares + settings["epsilon"])
        before = raw.ReadVariableOp(resource=kept[1], dtype=increment.dtype)
        change = settings["momentum"] * before + increment
        with tf.control_dependencies([raw.AssignVariableOp(resource=kept[1], value=change)]):
            return raw.AssignSubVariableOp(resource=handle, value=change)

    return apply


_KERNELS: Final[dict[type, Callable[..., _Kernel]]] = {
    keras.optimizers.Adam: _adam,
    keras.optimizers.AdamW: _adam,
    keras.optimizers.SGD: _sgd,
    keras.optimizers.RMSprop: _rmsprop,
}
