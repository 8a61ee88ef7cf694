"""Keras Tuner's RandomSearch or BayesianOptimization; nothing is logged but what it keeps itself.

More than one process: a chief that proposes, and tuners that train, as its guide to distributed
tuning says.
"""

from __future__ import annotations

import multiprocessing
import os
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import keras_tuner

from benchmarks.process_tree import HERE, free_port
from benchmarks.recipes.command import Search, note_trial, parse, side_by_side
from benchmarks.recipes.network import build_network, make_callbacks
from benchmarks.recipes.search import BATCHES, SPACES


class Digits(keras_tuner.HyperModel):  # type: ignore[misc]  # Keras Tuner is untyped
    """The spaces of `search.py` in Keras Tuner's words."""

    epochs_trained, best = 0, 0.0

    def __init__(self, space: str) -> None:
        super().__init__()
        self._space = space

    def build(self, hp: Any) -> Any:
        """Return the network of one configuration."""
        own = SPACES[self._space]
        steps = {"sampling": "log"} if own.units.get("log") else own.units
        hidden_layers = hp.Int("hidden_layers", *own.layers)
        return build_network(
            {
                "learning_rate": hp.Float("learning_rate", 1e-4, 1e-2, sampling="log"),
                "units": [
                    hp.Int(f"units_{i}", own.narrowest, 128, **steps)
                    for i in range(1, hidden_layers + 1)
                ],
                "dropout": hp.Float("dropout", 0.0, 0.5),
                "l2": hp.Float("l2", own.least_l2, 1e-2, sampling="log"),
            }
        )

    def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        """Train with the batch size of the configuration."""
        batch_size = hp.Choice("batch_size", BATCHES)
        history = model.fit(*args, batch_size=batch_size, **kwargs)
        self.epochs_trained = len(history.history["loss"])
        self.best = max(history.history["val_accuracy"])
        return history


class Noted:
    """Notes when a trial has ended."""

    hypermodel: Any

    def on_trial_end(self, trial: Any) -> None:
        """Note the trial after Keras Tuner has stored it."""
        super().on_trial_end(trial)  # type: ignore[misc]
        params = trial.hyperparameters.values
        note_trial(params, self.hypermodel.epochs_trained, self.hypermodel.best)


class RandomSearch(Noted, keras_tuner.RandomSearch):  # type: ignore[misc]  # Keras Tuner is untyped
    """Random search."""


class BayesianOptimization(Noted, keras_tuner.BayesianOptimization):  # type: ignore[misc]
    """Its search that learns from earlier trials, by a Gaussian process; it has no TPE."""


SEARCHES: dict[str, Any] = {"random": RandomSearch, "tpe": BayesianOptimization}
CHIEF = "chief"


def main() -> None:
    """Run the search in the working folder."""
    search = parse()
    if search.processes == 1:
        work(search)
        return
    os.environ |= {"KERASTUNER_ORACLE_IP": HERE, "KERASTUNER_ORACLE_PORT": str(free_port())}
    chief = multiprocessing.get_context("spawn").Process(
        target=work, args=(search, CHIEF), daemon=True
    )
    chief.start()
    side_by_side(work, search)()
    chief.kill()  # it would look every 20 s whether the tuners have gone


def work(search: Search, number: int | str | None = None) -> None:
    """Try configurations until the search has as many as asked for; or propose them, as chief."""
    if number is not None:
        os.environ["KERASTUNER_TUNER_ID"] = str(number) if number == CHIEF else f"tuner{number}"
    images, labels, validation_images, validation_labels = search.digits()
    keras.utils.set_random_seed(search.seed)
    tuner = SEARCHES[search.sampler](
        Digits(search.space),
        objective="val_accuracy",
        max_trials=search.trials,
        seed=search.seed,
        directory="tuner",
        project_name="digits",
    )
    tuner.search(  # the chief proposes in there
        images,
        labels,
        epochs=search.epochs,
        validation_data=(validation_images, validation_labels),
        callbacks=make_callbacks(),
        verbose=0,
    )


if __name__ == "__main__":
    main()
