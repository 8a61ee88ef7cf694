"""One model, trained by `model.fit` and judged by its best epoch.

Import this after `set_up_tensorflow()`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np

from digitexp.keras_experiment.data import Parts
from digitexp.keras_experiment.datasets import ExamplesDigest
from digitexp.keras_experiment.structures import joined, mapped
from digitexp.training.tensorflow_setup import known_warnings_ignored

__all__ = ["Trained", "predict", "train_model"]

OnEpoch = Callable[[int, Mapping[str, float]], str | None]


@dataclass(frozen=True)
class Trained:
    """What became of a training; the model has the weights of its best epoch.

    Attributes:
        history: What `model.fit` reports of each epoch, and `learning_rate`.
        best_epoch: Epoch (from 1) with the lowest val_loss; None if it diverged before one.
    """

    outcome: Literal["complete", "stopped", "diverged"]
    stop_reason: str
    history: dict[str, list[float]]
    best_epoch: int | None


def train_model(
    model: Any, parts: Parts, params: Mapping[str, Any], on_epoch: OnEpoch, metrics: list[str]
) -> Trained:
    """Train until the epochs are over, EarlyStopping or `on_epoch` ends it, or it diverges.

    All steps of an epoch run in one call of the compiled function, where their number is known.

    Args:
        model: Compiled.
        parts: What it learns and what judges it.
        params: `epochs`, `batch_size` and the settings of the callbacks.
        on_epoch: Called with what Keras reports of each epoch; a text it answers ends the training.
        metrics: Per-epoch metrics that are wanted.

    Raises:
        ValueError: The model does not report one of them.
    """
    reporter = _Reporter(on_epoch, metrics)
    stopping = _early_stopping(params)
    if parts.is_dataset:
        steps, arguments = int(parts.train.cardinality()), {"x": parts.train, "shuffle": False}
    else:
        x, y = parts.train
        steps = math.ceil((parts.n_train or 0) / params["batch_size"])
        arguments = {"x": x, "y": y, "batch_size": params["batch_size"]}
    model.steps_per_execution = max(1, steps)  # below 0: a dataset that does not know its length
    with known_warnings_ignored():
        model.fit(
            **arguments,
            validation_data=parts.validation,
            epochs=params["epochs"],
            callbacks=[reporter, stopping, *_rate_reduction(params)],
            verbose=0,
        )
    losses = reporter.history.get("val_loss", [])
    best = None if not np.isfinite(losses).any() else int(np.nanargmin(losses)) + 1
    if reporter.diverged:
        return Trained("diverged", "diverged", reporter.history, best)
    if reporter.stop_reason is not None:
        return Trained("stopped", reporter.stop_reason, reporter.history, best)
    reason = "early_stopping" if stopping.stopped_epoch > 0 else "max_epochs"
    return Trained("complete", reason, reporter.history, best)


def predict(model: Any, parts: Parts) -> tuple[Any, Any]:
    """Return predictions and targets of the validation part, in the same order; of every output.

    Raises:
        ValueError: A dataset holds other examples than when the sweep began.
    """
    found, examples = [], ExamplesDigest()
    for x, y in parts.validation_batches():
        found.append((mapped(np.asarray, model.predict(x, batch_size=1024, verbose=0)), y))
        if parts.examples is not None:
            examples.add(x, y)
    if parts.examples is not None and examples.hexdigest() != parts.examples:
        raise ValueError(
            "the data function gave other validation examples than the sweep began with; "
            "no two trials could be compared; have it build the same set each time"
        )
    predictions, targets = (joined(column) for column in zip(*found, strict=True))
    return predictions, targets


def _early_stopping(params: Mapping[str, Any]) -> Any:
    patience = params["early_stopping_patience_epochs"]
    return keras.callbacks.EarlyStopping(
        monitor="val_loss",
        mode="min",
        patience=params["epochs"] if patience is None else patience,
        restore_best_weights=True,
    )


def _rate_reduction(params: Mapping[str, Any]) -> list[Any]:
    if params["plateau_patience_epochs"] is None:
        return []
    return [
        keras.callbacks.ReduceLROnPlateau(
            monitor="val_loss",
            mode="min",
            factor=params["plateau_factor"],
            patience=params["plateau_patience_epochs"],
            min_lr=params["min_learning_rate"],
        )
    ]


class _Reporter(keras.callbacks.Callback):  # type: ignore[misc]  # Keras is untyped
    """Keeps the history, asks `on_epoch`, and ends a training that diverges; the first callback."""

    def __init__(self, on_epoch: OnEpoch, metrics: list[str]) -> None:
        super().__init__()
        self._on_epoch, self._metrics = on_epoch, metrics
        self.history: dict[str, list[float]] = {}
        self.diverged = False
        self.stop_reason: str | None = None

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Take an epoch."""
        logs = {} if logs is None else logs
        logs["learning_rate"] = float(str(np.float32(self.model.optimizer.learning_rate.numpy())))
        missing = [name for name in self._metrics if name not in logs]
        if missing:
            raise ValueError(
                f"the model reports no {', '.join(missing)}, only {', '.join(sorted(logs))}; "
                "compile it with these metrics"
            )
        values = {name: float(value) for name, value in logs.items()}
        self.diverged = not all(math.isfinite(values[name]) for name in ("loss", "val_loss"))
        for name, value in values.items():
            known = value if math.isfinite(value) else math.nan
            self.history.setdefault(name, []).append(known)
        if self.diverged:
            logs["val_loss"] = math.nan  # never an improvement: an earlier epoch is restored
        else:
            self.stop_reason = self._on_epoch(epoch, values)
        if self.diverged or self.stop_reason is not None:
            self.model.stop_training = True
