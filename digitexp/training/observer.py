"""Measures each epoch, whatever engine trains it, and ends the training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from digitexp.metrics import accuracy, confusion_counts, cross_entropy
from digitexp.training.outcome import (
    EPOCH_METRICS,
    VAL_CROSS_ENTROPY,
    Forward,
    OnEpoch,
    TrainingData,
)
from digitexp.training.schedule import Schedule, shown_rate


class Observer:
    """Keeps the history of one training, asks `on_epoch`, and lets the schedule decide.

    A NaN or infinite loss ends the training and is stored as NaN.

    Attributes:
        schedule: Decides on the next epoch.
        history: The metrics of the epochs so far by name, one value an epoch.
        diverged: Whether a loss was NaN or infinite.
        stop_reason: The text that `on_epoch` returned, None if it never asked to stop.
    """

    def __init__(self, on_epoch: OnEpoch, schedule: Schedule) -> None:
        self._on_epoch = on_epoch
        self.schedule = schedule
        self.history: dict[str, list[float]] = {}
        self.diverged = False
        self.stop_reason: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether no further epoch is to be trained."""
        return self.diverged or self.stop_reason is not None or self.schedule.has_stopped

    def take(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Take the metrics of an epoch, counted from 0, `loss` and `val_loss` among them."""
        self.diverged = not all(math.isfinite(metrics[name]) for name in ("loss", "val_loss"))
        found = {name: value if math.isfinite(value) else math.nan
                 for name, value in metrics.items()}  # fmt: skip
        if self.diverged:
            # NaN is never an improvement, so the weights of an earlier epoch are the best.
            found |= {name: math.nan for name in _LOSSES if name in found}
        for name, value in found.items():
            self.history.setdefault(name, []).append(value)
        if not self.diverged:
            self.stop_reason = self._on_epoch(epoch, metrics)
        self.schedule.after_epoch(epoch, found)

    def ending(self) -> tuple[Literal["complete", "stopped", "diverged"], str]:
        """Return the outcome of the training, and why it ended."""
        if self.diverged:
            return "diverged", "diverged"
        if self.stop_reason is not None:
            return "stopped", self.stop_reason
        return "complete", "early_stopping" if self.schedule.has_stopped else "max_epochs"

    def get_state(self) -> dict[str, Any]:
        """Return what it has measured so far, as plain values and arrays."""
        return {"history": self.history, "schedule": self.schedule.get_state()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what an earlier attempt had measured."""
        self.history = {name: list(values) for name, values in state["history"].items()}
        self.schedule.set_state(state["schedule"])


_LOSSES = ("loss", "val_loss", VAL_CROSS_ENTROPY)


class DigitsObserver(Observer):
    """Measures the validation part of the digits, after each epoch.

    Attributes:
        confusion: Confusion counts after each epoch.
    """

    def __init__(self, data: TrainingData, on_epoch: OnEpoch, schedule: Schedule) -> None:
        super().__init__(on_epoch, schedule)
        self._images, self._labels = data.validation_images, data.validation_labels
        self.history = {name: [] for name in (*EPOCH_METRICS, VAL_CROSS_ENTROPY)}
        self.confusion: list[np.ndarray] = []

    def after_epoch(self, epoch: int, metrics: Mapping[str, float], forward: Forward) -> None:
        """Take an epoch, counted from 0: its `loss` and `accuracy`, and the net as it is now."""
        logits, penalty = forward(self._images)
        entropy = cross_entropy(logits, self._labels)
        self.confusion.append(confusion_counts(logits, self._labels))
        self.take(epoch, {
            **metrics,
            "val_loss": entropy + penalty,
            "val_accuracy": accuracy(logits, self._labels),
            "learning_rate": shown_rate(self.schedule.rate),
            VAL_CROSS_ENTROPY: entropy,
        })  # fmt: skip

    def get_state(self) -> dict[str, Any]:
        """Return what it has measured so far, as plain values and arrays."""
        return {**super().get_state(), "confusion": np.stack(self.confusion)}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what an earlier attempt had measured."""
        super().set_state(state)
        self.confusion = list(state["confusion"])
