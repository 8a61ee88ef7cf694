"""An experiment without TensorFlow that has folds, a test set, and trials for an ensemble.

What a training answers is drawn: `skill` says how far the true class stands above the others, the
seed how each image is mistaken. Mistakes of two nets are unrelated, so that an ensemble pays.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from sweeps.capabilities import BY_SAMPLE, PREDICTIONS, Evaluated, Fold, TestSet
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
experiment: tests.sweeps.voting_experiment:experiment
objective: {metric: best_val_accuracy, direction: maximize}
parameters:
  skill: {type: float, low: 1.0, high: 2.0}
baselines:
  dull: {skill: 1.0}
defaults: {trials: 5, sampler: random, pruner: none}
"""
CLASSES, IMAGES, TESTED = 4, 240, 300
LABELS = np.arange(IMAGES) % CLASSES
TEST_LABELS = np.arange(TESTED) % CLASSES


class VotingExperiment:
    """A training on a fold is judged on a quarter of the images.

    How many epochs it takes follows from the number of the fold.
    """

    name = "voting"
    parameters: Mapping[str, ParameterInfo] = {
        "skill": ParameterInfo("float", 0.0, 10.0, required=True),
        "seconds": ParameterInfo("float", 0.0, 100.0, default=0.0),
    }
    metrics: Mapping[str, MetricInfo] = {
        "best_val_accuracy": MetricInfo("maximize", "val_accuracy"),
        "epochs": MetricInfo("minimize"),
    }
    measures: Mapping[str, str] = {}

    def check(self, config: Mapping[str, Value]) -> None:
        """Everything is possible."""

    def prepare(self, source: str | None, split_seed: int) -> PreparedData:
        digest = hashlib.sha256(str(source).encode()).hexdigest()
        return PreparedData(source or "drawn", digest, digest, {"n_train": 180}, None)

    def measure(self, config: Mapping[str, Value], data: PreparedData) -> Mapping[str, float]:
        return {}

    def plan(self, config: Mapping[str, Value], data: PreparedData) -> EnginePlan:
        return EnginePlan("none", "nothing is trained", 0.001)

    def warm_up(self) -> None:
        """Nothing to import."""

    def train(self, spec: TrialSpec, data: PreparedData, on_epoch: OnEpoch) -> TrialResult:
        seed = spec.seed + round(1e6 * float(str(spec.config["skill"])))
        weights = {"skill": np.array([spec.config["skill"]]), "seed": np.array([seed])}
        logits = drawn(*self.load_model(spec.config, weights, data.info), LABELS)
        time.sleep(0.002)  # records have milliseconds: no training takes none
        if data.payload is None:  # a trial of a search
            time.sleep(float(spec.config.get("seconds") or 0.0))
            scored, epochs = _scored(logits, LABELS), 1.0
            arrays = {PREDICTIONS: scored.arrays[PREDICTIONS]}
        else:
            number, samples = data.payload
            scored = _scored(logits[samples], LABELS[samples])
            arrays, epochs = dict(scored.arrays), 1.0 + number**2
        more = {"parameters": 100.0, "best_epoch": epochs, "epochs": epochs, "train_seconds": 0.5}
        return TrialResult(
            outcome="complete",
            stop_reason="max_epochs",
            metrics={**scored.metrics, **more},
            history={"val_accuracy": [scored.metrics["best_val_accuracy"]]},
            arrays=arrays,
            weights=weights,
            summary="nothing was trained",
            engine="none",
        )

    def folds(self, data: PreparedData, seed: int, n: int) -> Iterator[Fold]:
        order = np.random.default_rng(seed).permutation(IMAGES)
        for place in range(n):
            samples = np.sort(order[place::n])
            yield Fold(replace(data, payload=(seed * n + place, samples)), samples)

    def refit(
        self, spec: TrialSpec, data: PreparedData, epochs: int, on_epoch: OnEpoch
    ) -> TrialResult:
        result = self.train(spec, data, on_epoch)
        return replace(result, metrics={"best_epoch": float(epochs), "epochs": float(epochs)})

    def draw(self, spec: TrialSpec, result: TrialResult) -> Mapping[str, bytes]:
        return {}

    def load_model(
        self,
        config: Mapping[str, Value],
        weights: Mapping[str, np.ndarray],
        info: Mapping[str, Any],
    ) -> Any:
        return float(weights["skill"][0]), int(weights["seed"][0])

    def validation_predictions(self, result: TrialResult, data: PreparedData) -> np.ndarray | None:
        return result.arrays.get(PREDICTIONS)

    def validation_truth(self, data: PreparedData) -> np.ndarray:
        return LABELS

    def judged(self, predictions: np.ndarray, truth: np.ndarray) -> Evaluated:
        return _scored(np.log(predictions), truth)

    def test_set(self, source: str | None) -> TestSet:
        return TestSet("ce" * 32, np.arange(TESTED)[:, None], TEST_LABELS)

    def evaluate(self, model: Any, test_set: TestSet) -> Evaluated:
        skill, seed = model
        logits = drawn(skill, seed + 1, TEST_LABELS)[test_set.inputs[:, 0]]
        return _scored(logits, test_set.labels)


def _scored(logits: np.ndarray, labels: np.ndarray) -> Evaluated:
    right = (logits.argmax(axis=1) == labels).astype(np.uint8)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    predictions = powers / powers.sum(axis=1, keepdims=True)
    arrays = {f"best_val_accuracy{BY_SAMPLE}": right, PREDICTIONS: predictions}
    return Evaluated({"best_val_accuracy": float(right.mean())}, arrays)


def drawn(skill: float, seed: int, labels: np.ndarray) -> np.ndarray:
    """Return logits (n, classes): noise, and `skill` more for the true class."""
    noise = np.random.default_rng(seed).normal(0, 1, (len(labels), CLASSES))
    noise[np.arange(len(labels)), labels] += skill
    return noise.astype(np.float32)


experiment: Experiment = VotingExperiment()
