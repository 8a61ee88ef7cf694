"""The loss of a batch, with its derivative by what the net gives.

To add one, write its function here, and its name in `digitexp.chain.Loss`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

from digitexp.training.compiled.machine_code import careful

LOSSES: Final[dict[str, Callable[..., Any]]] = {}
"""By Keras's names. Each takes what `loss_of` takes, and does what it does."""


def loss(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a loss, under its name."""
    found = LOSSES[function.__name__] = careful(function)
    return found


@careful
def _counted(counts: Any, sample: Any, n: Any, T: Any) -> Any:
    """Return the share of a sample in the mean of n, and how much it counts."""
    count = T(counts[sample]) if counts.size > 0 else T(1)
    return count / T(n), count


@loss
def sparse_categorical_crossentropy(
    how: Any, outputs: Any, labels: Any, targets: Any, counts: Any, chosen: Any, delta: Any
) -> Any:
    """Cross-entropy of logits, in nats.

    A target is 1 at the label, or its share if a part is spread over all classes (Szegedy et al.
    2016, "Rethinking the Inception architecture", section 7). The derivative is softmax - target.
    """
    T = outputs.dtype.type
    n, classes = outputs.shape
    own, spread = T(1 - how[1]), T(how[1] / classes)
    total = 0.0
    for i in range(n):
        one, count = _counted(counts, chosen[i], n, T)
        label, top, mass, others = labels[chosen[i]], outputs[i, 0], T(0), T(0)
        for c in range(1, classes):
            top = outputs[i, c] if outputs[i, c] > top else top
        for c in range(classes):
            above = outputs[i, c] - top  # else digits of large logits are lost
            delta[i, c] = T(math.exp(above))
            mass += delta[i, c]
            others += above
        norm = T(math.log(mass))
        entropy = own * (norm - (outputs[i, label] - top)) + spread * (T(classes) * norm - others)
        total += count * entropy
        for c in range(classes):
            delta[i, c] = one * (delta[i, c] / mass - spread)
        delta[i, label] -= one * own
    return total


@loss
def categorical_crossentropy(
    how: Any, outputs: Any, labels: Any, targets: Any, counts: Any, chosen: Any, delta: Any
) -> Any:
    """The same of a share for each class; TensorFlow takes it that their sum is 1."""
    T = outputs.dtype.type
    n, classes = outputs.shape
    own, spread = T(1 - how[1]), T(how[1] / classes)
    total = 0.0
    for i in range(n):
        one, count = _counted(counts, chosen[i], n, T)
        top, mass, entropy = outputs[i, 0], T(0), T(0)
        for c in range(1, classes):
            top = outputs[i, c] if outputs[i, c] > top else top
        for c in range(classes):
            delta[i, c] = T(math.exp(outputs[i, c] - top))
            mass += delta[i, c]
        norm = T(math.log(mass))
        for c in range(classes):
            share = own * targets[chosen[i], c] + spread
            entropy += share * (norm - (outputs[i, c] - top))
            delta[i, c] = one * (delta[i, c] / mass - share)
        total += count * entropy
    return total


def output_by_output(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a loss that is the mean over the outputs of a function of each.

    Args:
        function: (how, T, output, target) -> its value and slope; T is NumPy's type of all numbers.
    """
    own = careful(function)

    def whole(
        how: Any, outputs: Any, labels: Any, targets: Any, counts: Any, chosen: Any, delta: Any
    ) -> Any:
        T = outputs.dtype.type
        n, width = outputs.shape
        total = 0.0
        for i in range(n):
            one, count = _counted(counts, chosen[i], n, T)
            found = T(0)
            for c in range(width):
                value, slope = own(how, T, outputs[i, c], targets[chosen[i], c])
                found += value
                delta[i, c] = one * slope / T(width)
            total += count * found / T(width)
        return total

    whole.__name__ = function.__name__
    return loss(whole)


@output_by_output
def binary_crossentropy(how: Any, T: Any, output: Any, target: Any) -> Any:
    """Cross-entropy of a logit with its target."""
    share, small = T(1 - how[1]) * target + T(0.5 * how[1]), T(math.exp(-abs(output)))
    yes = (T(1) if output >= T(0) else small) / (T(1) + small)
    return max(output, T(0)) - output * share + T(math.log1p(small)), yes - share


@output_by_output
def mean_squared_error(how: Any, T: Any, output: Any, target: Any) -> Any:
    error = output - target
    return error * error, T(2) * error


@output_by_output
def mean_absolute_error(how: Any, T: Any, output: Any, target: Any) -> Any:
    """The slope at 0 is 0, that at NaN is NaN."""
    error = output - target
    return abs(error), _sign(error, T) + T(0) * error


@output_by_output
def huber(how: Any, T: Any, output: Any, target: Any) -> Any:
    """Half the square up to a difference of delta, then linear (Huber 1964)."""
    error, bound = output - target, T(how[2])
    size = abs(error)
    if size <= bound:
        return T(0.5) * error * error, error
    slope = bound * _sign(error, T) + T(0) * error
    return bound * size - T(0.5) * bound * bound, slope


@careful
def _sign(value: Any, T: Any) -> Any:
    return T(1) if value > T(0) else (T(-1) if value < T(0) else T(0))


NUMBERS: Final = {name: number for number, name in enumerate(LOSSES)}
"""The number of each loss, as compiled code knows it."""


def _chosen(first: int, functions: Sequence[Callable[..., Any]]) -> Callable[..., Any]:
    """Return a function that calls one of several, of which the first has a number."""
    if len(functions) == 1:
        return functions[0]
    half = len(functions) // 2
    middle = first + half
    lower, upper = _chosen(first, functions[:half]), _chosen(middle, functions[half:])

    @careful
    def either(
        how: Any, outputs: Any, labels: Any, targets: Any, counts: Any, chosen: Any, delta: Any
    ) -> Any:
        if how[0] < middle:
            return lower(how, outputs, labels, targets, counts, chosen, delta)
        return upper(how, outputs, labels, targets, counts, chosen, delta)

    return either


loss_of: Final = _chosen(0, list(LOSSES.values()))
"""Writes the derivative of the mean loss by the outputs.

Args:
    how: Number of the loss, smoothing, delta; see `digitexp.chain.Loss`.
    outputs: (n, width).
    labels: Of all samples, from 0; or empty.
    targets: (samples, width) of all samples; or empty.
    counts: How much each sample counts; or empty.
    chosen: (n,), which of the samples these are.
    delta: (n, width), is written.

Returns:
    The sum of the losses.
"""
