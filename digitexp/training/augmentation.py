"""Training images changed on their way to a step: augmented, attacked, or drawn more often.

Import this after `set_up_tensorflow()`. Batches are changed inside the training graph. Targeted
augmentation trains twice: the first training says which classes are recognised worst.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from digitexp.config import TrialConfig
from digitexp.evaluation.metrics import confusion_counts
from digitexp.training.outcome import TrainingData, TrainingOutcome

__all__ = [
    "attacked",
    "augmentation",
    "batch_changes",
    "changed_batches",
    "told_with",
    "without_augmentation",
    "worst_classes",
]


Change = Callable[[Any, Any], tuple[Any, Any]]
"""(batch, pixels) images and (batch,) labels -> the same, or more of them."""


def batch_changes(config: TrialConfig) -> bool:
    """Return whether batches are trained on other than as the data have them."""
    return config.is_augmented or config.adversarial_epsilon > 0


def changed_batches(model: Any, config: TrialConfig, data: TrainingData) -> Change:
    """Return what changes a batch: augmentation first, then the attack on what came of it.

    With an attack the batch is twice as long, half of it attacked, so that its mean loss is that
    of Goodfellow, Shlens & Szegedy (2015, "Explaining and harnessing adversarial examples",
    section 6, alpha 0.5).

    Args:
        model: The compiled model; it is attacked as it is at that step.
        config: Says how much.
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

    What comes in from outside an image is background (0).
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
        model: A compiled model that answers logits.
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


def without_augmentation(config: TrialConfig) -> TrialConfig:
    """Return the configuration of the first training."""
    return replace(config, rotation=0.0, shift=0.0, zoom=0.0, augment_worst_classes=None)


def worst_classes(outcome: TrainingOutcome, data: TrainingData, count: int) -> tuple[int, ...]:
    """Return the labels of the classes with the lowest recall on the validation part, worst first.

    Args:
        outcome: With validation logits.
        data: What was trained on. A class without validation images comes last.
        count: How many; a tie goes to the lower label.
    """
    images = np.bincount(data.validation_labels, minlength=data.n_classes)
    recalls = np.where(images > 0, _right(outcome, data) / np.maximum(images, 1), np.inf)
    return tuple(int(label) for label in np.argsort(recalls, kind="stable")[:count])


def told_with(
    before: TrainingOutcome, after: TrainingOutcome, data: TrainingData
) -> TrainingOutcome:
    """Return the second training's outcome with what both came to, class by class.

    `data` names the classes that were augmented.

    Its time is that of both; `info["targeted"]` counts right answers on the validation part, None
    where the second training diverged at once.
    """
    table = {
        "classes": [data.class_names[label] for label in data.augmented_classes or ()],
        "images": np.bincount(data.validation_labels, minlength=data.n_classes).tolist(),
        "right_before": _right(before, data).tolist(),
        "right_after": None if after.validation_logits is None else _right(after, data).tolist(),
    }
    timings = {name: seconds + before.timings[name] for name, seconds in after.timings.items()}
    metrics = dict(after.metrics)
    if "train_seconds" in metrics:
        metrics["train_seconds"] = timings["train_seconds"]
    info = {**after.info, "targeted": table}
    return replace(after, info=info, timings=timings, metrics=metrics)


def _right(outcome: TrainingOutcome, data: TrainingData) -> np.ndarray:
    assert outcome.validation_logits is not None
    return np.diag(confusion_counts(outcome.validation_logits, data.validation_labels))
