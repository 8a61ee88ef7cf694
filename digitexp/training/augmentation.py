"""Changes a training batch before Keras's step: images augmented, images attacked.

Import this after `set_up_tensorflow()`. All of it runs inside the training graph.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from digitexp.config import TrialConfig
from digitexp.training.outcome import TrainingData

__all__ = ["attacked", "augmentation", "batch_changes", "changed_batches"]

Change = Callable[[Any, Any], tuple[Any, Any]]
"""(batch, pixels) images and (batch,) labels -> the same, or more of them."""


def batch_changes(config: TrialConfig) -> bool:
    """Return whether training changes the batches of the data."""
    return config.is_augmented or config.adversarial_epsilon > 0


def changed_batches(model: Any, config: TrialConfig, data: TrainingData) -> Change:
    """Return the function that changes a batch: it augments first, then attacks the result.

    With an attack the batch is twice as long, half of it attacked, so that its mean loss is that
    of Goodfellow, Shlens & Szegedy (2015, "Explaining and harnessing adversarial examples",
    section 6, alpha 0.5).

    Args:
        model: The compiled model; it is attacked as it is at that step.
        config: Gives the strength of augmentation and attack.
        data: Gives the shape of the images, and the classes that are augmented if not all are.
    """
    augment = augmentation(config, data.image_shape) if config.is_augmented else None
    chosen = None if data.augmented_classes is None else tf.constant(data.augmented_classes)

    def change(images: Any, labels: Any) -> tuple[Any, Any]:
        if augment is not None:
            turned = augment(images, training=True)
            if chosen is not None:
                is_chosen = tf.reduce_any(labels[:, None] == chosen[None, :], axis=1)
                turned = tf.where(is_chosen[:, None], turned, images)
            images = turned
        if config.adversarial_epsilon:
            worse = attacked(model, images, labels, config.adversarial_epsilon)
            images, labels = tf.concat([images, worse], 0), tf.concat([labels, labels], 0)
        return images, labels

    return change


def augmentation(config: TrialConfig, image_shape: tuple[int, ...]) -> Any:
    """Return Keras's preprocessing layers as one: (batch, pixels) -> the same, in [0, 1].

    Pixels that come in from outside an image are background (0).
    """
    outside = {"fill_mode": "constant", "fill_value": 0.0}
    layers: list[Any] = [keras.layers.Reshape((*image_shape, 1))]
    if config.rotation:
        layers.append(keras.layers.RandomRotation(config.rotation / 360, **outside))
    if config.shift:
        layers.append(keras.layers.RandomTranslation(config.shift, config.shift, **outside))
    if config.zoom:
        layers.append(keras.layers.RandomZoom(config.zoom, **outside))
    return keras.Sequential([*layers, keras.layers.Flatten()], name="augmentation")


def attacked(model: Any, images: Any, labels: Any, epsilon: Any) -> Any:
    """Return images moved by epsilon a pixel to where the loss grows fastest, within [0, 1].

    The fast gradient sign method (Goodfellow et al. 2015), without dropout.

    Args:
        model: A compiled model that returns logits.
        images: (batch, pixels), in [0, 1].
        labels: (batch,), integers.
        epsilon: Size of the step, in pixel values.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)
        logits = model(images, training=False)
        entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(
            labels, tf.cast(logits, tf.float32)
        )
    direction = tf.sign(tape.gradient(entropy, images))
    return tf.clip_by_value(images + epsilon * direction, 0.0, 1.0)
