"""`fit` of the graph engine: Keras's training loop around graphs of whole epochs.

Import this after `set_up_tensorflow()`.
"""

from __future__ import annotations

import operator
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, Final, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context  # the only door to the executor of one thread

from digitexp.tensorflow_setup import share_kernels
from digitexp.training.graph import keras_internals as internals
from digitexp.training.graph import layers, updates
from digitexp.training.graph.structure import (
    Numbers,
    Structure,
    adds_up,
    dense_layers,
    is_mean_of_samples,
    numbers_of,
    structure_of,
    why_not,
)
from digitexp.training.resuming import Resumption

raw = tf.raw_ops


class Handles(NamedTuple):
    """Resource handles of a model's variables, in Keras's order.

    Attributes:
        weights: Trainable weights.
        slots: What the optimizer keeps for each weight, a list for each kind.
        states: Other variables of layers: moving means, random generators, frozen weights.
        metrics: Of the compiled metrics, that of the loss included.
    """

    weights: list[Any]
    slots: list[list[Any]]
    states: list[Any]
    metrics: list[Any]


class Data(NamedTuple):
    """Data in memory, as tensors with samples along the first axis.

    Attributes:
        x: Inputs as the model takes them.
        y: Targets as the loss takes them.
        sample_weight: (n,), or a structure as that of y; () if all samples count alike.
    """

    x: Any
    y: Any
    sample_weight: Any

    @property
    def weight(self) -> Any:
        """The sample weights as Keras takes them: None if there are none."""
        has_none = isinstance(self.sample_weight, tuple) and not self.sample_weight
        return None if has_none else self.sample_weight


class Graphs(NamedTuple):
    """The traced functions, for one structure of models.

    Of the model that is traced they keep only the code of its layers: the handles of its variables
    are handed in, its numbers are inputs.

    Attributes:
        train: (Handles, Data, order, batch size, steps before, learning rate, numbers): an epoch.
        evaluate: (Handles, Data, batch size, numbers): all samples in turn. Both return the results
            of the metrics, which they reset first.
        names: Of these results, in their order.
    """

    train: Callable[..., list[Any]]
    evaluate: Callable[..., list[Any]]
    names: tuple[str, ...]


def trace(model: Any, structure: Structure, data: Data) -> Graphs:
    """Trace a model that is built and compiled; the graphs serve all models of its structure.

    Args:
        model: The first of its structure.
        structure: Its structure.
        data: Tells shapes and types; any number of samples can be given to the graphs.
    """
    body = _Body(model, structure)
    handles = body.signature()
    flexible = tf.nest.map_structure(_any_count, data)
    integer, number = tf.TensorSpec([], tf.int32), tf.TensorSpec([], tf.float64)
    numbers = tf.TensorSpec([len(body.numbers.values)], tf.float64)
    order = tf.TensorSpec([None], tf.int32)
    step = tf.TensorSpec([], tf.int64)
    return Graphs(
        _traced(body.train_epoch, [handles, flexible, order, integer, step, number, numbers]),
        _traced(body.evaluate, [handles, flexible, integer, numbers]),
        body.names,
    )


def trace_forward(model: Any, structure: Structure, x: Any) -> Callable[..., Any]:
    """Trace (Handles, x) -> outputs, as they are outside of training; see `trace`."""
    body = _Body(model, structure)
    handles = body.signature()._replace(slots=[], metrics=[])
    return _traced(body.forward, [handles, tf.nest.map_structure(_any_count, x)])


def _any_count(tensor: Any) -> tf.TensorSpec:
    return tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype)


class _Passed(NamedTuple):
    """The outcome of a step with a batch."""

    outputs: Any
    loss: Any
    batch: Data
    updates: list[Any]


class _Body:
    """The functions that are traced."""

    def __init__(self, model: Any, structure: Structure) -> None:
        self._model, self._structure = model, structure
        self.numbers: Numbers = numbers_of(model)
        self._weights = list(model.trainable_variables)
        self._states = list(model.non_trainable_variables)
        self._metrics = list(model.metrics_variables)
        self._decayed = internals.decayed(model.optimizer, self._weights)
        self._schedule = internals.rate_of(model.optimizer)
        self._adds_up = bool(getattr(model, "outputs", None)) and adds_up(model)
        self._shape_of_outputs: Any = None  # their structure, known when a step was traced
        self.names: tuple[str, ...] = ()  # of the metrics' results, known then, too

    def signature(self) -> Handles:
        """Return the specifications of the handles."""
        handle = tf.TensorSpec([], tf.resource)
        return Handles(
            weights=[handle] * len(self._weights),
            slots=[[handle] * len(self._weights)] * updates.n_slots(self._model.optimizer),
            states=[handle] * len(self._states),
            metrics=[handle] * len(self._metrics),
        )

    def train_epoch(
        self,
        handles: Handles,
        data: Data,
        order: Any,
        batch_size: Any,
        steps_before: Any,
        rate: Any,
        numbers: Any,
    ) -> list[Any]:
        """Make all steps of an epoch, in the order given; return the results of the metrics."""
        x = data.x
        ordered = tf.nest.map_structure(
            lambda one: tf.gather(one, order), data._replace(x=())
        )  # small, and sliced in the steps; the inputs are gathered there

        def train_step(i: Any, rows: Any) -> _Passed:
            step = steps_before + tf.cast(i, tf.int64)
            chosen = order[rows]
            batch = tf.nest.map_structure(lambda one: one[rows], ordered)
            batch = batch._replace(x=tf.nest.map_structure(lambda one: tf.gather(one, chosen), x))
            scheduled = rate if self._schedule is None else self._schedule(step)
            own_rate = tf.cast(scheduled, dtype)
            return self._train_step(handles, batch, settings, own_rate, tf.cast(step + 1, dtype))

        dtype = self._weights[0].dtype
        rate = tf.cast(rate, dtype)
        each = tf.unstack(numbers)
        by_name = zip(self.numbers.owners, each, strict=True)
        settings = updates.Settings(
            {name: value for (one, name), value in by_name if one is self._model.optimizer}, dtype
        )
        with self._with(each):
            return self._over(handles, ordered, tf.size(order), batch_size, train_step)

    def evaluate(self, handles: Handles, data: Data, batch_size: Any, numbers: Any) -> list[Any]:
        """Pass over all samples in turn; return the results of the metrics."""

        def look(_i: Any, rows: Any) -> _Passed:
            batch = tf.nest.map_structure(lambda one: one[rows], data)
            weights = self._read(handles.weights, self._weights, self._structure.shapes)
            states = self._read(handles.states, self._states)
            metrics = self._read(handles.metrics, self._metrics)
            with self._scope(weights, states, metrics) as scope:
                outputs = self._pass(batch, training=False)
                loss = self._loss(batch, outputs, training=False)
                done = self._losses_of_outputs(scope, handles, metrics)
            return _Passed(outputs, loss, batch, done)

        with self._with(tf.unstack(numbers)):
            rows = tf.shape(tf.nest.flatten(data.x)[0])[0]
            return self._over(handles, data, rows, batch_size, look)

    def forward(self, handles: Handles, x: Any) -> Any:
        """Return the outputs for inputs."""
        weights = self._read(handles.weights, self._weights, self._structure.shapes)
        states = self._read(handles.states, self._states)
        with self._scope(weights, states, []):
            return self._pass(Data(x, (), ()), training=False)

    def _over(
        self,
        handles: Handles,
        data: Data,
        rows: Any,
        batch_size: Any,
        step: Callable[[Any, slice], _Passed],
    ) -> list[Any]:
        """Make a step with each batch; return the results of the metrics.

        Where they add up, metrics are updated once, at the end.
        """
        dtype = self._weights[0].dtype

        def body(i: Any, losses: Any, kept: Any) -> Any:
            start = i * batch_size
            end = tf.minimum(start + batch_size, rows)
            passed = step(i, slice(start, end))
            losses += tf.cast(passed.loss, dtype) * tf.cast(end - start, dtype)
            done = list(passed.updates)
            if self._adds_up:
                self._shape_of_outputs = tf.nest.map_structure(lambda _: 0, passed.outputs)
                found = tf.nest.flatten(passed.outputs)
                kept = [one.write(i, output) for one, output in zip(kept, found, strict=True)]
            else:
                done += self._update(handles, lambda: self._judge(passed.batch, passed.outputs))
            with tf.control_dependencies(done):
                return i + 1, losses, kept

        count = (rows + batch_size - 1) // batch_size
        outputs = self._model.outputs if self._adds_up else []
        arrays = [
            tf.TensorArray(one.dtype, count, infer_shape=False, element_shape=tuple(one.shape))
            for one in outputs
        ]
        with tf.control_dependencies(self._update(handles, self._model.reset_metrics)):
            _, losses, arrays = tf.while_loop(
                lambda i, *_: i < count,
                body,
                (0, tf.zeros([], dtype), arrays),
                parallel_iterations=1,
            )
        results = {}

        def at_the_end() -> None:
            mean = losses / tf.cast(rows, dtype)
            internals.tracker_of(self._model).update_state(mean, sample_weight=rows)
            if self._adds_up:
                found = [array.concat() for array in arrays]
                self._judge(data, tf.nest.pack_sequence_as(self._shape_of_outputs, found))
            results.update(self._model.get_metrics_result())

        with tf.control_dependencies(self._update(handles, at_the_end)):
            self.names = tuple(results)
            return [tf.identity(one) for one in results.values()]

    def _update(self, handles: Handles, change: Callable[[], None]) -> list[Any]:
        """Change metrics and store their values; return the operations."""
        with self._scope([], [], self._read(handles.metrics, self._metrics)) as scope:
            change()
            found = [internals.value_in(scope, one) for one in self._metrics]
        return self._assign(handles.metrics, found)

    def _judge(self, batch: Data, outputs: Any) -> None:
        internals.update_metrics(self._model, batch.y, outputs, batch.weight)

    def _train_step(
        self, handles: Handles, batch: Data, settings: updates.Settings, rate: Any, step: Any
    ) -> _Passed:
        weights = self._read(handles.weights, self._weights, self._structure.shapes)
        states = self._read(handles.states, self._states)
        metrics = self._read(handles.metrics, self._metrics)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            with self._scope(weights, states, metrics) as scope:
                outputs = self._pass(batch, training=True)
                loss = self._loss(batch, outputs, training=True)
                new_states = [internals.value_in(scope, one) for one in self._states]
                judged = self._losses_of_outputs(scope, handles, metrics)
        found = tape.gradient(loss, weights)
        used = [j for j, gradient in enumerate(found) if gradient is not None]
        gradients = updates.clipped([found[j] for j in used], settings)
        # Updates are in place: whatever reads the weights comes before them, or they would be
        # copied.
        with tf.control_dependencies([*tf.nest.flatten(gradients, True), loss, *new_states]):
            decays = [
                self._decay(handles.weights[j], weights[j], rate * settings.as_cast("weight_decay"))
                for j in used
                if self._decayed[j]
            ]
            with tf.control_dependencies(decays):
                done = updates.update(
                    self._model.optimizer,
                    [handles.weights[j] for j in used],
                    [[kind[j] for j in used] for kind in handles.slots],
                    gradients,
                    settings,
                    rate,
                    step,
                )
            done = [*done, *judged, *self._assign(handles.states, new_states)]
        return _Passed(outputs, loss, batch, done)

    def _losses_of_outputs(self, scope: Any, handles: Handles, before: list[Any]) -> list[Any]:
        """Store what the loss has counted: that of each output, where there are several."""
        after = [internals.value_in(scope, one) for one in self._metrics]
        return [
            raw.AssignVariableOp(resource=handle, value=new)
            for handle, old, new in zip(handles.metrics, before, after, strict=True)
            if new is not old
        ]

    @staticmethod
    def _decay(handle: Any, weight: Any, share: Any) -> Any:
        return raw.AssignSubVariableOp(resource=handle, value=weight * share)

    def _pass(self, batch: Data, *, training: bool) -> Any:
        outputs = self._model(batch.x, training=training)
        known = getattr(self._model, "outputs", None)
        if known:  # the loss tells by their widths what the targets are
            for found, one in zip(tf.nest.flatten(outputs), known, strict=True):
                found.set_shape(one.shape)
        return outputs

    def _loss(self, batch: Data, outputs: Any, *, training: bool) -> Any:
        return internals.loss_of(self._model, batch.x, batch.y, outputs, batch.weight, training)

    def _scope(self, weights: list[Any], states: list[Any], metrics: list[Any]) -> Any:
        found = ((self._weights, weights), (self._states, states), (self._metrics, metrics))
        return internals.scope_of(
            # without values for a kind its variables are not to be read
            [pair for kind, values in found for pair in zip(kind, values, strict=bool(values))]
        )

    @staticmethod
    def _read(
        handles: Sequence[Any],
        variables: Sequence[Any],
        shapes: Sequence[tuple[int | None, ...]] | None = None,
    ) -> list[Any]:
        found = []
        for j, (handle, variable) in enumerate(zip(handles, variables, strict=True)):
            value = raw.ReadVariableOp(resource=handle, dtype=variable.dtype)
            value.set_shape(variable.shape if shapes is None else shapes[j])
            found.append(value)
        return found

    @staticmethod
    def _assign(handles: Sequence[Any], values: Sequence[Any]) -> list[Any]:
        return [
            raw.AssignVariableOp(resource=handle, value=value)
            for handle, value in zip(handles, values, strict=True)
        ]

    @contextmanager
    def _with(self, numbers: Sequence[Any]) -> Iterator[None]:
        """Have layers, penalties and optimizer use tensors in the place of their numbers."""
        places: list[tuple[Any, str, Any]] = []
        for (one, name), value in zip(self.numbers.owners, numbers, strict=True):
            if name == "rate":
                places.append((one, "call", layers.dropout_call(one, value)))
            elif one is not self._model.optimizer:
                places.append((one, name, internals.as_cast(value, self._weights[0].dtype)))
        places += [(one, "call", layers.dense_call(one)) for one in dense_layers(self._model)]
        places += [
            internals.penalty_of(one, layers.l2_penalty(one.regularizer))
            for one in self._weights
            if type(one.regularizer) is keras.regularizers.L2
        ]
        with internals.replaced(places):
            yield


_EXECUTOR: Final = "SINGLE_THREADED_EXECUTOR"


def _traced(function: Callable[..., Any], signature: list[Any]) -> Callable[..., Any]:
    """Trace once, for the executor of one thread.

    TensorFlow's usual executor hands operations to a pool: up to 15 us of a step of 100 us where
    a process has one thread anyway. Both the trace, which must keep its loop as a function, and
    each call have to be made under the executor's name.
    """
    graph = tf.function(function, autograph=False, input_signature=signature)
    with context.function_executor_type(_EXECUTOR), internals.fast_kernels():
        found = graph.get_concrete_function()
    if found.captured_inputs:
        raise ValueError(
            f"a layer has {len(found.captured_inputs)} tensors or variables that Keras does not "
            "know of"
        )

    def call(*arguments: Any) -> Any:
        with context.function_executor_type(_EXECUTOR):
            return found(*arguments)

    call.graph = found.graph  # type: ignore[attr-defined]
    return call


class Untraceable(ValueError):  # noqa: N818 - it says what a model is
    """A model cannot be trained by this engine; the message says why."""


KEPT: Final = 32
"""Structures whose graphs are kept, the last used ones."""
CHUNK: Final = 1024
"""Samples at once in a forward pass, and in an evaluation that may take more than a step's."""

_graphs: OrderedDict[str, Any] = OrderedDict()
"""Traces of training and of forward passes, by the key of their structure."""


def fit(  # noqa: PLR0913 - each is a part of the training
    model: Any,
    train: tuple[Any, ...],
    validation: tuple[Any, ...] | None,
    *,
    batch_size: int,
    epochs: int,
    callbacks: Sequence[Any],
    order: Callable[[int], np.ndarray] | None = None,
    is_left_alone: bool = False,
    resumption: Resumption | None = None,
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
        is_left_alone: Whether no callback runs the model by Keras's own graphs, which need to know
            the sizes of its weights. Then TensorFlow prepares a graph once for all models of a
            structure: 0.1 s of CPU less.
        resumption: The state of an earlier attempt; it has the generators of `order`. None: there
            is none, and nothing is saved.

    Raises:
        Untraceable: The model needs `model.fit`; it is as it was.
    """
    trainer = _Trainer(model, _data(train), None if validation is None else _data(validation))
    with trainer.opened() if is_left_alone else nullcontext():
        _train(model, trainer, batch_size, epochs, callbacks, order, resumption or Resumption())


def _train(
    model: Any,
    trainer: _Trainer,
    batch_size: int,
    epochs: int,
    callbacks: Sequence[Any],
    order: Callable[[int], np.ndarray] | None,
    resumption: Resumption,
) -> None:
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
    resumption.graphs = trainer.graphs
    watchers.on_train_begin()
    first = resumption.begin(model, watchers.callbacks, epochs, trainer.kept)
    for epoch in range(first, epochs):
        watchers.on_epoch_begin(epoch)
        watchers.on_train_batch_begin(0)
        logs = trainer.train_epoch(batch_size, None if order is None else order(epoch))
        watchers.on_train_batch_end(-(-trainer.n_train // batch_size) - 1, logs)
        logs |= trainer.evaluate(batch_size)
        watchers.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
        resumption.after_epoch(is_last=epoch + 1 == epochs)
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
    return tf.constant(
        found.astype(keras.config.floatx(), copy=False) if found.dtype.kind == "f" else found
    )


def predict(model: Any, x: Any) -> Any:
    """Return the outputs of a compiled model, as arrays, with its present weights.

    Raises:
        Untraceable: The model needs its own `predict`.
    """
    _check(model)
    inputs = tf.nest.map_structure(_tensor, x)
    structure = structure_of(model, ["forward", _specs(inputs)])
    forward = _kept(structure, lambda: trace_forward(model, structure, inputs))
    count = int(tf.nest.flatten(inputs)[0].shape[0])
    parts = []
    with internals.opened_sizes(model.trainable_variables, structure.shapes):
        handles = _handles_of(model, [])._replace(metrics=[])
        for rows in (slice(start, start + CHUNK) for start in range(0, count, CHUNK)):
            chunk = tf.nest.map_structure(operator.itemgetter(rows), inputs)
            parts.append(tf.nest.map_structure(lambda one: one.numpy(), forward(handles, chunk)))
    return tf.nest.map_structure(lambda *found: np.concatenate(found), *parts)


def _check(model: Any) -> None:
    if (reason := why_not(model)) is not None:
        raise Untraceable(reason)


def _handles_of(model: Any, slots: list[list[Any]]) -> Handles:
    handles_of = internals.handles_of
    return Handles(
        handles_of(model.trainable_variables),
        [handles_of(kind) for kind in slots],
        handles_of(model.non_trainable_variables),
        handles_of(model.metrics_variables),
    )


class _Trainer:
    """Trains one epoch after another, and holds the data for it.

    Attributes:
        kept: Variables that its kernels keep for the weights, and Keras's optimizer does not.
    """

    def __init__(self, model: Any, train: Data, validation: Data | None) -> None:
        self._model, self._train, self._validation = model, train, validation
        self.n_train = int(tf.nest.flatten(train.x)[0].shape[0])
        _check(model)
        if validation is not None and _specs(validation) != _specs(train):
            raise Untraceable("its validation part has other types or shapes than training")
        internals.built(model, *_first(train))
        _check(model)
        model.optimizer.build(model.trainable_variables)
        self._is_mean = is_mean_of_samples(model)
        structure = structure_of(model, ["train", _specs(train)])
        self._graphs: Graphs = _kept(structure, lambda: trace(model, structure, train))
        self._structure, self._optimizer_slots = structure, self._slots()
        self._handles = _handles_of(model, self._optimizer_slots)
        own = {id(variable) for variable in model.optimizer.variables}
        self.kept = [one for kind in self._optimizer_slots for one in kind if id(one) not in own]

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Train inside on variables whose handles do not tell what may differ."""
        kinds = [self._model.trainable_variables, *self._optimizer_slots]
        shapes = [*self._structure.shapes] * len(kinds)
        with internals.opened_sizes([one for kind in kinds for one in kind], shapes):
            self._handles = _handles_of(self._model, self._optimizer_slots)
            yield
        if self._structure.is_shared:
            share_kernels()

    def _slots(self) -> list[list[Any]]:
        """Return what the optimizer keeps; a kernel that needs more than Keras keeps gets zeros."""
        found = internals.slots_of(self._model.optimizer)
        if len(found) < updates.n_slots(self._model.optimizer):
            weights = self._model.trainable_variables
            found.append([keras.Variable(tf.zeros(w.shape, w.dtype)) for w in weights])
        return found

    @property
    def graphs(self) -> list[Any]:
        """The traced graphs of an epoch and of an evaluation."""
        traced = (self._graphs.train, self._graphs.evaluate)
        return [getattr(one, "graph") for one in traced]  # noqa: B009 - set by `_traced`

    def train_epoch(self, batch_size: int, order: np.ndarray | None) -> dict[str, float]:
        """Train one epoch and return its metrics."""
        optimizer = self._model.optimizer
        rows = np.arange(self.n_train) if order is None else order
        has_schedule = internals.rate_of(optimizer) is not None
        rate = 0.0 if has_schedule else float(optimizer.learning_rate)
        results = self._graphs.train(
            self._handles,
            self._train,
            tf.constant(rows, tf.int32),
            tf.constant(batch_size),
            tf.constant(int(optimizer.iterations.numpy()), tf.int64),
            tf.constant(rate, tf.float64),
            self._numbers(),
        )
        optimizer.iterations.assign_add(-(-len(rows) // batch_size))
        return self._named(results)

    def evaluate(self, batch_size: int) -> dict[str, float]:
        """Return the metrics of the validation part, as `model.fit` names them."""
        if self._validation is None:
            return {}
        at_once = max(batch_size, CHUNK) if self._is_mean else batch_size
        results = self._graphs.evaluate(
            self._handles, self._validation, tf.constant(at_once), self._numbers()
        )
        return {f"val_{name}": value for name, value in self._named(results).items()}

    def _numbers(self) -> Any:
        """Read the numbers each time: a callback may have changed one."""
        return tf.constant(numbers_of(self._model).values, tf.float64)

    def _named(self, results: list[Any]) -> dict[str, float]:
        return dict(zip(self._graphs.names, map(float, results), strict=True))


def _first(data: Data) -> tuple[Any, Any, Any]:
    first = tf.nest.map_structure(lambda one: one[:1], data)
    return first.x, first.y, first.weight


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
