"""`fit` and `forward` of the fused engine: Keras's training loop around graphs of whole epochs.

Import this after `set_up_tensorflow()`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context  # the only door to the executor; `_traced` says why

from digitexp.config import TrialConfig
from digitexp.tensorflow_setup import handles_of, open_sizes, open_sizes_inside, share_kernels
from digitexp.training.fused import step as steps
from digitexp.training.fused.step import Adam, NetKind
from digitexp.training.outcome import Forward, TrainingData, data_tensors
from digitexp.training.resuming import Resumption


class Variables(NamedTuple):
    """Resource handles, kernel and bias of each layer in turn."""

    weights: list[Any]
    momentums: list[Any]
    velocities: list[Any]


class Images(NamedTuple):
    """The training data of an epoch, and the order of the images.

    Attributes:
        images: (n, features), of the weights' type.
        targets: (n, classes), 1 at the image's class, else 0, or smoothed; of the weights' type.
        order: (rows,), int32: the images to train on, in batches from its start.
        masks: Dropout mask of each hidden layer, (rows, units); empty without dropout.
    """

    images: Any
    targets: Any
    order: Any
    masks: list[Any]


class Settings(NamedTuple):
    """The numbers of an epoch, scalars of the weights' type unless said otherwise.

    Attributes:
        batch_size: Images per step, int32; the last step takes what is left.
        steps_before: Steps that Adam has made before.
        adam: Adam's settings.
        l2: Factor of the L2 penalty.
        clipnorm: Largest norm of a gradient tensor.
    """

    batch_size: Any
    steps_before: Any
    adam: steps.Adam
    l2: Any
    clipnorm: Any


_EXECUTOR = "SINGLE_THREADED_EXECUTOR"


@cache
def epoch_graph(kind: NetKind) -> Any:
    """Return the graph that trains an epoch in place: (Variables, Images, Settings) -> sums.

    The sums are (loss, right answers) over the images. As in Keras, an image counts with the
    weights before its step, dropout and penalty included.
    """

    def train_epoch(variables: Variables, data: Images, settings: Settings) -> tuple[Any, Any]:
        rows = tf.size(data.order)
        targets = tf.gather(data.targets, data.order)
        count = (rows + settings.batch_size - 1) // settings.batch_size

        def train_step(i: Any, step: Any, penalties: Any, logits: Any) -> tuple[Any, ...]:
            start = i * settings.batch_size
            end = tf.minimum(start + settings.batch_size, rows)
            step += 1
            batch = _Batch(
                tf.gather(data.images, data.order[start:end]),
                targets[start:end],
                [mask[start:end] for mask in data.masks],
                tf.cast(end - start, kind.dtype),
            )
            passed, penalty = _train_batch(kind, variables, batch, settings, step)
            return i + 1, step, penalties + penalty, logits.write(i, passed)

        logits = tf.TensorArray(
            kind.dtype, count, infer_shape=False, element_shape=[None, None]
        )  # judged once at the end: cheaper than in each step
        _, _, penalties, logits = tf.while_loop(
            lambda i, *_: i < count,
            train_step,
            (0, settings.steps_before, tf.zeros([], kind.dtype), logits),
            parallel_iterations=1,
        )
        return _judge(kind, logits.concat(), targets, penalties)

    return _traced(train_epoch, _epoch_signature(kind))


@cache
def forward_graph(kind: NetKind) -> Any:
    """Return the graph (weights' handles, images, l2) -> (logits, penalty), without dropout."""
    number = tf.TensorSpec([], kind.dtype)
    signature = [_handle_specs(kind), tf.TensorSpec([None, None], kind.dtype), number]

    def pass_forward(handles: list[Any], images: Any, l2: Any) -> tuple[Any, Any]:
        weights = steps.read(handles, kind.dtype)
        return (
            steps.forward(kind, weights, images, ()).logits,
            steps.penalty(kind, weights, l2),
        )

    return _traced(pass_forward, signature)


class _Batch(NamedTuple):
    images: Any
    targets: Any
    masks: list[Any]
    size: Any


def _train_batch(
    kind: NetKind, variables: Variables, batch: _Batch, settings: Settings, step: Any
) -> tuple[Any, Any]:
    """Make one step and return its logits and its penalty, summed over the images."""
    weights = steps.read(variables.weights, kind.dtype)
    passed = steps.forward(kind, weights, batch.images, batch.masks)
    delta = steps.output_delta(passed.logits, batch.targets, batch.size)
    found = steps.gradients(kind, weights, passed, delta, batch.masks, settings.l2)
    if kind.clipping:
        found = [steps.clip(gradient, settings.clipnorm) for gradient in found]
    penalty = steps.penalty(kind, weights, settings.l2) * batch.size
    # Updates are in place: whatever reads the weights comes before them, or they would be copied.
    with tf.control_dependencies([*found, penalty]):
        steps.apply_adam(variables, found, settings.adam, step)
    return passed.logits, penalty


def _judge(kind: NetKind, logits: Any, targets: Any, penalties: Any) -> tuple[Any, Any]:
    entropies = tf.nn.softmax_cross_entropy_with_logits(targets, logits)
    right = tf.equal(tf.argmax(logits, 1), tf.argmax(targets, 1))
    return tf.reduce_sum(entropies) + penalties, tf.reduce_sum(tf.cast(right, kind.dtype))


def _traced(function: Callable[..., Any], signature: list[Any]) -> Any:
    """Trace once, for the executor of one thread; called directly, a trace checks no types.

    TensorFlow's usual executor hands operations to a pool: up to 15 us of a step of 100 us where
    a process has one thread anyway. Both the trace, which must keep its loop as a function, and
    each call have to be made under the executor's name.
    """
    graph = tf.function(function, autograph=False, input_signature=signature)
    with context.function_executor_type(_EXECUTOR):
        trace = graph.get_concrete_function()

    def call(*arguments: Any) -> Any:
        with context.function_executor_type(_EXECUTOR):
            return trace(*arguments)

    return call


def _handle_specs(kind: NetKind) -> list[tf.TensorSpec]:
    return [tf.TensorSpec([], tf.resource)] * (2 * (kind.hidden_layers + 1))


def _epoch_signature(kind: NetKind) -> list[Any]:
    number = tf.TensorSpec([], kind.dtype)
    matrix = tf.TensorSpec([None, None], kind.dtype)
    masks = [matrix] * (kind.hidden_layers if kind.dropout else 0)
    return [
        Variables(*[_handle_specs(kind)] * 3),
        Images(matrix, matrix, tf.TensorSpec([None], tf.int32), masks),
        Settings(tf.TensorSpec([], tf.int32), number, steps.Adam(*[number] * 4), number, number),
    ]


_LEVELS: Final = 2**16
"""Each decision takes 16 random bits, so a rate is met to within 1 / 131072."""


def draw_masks(
    generator: np.random.Generator,
    rates: Sequence[float],
    units: Sequence[int],
    rows: int,
    dtype: str,
) -> list[np.ndarray]:
    """Return the inverted-dropout mask of each hidden layer (Srivastava et al. 2014).

    Args:
        generator: Source of the bits; it moves on.
        rates: Probability that an activation is dropped, by layer, each in [0, 1).
        units: Neurons, by layer.
        rows: Number of images.
        dtype: NumPy's name of the masks' type.

    Returns:
        (rows, units) arrays: 0 where dropped, else 1 / (1 - rate), so that means stay.
    """
    cells = rows * sum(units)
    raw = np.asarray(generator.bit_generator.random_raw(-(-cells // 4)), dtype=np.uint64)
    noise, masks, start = raw.view(np.uint16), [], 0
    for rate, width in zip(rates, units, strict=True):
        here = noise[start : start + rows * width].reshape(rows, width)
        kept = here >= round(rate * _LEVELS)
        masks.append(np.multiply(kept, np.dtype(dtype).type(1 / (1 - rate))))
        start += rows * width
    return masks


_SHUFFLING: Final = 0
_DROPOUT: Final = 1
_MASK_CELLS: Final = 2**24
"""Masks of at most so many activations at once (64 MB), unless a single batch has more."""


building = open_sizes_inside


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

    Callbacks see what `model.fit` shows them when all steps of an epoch run in one call: the batch
    hooks are called once an epoch.

    Args:
        model: As `digitexp.models.build_model` makes it for this configuration.
        config: Its seed decides shuffling and dropout.
        data: The training part is used; validation is a callback's business.
        callbacks: Keras callbacks, called in this order after each epoch.
        shuffle: Whether each epoch sees the images in a new order.
        resumption: The state of an earlier attempt; None: there is none, and nothing is saved.
    """
    trainer = _Trainer(model, config, data, shuffle=shuffle)
    share_kernels()
    watchers = keras.callbacks.CallbackList(
        list(callbacks),
        add_history=True,
        model=model,
        epochs=config.epochs,
        steps=trainer.steps,
        verbose=0,
    )
    model.stop_training = False
    logs: dict[str, float] = {}
    resumption = resumption or Resumption()
    resumption.generators += trainer.generators
    watchers.on_train_begin()
    first = resumption.begin(model, watchers.callbacks, config.epochs)
    for epoch in range(first, config.epochs):
        watchers.on_epoch_begin(epoch)
        watchers.on_train_batch_begin(0)
        logs = trainer.train_epoch()
        watchers.on_train_batch_end(trainer.steps - 1, logs)
        watchers.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
        resumption.after_epoch(is_last=epoch + 1 == config.epochs)
    watchers.on_train_end(logs)


def forward(model: Any, config: TrialConfig) -> Forward:
    """Return a function: images -> logits and penalty, with the model's present weights."""
    kind = _kind(model, config)
    graph, handles = forward_graph(kind), _handles(model.trainable_variables)
    l2 = tf.constant(config.l2, kind.dtype)

    def pass_forward(images: Any) -> tuple[np.ndarray, float]:
        logits, penalty = graph(handles, tf.cast(images, kind.dtype), l2)
        return logits.numpy(), float(penalty)

    return pass_forward


class _Trainer:
    """Trains one epoch after another, and holds the data, settings and random state for it."""

    def __init__(
        self, model: Any, config: TrialConfig, data: TrainingData, *, shuffle: bool
    ) -> None:
        self._adam = model.optimizer
        self._config = config
        self._kind = _kind(model, config)
        self._variables = Variables(
            _handles(model.trainable_variables),
            _handles(self._adam._momentums),
            _handles(self._adam._velocities),
        )
        tensors = data_tensors(data)
        self._images = tf.cast(tensors.train_images, self._kind.dtype)
        self._targets = _targets(tensors.train_labels, data.n_classes, config, self._kind.dtype)
        self._count = len(data.train_labels)
        self._shuffling = np.random.default_rng((config.seed, _SHUFFLING)) if shuffle else None
        self._dropout = np.random.default_rng((config.seed, _DROPOUT))
        self.steps = -(-self._count // config.batch_size)

    @property
    def generators(self) -> list[np.random.Generator]:
        """The generators of shuffling and dropout."""
        return [one for one in (self._shuffling, self._dropout) if one is not None]

    def train_epoch(self) -> dict[str, float]:
        """Train one epoch and return its `loss` and `accuracy`."""
        order = np.arange(self._count, dtype=np.int32)
        if self._shuffling is not None:
            self._shuffling.shuffle(order)
        loss = right = 0.0
        for rows in self._parts():
            data = Images(self._images, self._targets, tf.constant(order[rows]), self._masks(rows))
            settings = self._settings()
            sums = epoch_graph(self._kind)(self._variables, data, settings)
            loss, right = loss + float(sums[0]), right + float(sums[1])
            self._adam.iterations.assign_add(-(-len(order[rows]) // self._config.batch_size))
        return {"loss": loss / self._count, "accuracy": right / self._count}

    def _parts(self) -> Iterator[slice]:
        """Cut the epoch at batch boundaries so that masks of large data do not fill the memory."""
        batch, size = self._config.batch_size, self._count
        if self._kind.dropout:
            size = max(_MASK_CELLS // sum(self._config.units) // batch, 1) * batch
        for start in range(0, self._count, size):
            yield slice(start, min(start + size, self._count))

    def _masks(self, rows: slice) -> list[Any]:
        if not self._kind.dropout:
            return []
        config, count = self._config, rows.stop - rows.start
        rates = config.dropout_rates
        masks = draw_masks(self._dropout, rates, config.units, count, self._kind.dtype)
        return [tf.convert_to_tensor(mask) for mask in masks]

    def _settings(self) -> Settings:
        """Read the optimizer each time: a callback may have changed the learning rate."""
        adam, config = self._adam, self._config
        numbers = [adam.learning_rate.numpy(), adam.beta_1, adam.beta_2, adam.epsilon]
        return Settings(
            batch_size=tf.constant(config.batch_size),
            steps_before=self._number(adam.iterations.numpy()),
            adam=Adam(*map(self._number, numbers)),
            l2=self._number(config.l2),
            clipnorm=self._number(config.clipnorm or 0.0),
        )

    def _number(self, value: float) -> Any:
        return tf.constant(value, self._kind.dtype)


def _targets(labels: Any, n_classes: int, config: TrialConfig, dtype: str) -> Any:
    """Return one-hot labels, a share of each spread over all classes (Szegedy et al. 2016)."""
    one_hot = tf.one_hot(labels, n_classes, dtype=dtype)
    if not config.label_smoothing:
        return one_hot
    return one_hot * (1 - config.label_smoothing) + config.label_smoothing / n_classes


def _kind(model: Any, config: TrialConfig) -> NetKind:
    return NetKind.of(config, model.trainable_variables[0].dtype)


def _handles(variables: Sequence[Any]) -> list[Any]:
    """Return handles that tell no sizes: nets of any width share the graphs of their kind."""
    open_sizes(variables)
    return handles_of(variables)
