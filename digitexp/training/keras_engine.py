"""The reference engine: Keras's own `model.fit`; images augmented or attacked before its step.

Import this after `set_up_tensorflow()`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf

from digitexp.config import TrialConfig
from digitexp.training import resuming
from digitexp.training.outcome import Forward, TrainingData, data_tensors
from digitexp.training.resuming import Resumption

Change = Callable[[Any, Any], tuple[Any, Any]]
"""(batch, pixels) images and (batch,) labels -> the same, or more of them."""


def changed_batches(
    model: Any, config: TrialConfig, data: TrainingData
) -> tuple[Change, list[Any]]:
    """Return the function that changes a batch, and the variables of its random generators.

    Inside the training graph it augments first, then attacks the result. With an attack the batch
    is twice as long, half of it attacked, so that its mean loss is that of Goodfellow, Shlens &
    Szegedy (2015, "Explaining and harnessing adversarial examples", section 6, alpha 0.5).

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

    return change, [] if augment is None else list(augment.variables)


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


_CHUNK: Final = 1024
"""Images at once in a convolutional net, whose activations are many times larger than images."""


building = nullcontext


def fit(
    model: Any,
    config: TrialConfig,
    data: TrainingData,
    callbacks: Sequence[Any],
    *,
    shuffle: bool = True,
    resumption: Resumption | None = None,
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
        resumption: The state of an earlier attempt; None: there is none, and nothing is saved.
    """
    steps = model.steps_per_execution = -(-len(data.train_labels) // config.batch_size)
    more: list[Any] = []
    if config.is_augmented or config.adversarial_epsilon > 0:
        (change, more), step = changed_batches(model, config, data), model.train_step
        # Keras's own step, on a batch that is changed first, in the same graph.
        model.train_step = lambda batch: step(change(*batch))
    resuming.fit(
        model,
        callbacks,
        resumption or Resumption(),
        more=more,
        steps=steps,
        epochs=config.epochs,
        **_images(config, data, shuffle=shuffle),
    )


def _images(config: TrialConfig, data: TrainingData, *, shuffle: bool) -> dict[str, Any]:
    tensors = data_tensors(data)
    if config.input_pipeline == "memory":
        x, y = tensors.train_images, tensors.train_labels
        return {"x": x, "y": y, "batch_size": config.batch_size, "shuffle": shuffle}
    dataset = tf.data.Dataset.from_tensor_slices((data.train_images, data.train_labels))
    if shuffle:
        dataset = dataset.shuffle(len(data.train_labels), seed=config.seed)
    batches = dataset.batch(config.batch_size).prefetch(tf.data.AUTOTUNE)
    return {"x": batches, "shuffle": False}


def forward(model: Any, config: TrialConfig) -> Forward:
    """Return a function: images -> logits and penalty, with the model's present weights.

    One graph takes all images. With it a trial takes a quarter to a third less time than with
    `validation_data` in `model.fit`, and the logits also give the confusion counts.
    """

    def whole_part(images: Any) -> tuple[Any, Any]:
        logits = model(images, training=False)
        return logits, tf.add_n(model.losses) if model.losses else tf.constant(0.0)

    graph = tf.function(whole_part, autograph=False, reduce_retracing=True)

    def pass_forward(images: Any) -> tuple[np.ndarray, float]:
        size = _CHUNK if config.architecture == "cnn" else max(int(images.shape[0]), 1)
        parts = [graph(images[i : i + size]) for i in range(0, int(images.shape[0]), size)]
        logits = np.concatenate([logits.numpy() for logits, _ in parts])
        return logits, float(parts[0][1])

    return pass_forward
