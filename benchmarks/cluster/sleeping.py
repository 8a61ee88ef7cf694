"""An experiment that sleeps and returns as much as a trial of the digits does.

Its results are noise, which no compression makes smaller, and its pictures are those of the
digits: what a trial costs the framework is what it costs in a real sweep.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np

from benchmarks.nothing import EPOCHS, METRICS, Nothing, score_of
from sweeps.experiment import (
    Experiment,
    OnEpoch,
    ParameterInfo,
    PreparedData,
    TrialResult,
    TrialSpec,
)

SPREAD = 3 / 7
"""A trial sleeps `seconds` plus or minus this share, drawn from its seed: 2 to 5 s for 3.5."""
CLASSES = 10
IMAGES = 1000
"""As many as the digits are validated on."""
LAYERS = ((400, 60), (60,), (60, 10), (10,))
"""Shapes of the weights, 99 kB."""


class Sleeping(Nothing):
    """Sleeps an equal time for each epoch; then its result is noise of the right size."""

    name = "sleeping"
    parameters: Mapping[str, ParameterInfo] = {
        **Nothing.parameters,
        "seconds": ParameterInfo("float", 0.0, 3600.0, default=3.5),
    }

    def train(self, spec: TrialSpec, data: PreparedData, on_epoch: OnEpoch) -> TrialResult:
        """Sleep, and return a history, arrays and weights; heeds a `Stop`."""
        score = score_of(spec.config)
        random = np.random.default_rng(spec.seed)
        seconds = float(spec.config["seconds"] or 0) * random.uniform(1 - SPREAD, 1 + SPREAD)
        history: dict[str, list[float]] = {name: [] for name in METRICS}
        stop = None
        while stop is None and len(history["loss"]) < EPOCHS:
            time.sleep(seconds / EPOCHS)
            row = {name: float(random.random()) for name in METRICS}
            for name, value in row.items():
                history[name].append(value)
            stop = on_epoch(len(history["loss"]) - 1, row)
        epochs = len(history["loss"])
        counts = random.integers(0, IMAGES // CLASSES**2 * 2, (epochs, CLASSES, CLASSES))
        return TrialResult(
            outcome="stopped" if stop else "complete",
            stop_reason=stop.reason if stop else "max_epochs",
            metrics={"score": score, "best_epoch": epochs, "epochs": epochs},
            history=history,
            arrays={
                "confusion": counts.astype(np.uint16),
                "validation_logits": random.standard_normal((IMAGES, CLASSES), np.float32),
            },
            weights={
                f"{place}": random.standard_normal(shape, np.float32)
                for place, shape in enumerate(LAYERS)
            },
            timings={"train_seconds": seconds},
            engine="sleeping",
        )

    def draw(self, spec: TrialSpec, result: TrialResult) -> Mapping[str, bytes]:
        """Draw the curves and the confusion matrix, as the digits do."""
        from digitexp.experiments.pictures import draw_trial

        names = [str(number) for number in range(CLASSES)]
        epochs = int(result.metrics["best_epoch"])
        return draw_trial(
            result.history, result.arrays["confusion"], names, epochs, f"trial {spec.trial}"
        )


experiment: Experiment = Sleeping()
