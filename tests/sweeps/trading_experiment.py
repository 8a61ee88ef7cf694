"""Experiments whose objectives pull apart: what is good for one costs in the other."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping

from sweeps.experiment import (
    Experiment,
    MetricInfo,
    OnEpoch,
    PreparedData,
    TrialResult,
    TrialSpec,
)
from tests.sweeps.conftest import TOY
from tests.sweeps.confusing_experiment import SPACE as CONFUSING
from tests.sweeps.confusing_experiment import ConfusingExperiment
from tests.sweeps.toy_experiment import ToyExperiment

ONE = "objective: {metric: score, direction: maximize}"
TWO = "objective: [{metric: score, direction: maximize}, {metric: cost, direction: minimize}]"
TRADING = TOY.replace("toy_experiment:experiment", "trading_experiment:experiment").replace(
    ONE, TWO
)
"""The toy's space: a score that is best near x = 0.3, and a cost that grows with x and layers."""

TIMED = TRADING.replace("metric: cost", "metric: nap_seconds")

SMALL = (
    CONFUSING.replace("confusing_experiment:experiment", "trading_experiment:small")
    .replace(
        "objective: {metric: best_val_accuracy, direction: maximize}",
        "objective:\n- {metric: best_val_accuracy, direction: maximize}\n"
        "- {metric: parameters, direction: minimize}",
    )
    .replace("pruner: median", "pruner: none")
)
"""Ten classes, recognised the better the more units there are."""


class TradingExperiment(ToyExperiment):
    """The toy with a second number that is better where the score is worse."""

    name = "trading"
    metrics: Mapping[str, MetricInfo] = {
        **ToyExperiment.metrics,
        "cost": MetricInfo("minimize"),
        "nap_seconds": MetricInfo("minimize"),
        "absent": MetricInfo("minimize"),
    }

    def train(self, spec: TrialSpec, data: PreparedData, on_epoch: OnEpoch) -> TrialResult:
        began = time.perf_counter()
        result = super().train(spec, data, on_epoch)
        if not result.metrics:
            return result
        x, layers = float(spec.config["x"]), int(spec.config.get("layers") or 0)
        cost = math.nan if spec.config.get("kind") == "c" else 1 + x + layers
        seconds = time.perf_counter() - began
        metrics = {**result.metrics, "cost": cost, "nap_seconds": seconds}
        return dataclasses.replace(result, metrics=metrics)


class SmallExperiment(ConfusingExperiment):
    """The confusing one, which counts its weights as well."""

    name = "small"
    metrics: Mapping[str, MetricInfo] = {
        **ConfusingExperiment.metrics,
        "parameters": MetricInfo("minimize"),
    }

    def train(self, spec: TrialSpec, data: PreparedData, on_epoch: OnEpoch) -> TrialResult:
        result = super().train(spec, data, on_epoch)
        weights = 411.0 * int(spec.config["units"]) + 10
        return dataclasses.replace(result, metrics={**result.metrics, "parameters": weights})


experiment: Experiment = TradingExperiment()
small: Experiment = SmallExperiment()
