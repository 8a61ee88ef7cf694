"""The step's matrix multiplications alone, in NumPy: the least that a step can take.

Per layer the forward product and the two backward ones (weights, inputs), without the gradient of
the images, which nobody needs. Results go into arrays made beforehand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from time import perf_counter

import numpy as np
from threadpoolctl import threadpool_info

LARGE = 1024
"""Rows and columns of a product that is large enough for all that a core can do."""


def kernel() -> str:
    """Return which libraries multiply, with which kernel."""
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    told = (
        f"{p['internal_api']} {p['version']} {p.get('architecture', '')}".strip() for p in pools
    )
    return ", ".join(dict.fromkeys(told))


def operations(widths: Sequence[int], batch: int) -> int:
    """Return the multiplications and additions of a step's products."""
    sizes = [before * after for before, after in pairwise(widths)]
    return 2 * batch * (3 * sum(sizes) - sizes[0])


def peak() -> float:
    """Return the billions of operations a second of a large product, the best of ten."""
    random = np.random.default_rng(0)
    one, other = random.standard_normal((2, LARGE, LARGE), dtype=np.float32)
    target, found = np.empty_like(one), []
    for _ in range(10):
        start = perf_counter()
        np.matmul(one, other, out=target)
        found.append(perf_counter() - start)
    return 2 * LARGE**3 / min(found) / 1e9


def make_step(widths: Sequence[int], batch: int) -> Callable[[], None]:
    """Return a function that makes the products of a step once."""
    layers = [_arrays(before, after, batch) for before, after in pairwise(widths)]

    def step() -> None:
        for inputs, _, weights, (forward, _, _) in layers:
            np.matmul(inputs, weights, out=forward)
        for number in range(len(layers) - 1, -1, -1):
            inputs, delta, weights, (_, gradient, backward) = layers[number]
            np.matmul(inputs.T, delta, out=gradient)
            if number:
                np.matmul(delta, weights.T, out=backward)

    return step


def _arrays(
    before: int, after: int, batch: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[np.ndarray, ...]]:
    random = np.random.default_rng(0)
    inputs, delta, weights = (
        random.standard_normal(shape, dtype=np.float32)
        for shape in ((batch, before), (batch, after), (before, after))
    )
    return inputs, delta, weights, tuple(map(np.empty_like, (delta, weights, inputs)))
