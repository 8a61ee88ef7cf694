"""An experiment that trains nothing: it costs what the framework costs, and sleeps if asked."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from sweeps.experiment import (
    EnginePlan,
    Experiment,
    MetricInfo,
    OnEpoch,
    ParameterInfo,
    PreparedData,
    TrialResult,
    TrialSpec,
    Value,
)

EPOCHS = 30
"""Epochs of history, about as many as a trial of the digits has."""
METRICS = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")


def score_of(config: Mapping[str, Value]) -> float:
    """Return a score from 0 to 1, best at a rate of 0.001 and 64 units."""
    rate, units = float(config["learning_rate"] or 0), float(config["units_1"] or 0)
    return float(1 / (1 + abs(np.log10(rate) + 3) + abs(units - 64) / 64))


class Nothing:
    """Returns a score that depends on the parameters, after the sleep that is asked for."""

    name = "nothing"
    parameters: Mapping[str, ParameterInfo] = {
        "learning_rate": ParameterInfo("float", 0.0, 1.0, default=1e-3),
        "batch_size": ParameterInfo("int", 1, 1024, default=32),
        "units_1": ParameterInfo("int", 1, 1024, default=32),
        "units_2": ParameterInfo("int", 1, 1024, default=32),
        "dropout": ParameterInfo("float", 0.0, 0.9, default=0.0),
        "l2": ParameterInfo("float", 0.0, 1.0, default=0.0),
        "seconds": ParameterInfo("float", 0.0, 3600.0, default=0.0),
    }
    metrics: Mapping[str, MetricInfo] = {
        "score": MetricInfo("maximize", "val_accuracy", "between 0 and 1"),
        "best_epoch": MetricInfo("minimize", None, "always the last"),
        "epochs": MetricInfo("minimize", None, "always the same"),
    }
    measures: Mapping[str, str] = {}

    def check(self, config: Mapping[str, Value]) -> None:
        """Refuse nothing."""

    def prepare(self, source: str | None, split_seed: int) -> PreparedData:
        """Return no data."""
        return PreparedData("nothing", "0" * 64, "0" * 64, {}, None)

    def measure(self, config: Mapping[str, Value], data: PreparedData) -> Mapping[str, float]:
        """Measure nothing."""
        return {}

    def plan(self, config: Mapping[str, Value], data: PreparedData) -> EnginePlan:
        """Train nothing."""
        return EnginePlan("nothing", "there is nothing to train", 0.0)

    def warm_up(self) -> None:
        """Import nothing."""

    def train(self, spec: TrialSpec, data: PreparedData, on_epoch: OnEpoch) -> TrialResult:
        """Sleep, and return a history of constant curves."""
        time.sleep(float(spec.config["seconds"] or 0))
        score = score_of(spec.config)
        row = dict.fromkeys(METRICS, score)
        for epoch in range(EPOCHS):
            on_epoch(epoch, row)
        return TrialResult(
            outcome="complete",
            stop_reason="max_epochs",
            metrics={"score": score, "best_epoch": EPOCHS, "epochs": EPOCHS},
            history={name: [score] * EPOCHS for name in METRICS},
            engine="nothing",
        )

    def draw(self, spec: TrialSpec, result: TrialResult) -> Mapping[str, bytes]:
        """Draw nothing."""
        return {}

    def load_model(
        self,
        config: Mapping[str, Value],
        weights: Mapping[str, np.ndarray],
        info: Mapping[str, Any],
    ) -> Any:
        """Return no model."""
        return None


experiment: Experiment = Nothing()
