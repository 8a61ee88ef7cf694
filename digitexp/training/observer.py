"""Measures each epoch, whatever engine trains it, and ends the training."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np

from digitexp.training.outcome import VAL_CROSS_ENTROPY, Forward, OnEpoch
from digitexp.training.schedule import Schedule

Measure = Callable[[Forward, float], tuple[Mapping[str, float], Mapping[str, np.ndarray]]]
"""(the net as it is now, the rate of the epoch) -> metrics of an epoch, and arrays to be kept."""


class Observer:
    """Keeps the history of one training, asks `on_epoch`, and lets the schedule decide.

    A NaN or infinite loss ends the training and is stored as NaN.

    Attributes:
        schedule: Decides on the next epoch.
        history: The metrics of the epochs so far by name, one value an epoch.
        kept: The arrays that were kept of them by name, one an epoch.
        diverged: Whether a loss was NaN or infinite.
        stop_reason: The text that `on_epoch` returned, None if it never asked to stop.
    """

    def __init__(
        self, on_epoch: OnEpoch, schedule: Schedule, measure: Measure | None = None
    ) -> None:
        """Begin with no epoch.

        Args:
            on_epoch: Asked after each epoch, but the one that diverged.
            schedule: Decides on the next epoch.
            measure: Measures the validation part; None: whoever hands an epoch over has done so.
        """
        self._on_epoch, self._measure = on_epoch, measure
        self.schedule = schedule
        self.history: dict[str, list[float]] = {}
        self.kept: dict[str, list[np.ndarray]] = {}
        self.diverged = False
        self.stop_reason: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether no further epoch is to be trained."""
        return self.diverged or self.stop_reason is not None or self.schedule.has_stopped

    def after_epoch(self, epoch: int, metrics: Mapping[str, float], forward: Forward) -> None:
        """Take an epoch, counted from 0: its training metrics, and the net as it is now."""
        assert self._measure is not None
        found, arrays = self._measure(forward, self.schedule.rate)
        for name, array in arrays.items():
            self.kept.setdefault(name, []).append(array)
        self.take(epoch, {**metrics, **found})

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
        kept = {name: np.stack(arrays) for name, arrays in self.kept.items()}
        return {"history": self.history, "schedule": self.schedule.get_state(), **kept}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what an earlier attempt had measured."""
        self.history = {name: list(values) for name, values in state["history"].items()}
        own = {"history", "schedule"}
        self.kept = {name: [*arrays] for name, arrays in state.items() if name not in own}
        self.schedule.set_state(state["schedule"])


_LOSSES = ("loss", "val_loss", VAL_CROSS_ENTROPY)
