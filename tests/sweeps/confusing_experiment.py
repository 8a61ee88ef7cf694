"""An experiment without TensorFlow whose trials confuse ten classes, fail and are pruned.

Nothing is trained: how well a trial does follows from its parameters, and its confusion counts
are drawn by its seed, so that a sweep of hundreds of trials takes seconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from sweeps.capabilities import Signature
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

SPACE = """
description: ten classes, confused more or less
experiment: tests.sweeps.confusing_experiment:experiment
objective: {metric: best_val_accuracy, direction: maximize}
parameters:
  learning_rate: {type: float, low: 0.0001, high: 1.0, log: true}
  units: {type: int, low: 8, high: 128, log: true}
  loss: {type: categorical, choices: [categorical_crossentropy, categorical_hinge, mse]}
  dropout: {type: float, low: 0.0, high: 0.6}
fixed: {epochs: 12}
baselines:
  tutorial: {learning_rate: 0.001, units: 25, loss: mse, dropout: 0.0}
defaults:
  {trials: 60, sampler: {name: tpe, options: {n_startup_trials: 10}}, pruner: median, ask_ahead: 8}
"""
CLASSES = [str(digit) for digit in range(10)]
LOOKALIKES = [(4, 9), (3, 5), (7, 1), (8, 3)]
IMAGES = 100
"""Of each class."""


class ConfusingExperiment:
    """Best near a learning rate of 0.01, many units and little dropout."""

    name = "confusing"
    parameters: Mapping[str, ParameterInfo] = {
        "learning_rate": ParameterInfo("float", 1e-6, 10.0, required=True),
        "units": ParameterInfo("int", 1, 1000, default=25),
        "loss": ParameterInfo(
            "categorical",
            choices=("categorical_crossentropy", "categorical_hinge", "mse"),
            default="mse",
        ),
        "dropout": ParameterInfo("float", 0.0, 0.9, default=0.0),
        "epochs": ParameterInfo("int", 1, 1000, default=12),
    }
    metrics: Mapping[str, MetricInfo] = {
        "best_val_accuracy": MetricInfo("maximize", "val_accuracy"),
    }
    measures: Mapping[str, str] = {}

    def check(self, config: Mapping[str, Value]) -> None:
        """Everything is possible."""

    def prepare(self, source: str | None, split_seed: int) -> PreparedData:
        info = {"classes": CLASSES, "n_train": 4000, "n_validation": 1000}
        return PreparedData(source or "confusing", "ab" * 32, "ef" * 32, info, None)

    def measure(self, config: Mapping[str, Value], data: PreparedData) -> Mapping[str, float]:
        return {}

    def plan(self, config: Mapping[str, Value], data: PreparedData) -> EnginePlan:
        return EnginePlan("none", "nothing is trained", 0.001)

    def warm_up(self) -> None:
        """Nothing to import."""

    def train(self, spec: TrialSpec, data: PreparedData, on_epoch: OnEpoch) -> TrialResult:
        config, rng = spec.config, np.random.default_rng(spec.seed)
        if float(config["dropout"]) > 0.57:
            raise ValueError(f"dropout {config['dropout']:.3f} leaves no unit")
        off = abs(math.log10(float(config["learning_rate"])) + 2)
        limit = 0.99 - 0.12 * off**2 - 0.1 * float(config["dropout"])
        limit -= 0.04 * (config["loss"] != "categorical_crossentropy") + 1 / int(config["units"])
        limit, epochs = max(limit, 0.15), int(config["epochs"])
        history: dict[str, list[float]] = {"loss": [], "val_loss": [], "val_accuracy": []}
        confusion: list[np.ndarray] = []
        for epoch in range(epochs):
            share = limit * (1 - 0.6 * math.exp(-0.6 * epoch)) - 0.004 * max(epoch - 8, 0)
            confusion.append(_counts(share, rng))
            accuracy = float(np.trace(confusion[-1])) / confusion[-1].sum()
            diverges = off > 1.95 and epoch == 4
            history["val_accuracy"].append(math.nan if diverges else accuracy)
            history["val_loss"].append(math.nan if diverges else -math.log(max(share, 1e-3)))
            history["loss"].append(math.nan if diverges else -math.log(max(share, 1e-3)) * 0.9)
            verdict = on_epoch(epoch, {name: values[-1] for name, values in history.items()})
            if diverges:
                return _result(history, confusion, "diverged", "diverged")
            if verdict is not None:
                return _result(history, confusion, "stopped", verdict.reason)
            if epoch - int(np.argmax(history["val_accuracy"])) >= 3:
                return _result(history, confusion, "complete", "early_stopping")
        return _result(history, confusion, "complete", "max_epochs")

    def draw(self, spec: TrialSpec, result: TrialResult) -> Mapping[str, bytes]:
        return {}

    def validation_labels(self, data: PreparedData) -> np.ndarray:
        return np.repeat(np.arange(10), IMAGES)

    def picture(self, data: PreparedData, index: int) -> bytes:
        from digitexp.plots.images import draw_sample

        label, number = divmod(index, IMAGES)
        image = np.zeros((12, 12))
        image[label : label + 3, number % 10 : number % 10 + 3] = 1
        return draw_sample(image)

    def load_model(
        self,
        config: Mapping[str, Value],
        weights: Mapping[str, np.ndarray],
        info: Mapping[str, Any],
    ) -> Any:
        return weights["share"]

    def signature(self, info: Mapping[str, Any]) -> Signature:
        return Signature(np.zeros((1, 4), np.float32), (10,))

    def predict(self, model: Any, inputs: np.ndarray) -> np.ndarray:
        return np.full((len(inputs), 10), model[0], np.float32)


def _counts(share: float, rng: np.random.Generator) -> np.ndarray:
    """Return ten classes of which about `share` is right; some are taken for their lookalikes."""
    chances = np.full((10, 10), (1 - share) / 20)
    for true, said in LOOKALIKES:
        chances[true, said] += (1 - share) / 2
    np.fill_diagonal(chances, 0)
    np.fill_diagonal(chances, 1 - chances.sum(axis=1))
    return np.array([rng.multinomial(IMAGES, row) for row in chances], np.uint16)


def _logits(counts: np.ndarray) -> np.ndarray:
    """Return logits of images, sorted by class, that were taken for classes as often as counted."""
    said = np.concatenate([np.repeat(np.arange(10), row) for row in counts])
    logits = np.zeros((len(said), 10), np.float32)
    sure = 1 + np.arange(len(said)) % IMAGES / 20
    logits[np.arange(len(said)), said] = sure
    return logits


def _result(
    history: dict[str, list[float]], confusion: list[np.ndarray], outcome: Any, reason: str
) -> TrialResult:
    best = int(np.nanargmax(history["val_accuracy"]))
    return TrialResult(
        outcome=outcome,
        stop_reason=reason,
        metrics={
            "best_val_accuracy": history["val_accuracy"][best],
            "best_val_loss": history["val_loss"][best],
            "best_epoch": float(best + 1),
        },
        history=history,
        arrays={"confusion": np.array(confusion), "validation_logits": _logits(confusion[best])},
        weights={"share": np.array([history["val_accuracy"][best]])},
        summary="nothing was trained",
        engine="none",
        info={"classes": CLASSES},
    )


experiment: Experiment = ConfusingExperiment()
