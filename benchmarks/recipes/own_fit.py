"""Trains configurations of a model of one's own by plain `model.fit`; nothing is logged.

Reads {"model", "configurations", "epochs"} as JSON from stdin and prints the seconds of each.
"""

from __future__ import annotations

import json
import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def main() -> None:
    """Train one configuration after the other."""
    from digitexp.tensorflow_setup import set_up_tensorflow

    set_up_tensorflow()  # one thread, as in a worker
    import keras

    from benchmarks.own_models import MODELS
    from benchmarks.recipes.network import make_callbacks
    from digitexp.experiments.keras_experiment.data import read_parts

    asked = json.load(sys.stdin)
    build, load, task = MODELS[asked["model"]]
    parts = read_parts(load(), task, 0)  # type: ignore[arg-type]
    seconds = []
    for number, params in enumerate(asked["configurations"]):
        began = time.perf_counter()
        keras.backend.clear_session()
        keras.utils.set_random_seed(number)
        model = build(params)
        x, y = parts.train
        model.fit(
            x,
            y,
            batch_size=params["batch_size"],
            epochs=asked["epochs"],
            validation_data=parts.validation,
            callbacks=make_callbacks(),
            verbose=0,
        )
        model.predict(parts.validation[0], verbose=0)
        seconds.append(time.perf_counter() - began)
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
