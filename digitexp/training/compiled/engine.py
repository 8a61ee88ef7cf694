"""The engine `compiled`: trains a chain, without TensorFlow."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from digitexp.chain import Optimizer, order_of
from digitexp.config import TrialConfig
from digitexp.metrics import accuracy
from digitexp.models import chain_of
from digitexp.training.compiled.net import CompiledNet, Data
from digitexp.training.engines import engine_of
from digitexp.training.observer import Observer
from digitexp.training.outcome import TrainingData
from digitexp.training.schedule import Schedule

if TYPE_CHECKING:
    from digitexp.training.resuming import SavesState

memory_errors = nullcontext


class Net:
    """One net of a configuration, see `digitexp.training.trainer.Net`; `forward` gives logits."""

    engine = "compiled"

    def __init__(self, config: TrialConfig, data: TrainingData) -> None:
        self._config, self._data = config, data
        self.engine_reason = engine_of(config)[1]
        self._chain = chain_of(config, data.image_shape, data.n_classes)
        weights = self._chain.initial_weights(config.kernel_initializer, config.seed)
        optimizer = Optimizer(clipnorm=config.clipnorm or 0.0)
        self._net = CompiledNet(self._chain, optimizer, weights, config.seed)
        self.forward, self.named_weights = self._net.forward, self._net.named_weights
        self.give = self._net.give
        self.summary = self._chain.table()

    def fit(self, observer: Observer, checkpoint: SavesState | None) -> float:
        """Train until the observer says that it is over; the net then has the best weights."""
        net, config, labels = self._net, self._config, self._data.train_labels

        def after_epoch(epoch: int, loss: float, logits: np.ndarray, order: np.ndarray) -> None:
            own = {"loss": loss, "accuracy": accuracy(logits, labels[order])}
            observer.after_epoch(epoch, own, net.forward)

        return fit(
            net,
            Data.of(self._data.train_images, labels),
            observer,
            after_epoch,
            epochs=config.epochs,
            batch_size=config.batch_size,
            seed=config.seed,
            build=repr(replace(config, epochs=1)),
            checkpoint=checkpoint,
        )


def fit(
    net: CompiledNet,
    data: Data,
    observer: Observer,
    after_epoch: Callable[[int, float, np.ndarray, np.ndarray], None],
    *,
    epochs: int,
    batch_size: int,
    seed: int,
    build: str,
    checkpoint: SavesState | None = None,
) -> float:
    """Train a net until its observer says that it is over; it then has the best weights.

    Args:
        net: The net.
        data: Its samples.
        observer: Decides.
        after_epoch: Hands it an epoch, counted from 0: the mean loss, what the net gave for each
            sample, and the order of the samples.
        epochs: At the most.
        batch_size: Samples of a step.
        seed: Decides the orders.
        build: All that decides an epoch, but for their number.
        checkpoint: Keeps the state, from which the next attempt goes on; None: nothing is kept.

    Returns:
        Seconds that earlier attempts have trained the epochs that were not trained again.
    """
    best, began, first, before = None, perf_counter(), 0, 0.0
    digest = hashlib.sha256(build.encode()).hexdigest()
    state = None if checkpoint is None else checkpoint.load()
    if checkpoint is not None and state is not None:
        if state.get("engine") != "compiled" or state["net"]["weights"].shape != net.weights.shape:
            checkpoint.refuse("the net is built otherwise than before")
        elif _goes_on(state, epochs, digest, observer.schedule):
            net.set_state(state["net"])
            best, before = state["best"], state["seconds"]
            observer.set_state(state["observer"])
            first = checkpoint.resume()
    for epoch in range(first, epochs):
        order = order_of(seed, epoch, len(data.samples))
        loss, outputs = net.train_epoch(data, order, batch_size, observer.schedule.rate)
        after_epoch(epoch, loss, outputs, order)
        if observer.schedule.is_best:
            best = {"weights": net.weights.copy(), "running": net.running.copy()}
        if observer.is_over:
            break
        is_last = epoch + 1 == epochs
        if checkpoint is not None and checkpoint.is_due(is_last=is_last):
            saved = {
                "engine": "compiled", "net": net.state(), "best": best,
                "observer": observer.get_state(), "epochs": epochs,
                "seconds": before + perf_counter() - began, "build": digest,
            }  # fmt: skip
            checkpoint.save(saved, is_last=is_last)
    if best is not None:
        net.weights[:], net.running[:] = best["weights"], best["running"]
    return before


def _goes_on(state: Mapping[str, Any], epochs: int, build: str, schedule: Schedule) -> bool:
    """Whether the epochs of before are those of this training, if it has more of them."""
    if state["epochs"] == epochs:
        return True
    is_longer = state["epochs"] < epochs and not schedule.depends_on_epochs
    return is_longer and bool(state["build"] == build)
