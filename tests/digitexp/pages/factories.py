"""Recorded trials made without TensorFlow: scikit-learn trains on its 8x8 digits."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from digitexp.config import TrialConfig
from digitexp.metrics import accuracy, confusion_counts, cross_entropy
from digitexp.trained import Network, ShownTrial

N_TRAIN = 1200


@cache
def make_trial(
    learning_rate: float = 0.003,
    epochs: int = 8,
    units: tuple[int, ...] = (25, 15),
    n_classes: int = 10,
    cut_at: int | None = 6,
) -> ShownTrial:
    """Return a trial whose network has learned the first `n_classes` of the 8x8 digits.

    Args:
        learning_rate: Adam's, at the start.
        epochs: How many are trained; weights are those with the smallest validation loss.
        units: Neurons of each hidden layer.
        n_classes: From 2 to 10.
        cut_at: The first epoch, from 1, with half the learning rate; None: it stays.
    """
    from sklearn.datasets import load_digits
    from sklearn.neural_network import MLPClassifier

    source = load_digits()
    kept = source.target < n_classes
    images = (source.images[kept] / 16).astype(np.float32)
    flat, labels = images.reshape(len(images), -1), source.target[kept].astype(np.int32)
    n_train = len(labels) * N_TRAIN // len(source.target)
    config = TrialConfig(units=units, learning_rate=learning_rate, epochs=max(epochs, 1))
    trained = MLPClassifier(units, learning_rate_init=learning_rate, random_state=0)
    history: dict[str, list[float]] = {
        name: [] for name in ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")
    }
    confusion, weights = [], []
    for epoch in range(1, epochs + 1):
        rate = learning_rate / 2 if cut_at is not None and epoch >= cut_at else learning_rate
        if epoch > 1:
            trained._optimizer.learning_rate_init = rate
        trained.partial_fit(flat[:n_train], labels[:n_train], classes=np.arange(n_classes))
        weights.append(weights_of(trained))
        network = Network(config, (8, 8), weights[-1])
        for part, place in (("", slice(n_train)), ("val_", slice(n_train, None))):
            logits = network.logits(flat[place])
            history[f"{part}loss"].append(cross_entropy(logits, labels[place]))
            history[f"{part}accuracy"].append(accuracy(logits, labels[place]))
        history["learning_rate"].append(rate)
        confusion.append(confusion_counts(logits, labels[n_train:]))
    best = int(np.argmin(history["val_loss"]))
    return ShownTrial(
        name=f"mlp at {learning_rate:g}",
        config=config,
        **about([str(digit) for digit in range(n_classes)]),
        outcome="complete",
        stop_reason="max_epochs",
        metrics={"best_epoch": best + 1.0},
        history={name: np.array(values) for name, values in history.items()},
        confusion=np.array(confusion, np.uint32),
        counts=confusion[best],
        weights=weights[best],
        temperature=1.3,
        part="the validation part",
        images=images[n_train:],
        labels=labels[n_train:],
        train_images=images[:n_train],
        train_labels=labels[:n_train],
    )


def weights_of(trained: Any) -> dict[str, np.ndarray]:
    """Return copies of an MLPClassifier's weights by our names.

    With two classes it has one output, the difference of our two logits.
    """
    names = [*(f"hidden_{i}" for i in range(1, len(trained.coefs_))), "output"]
    weights = {}
    for name, kernel, bias in zip(names, trained.coefs_, trained.intercepts_, strict=True):
        weights[f"{name}/kernel"] = np.array(kernel, np.float32)
        weights[f"{name}/bias"] = np.array(bias, np.float32)
    for part in ("kernel", "bias"):
        last = weights[f"output/{part}"]
        if last.shape[-1] == 1:
            weights[f"output/{part}"] = np.concatenate([-last, last], axis=-1) / 2
    return weights


def diverged(trial: ShownTrial, epoch: int) -> ShownTrial:
    """Return a trial as if its losses had become NaN in an epoch, from 1, where it ended."""
    history = {name: list(values[:epoch]) for name, values in trial.history.items()}
    history["loss"][-1] = history["val_loss"][-1] = float("nan")
    best = None if epoch == 1 else int(np.argmin(history["val_loss"][:-1])) + 1
    return dataclasses.replace(
        trial,
        name=f"{trial.name}, diverged",
        history=history,
        confusion=trial.confusion[:epoch],
        metrics={} if best is None else {"best_epoch": float(best)},
        weights=trial.weights if best else None,
    )


def about(
    class_names: Sequence[str], image_shape: tuple[int, int] = (8, 8)
) -> dict[str, dict[str, Any]]:
    """Return the argument that makes a trial one of other classes, or of images of another size."""
    return {"about": {"class_names": class_names, "image_shape": image_shape}}


def without_history(trial: ShownTrial) -> ShownTrial:
    """Return a trial of which no epoch was recorded."""
    return dataclasses.replace(trial, history={}, confusion=trial.confusion[:0])
