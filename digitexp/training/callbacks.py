"""Lets Keras's own loops obey the schedule of a training.

Import this after `set_up_tensorflow()`. A callback serves one training only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from digitexp.training.schedule import Schedule


class Following(keras.callbacks.Callback):  # type: ignore[misc]  # Keras is untyped
    """Sets the rate that the schedule decides on, and restores the best weights at the end.

    Attributes:
        schedule: Decides after each epoch.
    """

    def __init__(self, schedule: Schedule) -> None:
        super().__init__()
        self.schedule = schedule
        self._best: list[Any] | None = None

    def decide(self, epoch: int, logs: Mapping[str, Any]) -> bool:
        """Have the schedule decide; return whether the training is over."""
        self.schedule.after_epoch(epoch, logs)
        return self.schedule.has_stopped

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Decide, keep the best weights, set the rate."""
        schedule = self.schedule
        if schedule.changes_rate:  # a callback of the user may have changed it, too
            schedule.rate = float(self.model.optimizer.learning_rate)
        before = schedule.rate
        is_over = self.decide(epoch, {} if logs is None else logs)
        if schedule.is_best:
            self._best = self.model.get_weights()
        if schedule.rate != before:  # that of an optimizer with a schedule of its own cannot be set
            self.model.optimizer.learning_rate = schedule.rate
        if is_over:
            self.model.stop_training = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Restore the weights of the best epoch."""
        if self._best is not None:
            self.model.set_weights(self._best)

    def get_state(self) -> dict[str, Any]:
        """Return what it has seen; see `digitexp.training.resuming`."""
        return {"schedule": self.schedule.get_state(), "best": self._best}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what an earlier attempt had seen."""
        self.schedule.set_state(state["schedule"])
        self._best = state["best"]
