"""Keras Tuner's RandomSearch; nothing is logged beside what it keeps itself."""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import keras_tuner

from benchmarks.recipes.command import note_trial, parse
from benchmarks.recipes.network import build_network, make_callbacks


class Digits(keras_tuner.HyperModel):  # type: ignore[misc]  # Keras Tuner is untyped
    """The space of `digits.yaml` in Keras Tuner's words."""

    epochs_trained = 0

    def build(self, hp: Any) -> Any:
        """Return the network of one configuration."""
        hidden_layers = hp.Int("hidden_layers", 2, 3)
        return build_network(
            {
                "learning_rate": hp.Float("learning_rate", 1e-4, 1e-2, sampling="log"),
                "units": [
                    hp.Int(f"units_{i}", 16, 128, step=16) for i in range(1, hidden_layers + 1)
                ],
                "dropout": hp.Float("dropout", 0.0, 0.5),
                "l2": hp.Float("l2", 1e-6, 1e-2, sampling="log"),
            }
        )

    def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        """Train with the batch size of the configuration."""
        batch_size = hp.Choice("batch_size", [16, 32, 64, 128])
        history = model.fit(*args, batch_size=batch_size, **kwargs)
        self.epochs_trained = len(history.history["loss"])
        return history


class NotedSearch(keras_tuner.RandomSearch):  # type: ignore[misc]  # Keras Tuner is untyped
    """Random search that notes when a trial has ended."""

    def on_trial_end(self, trial: Any) -> None:
        """Note the trial after Keras Tuner has stored it."""
        super().on_trial_end(trial)
        note_trial(self.hypermodel.epochs_trained, trial.score)


def main() -> None:
    """Run the search in the working folder."""
    search = parse()
    images, labels, validation_images, validation_labels = search.digits()
    keras.utils.set_random_seed(search.seed)
    tuner = NotedSearch(
        Digits(),
        objective="val_accuracy",
        max_trials=search.trials,
        seed=search.seed,
        directory="tuner",
        project_name="digits",
    )
    tuner.search(
        images,
        labels,
        epochs=search.epochs,
        validation_data=(validation_images, validation_labels),
        callbacks=make_callbacks(),
        verbose=0,
    )


if __name__ == "__main__":
    main()
