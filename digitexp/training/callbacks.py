"""Lets Keras's own loops obey the observer of a training.

Import this after `set_up_tensorflow()`. A callback serves one training only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras

from digitexp.training.observer import Observer
from digitexp.training.schedule import Schedule


class Following(keras.callbacks.Callback):  # type: ignore[misc]  # Keras is untyped
    """Hands each epoch to an observer, and sets the rate that its schedule decides on.

    At the end it restores the best weights.

    Attributes:
        observer: Decides after each epoch.
    """

    def __init__(
        self, observer: Observer, hand_over: Callable[[int, dict[str, Any]], None]
    ) -> None:
        """Take an observer, and a function that hands it an epoch: (from 0, Keras's logs)."""
        super().__init__()
        self.observer, self._hand_over = observer, hand_over
        self._best: list[Any] | None = None

    @property
    def schedule(self) -> Schedule:
        """What decides on rate and end."""
        return self.observer.schedule

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Have it decide, keep the best weights, set the rate."""
        schedule = self.schedule
        if schedule.changes_rate:  # a callback of the user may have changed it, too
            schedule.rate = float(self.model.optimizer.learning_rate)
        before = schedule.rate
        self._hand_over(epoch, {} if logs is None else logs)
        if schedule.is_best:
            self._best = self.model.get_weights()
        if schedule.rate != before:  # that of an optimizer with a schedule of its own cannot be set
            self.model.optimizer.learning_rate = schedule.rate
        if self.observer.is_over:
            self.model.stop_training = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Restore the weights of the best epoch."""
        if self._best is not None:
            self.model.set_weights(self._best)

    def get_state(self) -> dict[str, Any]:
        """Return what it has seen; see `digitexp.training.resuming`."""
        return {"observer": self.observer.get_state(), "best": self._best}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what an earlier attempt had seen."""
        self.observer.set_state(state["observer"])
        self._best = state["best"]
