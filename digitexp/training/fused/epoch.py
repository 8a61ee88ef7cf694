"""The graph of an epoch, and that of a forward pass; one trace for each kind of net.

Import this after `set_up_tensorflow()`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import tensorflow as tf
from tensorflow.python.eager import context  # the only door to the executor; `_traced` says why

from digitexp.training.fused import step as steps
from digitexp.training.fused.step import NetKind

__all__ = ["Images", "Settings", "Variables", "epoch_graph", "forward_graph"]


class Variables(NamedTuple):
    """Resource handles, kernel and bias of each layer in turn."""

    weights: list[Any]
    momentums: list[Any]
    velocities: list[Any]


class Images(NamedTuple):
    """The training data of an epoch, and the order of the images.

    Attributes:
        images: (n, features), of the weights' type.
        targets: (n, classes), 1 at the image's class, else 0, or smoothed; of the weights' type.
        order: (rows,), int32: the images to train on, in batches from its start.
        masks: Dropout mask of each hidden layer, (rows, units); empty without dropout.
    """

    images: Any
    targets: Any
    order: Any
    masks: list[Any]


class Settings(NamedTuple):
    """The numbers of an epoch, scalars of the weights' type unless said otherwise.

    Attributes:
        batch_size: Images per step, int32; the last step takes what is left.
        steps_before: Steps that Adam has made before.
        adam: Adam's settings.
        l2: Factor of the L2 penalty.
        clipnorm: Largest norm of a gradient tensor.
    """

    batch_size: Any
    steps_before: Any
    adam: steps.Adam
    l2: Any
    clipnorm: Any


_EXECUTOR = "SINGLE_THREADED_EXECUTOR"


@cache
def epoch_graph(kind: NetKind) -> Any:
    """Return the graph that trains an epoch in place: (Variables, Images, Settings) -> sums.

    The sums are (loss, right answers) over the images. As in Keras, an image counts with the
    weights before its step, dropout and penalty included.
    """

    def train_epoch(variables: Variables, data: Images, settings: Settings) -> tuple[Any, Any]:
        rows = tf.size(data.order)
        targets = tf.gather(data.targets, data.order)
        count = (rows + settings.batch_size - 1) // settings.batch_size

        def train_step(i: Any, step: Any, penalties: Any, logits: Any) -> tuple[Any, ...]:
            start = i * settings.batch_size
            end = tf.minimum(start + settings.batch_size, rows)
            step += 1
            batch = _Batch(
                tf.gather(data.images, data.order[start:end]),
                targets[start:end],
                [mask[start:end] for mask in data.masks],
                tf.cast(end - start, kind.dtype),
            )
            passed, penalty = _train_batch(kind, variables, batch, settings, step)
            return i + 1, step, penalties + penalty, logits.write(i, passed)

        logits = tf.TensorArray(
            kind.dtype, count, infer_shape=False, element_shape=[None, None]
        )  # judged once at the end: cheaper than in each step
        _, _, penalties, logits = tf.while_loop(
            lambda i, *_: i < count,
            train_step,
            (0, settings.steps_before, tf.zeros([], kind.dtype), logits),
            parallel_iterations=1,
        )
        return _judge(kind, logits.concat(), targets, penalties)

    return _traced(train_epoch, _epoch_signature(kind))


@cache
def forward_graph(kind: NetKind) -> Any:
    """Return the graph (weights' handles, images, l2) -> (logits, penalty), without dropout."""
    number = tf.TensorSpec([], kind.dtype)
    signature = [_handles(kind), tf.TensorSpec([None, None], kind.dtype), number]

    def pass_forward(handles: list[Any], images: Any, l2: Any) -> tuple[Any, Any]:
        weights = steps.read(handles, kind.dtype)
        return (
            steps.forward(kind, weights, images, ()).logits,
            steps.penalty(kind, weights, l2),
        )

    return _traced(pass_forward, signature)


class _Batch(NamedTuple):
    images: Any
    targets: Any
    masks: list[Any]
    size: Any


def _train_batch(
    kind: NetKind, variables: Variables, batch: _Batch, settings: Settings, step: Any
) -> tuple[Any, Any]:
    """Make one step and return its logits and its penalty, summed over the images."""
    weights = steps.read(variables.weights, kind.dtype)
    passed = steps.forward(kind, weights, batch.images, batch.masks)
    delta = steps.output_delta(passed.logits, batch.targets, batch.size)
    found = steps.gradients(kind, weights, passed, delta, batch.masks, settings.l2)
    if kind.clipping:
        found = [steps.clip(gradient, settings.clipnorm) for gradient in found]
    penalty = steps.penalty(kind, weights, settings.l2) * batch.size
    # Updates are in place: whatever reads the weights comes before them, or they would be copied.
    with tf.control_dependencies([*found, penalty]):
        steps.apply_adam(variables, found, settings.adam, step)
    return passed.logits, penalty


def _judge(kind: NetKind, logits: Any, targets: Any, penalties: Any) -> tuple[Any, Any]:
    entropies = tf.nn.softmax_cross_entropy_with_logits(targets, logits)
    right = tf.equal(tf.argmax(logits, 1), tf.argmax(targets, 1))
    return tf.reduce_sum(entropies) + penalties, tf.reduce_sum(tf.cast(right, kind.dtype))


def _traced(function: Callable[..., Any], signature: list[Any]) -> Any:
    """Trace once, for the executor of one thread; called directly, a trace checks no types.

    TensorFlow's usual executor hands operations to a pool: up to 15 us of a step of 100 us where
    a process has one thread anyway. Both the trace, which must keep its loop as a function, and
    each call have to be made under the executor's name.
    """
    graph = tf.function(function, autograph=False, input_signature=signature)
    with context.function_executor_type(_EXECUTOR):
        trace = graph.get_concrete_function()

    def call(*arguments: Any) -> Any:
        with context.function_executor_type(_EXECUTOR):
            return trace(*arguments)

    return call


def _handles(kind: NetKind) -> list[tf.TensorSpec]:
    return [tf.TensorSpec([], tf.resource)] * (2 * (kind.hidden_layers + 1))


def _epoch_signature(kind: NetKind) -> list[Any]:
    number = tf.TensorSpec([], kind.dtype)
    matrix = tf.TensorSpec([None, None], kind.dtype)
    masks = [matrix] * (kind.hidden_layers if kind.dropout else 0)
    return [
        Variables(*[_handles(kind)] * 3),
        Images(matrix, matrix, tf.TensorSpec([None], tf.int32), masks),
        Settings(tf.TensorSpec([], tf.int32), number, steps.Adam(*[number] * 4), number, number),
    ]
