"""One step of gradient descent, written out: forward pass, gradients, Adam.

Import this after `set_up_tensorflow()`. With x_0 the images of a batch of n, layer j of L computes

    z_j = x_j W_j + b_j,    h_j = f(z_j),    x_{j+1} = h_j * m_j        (j < L - 1)
    logits = z_{L-1},       loss = 1/n sum_i CE_i(logits, targets) + l2 sum_{j < L-1} |W_j|^2

where m_j is the dropout mask: 0 with probability `rate`, else 1 / (1 - rate). Let d_j be the
derivative of the mean cross-entropy by z_j. At the output it is softmax minus targets, over n:

    d_{L-1} = (softmax(logits) - targets) / n

and the chain rule takes it down one layer at a time:

    d_{j-1} = (d_j W_j^T * m_{j-1}) * f'(z_{j-1})

The derivatives by the weights follow from it, the L2 penalty's added on the hidden kernels:

    dW_j = x_j^T d_j + 2 l2 W_j [j < L - 1],        db_j = column sums of d_j

(Goodfellow, Bengio & Courville 2016, "Deep Learning", algorithms 6.3 and 6.4.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import tensorflow as tf

from digitexp.config import TrialConfig

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
"""Activations by the names of `digitexp.parameters.ACTIVATIONS`. Most derivatives follow from the
output h alone, and TensorFlow has a kernel for each; GELU and SiLU need the input z."""


class NetKind(NamedTuple):
    """Nets of one kind share one trace.

    Attributes:
        hidden_layers: Number of hidden layers; the output layer comes on top.
        activation: Keras's name of the hidden layers' activation.
        dropout: Whether any layer drops activations.
        penalty: Whether the hidden layers' kernels have an L2 penalty.
        clipping: Whether each gradient tensor's norm is clipped.
        dtype: TensorFlow's name of the weights' type, `float32` or `float64`.
    """

    hidden_layers: int
    activation: str
    dropout: bool
    penalty: bool
    clipping: bool
    dtype: str

    @classmethod
    def of(cls, config: TrialConfig, dtype: str) -> NetKind:
        """Return the kind of a configuration's net."""
        return cls(
            hidden_layers=config.hidden_layers,
            activation=config.activation,
            dropout=any(config.dropout_rates),
            penalty=config.l2 > 0 and config.hidden_layers > 0,
            clipping=config.clipnorm is not None,
            dtype=dtype,
        )


class Forward(NamedTuple):
    """The values of the forward pass that the backward pass needs.

    Attributes:
        inputs: x_j, the input of each layer.
        sums: z_j of the hidden layers, before the activation.
        outputs: h_j of the hidden layers, before dropout.
        logits: (batch, classes).
    """

    inputs: list[Any]
    sums: list[Any]
    outputs: list[Any]
    logits: Any


class Adam(NamedTuple):
    """Adam's settings as scalar tensors, named as in Keras."""

    learning_rate: Any
    beta_1: Any
    beta_2: Any
    epsilon: Any


def read(handles: Sequence[Any], dtype: str) -> list[Any]:
    """Read variables by their handles: kernel and bias of each layer in turn."""
    return [raw.ReadVariableOp(resource=handle, dtype=dtype) for handle in handles]


def forward(kind: NetKind, weights: Sequence[Any], images: Any, masks: Sequence[Any]) -> Forward:
    """Compute the logits.

    Args:
        kind: The kind of net.
        weights: Kernel and bias of each layer in turn.
        images: (batch, features).
        masks: Dropout mask of each hidden layer, (batch, units); empty for none.
    """
    activation = DIFFERENTIABLE[kind.activation]
    inputs, sums, outputs = [images], [], []
    for j in range(kind.hidden_layers):
        sums.append(tf.nn.bias_add(tf.matmul(inputs[j], weights[2 * j]), weights[2 * j + 1]))
        outputs.append(activation.value(sums[j]))
        inputs.append(outputs[j] * masks[j] if masks else outputs[j])
    logits = tf.nn.bias_add(tf.matmul(inputs[-1], weights[-2]), weights[-1])
    return Forward(inputs, sums, outputs, logits)


def output_delta(logits: Any, targets: Any, size: Any) -> Any:
    """Return the derivative of the batch's mean cross-entropy by its logits, (batch, classes).

    Args:
        logits: (batch, classes).
        targets: (batch, classes), each row's shares add up to 1: 1 at the right class, or smoothed.
        size: Number of images in the batch, as a float scalar.
    """
    return (tf.nn.softmax(logits) - targets) / size


def penalty(kind: NetKind, weights: Sequence[Any], l2: Any) -> Any:
    """Return l2 times the sum of squares of the hidden kernels, 0 for a kind without penalty."""
    if not kind.penalty:
        return tf.zeros([], kind.dtype)
    halves = [tf.nn.l2_loss(weights[2 * j]) for j in range(kind.hidden_layers)]
    return tf.add_n(halves) * (2 * l2)


def gradients(
    kind: NetKind,
    weights: Sequence[Any],
    passed: Forward,
    delta: Any,
    masks: Sequence[Any],
    l2: Any,
) -> list[Any]:
    """Return the loss's derivative by each weight, in the order of `weights`.

    Args:
        kind: The kind of net.
        weights: Kernel and bias of each layer in turn.
        passed: The forward pass with the same weights and masks.
        delta: (batch, classes), the loss's derivative by the logits.
        masks: As given to `forward`.
        l2: Factor of the penalty, a scalar.
    """
    activation, found = DIFFERENTIABLE[kind.activation], []
    for j in range(kind.hidden_layers, -1, -1):
        kernel = tf.matmul(passed.inputs[j], delta, transpose_a=True)
        if kind.penalty and j < kind.hidden_layers:
            kernel += (2 * l2) * weights[2 * j]
        found += [tf.reduce_sum(delta, 0), kernel]
        if j:
            upstream = tf.matmul(delta, weights[2 * j], transpose_b=True)
            upstream = upstream * masks[j - 1] if masks else upstream
            delta = activation.backward(upstream, passed.sums[j - 1], passed.outputs[j - 1])
    return found[::-1]


def clip(gradient: Any, largest_norm: Any) -> Any:
    """Scale one gradient tensor down to a norm of at most `largest_norm`, as Keras's clipnorm."""
    norm = tf.sqrt(2 * tf.nn.l2_loss(gradient))
    return gradient * (largest_norm / tf.maximum(norm, largest_norm))


def apply_adam(
    variables: tuple[Sequence[Any], Sequence[Any], Sequence[Any]],
    found: Sequence[Any],
    adam: Adam,
    step: Any,
) -> list[Any]:
    """Update variables in place with TensorFlow's fused Adam kernel (Kingma & Ba 2015).

    Args:
        variables: Handles of the weights, of Adam's first and of its second moments.
        found: The gradients.
        adam: Adam's settings.
        step: Number of this step, from 1, as a float scalar.

    Returns:
        The update operations.
    """
    power_1, power_2 = tf.pow(adam.beta_1, step), tf.pow(adam.beta_2, step)
    return [
        raw.ResourceApplyAdam(
            var=variable,
            m=momentum,
            v=velocity,
            beta1_power=power_1,
            beta2_power=power_2,
            lr=adam.learning_rate,
            beta1=adam.beta_1,
            beta2=adam.beta_2,
            epsilon=adam.epsilon,
            grad=gradient,
        )
        for variable, momentum, velocity, gradient in zip(*variables, found, strict=True)
    ]
