"""Epochs of a chain of dense layers, in one call each: BLAS for the products, loops for the rest.

With x_0 the images of a batch of n, layer j of L computes

    z_j = x_j W_j + b_j,    h_j = f(z_j),    x_{j+1} = h_j * m_j

where m_j is the dropout mask: 0 with probability `rate`, else 1 / (1 - rate). With the loss

    1/n sum_i CE_i(x_L, targets) + sum_j (l1_j |W_j| + l2_j |W_j|^2)

let d_j be its derivative by z_j. At the output `losses` gives it. The chain rule takes it down one
layer at a time; s_j = f'(z_j) * m_j is written on the way up, where z_j is at hand:

    d_{j-1} = (d_j W_j^T) * s_{j-1},    dW_j = x_j^T d_j + l1_j sign(W_j) + 2 l2_j W_j,
    db_j = column sums of d_j

(Goodfellow, Bengio & Courville 2016, "Deep Learning", algorithms 6.3 and 6.4.) Widths, depth and
batch size are numbers: nothing is compiled again for another net.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from digitexp.training.compiled.activations import activate
from digitexp.training.compiled.dropout import drop
from digitexp.training.compiled.losses import cross_entropy
from digitexp.training.compiled.machine_code import inner, outer
from digitexp.training.compiled.updates import clip, make_step


@inner
def _matrix(flat: Any, start: Any, rows: Any, columns: Any) -> Any:
    return flat[start : start + rows * columns].reshape(rows, columns)


@inner
def _multiply(values: Any, factors: Any) -> Any:
    """Multiply values by factors of the same shape, in place."""
    rows, columns = values.shape
    for i in range(rows):
        for c in range(columns):
            values[i, c] *= factors[i, c]


@inner
def _layers(widths: Any) -> Any:
    """Return where kernel and bias of each layer begin in the weights, in turn, and their end."""
    places = np.zeros(2 * widths.size - 1, np.int64)
    for j in range(widths.size - 1):
        places[2 * j + 1] = places[2 * j] + widths[j] * widths[j + 1]
        places[2 * j + 2] = places[2 * j + 1] + widths[j + 1]
    return places


@outer
def train_epoch(  # noqa: C901  # one call for all of it
    images: Any, labels: Any, order: Any, batch_size: Any, widths: Any, kinds: Any, rates: Any,
    penalties: Any, trains: Any, weights: Any, moments: Any, smoothing: Any, settings: Any,
    learning_rate: Any, step: Any, seed: Any,
) -> Any:  # fmt: skip
    """Train one epoch in place.

    Args:
        images: (n, features).
        labels: (n,), from 0.
        order: The samples in the order in which batches are taken.
        batch_size: Samples of a step; the last step takes what is left.
        widths: (L + 1,), features and units of each layer.
        kinds: (L,), number of each layer's activation.
        rates: (L,), dropout of each layer.
        penalties: (L, 2), l1 and l2 of each kernel.
        trains: (L,), whether a layer learns.
        weights: Kernel and bias of each layer in turn.
        moments: Adam's first moments of all weights, then the second ones.
        smoothing: Share of each label that is spread over all classes.
        settings: See `updates`.
        learning_rate: Of all steps of this epoch.
        step: Steps before.
        seed: Decides dropout.

    Returns:
        Sums over the samples of loss and right answers, and the number of steps by now. A sample
        counts with the weights before its step, dropout and penalty included.
    """
    depth, at = widths.size - 1, _layers(widths)
    lowest = depth  # the first layer that learns; none below it needs a derivative
    for j in range(depth - 1, -1, -1):
        lowest = j if trains[j] else lowest
    rows = min(batch_size, order.size)
    starts = np.zeros(depth + 2, np.int64)  # of each layer's numbers in the following three
    for j in range(depth + 1):
        starts[j + 1] = starts[j] + rows * widths[j]
    outputs, slopes = np.empty(starts[-1], weights.dtype), np.empty(starts[-1], weights.dtype)
    deltas, gradient = np.empty(starts[-1], weights.dtype), np.empty(at[-1], weights.dtype)
    total, right = 0.0, 0.0
    for first in range(0, order.size, batch_size):
        chosen = order[first : first + batch_size]
        n = chosen.size
        step += 1
        x = _matrix(outputs, 0, n, widths[0])
        for i in range(n):
            x[i, :] = images[chosen[i], :]
        for j in range(depth):
            out, slope = (
                _matrix(outputs, starts[j + 1], n, widths[j + 1]),
                _matrix(slopes, starts[j + 1], n, widths[j + 1]),
            )
            np.dot(x, _matrix(weights, at[2 * j], widths[j], widths[j + 1]), out)
            activate(kinds[j], out, weights[at[2 * j + 1] : at[2 * j + 2]], slope)
            if rates[j] > 0:
                drop(out, slope, rates[j], seed, step, j)
            x = out
        delta = _matrix(deltas, starts[depth], n, widths[depth])
        entropy, hits = cross_entropy(x, labels, chosen, smoothing, delta)
        if kinds[depth - 1] != 0 or rates[depth - 1] > 0:
            _multiply(delta, _matrix(slopes, starts[depth], n, widths[depth]))
        for j in range(depth - 1, lowest - 1, -1):
            if trains[j]:
                below = _matrix(outputs, starts[j], n, widths[j])
                np.dot(below.T, delta, _matrix(gradient, at[2 * j], widths[j], widths[j + 1]))
                sums = gradient[at[2 * j + 1] : at[2 * j + 2]]
                sums[:] = 0
                for i in range(n):
                    for c in range(widths[j + 1]):
                        sums[c] += delta[i, c]
            if j > lowest:
                under = _matrix(deltas, starts[j], n, widths[j])
                np.dot(delta, _matrix(weights, at[2 * j], widths[j], widths[j + 1]).T, under)
                _multiply(under, _matrix(slopes, starts[j], n, widths[j]))
                delta = under
        clip(gradient, weights, at, penalties, trains, settings)
        penalty = make_step(
            weights, gradient, moments, at, penalties, trains, settings, learning_rate, step
        )
        total += entropy + penalty * n
        right += hits
    return total, right, step


@outer
def pass_forward(
    images: Any, widths: Any, kinds: Any, weights: Any, penalties: Any, trains: Any
) -> Any:
    """Return the outputs (n, units of the last layer) without dropout, and the penalty.

    As in Keras, kernels that do not learn have no penalty.
    """
    at, x, penalty = _layers(widths), images.copy(), 0.0
    for j in range(widths.size - 1):
        kernel = weights[at[2 * j] : at[2 * j + 1]]
        out = np.empty((x.shape[0], widths[j + 1]), weights.dtype)
        np.dot(x, kernel.reshape(widths[j], widths[j + 1]), out)
        activate(kinds[j], out, weights[at[2 * j + 1] : at[2 * j + 2]], np.empty_like(out))
        for p in range(kernel.size if trains[j] and penalties[j].any() else 0):
            penalty += penalties[j, 0] * abs(kernel[p]) + penalties[j, 1] * kernel[p] * kernel[p]
        x = out
    return x, penalty
