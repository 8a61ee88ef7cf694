"""Callbacks after each epoch, whatever engine trained it: measure, report, stop, lower the rate.

Import this after `set_up_tensorflow()`. Every callback serves one training only: Keras's keep
their counters and best values between two uses.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from digitexp.metrics import accuracy, confusion_counts, cross_entropy
from digitexp.training.outcome import (
    EPOCH_METRICS,
    VAL_CROSS_ENTROPY,
    Forward,
    OnEpoch,
    TrainingData,
)


def early_stopping(settings: Mapping[str, Any]) -> Any:
    """Return a fresh EarlyStopping on val_loss that restores the best weights in any case.

    Args:
        settings: Values by the names of `digitexp.parameters`, such as those of a `TrialConfig`.
    """
    patience = settings["early_stopping_patience_epochs"]
    return keras.callbacks.EarlyStopping(
        monitor="val_loss",
        mode="min",
        patience=settings["epochs"] if patience is None else patience,
        restore_best_weights=True,
    )


def learning_rate_callbacks(settings: Mapping[str, Any]) -> list[Any]:
    """Return fresh callbacks that change the learning rate between epochs; none if it stays."""
    if settings["learning_rate_schedule"] != "plateau":
        return [
            keras.callbacks.LearningRateScheduler(lambda epoch: scheduled_rate(settings, epoch))
        ]
    if settings["plateau_patience_epochs"] is None:
        return []
    return [
        keras.callbacks.ReduceLROnPlateau(
            monitor=settings["plateau_monitor"],
            mode="min",
            factor=settings["plateau_factor"],
            patience=settings["plateau_patience_epochs"],
            min_lr=settings["min_learning_rate"],
        )
    ]


def scheduled_rate(settings: Mapping[str, Any], epoch: int) -> float:
    """Return the rate of an epoch (from 0) under cosine or exponential decay.

    Both start at `learning_rate`; the last epoch has the final share of it. Cosine: Loshchilov &
    Hutter (2017, "SGDR", equation 5), without restarts.
    """
    share, way = settings["final_learning_rate_share"], epoch / max(settings["epochs"] - 1, 1)
    if settings["learning_rate_schedule"] == "cosine":
        share += (1 - share) * 0.5 * (1 + math.cos(math.pi * way))
        return float(settings["learning_rate"] * share)
    return float(settings["learning_rate"] * share**way)


def shown_rate(model: Any) -> float:
    """Return a model's learning rate as the shortest decimal that rounds to it, such as 0.001."""
    return float(str(np.float32(model.optimizer.learning_rate.numpy())))


class EpochObserver(keras.callbacks.Callback):  # type: ignore[misc]  # Keras is untyped
    """Adds the validation metrics to an epoch's logs, keeps the history and asks `on_epoch`.

    It must be the first callback: the others watch the `val_loss` it computes (the L2 penalty
    included, as in Keras). A NaN or infinite loss ends the training and is stored as NaN.

    Attributes:
        history: `EPOCH_METRICS` and `VAL_CROSS_ENTROPY`, one value per epoch so far.
        confusion: Confusion counts after each epoch.
        diverged: Whether a loss was NaN or infinite.
        stop_reason: The text that `on_epoch` returned, None if it never asked to stop.
    """

    def __init__(
        self, data: TrainingData, images: Any, on_epoch: OnEpoch, forward: Forward
    ) -> None:
        """Args: `images` are those of the validation part, as a tensor."""
        super().__init__()
        self._images = images
        self._labels = data.validation_labels
        self._on_epoch = on_epoch
        self._forward = forward
        names = (*EPOCH_METRICS, VAL_CROSS_ENTROPY)
        self.history: dict[str, list[float]] = {name: [] for name in names}
        self.confusion: list[np.ndarray] = []
        self.diverged = False
        self.stop_reason: str | None = None

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Measure the epoch, store it, and stop the training if it diverged or `on_epoch` asks."""
        logs = {} if logs is None else logs
        logits, penalty = self._forward(self._images)
        logs[VAL_CROSS_ENTROPY] = cross_entropy(logits, self._labels)
        logs["val_loss"] = logs[VAL_CROSS_ENTROPY] + penalty
        logs["val_accuracy"] = accuracy(logits, self._labels)
        logs["learning_rate"] = shown_rate(self.model)
        if not (math.isfinite(logs["loss"]) and math.isfinite(logs["val_loss"])):
            self.diverged = True
            # NaN is never an improvement, so EarlyStopping restores an earlier epoch.
            logs["loss"] = logs["val_loss"] = logs[VAL_CROSS_ENTROPY] = math.nan
        for name, values in self.history.items():
            values.append(float(logs[name]))
        self.confusion.append(confusion_counts(logits, self._labels))
        if not self.diverged:
            self.stop_reason = self._on_epoch(epoch, {k: v[-1] for k, v in self.history.items()})
        if self.diverged or self.stop_reason is not None:
            self.model.stop_training = True

    def get_state(self) -> dict[str, Any]:
        """Return what it has measured so far; see `digitexp.training.resuming`."""
        return {"history": self.history, "confusion": np.stack(self.confusion)}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what an earlier attempt had measured."""
        self.history = {name: list(values) for name, values in state["history"].items()}
        self.confusion = list(state["confusion"])
