"""Trains configurations of a model of one's own by Keras Tuner, with what it keeps by itself.

Reads {"model", "configurations", "epochs"} as JSON from stdin and prints the seconds of each.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def main() -> None:
    """Train one configuration after the other."""
    from digitexp.tensorflow_setup import set_up_tensorflow

    set_up_tensorflow()  # one thread, as in a worker
    import keras
    import keras_tuner

    from benchmarks.own_models import MODELS
    from benchmarks.recipes.network import make_callbacks
    from digitexp.experiments.keras_experiment.data import read_parts

    asked = json.load(sys.stdin)
    build, load, task = MODELS[asked["model"]]
    parts = read_parts(load(), task, 0)  # type: ignore[arg-type]
    configurations: list[dict[str, Any]] = asked["configurations"]
    ends: list[float] = []

    class Given(keras_tuner.Oracle):  # type: ignore[misc]  # Keras Tuner is untyped
        """Proposes the configurations in their order."""

        def populate_space(self, trial_id: str) -> dict[str, Any]:
            return {"status": "RUNNING", "values": configurations[int(trial_id)]}

    class Model(keras_tuner.HyperModel):  # type: ignore[misc]
        """The model, with the batch size of its configuration."""

        def build(self, hp: Any) -> Any:
            keras.utils.set_random_seed(len(ends))
            return build(hp.values)

        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            return model.fit(*args, batch_size=hp.values["batch_size"], **kwargs)

    class Timed(keras_tuner.Tuner):  # type: ignore[misc]
        """Notes when a trial has ended and is stored."""

        def on_trial_end(self, trial: Any) -> None:
            super().on_trial_end(trial)
            ends.append(time.perf_counter())

    space = keras_tuner.HyperParameters()
    for name in configurations[0]:
        space.Choice(name, sorted({each[name] for each in configurations}))
    goal = keras_tuner.Objective(
        "val_loss" if task == "regression" else "val_accuracy",
        "min" if task == "regression" else "max",
    )
    oracle = Given(goal, max_trials=len(configurations), hyperparameters=space, seed=0)
    with tempfile.TemporaryDirectory() as folder:
        tuner = Timed(oracle, Model(), directory=folder, project_name="own")
        x, y = parts.train
        began = time.perf_counter()
        tuner.search(
            x,
            y,
            epochs=asked["epochs"],
            validation_data=parts.validation,
            callbacks=make_callbacks(),
            verbose=0,
        )
    starts = [began, *ends]
    print(json.dumps([end - start for start, end in zip(starts, ends, strict=False)]))


if __name__ == "__main__":
    main()
