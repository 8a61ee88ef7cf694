"""The same training written by hand in JAX: an epoch is one `lax.scan` over its steps.

Every architecture is compiled anew. The last partial batch is left out, which spares JAX a second
body to compile, and nothing happens between the epochs but the validation.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from time import perf_counter
from typing import Any

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp

SETTINGS = (1e-3, 0.2, 1e-4)
"""Learning rate, dropout rate, L2: as in `ours.py`."""
ARRAYS: dict[str, Any] = {}


def load(data: str) -> None:
    """Read the digits once."""
    with np.load(data) as found:
        ARRAYS.update({name: jnp.asarray(found[name]) for name in found})


def steps(widths: list[int], batch: int, epochs: int, images: int) -> list[float]:
    """Return microseconds per step of each epoch; compiled beforehand."""
    state, found = _initial(widths, 0), []
    xs, ys = ARRAYS["train_images"][:images], ARRAYS["train_labels"][:images]
    for number in range(epochs + 1):
        start = perf_counter()
        state, loss, _ = _epoch(state, xs, ys, jax.random.key(number), SETTINGS, batch=batch)
        loss.block_until_ready()
        found.append((perf_counter() - start) / (images // batch) * 1e6)
    return found[1:]


def trial(widths: list[int], batch: int, epochs: int) -> dict[str, float]:
    """Train a whole trial; return its seconds, those spent on compiling, and its accuracy."""
    start = perf_counter()
    state, ends, best = _initial(widths, 1), [], 0.0
    xs, ys, *validation = (ARRAYS[name] for name in ARRAYS)
    for number in range(epochs):
        key = jax.random.key(number)
        state, loss, accuracy = _epoch(state, xs, ys, key, SETTINGS, batch=batch)
        measured = [float(x) for x in (loss, accuracy, *_validate(state[0], *validation))]
        best = max(best, measured[-1])
        ends.append(perf_counter() - start)
    later = (ends[-1] - ends[0]) / max(1, epochs - 1)
    return {"seconds": ends[-1], "compile_seconds": ends[0] - later, "accuracy": best}


def _initial(widths: list[int], seed: int) -> Any:
    """Return weights (Glorot uniform), Adam's two moments and its count."""
    random = np.random.default_rng(seed)
    weights = []
    for before, after in pairwise(widths):
        limit = np.sqrt(6 / (before + after))
        kernel = random.uniform(-limit, limit, (before, after)).astype(np.float32)
        weights.append((jnp.asarray(kernel), jnp.zeros(after)))
    first = jax.tree.map(jnp.zeros_like, weights)
    return weights, first, jax.tree.map(jnp.copy, first), jnp.zeros(())


@partial(jax.jit, static_argnames="batch", donate_argnums=0)
def _epoch(state: Any, images: Any, labels: Any, key: Any, settings: Any, *, batch: int) -> Any:
    learning_rate, rate, l2 = settings
    count = len(labels) // batch
    order = jax.random.permutation(key, len(labels))[: count * batch]
    batches = images[order].reshape(count, batch, -1), labels[order].reshape(count, batch)
    with_gradient = jax.value_and_grad(_loss, has_aux=True)

    def step(state: Any, inputs: Any) -> Any:
        number, xs, ys = inputs
        noise = jax.random.fold_in(key, number)
        values, gradients = with_gradient(state[0], xs, ys, l2, rate, noise)
        return _adam(state, gradients, learning_rate), values

    state, (losses, hits) = lax.scan(step, state, (jnp.arange(count), *batches))
    return state, jnp.mean(losses), jnp.sum(hits) / (count * batch)


@jax.jit  # type: ignore[untyped-decorator]  # mypy does not look into JAX
def _validate(weights: Any, images: Any, labels: Any) -> Any:
    loss, hits = _loss(weights, images, labels, SETTINGS[2])
    return loss, hits / len(labels)


def _loss(
    weights: Any, images: Any, labels: Any, l2: Any, rate: Any = 0.0, noise: Any = None
) -> Any:
    """Return the loss with its penalty, and the number of right answers."""
    hidden = images
    for number, (kernel, bias) in enumerate(weights[:-1]):
        hidden = jax.nn.relu(hidden @ kernel + bias)
        if noise is not None:
            kept = jax.random.uniform(jax.random.fold_in(noise, number), hidden.shape) >= rate
            hidden = jnp.where(kept, hidden / (1 - rate), 0)
    logits = hidden @ weights[-1][0] + weights[-1][1]
    chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1)
    penalty = l2 * sum(jnp.sum(kernel**2) for kernel, _ in weights[:-1])
    return -jnp.mean(chosen) + penalty, jnp.sum(jnp.argmax(logits, 1) == labels)


def _adam(state: Any, gradients: Any, learning_rate: Any) -> Any:
    weights, first, second, count = state
    count = count + 1
    first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, gradients)
    second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, gradients)
    size = learning_rate * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
    change = jax.tree.map(lambda m, v: size * m / (jnp.sqrt(v) + 1e-7), first, second)
    return jax.tree.map(jnp.subtract, weights, change), first, second, count


ACTIONS: dict[str, Callable[..., object]] = {"load": load, "steps": steps, "trial": trial}
