"""When a training stops, which epoch was the best, and how the learning rate falls.

The rules are those of Keras's EarlyStopping, ReduceLROnPlateau and LearningRateScheduler, for every
engine; a test compares all decisions with Keras's own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

PLATEAU_DELTA: Final = 1e-4
"""An epoch is better for a plateau if it is so much lower (Keras's `min_delta`)."""


@dataclass
class Schedule:
    """Follows one training, epoch by epoch.

    Attributes:
        settings: Values by the names of `digitexp.parameters`; `monitor` and `monitor_sign` where
            another metric than `val_loss` decides which epoch is best: -1 if more is better.
        rate: Learning rate of the next epoch, as float32 holds it.
        is_best: Whether the last epoch was the best so far, so that its weights are to be kept.
        has_stopped: Whether `monitor` has not become better for long enough.
    """

    settings: Mapping[str, Any]
    is_best: bool = False
    has_stopped: bool = False

    def __post_init__(self) -> None:
        stopping = self.settings["early_stopping_patience_epochs"]
        self._patience = self.settings["epochs"] if stopping is None else stopping
        self.rate = self._rate_of(0)
        self._monitor = self.settings.get("monitor", "val_loss")
        self._sign = self.settings.get("monitor_sign", 1)
        self._best: float | None = None  # lowest value of the monitor, times its sign
        self._waited = 0  # epochs since
        self._lowest: float | None = None  # what the plateau compares with
        self._flat = 0  # epochs on it

    @property
    def depends_on_epochs(self) -> bool:
        """Whether the number of epochs decides each of them."""
        return bool(self.settings["learning_rate_schedule"] != "plateau")

    @property
    def changes_rate(self) -> bool:
        """Whether the rate may become another."""
        return self.depends_on_epochs or self.settings["plateau_patience_epochs"] is not None

    def after_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Take the metrics of an epoch, counted from 0; decide on the next one."""
        self._watch(epoch, self._value(metrics, self._monitor))
        if self.depends_on_epochs:
            self.rate = self._rate_of(epoch + 1)
        elif self.settings["plateau_patience_epochs"] is not None:
            self._lower(self._value(metrics, self.settings["plateau_monitor"]))

    def _value(self, metrics: Mapping[str, float], name: str) -> float:
        """Return a metric so that less is better; one that is no number is the worst."""
        value = metrics[name] * (self._sign if name == self._monitor else 1)
        return math.inf if math.isnan(value) else value

    def _watch(self, epoch: int, value: float) -> None:
        self.is_best = self._best is None or value < self._best
        if self.is_best:
            self._best, self._waited = value, 0
            return
        self._waited += 1
        self.has_stopped = self._waited >= self._patience and epoch > 0

    def _lower(self, value: float) -> None:
        if self._lowest is None or value + PLATEAU_DELTA < self._lowest:
            self._lowest, self._flat = value, 0
            return
        self._flat += 1
        least = self.settings["min_learning_rate"]
        if self._flat >= self.settings["plateau_patience_epochs"] and self.rate > np.float32(least):
            self._flat = 0
            self.rate = float(np.float32(max(self.rate * self.settings["plateau_factor"], least)))

    def _rate_of(self, epoch: int) -> float:
        """Return the rate of an epoch, if it follows from its number alone.

        Cosine and exponential decay start at `learning_rate`; the last epoch has the final share of
        it. Cosine: Loshchilov & Hutter (2017, "SGDR", equation 5), without restarts.
        """
        settings, rate = self.settings, self.settings["learning_rate"]
        if self.depends_on_epochs:
            share = settings["final_learning_rate_share"]
            way = epoch / max(settings["epochs"] - 1, 1)
            is_cosine = settings["learning_rate_schedule"] == "cosine"
            falling = (1 - share) * 0.5 * (1 + math.cos(math.pi * way))
            rate *= share + falling if is_cosine else share**way
        return float(np.float32(rate))

    def get_state(self) -> dict[str, Any]:
        """Return what it has seen, as plain values."""
        return {name: getattr(self, name) for name in _SEEN}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what an earlier attempt had seen."""
        vars(self).update(state)


_SEEN: Final = ("rate", "is_best", "has_stopped", "_best", "_waited", "_lowest", "_flat")


def shown_rate(rate: float) -> float:
    """Return a learning rate as the shortest decimal that rounds to it in float32: 0.001."""
    return float(str(np.float32(rate)))
