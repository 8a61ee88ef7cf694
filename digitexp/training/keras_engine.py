"""The reference engine: Keras's own `model.fit`, which trains whatever Keras can.

Import this after `set_up_tensorflow()`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from digitexp.config import TrialConfig
from digitexp.training.outcome import Forward, TrainingData
from digitexp.training.tensors import data_tensors

__all__ = ["fit", "forward"]


def fit(
    model: Any,
    config: TrialConfig,
    data: TrainingData,
    callbacks: Sequence[Any],
    *,
    shuffle: bool = True,
) -> None:
    """Train a compiled model in place until its epochs are over or a callback stops it.

    All steps of an epoch run in one call of the compiled function: to the bit the same numbers
    as one call per step, in 55 to 75 % of the time (4000 images, batch 32 and 100, one core).

    Each call leaves the graph of its train step behind, about 3 MB (TensorFlow 2.21 never frees
    a function that another function calls): recycle a process that trains hundreds of nets.

    Args:
        model: A compiled Keras model; Keras's global seed decides shuffling and dropout.
        config: Gives batch size and number of epochs.
        data: The training part is used; validation is a callback's business.
        callbacks: Keras callbacks, called in this order after each epoch.
        shuffle: Whether each epoch sees the images in a new order.
    """
    model.steps_per_execution = -(-len(data.train_labels) // config.batch_size)
    tensors = data_tensors(data)
    model.fit(
        tensors.train_images,
        tensors.train_labels,
        batch_size=config.batch_size,
        epochs=config.epochs,
        shuffle=shuffle,
        callbacks=list(callbacks),
        verbose=0,
    )


def forward(model: Any, _config: TrialConfig) -> Forward:
    """Return a function that answers the logits and the penalty of the model's present weights.

    One graph for all images: with it a trial takes a quarter to a third less time than with
    `validation_data` in `model.fit`, and the logits also give the confusion counts.
    """

    def whole_part(images: Any) -> tuple[Any, Any]:
        logits = model(images, training=False)
        return logits, tf.add_n(model.losses) if model.losses else tf.constant(0.0)

    graph = tf.function(whole_part, autograph=False, reduce_retracing=True)

    def pass_forward(images: Any) -> tuple[np.ndarray, float]:
        logits, penalty = graph(images)
        return logits.numpy(), float(penalty)

    return pass_forward
