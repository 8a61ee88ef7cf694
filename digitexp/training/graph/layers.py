"""Dense, Dropout and the L2 penalty in a trace: fewer operations than Keras's, the same numbers.

Import this after `set_up_tensorflow()`.

A trace leaves the widths of layers open. TensorFlow then differentiates additions, divisions and
choices for any broadcasting, with a dozen operations on shapes and some on whole arrays, in every
step. What is broadcast is known here, so gradients are given: each is computed as TensorFlow
computes it, to the bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from digitexp.training.graph import keras_internals as internals

raw = tf.raw_ops


def dense_call(layer: Any) -> Callable[..., Any]:
    """Return the `call` of a Dense layer; it is Keras's own where the layer's width is known."""
    own = layer.call

    def call(inputs: Any, training: bool | None = None) -> Any:
        bias = None if layer.bias is None else tf.convert_to_tensor(layer.bias)
        if bias is None or bias.shape[0] is not None or inputs.shape.rank != 2:
            return own(inputs, training=training)
        found = _biased(tf.matmul(inputs, tf.convert_to_tensor(layer.kernel)), bias)
        return found if layer.activation is None else layer.activation(found)

    return call


def _biased(rows: Any, bias: Any) -> Any:
    """Add a bias to each row."""
    return internals.with_gradient(
        tf.nn.bias_add, [rows, bias], lambda upstream: (upstream, tf.reduce_sum(upstream, 0))
    )


def dropout_call(layer: Any, rate: Any) -> Callable[..., Any]:
    """Return the `call` of a Dropout layer whose rate is a tensor above 0."""
    own_rate = tf.cast(rate, layer.compute_dtype)  # here, so that no step computes it
    kept_share = 1 - own_rate

    def call(inputs: Any, training: bool = False) -> Any:
        if not training:
            return inputs
        share, zeros = tf.cast(kept_share, inputs.dtype), tf.zeros_like(inputs)
        is_kept = _noise(layer.seed_generator, inputs) >= tf.cast(own_rate, inputs.dtype)

        def chosen(values: Any) -> Any:  # `tf.where` broadcasts, which takes three times as long
            return raw.Select(condition=is_kept, x=values, y=zeros)

        return internals.with_gradient(
            lambda values: chosen(values / share),
            [inputs],
            lambda upstream: (chosen(upstream) / share,),
        )

    return call


def _noise(seeds: Any, like: Any) -> Any:
    """Return uniform noise from 0 to 1 of the shape and the type of a tensor, as Keras draws it."""
    seed = tf.cast(tf.math.floormod(seeds.next(), tf.int32.max - 1), tf.int32)  # as Keras folds it
    key, counter = raw.StatelessRandomGetKeyCounter(seed=seed)
    return raw.StatelessRandomUniformV2(
        shape=tf.shape(like), key=key, counter=counter, alg=_CHOSEN_BY_DEVICE, dtype=like.dtype
    )


_CHOSEN_BY_DEVICE = 3
"""TensorFlow's `auto_select`."""


def l2_penalty(regularizer: Any) -> Callable[[Any], Any]:
    """Return a function that computes the penalty of an L2 regularizer whose factor is a tensor."""

    def penalty(weight: Any) -> Any:
        found = tf.convert_to_tensor(weight)
        factor = tf.cast(regularizer.l2, found.dtype)
        return internals.with_gradient(
            lambda one: factor * (2 * tf.nn.l2_loss(one)),  # the sum of squares in one pass
            [found],
            lambda upstream: (2 * (upstream * factor) * found,),
        )

    return penalty
