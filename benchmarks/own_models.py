"""Four models of somebody's own, as `benchmarks own` trains them; each with the data it is for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from digitexp.experiments.keras_experiment import KerasExperiment

Params = Mapping[str, Any]


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Return the embedded digits: (5000, 400) float32 in [0, 1], labels from 0 to 9."""
    from digitexp.data.loading import load_source

    loaded = load_source(None)
    return loaded.images.reshape(len(loaded.images), -1), loaded.labels


def images() -> tuple[np.ndarray, np.ndarray]:
    """Return a fifth of the digits as pictures, (1000, 20, 20, 1)."""
    x, y = digits()
    return x[::5].reshape(-1, 20, 20, 1), y[::5]


def table() -> tuple[np.ndarray, np.ndarray]:
    """Return eight numbers a row, and a smooth function of them with noise."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(5000, 8)).astype("float32")
    y = np.sin(x[:, 0]) + x[:, 1] * x[:, 2] + 0.5 * np.abs(x[:, 3:]).sum(1)
    return x, (y + 0.1 * generator.normal(size=len(x))).astype("float32")


def mixed() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return six numbers and one of 40 categories a row, and which of three classes it has."""
    generator = np.random.default_rng(1)
    numbers = generator.normal(size=(5000, 6)).astype("float32")
    category = generator.integers(0, 40, 5000)
    effects = generator.normal(size=(40, 3))
    scores = effects[category] + numbers[:, :3] + 0.3 * generator.normal(size=(5000, 3))
    return {"numbers": numbers, "category": category}, scores.argmax(1)


def build_dense(params: Params) -> Any:
    """Return a net for `digits`: two hidden layers with dropout and an L2 penalty."""
    import keras

    model = keras.Sequential([keras.layers.Input((400,))])
    for name in ("units_1", "units_2"):
        penalty = keras.regularizers.L2(params["l2"])
        model.add(keras.layers.Dense(params[name], "relu", kernel_regularizer=penalty))
        model.add(keras.layers.Dropout(params["dropout"]))
    model.add(keras.layers.Dense(10))
    return _classifier(keras, model, params)


def build_table(params: Params) -> Any:
    """Return a regression for `table`."""
    import keras

    layers = [keras.layers.Dense(params[name], "relu") for name in ("units_1", "units_2")]
    model = keras.Sequential([keras.layers.Input((8,)), *layers, keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(params["learning_rate"]), "mse", metrics=["mae"])
    return model


def build_image(params: Params) -> Any:
    """Return a net for `images`: two convolutions, each normalised and pooled."""
    import keras

    layers = keras.layers
    model = keras.Sequential([layers.Input((20, 20, 1))])
    for filters in (params["units_1"] // 8 + 4, params["units_2"] // 8 + 4):
        model.add(layers.Conv2D(filters, 3, padding="same"))
        model.add(layers.BatchNormalization())
        model.add(layers.Activation("relu"))
        model.add(layers.MaxPooling2D())
    model.add(layers.Flatten())
    model.add(layers.Dense(10))
    return _classifier(keras, model, params)


def build_mixed(params: Params) -> Any:
    """Return a net for `mixed`: an embedding beside the numbers."""
    import keras

    layers = keras.layers
    numbers = layers.Input((6,), name="numbers")
    category = layers.Input((), dtype="int32", name="category")
    features = layers.Concatenate()([numbers, layers.Embedding(40, 8)(category)])
    features = layers.Dense(params["units_1"], "relu")(features)
    features = layers.Dropout(params["dropout"])(features)
    features = layers.Dense(params["units_2"], "relu")(features)
    model = keras.Model({"numbers": numbers, "category": category}, layers.Dense(3)(features))
    return _classifier(keras, model, params)


def _classifier(keras: Any, model: Any, params: Params) -> Any:
    model.compile(
        keras.optimizers.Adam(params["learning_rate"]),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


PARAMETERS = {"units_1": 32, "units_2": 32, "learning_rate": 1e-3, "dropout": 0.1, "l2": 1e-5}
MODELS = {
    "dense": (build_dense, digits, "classification"),
    "table": (build_table, table, "regression"),
    "image": (build_image, images, "classification"),
    "mixed": (build_mixed, mixed, "classification"),
}
"""Function that builds, function that loads, task."""

dense, tabular, image, mixture = (
    KerasExperiment(build, load, PARAMETERS, task=task, name=name)  # type: ignore[arg-type]
    for name, (build, load, task) in MODELS.items()
)
EXPERIMENTS = {"dense": "dense", "table": "tabular", "image": "image", "mixed": "mixture"}
"""Name of each model's experiment in this module."""
