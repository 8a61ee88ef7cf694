"""The network and the callbacks of the peers: those of `digitexp`, in plain Keras."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def build_network(params: Mapping[str, Any]) -> Any:
    """Return the compiled network: float32 (batch, 400) -> (batch, 10) logits.

    Args:
        params: `units` (one number per hidden layer), `dropout`, `l2`, `learning_rate`.
    """
    import keras

    model = keras.Sequential([keras.layers.Input((400,))])
    for units in params["units"]:
        penalty = keras.regularizers.L2(params["l2"])
        model.add(keras.layers.Dense(units, activation="relu", kernel_regularizer=penalty))
        model.add(keras.layers.Dropout(params["dropout"]))
    model.add(keras.layers.Dense(10))
    model.compile(
        optimizer=keras.optimizers.Adam(params["learning_rate"]),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def make_callbacks() -> list[Any]:
    """Return fresh EarlyStopping and ReduceLROnPlateau on val_loss."""
    import keras

    return [
        keras.callbacks.EarlyStopping("val_loss", patience=5, restore_best_weights=True),
        keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=3, min_lr=1e-6),
    ]
