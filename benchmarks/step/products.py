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


def steps(widths: list[int], batch: int, images: int, epochs: int) -> list[float]:
    """Return microseconds per step of each turn of three epochs, after one more for the caches.

    Three, so that a turn lasts about as long as an epoch of the others: a busy machine interrupts
    longer turns more often.
    """
    step, count = _make_step(widths, batch), -(-images // batch) * 3
    found = []
    for _ in range(epochs + 1):
        start = perf_counter()
        for _ in range(count):
            step()
        found.append((perf_counter() - start) / count * 1e6)
    return found[1:]


def kernel() -> str:
    """Return which library multiplies, with which kernel."""
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    return ", ".join(
        f"{p['internal_api']} {p['version']} {p.get('architecture', '')}".strip() for p in pools
    )


def _make_step(widths: Sequence[int], batch: int) -> Callable[[], None]:
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


ACTIONS: dict[str, Callable[..., object]] = {"steps": steps, "kernel": kernel}
