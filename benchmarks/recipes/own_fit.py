"""Trains configurations of a model of one's own by plain `model.fit`; nothing is logged.

It is a part that `own` starts.
"""

from __future__ import annotations

import os
import time
from typing import Any

from benchmarks.process_tree import answer

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def main(model: str, configurations: list[dict[str, Any]], epochs: int) -> list[float]:
    """Train one configuration after the other; return the seconds of each."""
    from digitexp.tensorflow_setup import set_up_tensorflow

    set_up_tensorflow()  # one thread, as in a worker
    import keras

    from benchmarks.own_models import MODELS
    from benchmarks.recipes.network import make_callbacks
    from digitexp.experiments.keras_experiment.data import read_parts

    build, load, task = MODELS[model]
    parts = read_parts(load(), task, 0)  # type: ignore[arg-type]
    seconds = []
    for number, params in enumerate(configurations):
        began = time.perf_counter()
        keras.backend.clear_session()
        keras.utils.set_random_seed(number)
        net = build(params)
        x, y = parts.train
        net.fit(
            x,
            y,
            batch_size=params["batch_size"],
            epochs=epochs,
            validation_data=parts.validation,
            callbacks=make_callbacks(),
            verbose=0,
        )
        net.predict(parts.validation[0], verbose=0)
        seconds.append(time.perf_counter() - began)
    return seconds


if __name__ == "__main__":
    answer(main)
