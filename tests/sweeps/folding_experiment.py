"""A fast experiment whose data can be divided into folds: linear regression on a bag of them.

It has metrics of every kind: means over samples (a share, an error, a loss), one number per fold
(an AUC), and a score without a best value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from sweeps.capabilities import PREDICTIONS, Evaluated, Fold, TestSet
from sweeps.experiment import (
    EnginePlan,
    MetricInfo,
    OnEpoch,
    ParameterInfo,
    PreparedData,
    TrialResult,
    TrialSpec,
    Value,
)

SPACE = """
experiment: tests.sweeps.folding_experiment:experiment
objective: {metric: METRIC, direction: DIRECTION}
parameters:
  inputs: {type: int, low: 1, high: 6}
baselines:
  blind: {inputs: 1}
defaults: {trials: 3, sampler: random, pruner: none}
"""
SAMPLES, INPUTS, SEARCHED = 300, 6, 40


class FoldingExperiment:
    """Predicts y from x, and whether y is above 0, by one linear model."""

    name = "folding"
    parameters: Mapping[str, ParameterInfo] = {
        "inputs": ParameterInfo("int", 1, INPUTS, required=True, description="that it sees")
    }
    metrics: Mapping[str, MetricInfo] = {
        "accuracy": MetricInfo("maximize"),
        "mae": MetricInfo("minimize"),
        "log_loss": MetricInfo("minimize"),
        "auc": MetricInfo("maximize"),
        "profit": MetricInfo("maximize"),
    }
    measures: Mapping[str, str] = {}

    def __init__(self, draw: int = 0) -> None:
        self.draw_number = draw

    def check(self, config: Mapping[str, Value]) -> None:
        """Everything is possible."""

    def prepare(self, source: str | None, split_seed: int) -> PreparedData:
        random = np.random.default_rng(self.draw_number)
        x = random.normal(size=(SAMPLES, INPUTS))
        y = x @ np.linspace(-1, 1, INPUTS) + random.standard_t(3, SAMPLES)
        payload = (x[SEARCHED:], y[SEARCHED:], x[:SEARCHED], y[:SEARCHED])
        digest = f"{self.draw_number:064d}"
        return PreparedData("drawn", digest, digest, {"n_train": SAMPLES - SEARCHED}, payload)

    def folds(self, data: PreparedData, seed: int, n: int) -> Iterator[Fold]:
        x, y, x_val, y_val = data.payload
        order = np.random.default_rng(seed).permutation(len(x))
        for samples in np.array_split(order, n):
            rest = np.setdiff1d(order, samples)
            train = np.concatenate([x[rest], x_val]), np.concatenate([y[rest], y_val])
            yield Fold(replace(data, payload=(*train, x[samples], y[samples])), samples)

    def measure(self, config: Mapping[str, Value], data: PreparedData) -> Mapping[str, float]:
        return {}

    def plan(self, config: Mapping[str, Value], data: PreparedData) -> EnginePlan:
        return EnginePlan("numpy", "it has no other", 0.001)

    def warm_up(self) -> None:
        """Nothing to import."""

    def train(self, spec: TrialSpec, data: PreparedData, on_epoch: OnEpoch) -> TrialResult:
        x, y, x_val, y_val = data.payload
        bag = np.random.default_rng(spec.seed).integers(0, len(x), len(x))
        seen = int(str(spec.config["inputs"]))
        weights = np.linalg.lstsq(x[bag, :seen], y[bag])[0]
        said = x_val[:, :seen] @ weights
        metrics, by_sample = judged(said, y_val)
        return TrialResult(
            outcome="complete",
            stop_reason="finished",
            metrics=metrics,
            history={},
            arrays=by_sample | self.kept(said),
            weights={"weights": weights},
            engine="numpy",
        )

    def kept(self, said: np.ndarray) -> dict[str, np.ndarray]:
        return {}

    def draw(self, spec: TrialSpec, result: TrialResult) -> Mapping[str, bytes]:
        return {}

    def load_model(
        self,
        config: Mapping[str, Value],
        weights: Mapping[str, np.ndarray],
        info: Mapping[str, Any],
    ) -> Any:
        return weights["weights"]


def judged(said: np.ndarray, y: np.ndarray) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Return the metrics of predictions, and those that are means sample by sample."""
    by_sample = {
        "accuracy_by_sample": ((said > 0) == (y > 0)).astype(np.uint8),
        "mae_by_sample": np.abs(said - y),
        "log_loss_by_sample": np.logaddexp(0, -said * np.sign(y)),
    }
    metrics = {name.removesuffix("_by_sample"): float(v.mean()) for name, v in by_sample.items()}
    above = said[y > 0][:, None] > said[y <= 0]
    metrics |= {"auc": float(above.mean()), "profit": float(1000 * (said * y).mean())}
    return metrics, by_sample


class TestedFoldingExperiment(FoldingExperiment):
    """The same with a test set, with predictions for ensembles, and with refits."""

    __test__ = False  # no test of pytest
    name = "tested"
    metrics: Mapping[str, MetricInfo] = {
        **FoldingExperiment.metrics,
        "epochs": MetricInfo("minimize"),
    }

    def train(self, spec: TrialSpec, data: PreparedData, on_epoch: OnEpoch) -> TrialResult:
        result = super().train(spec, data, on_epoch)
        seen = float(len(data.payload[0]))  # so that a refit can be told by its epochs
        metrics = {**result.metrics, "epochs": seen, "best_epoch": seen}
        return replace(result, metrics=metrics)

    def refit(
        self, spec: TrialSpec, data: PreparedData, epochs: int, on_epoch: OnEpoch
    ) -> TrialResult:
        x, y, x_val, y_val = data.payload
        everything = np.concatenate([x, x_val]), np.concatenate([y, y_val]), x_val, y_val
        result = self.train(spec, replace(data, payload=everything), on_epoch)
        return replace(result, metrics={"epochs": float(epochs)}, arrays={})

    def test_set(self, source: str | None) -> TestSet:
        x, y, *_ = FoldingExperiment(draw=7).prepare(source, 0).payload
        return TestSet("fe" * 32, x, y)

    def evaluate(self, model: Any, test_set: TestSet) -> Evaluated:
        said = test_set.inputs[:, : len(model)] @ model
        metrics, by_sample = judged(said, test_set.labels)
        return Evaluated(metrics, by_sample | self.kept(said))

    def kept(self, said: np.ndarray) -> dict[str, np.ndarray]:
        return {PREDICTIONS: said}

    def validation_predictions(self, result: TrialResult, data: PreparedData) -> np.ndarray | None:
        return result.arrays.get(PREDICTIONS)

    def validation_truth(self, data: PreparedData) -> np.ndarray:
        return data.payload[3]

    def judged(self, predictions: np.ndarray, truth: np.ndarray) -> Evaluated:
        return Evaluated(*judged(predictions, truth))


experiment = FoldingExperiment()
tested = TestedFoldingExperiment()
