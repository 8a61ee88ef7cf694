"""Several nets of one shape trained in one graph: each product is a batch of products.

The whole step is written out: forward, gradients, Adam with Keras's numbers, dropout 0.2, an order
of the images for each net. Nothing is evaluated, stopped or watched.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from time import perf_counter
from typing import Any, Final

import numpy as np

from digitexp.tensorflow_setup import set_up_tensorflow

set_up_tensorflow()

import tensorflow as tf  # noqa: E402

DROPPED: Final = 0.2


def steps(widths: list[int], batch: int, images: int, epochs: int, nets: int) -> list[float]:
    """Return microseconds per step and net of each epoch, after one that traces."""
    epoch = _epoch(tuple(widths), batch, images, nets)
    epoch(tf.constant(1.0))
    found = []
    for _ in range(epochs):
        start = perf_counter()
        epoch(tf.constant(1.0))
        found.append((perf_counter() - start) / (images // batch) / nets * 1e6)
    return found


@cache
def _epoch(widths: tuple[int, ...], batch: int, images: int, nets: int) -> Any:
    random = np.random.default_rng(0)
    pixels = tf.constant(random.random((images, widths[0]), dtype=np.float32))
    answers = tf.one_hot(random.integers(0, widths[-1], images), widths[-1])
    weights = []
    for before, after in pairwise(widths):
        kernel = random.normal(0, 0.05, (nets, before, after)).astype(np.float32)
        weights += [tf.Variable(kernel), tf.Variable(tf.zeros((nets, 1, after)))]
    means, squares = ([tf.Variable(tf.zeros_like(one)) for one in weights] for _ in range(2))
    layers = len(widths) - 1

    def gradients(place: Any, orders: Any) -> list[Any]:
        """Return the gradients of all nets on their next batch."""
        chosen = orders[:, place * batch : (place + 1) * batch]
        inputs, kept, hidden = [tf.gather(pixels, chosen)], [], []
        for layer in range(layers - 1):
            summed = tf.matmul(inputs[-1], weights[2 * layer]) + weights[2 * layer + 1]
            hidden.append(tf.nn.relu(summed))
            drawn = tf.random.stateless_uniform(tf.shape(hidden[-1]), tf.stack([place, layer]))
            kept.append(tf.cast(drawn >= DROPPED, tf.float32) / (1 - DROPPED))
            inputs.append(hidden[-1] * kept[-1])
        logits = tf.matmul(inputs[-1], weights[-2]) + weights[-1]
        delta = (tf.nn.softmax(logits) - tf.gather(answers, chosen)) / batch
        found = [delta] * (2 * layers)
        for layer in reversed(range(layers)):
            found[2 * layer] = tf.matmul(inputs[layer], delta, transpose_a=True)
            found[2 * layer + 1] = tf.reduce_sum(delta, axis=-2, keepdims=True)
            if layer:
                back = tf.matmul(delta, weights[2 * layer], transpose_b=True) * kept[layer - 1]
                delta = tf.raw_ops.ReluGrad(gradients=back, features=hidden[layer - 1])
        return found

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]  # TensorFlow is untyped
    def epoch(first: Any) -> Any:
        drawn = tf.random.stateless_uniform((nets, images), seed=(1, 2))
        orders = tf.argsort(drawn, axis=1)

        def step(place: Any, number: Any) -> tuple[Any, Any]:
            powers = tf.pow(0.9, number), tf.pow(0.999, number)
            updates = [
                tf.raw_ops.ResourceApplyAdam(
                    var=weight.handle, m=mean.handle, v=square.handle, beta1_power=powers[0],
                    beta2_power=powers[1], lr=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-7,
                    grad=gradient,
                )
                for weight, mean, square, gradient in zip(
                    weights, means, squares, gradients(place, orders), strict=True
                )
            ]  # fmt: skip
            with tf.control_dependencies(updates):
                return place + 1, number + 1.0

        return tf.while_loop(
            lambda place, _: place < images // batch, step, (0, first), parallel_iterations=1
        )

    return epoch


ACTIONS: dict[str, Callable[..., object]] = {"steps": steps}
