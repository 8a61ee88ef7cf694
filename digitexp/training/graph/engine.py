"""`fit` of the graph engine: Keras's training loop around graphs of whole epochs.

Import this after `set_up_tensorflow()`.
"""

from __future__ import annotations

import operator
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf

from digitexp.training.graph import keras_internals as internals
from digitexp.training.graph import updates
from digitexp.training.graph.epoch import Data, Graphs, Handles, trace, trace_forward
from digitexp.training.graph.structure import Structure, numbers_of, structure_of, why_not

__all__ = ["Untraceable", "fit", "predict", "why_not"]


class Untraceable(ValueError):  # noqa: N818 - it says what a model is
    """A model cannot be trained by this engine; the message says why."""


KEPT: Final = 32
"""Structures whose graphs are kept, the last used ones."""
CHUNK: Final = 1024
"""Samples at once in a forward pass."""

_graphs: OrderedDict[str, Any] = OrderedDict()
"""Traces of training and of forward passes, by the key of their structure."""


def fit(
    model: Any,
    train: tuple[Any, ...],
    validation: tuple[Any, ...] | None,
    *,
    batch_size: int,
    epochs: int,
    callbacks: Sequence[Any],
    order: Callable[[int], np.ndarray] | None = None,
) -> None:
    """Train a compiled model in place until its epochs are over or a callback stops it.

    Callbacks see what `model.fit` shows them when all steps of an epoch run in one call: the batch
    hooks are called once an epoch.

    Args:
        model: A compiled and built model.
        train: (x, y) or (x, y, sample weights), arrays or structures of them.
        validation: The same of the validation part, evaluated after each epoch; None for none.
        batch_size: Samples per step; the last step of an epoch takes what is left.
        epochs: Epochs at the most.
        callbacks: Keras callbacks, called in this order after each epoch.
        order: Returns the samples of an epoch (from 0) in order; None = as they are.

    Raises:
        Untraceable: The model needs `model.fit`; it is as it was.
    """
    trainer = _Trainer(model, _data(train), None if validation is None else _data(validation))
    watchers = keras.callbacks.CallbackList(
        list(callbacks),
        add_history=True,
        model=model,
        epochs=epochs,
        steps=-(-trainer.n_train // batch_size),
        verbose=0,
    )
    model.stop_training = False
    logs: dict[str, float] = {}
    watchers.on_train_begin()
    for epoch in range(epochs):
        watchers.on_epoch_begin(epoch)
        watchers.on_train_batch_begin(0)
        logs = trainer.train_epoch(batch_size, None if order is None else order(epoch))
        watchers.on_train_batch_end(-(-trainer.n_train // batch_size) - 1, logs)
        logs |= trainer.evaluate(batch_size)
        watchers.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    watchers.on_train_end(logs)


def _data(arrays: tuple[Any, ...]) -> Data:
    x, y, *weight = arrays
    found: Data = tf.nest.map_structure(_tensor, Data(x, y, weight[0] if weight else ()))
    return found


def _tensor(array: Any) -> Any:
    """Return an array as `model.fit` gives it to a model: broken numbers in Keras's type."""
    found = np.asarray(array)
    if found.dtype.kind not in "fiub":
        raise Untraceable(f"data of type {found.dtype} are no numbers")
    return tf.constant(found.astype(keras.config.floatx()) if found.dtype.kind == "f" else found)


def predict(model: Any, x: Any) -> Any:
    """Return the outputs of a compiled model, as arrays, with its present weights.

    Raises:
        Untraceable: The model needs its own `predict`.
    """
    _check(model)
    inputs = tf.nest.map_structure(_tensor, x)
    structure = structure_of(model, ["forward", _specs(inputs)])
    forward = _kept(structure, lambda: trace_forward(model, structure, inputs))
    handles = _handles_of(model, [])._replace(metrics=[])
    count = int(tf.nest.flatten(inputs)[0].shape[0])
    parts = []
    for rows in (slice(start, start + CHUNK) for start in range(0, count, CHUNK)):
        chunk = tf.nest.map_structure(operator.itemgetter(rows), inputs)
        parts.append(tf.nest.map_structure(lambda one: one.numpy(), forward(handles, chunk)))
    return tf.nest.map_structure(lambda *found: np.concatenate(found), *parts)


def _check(model: Any) -> None:
    if (reason := why_not(model)) is not None:
        raise Untraceable(reason)


def _handles_of(model: Any, slots: list[list[Any]]) -> Handles:
    return Handles(
        _handles(model.trainable_variables),
        [_handles(kind) for kind in slots],
        _handles(model.non_trainable_variables),
        _handles(model.metrics_variables),
    )


class _Trainer:
    """Trains one epoch after another, and holds the data for it."""

    def __init__(self, model: Any, train: Data, validation: Data | None) -> None:
        self._model, self._train, self._validation = model, train, validation
        self.n_train = int(tf.nest.flatten(train.x)[0].shape[0])
        _check(model)
        if validation is not None and _specs(validation) != _specs(train):
            raise Untraceable("its validation part has other types or shapes than training")
        internals.built(model, *_first(train))
        _check(model)
        model.optimizer.build(model.trainable_variables)
        self._graphs = _graphs_of(model, train)
        self._handles = _handles_of(model, self._slots())

    def _slots(self) -> list[list[Any]]:
        """Return what the optimizer keeps; a kernel that needs more than Keras keeps gets zeros."""
        found = internals.slots_of(self._model.optimizer)
        if len(found) < updates.n_slots(self._model.optimizer):
            weights = self._model.trainable_variables
            found.append([keras.Variable(tf.zeros(w.shape, w.dtype)) for w in weights])
        return found

    def train_epoch(self, batch_size: int, order: np.ndarray | None) -> dict[str, float]:
        """Train one epoch and return its metrics."""
        optimizer = self._model.optimizer
        rows = np.arange(self.n_train) if order is None else order
        has_schedule = internals.rate_of(optimizer) is not None
        rate = 0.0 if has_schedule else float(optimizer.learning_rate)
        self._model.reset_metrics()
        self._graphs.train(
            self._handles,
            self._train,
            tf.constant(rows, tf.int32),
            tf.constant(batch_size),
            tf.constant(int(optimizer.iterations.numpy()), tf.int64),
            tf.constant(rate, tf.float64),
            self._numbers(),
        )
        optimizer.iterations.assign_add(-(-len(rows) // batch_size))
        return _metrics(self._model)

    def evaluate(self, batch_size: int) -> dict[str, float]:
        """Return the metrics of the validation part, as `model.fit` names them."""
        if self._validation is None:
            return {}
        self._model.reset_metrics()
        self._graphs.evaluate(
            self._handles, self._validation, tf.constant(batch_size), self._numbers()
        )
        return {f"val_{name}": value for name, value in _metrics(self._model).items()}

    def _numbers(self) -> list[Any]:
        """Read the numbers each time: a callback may have changed one."""
        return [tf.constant(value, tf.float64) for value in numbers_of(self._model).values]


def _first(data: Data) -> tuple[Any, Any, Any]:
    first = tf.nest.map_structure(lambda one: one[:1], data)
    return first.x, first.y, first.weight


def _graphs_of(model: Any, train: Data) -> Graphs:
    structure = structure_of(model, ["train", _specs(train)])
    found: Graphs = _kept(structure, lambda: trace(model, structure, train))
    return found


def _specs(tensors: Any) -> Any:
    return repr(tf.nest.map_structure(lambda one: [str(one.dtype), list(one.shape[1:])], tensors))


def _kept(structure: Structure, make: Callable[[], Any]) -> Any:
    """Return the trace of a structure; make it if none is kept."""
    if structure.is_shared and structure.key in _graphs:
        _graphs.move_to_end(structure.key)
        return _graphs[structure.key]
    try:
        found = make()
    except Exception as error:  # whatever a layer raises that cannot do without its variables
        raise Untraceable(f"it could not be traced: {type(error).__name__}: {error}") from error
    if structure.is_shared:
        _graphs[structure.key] = found
        while len(_graphs) > KEPT:
            _graphs.popitem(last=False)
    return found


def _metrics(model: Any) -> dict[str, float]:
    return {name: float(value) for name, value in model.get_metrics_result().items()}


def _handles(variables: Sequence[Any]) -> list[Any]:
    return [variable.value.handle for variable in variables]
