"""The engine `compiled` for the digits: trains a chain without TensorFlow."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from digitexp.chain import order_of
from digitexp.config import TrialConfig
from digitexp.models import chain_of
from digitexp.training.compiled.net import Adam, CompiledNet
from digitexp.training.observer import Observer
from digitexp.training.outcome import TrainingData
from digitexp.training.schedule import Schedule

if TYPE_CHECKING:
    from digitexp.training.resuming import SavesState

memory_errors = nullcontext


class Net:
    """One net of a configuration, see `digitexp.training.engines.Net`."""

    def __init__(self, config: TrialConfig, data: TrainingData) -> None:
        self._config, self._data = config, data
        self._chain = chain_of(config, data.image_shape, data.n_classes)
        weights = self._chain.initial_weights(config.kernel_initializer, config.seed)
        optimizer = Adam(clipnorm=config.clipnorm or 0.0)
        self._net = CompiledNet(self._chain, optimizer, weights, config.seed)
        self.forward, self.named_weights = self._net.forward, self._net.named_weights
        self.give = self._net.give
        self.summary = self._chain.table()

    def fit(self, observer: Observer, checkpoint: SavesState | None) -> float:
        """Train until the observer says that it is over; the net then has the best weights."""
        net, config, data = self._net, self._config, self._data
        labels, count = data.train_labels.astype(np.int64), len(data.train_labels)
        images, best, began = np.ascontiguousarray(data.train_images), None, perf_counter()
        first, before = 0, 0.0
        state = None if checkpoint is None else checkpoint.load()
        if checkpoint is not None and state is not None:
            if state.get("engine") != "compiled" or state["weights"].shape != net.weights.shape:
                checkpoint.refuse("the net is built otherwise than before")
            elif self._goes_on_from(state, observer.schedule):
                net.weights[:], net.moments[:] = state["weights"], state["moments"]
                net.step, best, before = state["step"], state["best"], state["seconds"]
                observer.set_state(state["observer"])
                first = checkpoint.resume()
        for epoch in range(first, config.epochs):
            order = order_of(config.seed, epoch, count)
            metrics = net.train_epoch(
                images, labels, order, config.batch_size, observer.schedule.rate
            )
            observer.after_epoch(epoch, metrics, net.forward)
            if observer.schedule.is_best:
                best = net.weights.copy()
            if observer.is_over:
                break
            is_last = epoch + 1 == config.epochs
            if checkpoint is not None and checkpoint.is_due(is_last=is_last):
                saved = {
                    "engine": "compiled", "weights": net.weights.copy(), "best": best,
                    "moments": net.moments.copy(), "step": net.step,
                    "observer": observer.get_state(), "epochs": config.epochs,
                    "seconds": before + perf_counter() - began, "build": self._build(),
                }  # fmt: skip
                checkpoint.save(saved, is_last=is_last)
        if best is not None:
            net.weights[:] = best
        return before

    def _goes_on_from(self, state: Mapping[str, Any], schedule: Schedule) -> bool:
        """Whether the epochs of before are those of this training, if it has more of them."""
        if state["epochs"] == self._config.epochs:
            return True
        is_longer = state["epochs"] < self._config.epochs and not schedule.depends_on_epochs
        return is_longer and bool(state["build"] == self._build())

    def _build(self) -> str:
        """Return a digest of all that decides an epoch, but for their number."""
        return hashlib.sha256(repr(replace(self._config, epochs=1)).encode()).hexdigest()
