"""Our training: epochs of the engine `compiled`, what its parts take, a whole trial by `digitexp`.

The bare products of a step are measured between the epochs, in the same process.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import numpy as np

from benchmarks.step import parts as single
from benchmarks.step import products
from digitexp.chain import Optimizer
from digitexp.config import TrialConfig
from digitexp.models import chain_of
from digitexp.training.compiled.net import CompiledNet, Data, one_thread
from digitexp.training.engines import plan_training
from digitexp.training.outcome import TrainingData
from digitexp.training.train import train

LOADED: list[TrainingData] = []


def load(data: str) -> None:
    """Read the digits once."""
    with np.load(data) as found:
        names, shape = tuple(str(digit) for digit in range(10)), (20, 20)
        arrays = {name: found[name] for name in found}
        LOADED[:] = [TrainingData(**arrays, class_names=names, image_shape=shape)]


def steps(widths: list[int], batch: int, epochs: int, images: int) -> dict[str, list[float]]:
    """Return microseconds per step of each epoch, and of the bare products of as many steps.

    The first epoch, which fills the caches, is left out.
    """
    config, data, bare = (
        _config(widths, batch, epochs),
        LOADED[0],
        products.make_step(widths, batch),
    )
    if len(data.train_labels) != images:
        raise ValueError(f"{images} images were asked for, {len(data.train_labels)} loaded")
    net = _net(config, data)
    samples, count = Data.of(data.train_images, data.train_labels), -(-images // batch)
    found: dict[str, list[float]] = {"ours": [], "products": []}
    for epoch in range(epochs + 1):
        order = np.random.default_rng(epoch).permutation(images)
        start = perf_counter()
        net.train_epoch(samples, order, batch, config.learning_rate)
        found["ours"].append((perf_counter() - start) / count * 1e6)
        start = perf_counter()
        for _ in range(count):
            bare()
        found["products"].append((perf_counter() - start) / count * 1e6)
    return {name: values[1:] for name, values in found.items()}


def parts(widths: list[int], batch: int) -> dict[str, float]:
    """Return microseconds per step of each part of a step, alone; the least of several turns."""
    net = _net(_config(widths, batch, 1), LOADED[0])
    with one_thread():
        return single.microseconds(net.chain, batch, LOADED[0].train_images)


def trial(widths: list[int], batch: int, epochs: int) -> dict[str, float]:
    """Build, train, watch and evaluate a whole trial; return its seconds and its accuracy."""
    start = perf_counter()
    outcome = train(_config(widths, batch, epochs), LOADED[0])
    seconds = perf_counter() - start
    return {"seconds": seconds, "accuracy": max(outcome.history["val_accuracy"])}


def engine(widths: list[int], batch: int) -> str:
    """Return the name of the engine that `auto` chooses."""
    data, config = LOADED[0], _config(widths, batch, 30)
    return plan_training(config, len(data.train_labels), data.image_shape, data.n_classes).engine


def _net(config: TrialConfig, data: TrainingData) -> CompiledNet:
    chain = chain_of(config, data.image_shape, data.n_classes)
    weights = chain.initial_weights(config.kernel_initializer, config.seed)
    return CompiledNet(chain, Optimizer(), weights, config.seed)


def _config(widths: list[int], batch: int, epochs: int) -> TrialConfig:
    return TrialConfig(
        units=tuple(widths[1:-1]),
        batch_size=batch,
        learning_rate=1e-3,
        dropout=0.2,
        l2=1e-4,
        epochs=epochs,
        early_stopping_patience_epochs=None,
    )


ACTIONS: dict[str, Callable[..., object]] = {
    "load": load,
    "steps": steps,
    "parts": parts,
    "trial": trial,
    "engine": engine,
    "kernel": products.kernel,
    "peak": products.peak,
}
