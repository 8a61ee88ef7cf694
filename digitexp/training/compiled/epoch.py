"""Epochs of a chain of layers, in one call each: BLAS for the products, loops for the rest.

With x_0 the samples of a batch of n, layer j of L computes

    z_j = x_j W_j + b_j,    h_j = f(z_j),    x_{j+1} = h_j * m_j

where m_j is the dropout mask: 0 with probability `rate`, else 1 / (1 - rate). With the loss

    1/n sum_i loss_i(x_L, targets) + sum_j (l1_j |W_j| + l2_j |W_j|^2)

let d_j be its derivative by z_j. At the output `losses` gives it. The chain rule takes it down one
layer at a time; s_j = f'(z_j) * m_j is written on the way up, where z_j is at hand:

    d_{j-1} = (d_j W_j^T) * s_{j-1},    dW_j = x_j^T d_j + l1_j sign(W_j) + 2 l2_j W_j,
    db_j = column sums of d_j

(Goodfellow, Bengio & Courville 2016, "Deep Learning", algorithms 6.3 and 6.4.) In the place of the
product may stand a normalisation, or nothing. Widths, depth and batch size are numbers: nothing is
compiled again for another net.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from digitexp.training.compiled.activations import activate
from digitexp.training.compiled.dropout import drop
from digitexp.training.compiled.losses import loss_of
from digitexp.training.compiled.machine_code import inner, outer
from digitexp.training.compiled.normalizations import normalize, normalize_back
from digitexp.training.compiled.updates import clip, make_step

NOTHING, PRODUCT, BY_BATCH, BY_SAMPLE = range(4)
"""What a layer does first."""


class Shape(NamedTuple):
    """A net but for its weights; arrays with an entry a layer (L), or a piece (2 L).

    The pieces are the arrays that are learnt: of each layer its kernel (or gamma), then its bias
    (or beta). One that is not there has no numbers.

    Attributes:
        operations: (L,), what each layer does first.
        widths: (L + 1,), features and units of each layer.
        at: (2 L + 1,), where each piece begins in the weights, and their end.
        kinds: (L,), number of each layer's activation.
        rates: (L,), dropout of each layer.
        norms: (L, 3): epsilon and momentum of a normalisation, and where its running means begin.
        penalties: (L, 2), l1 and l2 of each kernel.
        trains: (L,), whether a layer learns.
        loss: Number of the loss, smoothing, delta.
        settings: Of the optimizer, see `updates`.
    """

    operations: Any
    widths: Any
    at: Any
    kinds: Any
    rates: Any
    norms: Any
    penalties: Any
    trains: Any
    loss: Any
    settings: Any


@inner
def _matrix(flat: Any, start: Any, rows: Any, columns: Any) -> Any:
    return flat[start : start + rows * columns].reshape(rows, columns)


@inner
def _copy(values: Any, place: Any) -> None:
    """Copy values to a place of the same shape; a slice would take a second to compile."""
    rows, columns = values.shape
    for i in range(rows):
        for c in range(columns):
            place[i, c] = values[i, c]


@inner
def _multiply(values: Any, factors: Any) -> None:
    """Multiply values by factors of the same shape, in place."""
    rows, columns = values.shape
    for i in range(rows):
        for c in range(columns):
            values[i, c] *= factors[i, c]


@inner
def _sum_columns(values: Any, sums: Any) -> None:
    rows, columns = values.shape
    for c in range(columns):
        sums[c] = 0
    for i in range(rows):
        for c in range(columns):
            sums[c] += values[i, c]


@inner
def _starts(net: Any, rows: Any) -> Any:
    """Return where the numbers of each layer begin, of a batch of so many rows, and their end."""
    depth = net.widths.size - 1
    starts = np.zeros(depth + 2, np.int64)
    for j in range(depth + 1):
        starts[j + 1] = starts[j] + rows * net.widths[j]
    return starts


@inner
def _lowest(net: Any) -> Any:
    """Return the first layer that learns; none below it needs a derivative."""
    depth = net.widths.size - 1
    lowest = depth
    for j in range(depth - 1, -1, -1):
        if net.trains[j] and net.at[2 * j + 2] > net.at[2 * j]:
            lowest = j
    return lowest


@inner
def _up(net: Any, j: Any, x: Any, weights: Any, running: Any, no_bias: Any, scales: Any,
        out: Any, slope: Any, is_training: Any) -> None:  # fmt: skip
    """Pass a batch through a layer, dropout not included; write activations and their slopes."""
    kernel = weights[net.at[2 * j] : net.at[2 * j + 1]]
    bias = weights[net.at[2 * j + 1] : net.at[2 * j + 2]]
    if net.operations[j] == PRODUCT:
        np.dot(x, kernel.reshape(net.widths[j], net.widths[j + 1]), out)
    elif net.operations[j] == NOTHING:
        _copy(x, out)
    else:
        normalize(
            net.operations[j] == BY_BATCH, x, kernel, net.norms[j], running, scales, out,
            is_training,
        )  # fmt: skip
    activate(net.kinds[j], out, bias if bias.size > 0 else no_bias[: net.widths[j + 1]], slope)


@inner
def _down(
    net: Any, j: Any, x: Any, delta: Any, weights: Any, scales: Any, gradient: Any, under: Any,
    is_lowest: Any,
) -> None:  # fmt: skip
    """Write the gradient of a layer's weights, and the derivative by what came into it."""
    kernel = weights[net.at[2 * j] : net.at[2 * j + 1]]
    kernel_gradient = gradient[net.at[2 * j] : net.at[2 * j + 1]]
    if net.trains[j] and net.at[2 * j + 2] > net.at[2 * j + 1]:
        _sum_columns(delta, gradient[net.at[2 * j + 1] : net.at[2 * j + 2]])
    if net.operations[j] == PRODUCT:
        if net.trains[j]:
            np.dot(x.T, delta, kernel_gradient.reshape(net.widths[j], net.widths[j + 1]))
        if not is_lowest:
            np.dot(delta, kernel.reshape(net.widths[j], net.widths[j + 1]).T, under)
    elif net.operations[j] == NOTHING:
        _copy(delta, under)
    else:
        normalize_back(
            net.operations[j] == BY_BATCH, x, delta, kernel, scales, kernel_gradient, under
        )


@outer
def train_epoch(
    samples: Any, labels: Any, targets: Any, counts: Any, order: Any, batch_size: Any, net: Any,
    weights: Any, moments: Any, running: Any, learning_rate: Any, step: Any, seed: Any, kept: Any,
) -> Any:  # fmt: skip
    """Train one epoch in place.

    Args:
        samples: (n, features).
        labels: (n,), from 0, of a loss that takes labels.
        targets: (n, outputs), of one that does not.
        counts: (n,), how much each sample counts; empty = all alike.
        order: The samples in the order in which batches are taken.
        batch_size: Samples of a step; the last step takes what is left.
        net: See `Shape`.
        weights: The pieces of all layers.
        moments: What the optimizer keeps: two numbers a weight.
        running: Running mean and variance of normalisations.
        learning_rate: Of all steps of this epoch.
        step: Steps before.
        seed: Decides dropout.
        kept: (n, outputs), is written: what each sample gave, in the order of the epoch.

    Returns:
        Sum over the samples of the loss, and the number of steps by now. A sample counts with the
        weights before its step, dropout and penalty included; so it gives what is kept.
    """
    depth, lowest = net.widths.size - 1, _lowest(net)
    starts = _starts(net, min(batch_size, order.size))
    size, dtype = starts[-1], weights.dtype
    outputs, slopes, deltas = np.empty(size, dtype), np.empty(size, dtype), np.empty(size, dtype)
    gradient, no_bias = np.empty(weights.size, dtype), np.zeros(net.widths.max(), dtype)
    scales = np.empty((depth, 2, max(net.widths.max(), min(batch_size, order.size))), dtype)
    total = 0.0
    for first in range(0, order.size, batch_size):
        chosen = order[first : first + batch_size]
        n = chosen.size
        step += 1
        x = _matrix(outputs, 0, n, net.widths[0])
        for i in range(n):
            for c in range(net.widths[0]):
                x[i, c] = samples[chosen[i], c]
        for j in range(depth):
            out = _matrix(outputs, starts[j + 1], n, net.widths[j + 1])
            slope = _matrix(slopes, starts[j + 1], n, net.widths[j + 1])
            _up(net, j, x, weights, running, no_bias, scales[j], out, slope, True)
            if net.rates[j] > 0:
                drop(out, slope, net.rates[j], seed, step, j)
            x = out
        _copy(x, kept[first : first + n])
        delta = _matrix(deltas, starts[depth], n, net.widths[depth])
        loss = loss_of(net.loss, x, labels, targets, counts, chosen, delta)
        if net.kinds[depth - 1] != 0 or net.rates[depth - 1] > 0:
            _multiply(delta, _matrix(slopes, starts[depth], n, net.widths[depth]))
        for j in range(depth - 1, lowest - 1, -1):
            below = _matrix(outputs, starts[j], n, net.widths[j])
            under = _matrix(deltas, starts[j], n, net.widths[j])
            _down(net, j, below, delta, weights, scales[j], gradient, under, j == lowest)
            if j > lowest:
                _multiply(under, _matrix(slopes, starts[j], n, net.widths[j]))
            delta = under
        clip(gradient, weights, net)
        penalty = make_step(weights, gradient, moments, net, learning_rate, step)
        total += loss + penalty * n
    return total, step


@outer
def pass_forward(
    samples: Any, labels: Any, targets: Any, net: Any, weights: Any, running: Any
) -> Any:
    """Return the outputs (n, units of the last layer) without dropout, the penalty and the loss.

    As in Keras, kernels that do not learn have no penalty. The loss is the sum over the samples,
    without the penalty; 0 if there are neither labels nor targets.
    """
    x, penalty, dtype = samples.copy(), 0.0, weights.dtype
    no_bias, nothing = np.zeros(net.widths.max(), dtype), np.empty(0, dtype)
    scales = np.empty((2, max(net.widths.max(), samples.shape[0])), dtype)
    for j in range(net.widths.size - 1):
        out = np.empty((x.shape[0], net.widths[j + 1]), dtype)
        _up(net, j, x, weights, running, no_bias, scales, out, np.empty_like(out), False)
        kernel = weights[net.at[2 * j] : net.at[2 * j + 1]]
        l1, l2 = net.penalties[j, 0], net.penalties[j, 1]
        for p in range(kernel.size if net.trains[j] and (l1 > 0 or l2 > 0) else 0):
            penalty += l1 * abs(kernel[p]) + l2 * kernel[p] * kernel[p]
        x = out
    loss = 0.0
    if labels.size > 0 or targets.size > 0:
        rows = np.arange(x.shape[0])
        loss = loss_of(net.loss, x, labels, targets, nothing, rows, np.empty_like(x))
    return x, penalty, loss
