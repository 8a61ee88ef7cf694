"""A trial as the interactive tools show it, trained in a second: no TensorFlow, no sweep."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from digitexp.config import TrialConfig
from digitexp.shown import ShownTrial

EPOCHS = 8


@lru_cache(maxsize=4)
def shown_digits(units: tuple[int, ...] = (25, 15)) -> ShownTrial:
    """Return a network that scikit-learn trained on 1200 of its 8x8 digits, shown 500 others."""
    from sklearn.datasets import load_digits
    from sklearn.metrics import confusion_matrix, log_loss
    from sklearn.neural_network import MLPClassifier

    flat, labels = load_digits(return_X_y=True)
    flat, shown = (flat / 16).astype(np.float32), slice(1200, 1700)
    network = MLPClassifier(units, learning_rate_init=0.003, random_state=0)
    history: dict[str, list[float]] = {
        name: [] for name in ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")
    }
    confusion = []
    for _ in range(EPOCHS):
        network.partial_fit(flat[:1200], labels[:1200], classes=np.arange(10))
        for prefix, part in (("", slice(1200)), ("val_", shown)):
            probabilities = network.predict_proba(flat[part])
            history[f"{prefix}loss"].append(float(log_loss(labels[part], probabilities)))
            right = probabilities.argmax(axis=1) == labels[part]
            history[f"{prefix}accuracy"].append(float(right.mean()))
        history["learning_rate"].append(0.003)
        confusion.append(confusion_matrix(labels[shown], network.predict(flat[shown])))
    layers = [f"hidden_{number}" for number in range(1, len(units) + 1)] + ["output"]
    kernels = dict(zip(layers, network.coefs_, strict=True))
    biases = dict(zip(layers, network.intercepts_, strict=True))
    weights = {f"{name}/kernel": kernel.astype(np.float32) for name, kernel in kernels.items()}
    weights |= {f"{name}/bias": bias.astype(np.float32) for name, bias in biases.items()}
    images = flat.reshape(-1, 8, 8)
    flat_units = {f"units_{number}": size for number, size in enumerate(units, start=1)}
    return ShownTrial(
        name="small, trial 3",
        config=TrialConfig.from_params({"hidden_layers": len(units), **flat_units, "seed": 0}),
        history=history,
        confusion=np.array(confusion, np.uint16),
        best_epoch=EPOCHS,
        weights=weights,
        temperature=1.3,
        class_names=tuple("0123456789"),
        part="the validation part",
        images=images[shown],
        labels=labels[shown],
        train_images=images[:1200],
        train_labels=labels[:1200],
    )
