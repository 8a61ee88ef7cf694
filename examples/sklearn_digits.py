"""An experiment without TensorFlow: one hidden layer of scikit-learn on its 8x8 digits.

This is all that the framework asks of an experiment (`sweeps.experiment.Experiment`): what may be
set and measured, then data, training and drawing. `sklearn_digits.yaml` is a space for it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from hashlib import sha256
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

CLASSES = np.arange(10)


class SklearnDigits:
    """64 pixels -> `units_1` -> 10 digits, trained by Adam on 1437 images, judged on 360."""

    name = "sklearn_digits"
    parameters: Mapping[str, ParameterInfo] = {
        "learning_rate": ParameterInfo("float", 1e-6, 1.0, default=1e-2, description="Adam's step"),
        "alpha": ParameterInfo("float", 0.0, 100.0, default=1e-4, description="weight of L2"),
        "units_1": ParameterInfo("int", 1, 512, default=16, description="hidden units"),
        "activation": ParameterInfo("categorical", choices=("relu", "tanh"), default="relu"),
        "epochs": ParameterInfo("int", 1, 500, default=10, description="passes over the images"),
    }
    metrics: Mapping[str, MetricInfo] = {
        "best_val_accuracy": MetricInfo("maximize", "val_accuracy", "share of 360, 0 to 1"),
        "best_val_cross_entropy": MetricInfo("minimize", "val_loss", "nats per image"),
        "train_accuracy": MetricInfo("maximize", "accuracy", "share of 1437, 0 to 1"),
        "best_epoch": MetricInfo("minimize", None, "epoch with the lowest val_loss, from 1"),
        "epochs": MetricInfo("minimize", None, "epochs trained"),
        "train_seconds": MetricInfo("minimize", None, "wall time of the training"),
    }
    measures: Mapping[str, str] = {"parameters": "number of weights and biases"}

    def check(self, config: Mapping[str, Value]) -> None:
        """Refuse nothing: whatever lies within the limits above can be trained."""

    def prepare(self, source: str | None, split_seed: int) -> PreparedData:
        """Split scikit-learn's 1797 images, a fifth of every digit for validation."""
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

        if source not in (None, "sklearn-digits"):
            raise ValueError(f"data {source!r}: this experiment only has 'sklearn-digits'")
        pixels, labels = load_digits(return_X_y=True)
        images = (pixels / 16).astype(np.float32)
        train, validation = train_test_split(
            np.arange(len(labels)), test_size=0.2, stratify=labels, random_state=split_seed
        )
        return PreparedData(
            name="sklearn-digits",
            digest=sha256(images.tobytes() + labels.tobytes()).hexdigest(),
            split_digest=sha256(train.tobytes() + validation.tobytes()).hexdigest(),
            info={
                "classes": [str(digit) for digit in CLASSES],
                "n_train": len(train),
                "n_validation": len(validation),
            },
            payload=(images[train], labels[train], images[validation], labels[validation]),
        )

    def measure(self, config: Mapping[str, Value], data: PreparedData) -> Mapping[str, float]:
        """Count the weights and biases of both layers."""
        return {"parameters": (64 + 1 + 10) * self._settings(config)["units_1"] + 10}

    def plan(self, config: Mapping[str, Value], data: PreparedData) -> EnginePlan:
        """Estimate some 15 ms per epoch."""
        seconds = 0.015 * self._settings(config)["epochs"]
        return EnginePlan("scikit-learn", "this experiment has no other", seconds)

    def warm_up(self) -> None:
        """Import the classifier."""
        self._build({})

    def train(self, spec: TrialSpec, data: PreparedData, on_epoch: OnEpoch) -> TrialResult:
        """Train epoch by epoch; the one with the lowest validation loss is the result."""
        images, labels, val_images, val_labels = data.payload
        settings, started = self._settings(spec.config), time.perf_counter()
        model = self._build(spec.config, np.random.RandomState(spec.seed))
        rows: list[dict[str, float]] = []
        confusion, best, stop = [], 0, None
        while stop is None and len(rows) < settings["epochs"]:
            model.partial_fit(images, labels, classes=CLASSES)
            logits = np.log(model.predict_proba(val_images).clip(1e-12)).astype(np.float32)
            answers = logits.argmax(axis=1)
            row = {
                "loss": float(model.loss_),
                "accuracy": float(model.score(images, labels)),
                "val_loss": float(-logits[np.arange(len(logits)), val_labels].mean()),
                "val_accuracy": float((answers == val_labels).mean()),
                "learning_rate": settings["learning_rate"],
            }
            rows.append(row)
            confusion.append(np.histogram2d(val_labels, answers, bins=range(11))[0])
            if len(rows) == 1 or row["val_loss"] < rows[best]["val_loss"]:
                best, best_logits, weights = len(rows) - 1, logits, _weights(model)
            stop = on_epoch(len(rows) - 1, row)
        seconds = {"train_seconds": time.perf_counter() - started}
        return TrialResult(
            outcome="stopped" if stop else "complete",
            stop_reason=stop.reason if stop else "max_epochs",
            metrics={**_headline(rows, best), **seconds},
            history={metric: [row[metric] for row in rows] for metric in rows[0]},
            arrays={
                "confusion": np.array(confusion, np.uint16),
                "validation_logits": best_logits,
            },
            weights=weights,
            timings=seconds,
            summary=f"64 -> {settings['units_1']} {settings['activation']} -> 10",
            engine="scikit-learn",
            info=data.info,
        )

    def draw(self, spec: TrialSpec, result: TrialResult) -> Mapping[str, bytes]:
        """Write the last confusion matrix as text: a row per digit, a column per answer."""
        rows = (" ".join(f"{n:3d}" for n in row) for row in result.arrays["confusion"][-1])
        return {"confusion_matrix.txt": "\n".join(rows).encode()}

    def load_model(
        self,
        config: Mapping[str, Value],
        weights: Mapping[str, np.ndarray],
        info: Mapping[str, Any],
    ) -> Any:
        """Return an MLPClassifier with these weights, ready to predict."""
        model = self._build(config)
        # One step on nothing makes the layers.
        model.partial_fit(np.zeros((10, 64), np.float32), CLASSES, classes=CLASSES)
        model.coefs_ = [weights["kernel_1"], weights["kernel_2"]]
        model.intercepts_ = [weights["bias_1"], weights["bias_2"]]
        return model

    def _settings(self, config: Mapping[str, Value]) -> dict[str, Any]:
        return {name: info.default for name, info in self.parameters.items()} | dict(config)

    def _build(
        self, config: Mapping[str, Value], random: np.random.RandomState | None = None
    ) -> Any:
        from sklearn.neural_network import MLPClassifier

        settings = self._settings(config)
        return MLPClassifier(
            (settings["units_1"],),
            activation=settings["activation"],
            alpha=settings["alpha"],
            learning_rate_init=settings["learning_rate"],
            random_state=random,
        )


def _weights(model: Any) -> dict[str, np.ndarray]:
    kernels = {f"kernel_{i}": kernel.copy() for i, kernel in enumerate(model.coefs_, 1)}
    return kernels | {f"bias_{i}": bias.copy() for i, bias in enumerate(model.intercepts_, 1)}


def _headline(rows: list[dict[str, float]], best: int) -> dict[str, float]:
    return {
        "best_val_accuracy": rows[best]["val_accuracy"],
        "best_val_cross_entropy": rows[best]["val_loss"],
        "train_accuracy": rows[best]["accuracy"],
        "best_epoch": best + 1,
        "epochs": len(rows),
    }


experiment: Experiment = SklearnDigits()
