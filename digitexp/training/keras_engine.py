"""The reference engine: Keras's own `model.fit`; images augmented or attacked before its step.

Import this after `set_up_tensorflow()`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf

from digitexp.chain import order_of
from digitexp.config import TrialConfig
from digitexp.models import build_model, chain_of, describe_model, model_weights
from digitexp.tensorflow_setup import (
    begin_training,
    known_warnings_ignored,
    memory_errors,
    start_tensorflow,
)
from digitexp.training import resuming
from digitexp.training.callbacks import Following
from digitexp.training.engines import engine_of
from digitexp.training.observer import Observer
from digitexp.training.outcome import Forward, TrainingData
from digitexp.training.resuming import Resumption, SavesState

__all__ = ["Net", "SameNet", "attacked", "augmentation", "changed_batches", "memory_errors"]

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


class Net:
    """One Keras model of a configuration, see `digitexp.training.trainer.Net`.

    Attributes:
        model: The compiled model.
        forward: (n, features) images -> (n, classes) logits and the penalty, of its weights as they
            are.
    """

    engine = "keras"

    def __init__(self, config: TrialConfig, data: TrainingData) -> None:
        start_tensorflow()
        self.engine_reason = engine_of(config)[1]
        begin_training(config.seed)
        self._config, self._data = config, data
        self.model = build_model(config, data.image_shape, data.n_classes)
        self.summary = describe_model(self.model)
        self.forward = forward(self.model, config)

    def named_weights(self) -> dict[str, np.ndarray]:
        """Return copies of all weights by name."""
        return model_weights(self.model)

    def give(self, weights: Mapping[str, np.ndarray]) -> None:
        """Take some of the weights, by name."""
        for layer in self.model.layers:
            for variable in layer.weights:
                if (array := weights.get(f"{layer.name}/{variable.name}")) is not None:
                    variable.assign(array)

    def fit(self, observer: Observer, checkpoint: SavesState | None) -> float:
        """Train until the observer says that it is over; the net then has the best weights.

        All steps of an epoch run in one call of the compiled function: to the bit the same numbers
        as one call per step, in 55 to 75 % of the time (4000 images, batch 32 and 100, one core).

        Each call leaves the graph of its train step behind, about 3 MB (TensorFlow 2.21 never frees
        a function that another function calls): recycle a process that trains hundreds of nets.
        """
        model, config, data = self.model, self._config, self._data
        steps = model.steps_per_execution = -(-len(data.train_labels) // config.batch_size)
        more: list[Any] = []
        if config.is_augmented or config.adversarial_epsilon > 0:
            (change, more), step = changed_batches(model, config, data), model.train_step
            # Keras's own step, on a batch that is changed first, in the same graph.
            model.train_step = lambda batch: step(change(*batch))

        def hand_over(epoch: int, logs: dict[str, Any]) -> None:
            own = {name: float(logs[name]) for name in ("loss", "accuracy")}
            observer.after_epoch(epoch, own, self.forward)

        resumption = Resumption(checkpoint)
        with known_warnings_ignored():
            resuming.fit(
                model,
                [Following(observer, hand_over)],
                resumption,
                more=more,
                steps=steps,
                epochs=config.epochs,
                **_images(config, data),
            )
        return resumption.seconds_before


class SameNet(Net):
    """A Keras model that is trained as the engine `compiled` does it.

    It begins with the same weights and takes the samples in the same order; dropout is its own.
    """

    def __init__(self, config: TrialConfig, data: TrainingData) -> None:
        super().__init__(config, data)
        chain = chain_of(config, data.image_shape, data.n_classes)
        self.give(chain.initial_weights(config.kernel_initializer, config.seed))

    def fit(self, observer: Observer, checkpoint: SavesState | None) -> float:
        """Train until the observer says that it is over; the net then has the best weights."""
        config, data, best = self._config, self._data, self.named_weights()
        for epoch in range(config.epochs):
            order = order_of(config.seed, epoch, len(data.train_labels))
            self.model.optimizer.learning_rate = observer.schedule.rate
            with known_warnings_ignored():
                logs = self.model.fit(
                    data.train_images[order],
                    data.train_labels[order],
                    batch_size=config.batch_size,
                    shuffle=False,
                    verbose=0,
                ).history
            own = {name: float(logs[name][0]) for name in ("loss", "accuracy")}
            observer.after_epoch(epoch, own, self.forward)
            if observer.schedule.is_best:
                best = self.named_weights()
            if observer.is_over:
                break
        self.give(best)
        return 0.0


def _images(config: TrialConfig, data: TrainingData) -> dict[str, Any]:
    if config.input_pipeline == "memory":
        x, y = _tensors(data)
        return {"x": x, "y": y, "batch_size": config.batch_size, "shuffle": True}
    dataset = tf.data.Dataset.from_tensor_slices((data.train_images, data.train_labels))
    shuffled = dataset.shuffle(len(data.train_labels), seed=config.seed)
    batches = shuffled.batch(config.batch_size).prefetch(tf.data.AUTOTUNE)
    return {"x": batches, "shuffle": False}


@lru_cache(maxsize=1)
def _tensors(data: TrainingData) -> tuple[Any, Any]:
    """Return training images and labels, which all trials of a sweep share; the last are kept."""
    return tf.constant(data.train_images), tf.constant(data.train_labels)


def forward(model: Any, config: TrialConfig) -> Forward:
    """Return a function: images -> logits and penalty, with the model's present weights.

    One graph takes all images. With it a trial takes a quarter to a third less time than with
    `validation_data` in `model.fit`, and the logits also give the confusion counts.
    """

    def whole_part(images: Any) -> tuple[Any, Any]:
        logits = model(images, training=False)
        return logits, tf.add_n(model.losses) if model.losses else tf.constant(0.0)

    graph = tf.function(whole_part, autograph=False, reduce_retracing=True)

    def pass_forward(images: np.ndarray) -> tuple[np.ndarray, float]:
        size = _CHUNK if config.architecture == "cnn" else max(len(images), 1)
        starts = range(0, len(images), size)
        parts = [graph(tf.constant(images[i : i + size])) for i in starts]
        logits = np.concatenate([logits.numpy() for logits, _ in parts])
        return logits, float(parts[0][1])

    return pass_forward
