"""TrialConfig -> keras.Sequential, and its weights by name.

TensorFlow is imported inside the functions that need it; counting parameters needs none.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from digitexp.config import TrialConfig

__all__ = ["build_model", "count_parameters", "describe_model", "model_weights", "set_weights"]


def count_parameters(config: TrialConfig, n_features: int, n_classes: int) -> int:
    """Return the number of trainable weights without building the model.

    Args:
        config: The configuration; only its hidden layers matter.
        n_features: Inputs, such as 400 for 20x20 images.
        n_classes: Outputs.
    """
    widths = (n_features, *config.units, n_classes)
    return sum((before + 1) * after for before, after in pairwise(widths))


def build_model(config: TrialConfig, n_features: int, n_classes: int) -> Any:
    """Build the compiled network: (batch, n_features) float32 -> (batch, n_classes) logits.

    A Dropout layer stands only where its rate is above zero and a penalty only where `l2` is, so
    that the tutorial's nets come out exactly as written there. Weights are drawn from Keras's
    global seed: set it first.
    """
    import keras

    penalty = keras.regularizers.L2(config.l2) if config.l2 else None
    layers: list[Any] = [keras.layers.Input((n_features,), name="image")]
    for i, (units, rate) in enumerate(zip(config.units, config.dropout_rates, strict=True), 1):
        layers.append(
            keras.layers.Dense(
                units,
                activation=config.activation,
                kernel_initializer=config.kernel_initializer,
                kernel_regularizer=penalty,
                name=f"hidden_{i}",
            )
        )
        if rate:
            layers.append(keras.layers.Dropout(rate, name=f"dropout_{i}"))
    output = keras.layers.Dense(
        n_classes, kernel_initializer=config.kernel_initializer, name="output"
    )
    model = keras.Sequential([*layers, output], name="digits")
    model.compile(
        optimizer=keras.optimizers.Adam(config.learning_rate, clipnorm=config.clipnorm),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        # XLA would compile anew for every trial: longer than training these nets takes.
        jit_compile=False,
    )
    # Adam's variables and (above) the metric's are made here. Left to Keras they would be made
    # inside the first graph, which TensorFlow then never frees: 8 MB a trial.
    model.optimizer.build(model.trainable_variables)
    return model


def model_weights(model: Any) -> dict[str, np.ndarray]:
    """Return copies of all weights by name: `hidden_1/kernel`, `hidden_1/bias`, ..."""
    return {
        f"{layer.name}/{variable.name}": variable.numpy().copy()
        for layer in model.layers
        for variable in layer.weights
    }


def set_weights(model: Any, weights: Mapping[str, np.ndarray]) -> None:
    """Put weights made by `model_weights` into a model of the same shape.

    Raises:
        ValueError: A name or shape differs from the model's.
    """
    variables = {f"{layer.name}/{v.name}": v for layer in model.layers for v in layer.weights}
    found = {name: tuple(array.shape) for name, array in weights.items()}
    expected = {name: tuple(variable.shape) for name, variable in variables.items()}
    if found != expected:
        raise ValueError(f"The weights are {found}; this model takes {expected}.")
    for name, variable in variables.items():
        variable.assign(weights[name])


def describe_model(model: Any) -> str:
    """Return Keras's table of layers as plain text, 72 columns wide."""
    import keras

    lines: list[str] = []
    # Not the compiled model itself: its "total" would count Adam's variables as well.
    layers = keras.Model(model.inputs, model.outputs, name=model.name)
    # Keras renders the table on the real stdout's console first: that may be closed or full.
    with contextlib.redirect_stdout(io.StringIO()):
        layers.summary(line_length=72, print_fn=lambda text, **_: lines.append(text))
    return "\n".join(lines) + "\n"
