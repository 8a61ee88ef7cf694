"""The data of a sweep as TensorFlow tensors, made once and shared by all its trials.

Import this after `set_up_tensorflow()`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import tensorflow as tf

from digitexp.training.outcome import TrainingData


class DataTensors(NamedTuple):
    """Images are float32 (n, features), labels int32 (n,)."""

    train_images: Any
    train_labels: Any
    validation_images: Any


@lru_cache(maxsize=1)
def data_tensors(data: TrainingData) -> DataTensors:
    """Return the tensors of `data`; those of the data used last are kept."""
    return DataTensors(
        tf.constant(data.train_images),
        tf.constant(data.train_labels),
        tf.constant(data.validation_images),
    )
