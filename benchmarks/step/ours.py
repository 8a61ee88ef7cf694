"""Our training: the engine that `auto` chooses, and a whole trial by `digitexp`."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

from digitexp.config import TrialConfig
from digitexp.models import build_model
from digitexp.tensorflow_setup import set_up_tensorflow
from digitexp.training.engines import load_engine, plan_training
from digitexp.training.outcome import TrainingData
from digitexp.training.train import train

set_up_tensorflow()  # before Keras is imported

import keras  # noqa: E402

LOADED: list[TrainingData] = []


class EpochTimes(keras.callbacks.Callback):  # type: ignore[misc]  # Keras is untyped
    """Takes the seconds between the begin and the end of each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Start the watch."""
        self._start = perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Stop it."""
        self.seconds.append(perf_counter() - self._start)


def load(data: str) -> None:
    """Read the digits once."""
    with np.load(data) as found:
        names, shape = tuple(str(digit) for digit in range(10)), (20, 20)
        arrays = {name: found[name] for name in found}
        LOADED[:] = [TrainingData(**arrays, class_names=names, image_shape=shape)]


def steps(widths: list[int], batch: int, epochs: int, images: int) -> list[float]:
    """Return microseconds per step of each epoch; the first, which may trace, is left out."""
    config, data, times = _config(widths, batch, epochs + 1), LOADED[0], EpochTimes()
    if len(data.train_labels) != images:
        raise ValueError(f"{images} images were asked for, {len(data.train_labels)} loaded")
    keras.utils.set_random_seed(0)
    model = build_model(config, data.image_shape, data.n_classes)
    load_engine(engine(widths, batch)).fit(model, config, data, [times])
    return [seconds / -(-images // batch) * 1e6 for seconds in times.seconds[1:]]


def trial(widths: list[int], batch: int, epochs: int) -> dict[str, float]:
    """Build, train, watch and evaluate a whole trial; return its seconds and its accuracy."""
    start = perf_counter()
    outcome = train(_config(widths, batch, epochs), LOADED[0])
    seconds = perf_counter() - start
    return {"seconds": seconds, "accuracy": max(outcome.history["val_accuracy"])}


def engine(widths: list[int], batch: int) -> str:
    """Return the name of the engine that is measured."""
    data, config = LOADED[0], _config(widths, batch, 30)
    return plan_training(config, len(data.train_labels), data.image_shape, data.n_classes).engine


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
    "trial": trial,
    "engine": engine,
}
