"""The parts of a step, one at a time: each a loop in machine code over a function of the engine.

A part that is repeated alone finds its numbers in the caches, which in a step hold those of the
other parts as well. So a part takes no longer alone than in a step, and they are less than a step.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from time import perf_counter
from typing import Any, Final

import numpy as np

from digitexp.chain import Chain, Optimizer
from digitexp.training.compiled.activations import NUMBERS, activate
from digitexp.training.compiled.dropout import drop
from digitexp.training.compiled.losses import loss_of
from digitexp.training.compiled.machine_code import outer
from digitexp.training.compiled.net import shape_of
from digitexp.training.compiled.updates import make_step

TURNS, REPEATS = 9, 100


def microseconds(chain: Chain, batch: int, images: np.ndarray) -> dict[str, float]:
    """Return the microseconds that each part of a step takes, the least of some turns.

    Args:
        chain: The net; dropout and penalties are its own.
        batch: Samples of a step.
        images: (n, features), from which batches are taken.
    """
    calls = _calls(chain, batch, images)
    return {name: sum(map(_least, repeated)) for name, repeated in calls.items()}


def _least(repeated: Callable[[int], None]) -> float:
    repeated(1)  # compiles
    found = []
    for _ in range(TURNS):
        start = perf_counter()
        repeated(REPEATS)
        found.append((perf_counter() - start) / REPEATS * 1e6)
    return min(found)


def _calls(chain: Chain, batch: int, images: np.ndarray) -> dict[str, list[Callable[[int], None]]]:
    """Return for each part what is to be called: one function a layer, one for the whole net."""
    random, layers = np.random.default_rng(0), chain.layers

    def draw(*shape: int) -> np.ndarray:
        return random.standard_normal(shape, dtype=np.float32)

    products, activations, dropout, slopes = [], [], [], []
    for number, (layer, (before, after)) in enumerate(
        zip(layers, pairwise(chain.widths), strict=True)
    ):
        arrays = draw(batch, before), draw(batch, after), draw(before, after)
        results = np.empty_like(arrays[1]), np.empty_like(arrays[2]), np.empty_like(arrays[0])
        products.append(_bound(_multiply, *arrays, *results, number > 0))
        kind, bias = NUMBERS[layer.activation], np.zeros(after, np.float32)
        activations.append(_bound(_activate, kind, draw(batch, after), bias, draw(batch, after)))
        ones = np.ones((batch, after), np.float32)
        slopes.append(_bound(_descend, draw(batch, after), ones, np.empty_like(bias)))
        if layer.dropout:
            drawn = draw(batch, after), draw(batch, after)
            dropout.append(_bound(_drop, *drawn, layer.dropout, number + 1))
    order = random.permutation(len(images))[: len(images) // batch * batch]
    rows = np.empty((batch, images.shape[1]), np.float32)
    logits, labels = draw(batch, chain.widths[-1]), random.integers(chain.widths[-1], size=batch)
    return {
        "rows": [_bound(_gather, images, order.reshape(-1, batch), rows)],
        "products": products,
        "activations": activations,
        "dropout": dropout,
        "loss": [
            _bound(
                _lose,
                shape_of(chain, Optimizer()).loss,
                logits,
                labels,
                np.empty((0, 0), np.float32),
                np.empty(0, np.float32),
                np.arange(batch),
                np.empty_like(logits),
            )
        ],
        "slopes": slopes,
        "update": [_bound(_update, *_weights(chain, draw))],
    }


_compiled: Final = cache(outer)


def _bound(function: Callable[..., Any], *arguments: Any) -> Callable[[int], None]:
    compiled = _compiled(function)
    return lambda repeats: compiled(repeats, *arguments)


def _weights(chain: Chain, draw: Callable[..., np.ndarray]) -> tuple[Any, ...]:
    net = shape_of(chain, Optimizer())
    size = net.at[-1]
    return draw(size), draw(size), np.abs(draw(2 * size)), net


def _gather(repeats: Any, images: Any, batches: Any, rows: Any) -> None:
    for number in range(repeats):
        chosen = batches[number % len(batches)]
        for i in range(chosen.size):
            for c in range(rows.shape[1]):
                rows[i, c] = images[chosen[i], c]


def _multiply(
    repeats: Any, inputs: Any, delta: Any, weights: Any, forward: Any, gradient: Any, backward: Any,
    is_above: Any,
) -> None:  # fmt: skip
    for _ in range(repeats):
        np.dot(inputs, weights, forward)
        np.dot(inputs.T, delta, gradient)
        if is_above:
            np.dot(delta, weights.T, backward)


def _activate(repeats: Any, kind: Any, sums: Any, bias: Any, slopes: Any) -> None:
    for _ in range(repeats):
        activate(kind, sums, bias, slopes)


def _drop(repeats: Any, values: Any, slopes: Any, rate: Any, layer: Any) -> None:
    for step in range(repeats):
        drop(values, slopes, rate, np.uint64(0), step, layer)


def _lose(
    repeats: Any, how: Any, logits: Any, labels: Any, targets: Any, counts: Any, chosen: Any,
    delta: Any,
) -> Any:  # fmt: skip
    total = 0.0
    for _ in range(repeats):
        total += loss_of(how, logits, labels, targets, counts, chosen, delta)
    return total


def _descend(repeats: Any, delta: Any, slopes: Any, sums: Any) -> None:
    rows, columns = delta.shape
    for _ in range(repeats):
        sums[:] = 0
        for i in range(rows):
            for c in range(columns):
                sums[c] += delta[i, c]
        for i in range(rows):
            for c in range(columns):
                delta[i, c] *= slopes[i, c]


def _update(repeats: Any, weights: Any, gradient: Any, moments: Any, net: Any) -> None:
    for step in range(1, repeats + 1):
        make_step(weights, gradient, moments, net, 1e-3, step)
