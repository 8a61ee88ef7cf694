"""An experiment without TensorFlow that has blocks and a test set, and whose trainings can vote.

What a training answers is drawn: `skill` says how far the true class stands above the others, the
seed how each image is mistaken. Mistakes of two trainings are unrelated, so that a vote pays.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from sweeps.capabilities import TestSet
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
CLASSES, IMAGES, TESTED, FOLDS = 4, 240, 300, 4
LABELS = np.arange(IMAGES) % CLASSES
TEST_LABELS = np.arange(TESTED) % CLASSES


class VotingExperiment:
    """Its own experiment on blocks: with `block` it is judged on a quarter of the images.

    How many epochs it takes follows from the block, or is `refit_epochs`.
    """

    name = "voting"
    cross_validation = "tests.sweeps.voting_experiment:experiment"
    parameters: Mapping[str, ParameterInfo] = {
        "skill": ParameterInfo("float", 0.0, 10.0, required=True),
        "block": ParameterInfo("int", 0, 9999, default=None, optional=True),
        "fresh": ParameterInfo("int", 0, 9, default=0),
        "refit_epochs": ParameterInfo("int", 1, 9999, default=None, optional=True),
        "seconds": ParameterInfo("float", 0.0, 100.0, default=0.0),
    }
    metrics: Mapping[str, MetricInfo] = {
        "best_val_accuracy": MetricInfo("maximize", "val_accuracy"),
        "block_accuracy": MetricInfo("maximize"),
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
        weights = {"skill": np.array([spec.config["skill"]]), "seed": np.array([spec.seed])}
        model = self.load_model(spec.config, weights, data.info)
        logits = drawn(*model, LABELS)
        right = logits.argmax(axis=1) == LABELS
        metrics = {"best_val_accuracy": float(right.mean()), "parameters": 100.0}
        arrays = {}
        block = spec.config.get("block")
        time.sleep(0.002)  # records have milliseconds: no training takes none
        if block is None:  # a trial of a search
            time.sleep(float(spec.config.get("seconds") or 0.0))
        if block is not None:
            repeat, fold = divmod(int(block), FOLDS)
            fresh = int(spec.config.get("fresh") or 0)
            order = np.random.default_rng(repeat + 1000 * fresh).permutation(IMAGES)
            images = np.sort(order[fold::FOLDS]).astype(np.int32)
            metrics["block_accuracy"] = float(right[images].mean())
            arrays = {
                "block_correct": right[images].astype(np.uint8),
                "block_images": images,
                "block_logits": logits[images],
            }
        epochs = float(spec.config.get("refit_epochs") or 1 + int(block or 0) ** 2)
        metrics |= {"best_epoch": epochs, "epochs": epochs, "train_seconds": 0.5}
        return TrialResult(
            outcome="complete",
            stop_reason="max_epochs",
            metrics=metrics,
            history={"val_accuracy": [metrics["best_val_accuracy"]]},
            arrays=arrays,
            weights=weights,
            summary="nothing was trained",
            engine="none",
        )

    def draw(self, spec: TrialSpec, result: TrialResult) -> Mapping[str, bytes]:
        return {}

    def load_model(
        self,
        config: Mapping[str, Value],
        weights: Mapping[str, np.ndarray],
        info: Mapping[str, Any],
    ) -> Any:
        return float(weights["skill"][0]), int(weights["seed"][0])

    def labels(self, data: PreparedData) -> np.ndarray:
        return LABELS

    def test_set(self, source: str | None) -> TestSet:
        return TestSet("ce" * 32, np.arange(TESTED)[:, None], TEST_LABELS)

    def logits(self, model: Any, inputs: np.ndarray) -> np.ndarray:
        skill, seed = model
        return drawn(skill, seed + 1, TEST_LABELS)[inputs[:, 0]]


def drawn(skill: float, seed: int, labels: np.ndarray) -> np.ndarray:
    """Return logits (n, classes): noise, and `skill` more for the true class."""
    noise = np.random.default_rng(seed).normal(0, 1, (len(labels), CLASSES))
    noise[np.arange(len(labels)), labels] += skill
    return noise.astype(np.float32)


experiment: Experiment = VotingExperiment()
