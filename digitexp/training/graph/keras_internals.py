"""The private names of Keras that the graph engine needs; no other module of it uses any.

Import this after `set_up_tensorflow()`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, Final

import keras
import tensorflow as tf
from keras import StatelessScope
from tensorflow.python.eager import record
from tensorflow.python.ops import nn_ops

KNOWN: Final = ("3.15",)
"""Releases whose private names below were looked at; with another one the engine is `model.fit`."""


def missing(model: Any) -> str | None:
    """Return why this Keras cannot be used by the graph engine; None if it can."""
    release = ".".join(keras.__version__.split(".")[:2])
    if release not in KNOWN:
        return f"Keras {keras.__version__} is not known to this engine (known: {', '.join(KNOWN)})"
    needed = (
        (model.optimizer, ("_use_weight_decay", "_learning_rate")),
        (
            model,
            (
                "_compile_loss", "_compile_metrics", "_compute_loss", "_flatten_layers",
                "_loss_tracker", "_symbolic_build",
            ),
        ),
        (StatelessScope(), ("state_mapping",)),
    )  # fmt: skip
    absent = [name for one, names in needed for name in names if not hasattr(one, name)]
    return f"this Keras has no {', '.join(absent)}" if absent else None


class _Scope(StatelessScope):  # type: ignore[misc]  # Keras is untyped
    """A stateless scope whose values may have dimensions that are not known yet."""

    def __init__(self, values: Sequence[tuple[Any, Any]]) -> None:
        super().__init__(collect_losses=True, initialize_variables=False)
        self.state_mapping = {id(variable): value for variable, value in values}


def scope_of(values: Sequence[tuple[Any, Any]]) -> Any:
    """Return a scope in which variables have the given values and take none for good."""
    return _Scope(values)


def value_in(scope: Any, variable: Any) -> Any:
    """Return the value that a variable has at the end of a scope."""
    return scope.get_current_value(variable)


def built(model: Any, x: Any, y: Any, sample_weight: Any) -> None:
    """Build loss, metrics and optimizer as `model.fit` does from its first batch.

    Keras passes symbols through model, metrics and loss, which takes as long as several epochs of a
    small net. For a single output of known shape it is enough to tell metrics and loss the shapes.
    """
    if _is_single(model, y) and not model._compile_loss.built:
        target, output = (keras.KerasTensor(one.shape, one.dtype) for one in (y, *model.outputs))
        metrics = model._compile_metrics
        if metrics is not None and not metrics.built:
            metrics.build(target, output)
            metrics.built = all(map(_is_made_at_once, metrics.metrics))
        model._compile_loss.build(target, output)
    data = (x, y) if sample_weight is None else (x, y, sample_weight)
    model._symbolic_build(data_batch=data)  # what is not built yet


def _is_single(model: Any, y: Any) -> bool:
    return model.built and len(getattr(model, "outputs", None) or ()) == 1 and hasattr(y, "shape")


def _is_made_at_once(metric: Any) -> bool:
    """Whether a metric has its variables before its first update."""
    return isinstance(metric, keras.metrics.Mean | keras.metrics.MeanMetricWrapper)


def metrics_given(model: Any) -> tuple[Any, Any]:
    """Return the metrics that a model was compiled with, and the weighted ones, as given."""
    found = model._compile_metrics
    return (
        ([], None) if found is None else (found._user_metrics or [], found._user_weighted_metrics)
    )


def layers_in_turn(model: Any) -> list[tuple[Any, Any]] | None:
    """Return the layers of a model, its inputs left out, from first to last, and what each gives.

    None if it has several inputs or outputs, or a layer that is called twice or takes several.
    """
    ends = [getattr(model, name, None) or () for name in ("inputs", "outputs")]
    if any(len(one) != 1 for one in ends):
        return None
    found: list[tuple[Any, Any]] = []
    tensor = model.outputs[0]
    while tensor is not model.inputs[0]:
        operation, index, _ = tensor._keras_history
        is_known = any(operation is layer for layer, _ in found)
        if is_known or not isinstance(operation, keras.Layer):
            return None
        found.insert(0, (operation, tensor))
        before = operation._inbound_nodes[index].input_tensors
        if len(before) != 1:
            return None
        (tensor,) = before
    return found


def reductions_of(model: Any) -> list[tuple[Any, str]]:
    """Return the function and the reduction of each compiled loss that has been built."""
    return [(getattr(one, "fn", None), one.reduction) for one in losses_of(model)]


def losses_of(model: Any) -> list[Any]:
    """Return the compiled losses that have been built."""
    return [one.loss for one in model._compile_loss._flat_losses]


def options_of(one: Any) -> dict[str, Any]:
    """Return what a loss or a metric hands to its function; `get_config` leaves some of it out."""
    return dict(getattr(one, "_fn_kwargs", {}))


def slots_of(optimizer: Any) -> list[list[Any]]:
    """Return the variables that an optimizer keeps for each weight, a list for each kind."""
    kind = type(optimizer)
    if kind in {keras.optimizers.Adam, keras.optimizers.AdamW}:
        return [list(optimizer._momentums), list(optimizer._velocities)]
    if kind is keras.optimizers.SGD:
        return [list(optimizer.momentums)] if optimizer.momentum else []
    found = [list(optimizer._velocities)]
    return [*found, list(optimizer._momentums)] if optimizer.momentum > 0 else found


def rate_of(optimizer: Any) -> Any:
    """Return an optimizer's schedule; None if its learning rate is a number."""
    rate = optimizer._learning_rate
    return rate if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule) else None


def decayed(optimizer: Any, variables: Sequence[Any]) -> list[bool]:
    """Return for each variable whether its weights decay."""
    if not optimizer.weight_decay:
        return [False] * len(variables)
    return [bool(optimizer._use_weight_decay(variable.value)) for variable in variables]


def loss_of(model: Any, x: Any, y: Any, outputs: Any, sample_weight: Any, training: bool) -> Any:
    """Return the loss of a batch: compiled, added by layers, and the penalties."""
    return model._compute_loss(
        x=x, y=y, y_pred=outputs, sample_weight=sample_weight, training=training
    )


def tracker_of(model: Any) -> Any:
    """Return the metric that holds the mean loss."""
    return model._loss_tracker


def update_metrics(model: Any, y: Any, outputs: Any, sample_weight: Any) -> None:
    """Update the compiled metrics."""
    if model._compile_metrics is not None:
        model._compile_metrics.update_state(y, outputs, sample_weight)


@contextmanager
def replaced(values: Sequence[tuple[Any, str, Any]]) -> Iterator[None]:
    """Give objects other attributes while something is traced: (object, attribute, value)."""
    before = [(one, name, one.__dict__.get(name, _ABSENT)) for one, name, _ in values]
    try:
        for one, name, value in values:
            object.__setattr__(one, name, value)
        yield
    finally:
        for one, name, value in before:
            if value is _ABSENT:
                object.__delattr__(one, name)
            else:
                object.__setattr__(one, name, value)


_ABSENT: Final = object()


def fast_kernels() -> Any:
    """Let what is traced use kernels that are random on GPUs only.

    Where TensorFlow is told to be deterministic, its Python code replaces `bias_add` and sparse
    cross-entropy by dozens of operations. On one thread of a CPU the kernels are deterministic.
    """
    has_gpu = bool(tf.config.list_physical_devices("GPU"))
    places = [(nn_ops, "config", SimpleNamespace(is_op_determinism_enabled=bool))]
    return replaced([] if has_gpu else places)


def as_cast(number: Any, dtype: Any) -> Any:
    """Return a number as `keras.ops.cast` gives it to float64 weights: rounded to float32."""
    return tf.cast(tf.cast(number, tf.float32), dtype)


def with_gradient(
    function: Callable[..., Any],
    inputs: Sequence[Any],
    backward: Callable[[Any], Sequence[Any]],
) -> Any:
    """Return function(*inputs); a tape takes its gradients from `backward`.

    `tf.custom_gradient` would do, but for an operation around it in every step.

    Args:
        function: Returns one tensor.
        inputs: Tensors.
        backward: The gradient by the tensor -> those by each input.
    """
    with record.stop_recording():
        found = function(*inputs)
    record.record_operation(getattr(function, "__name__", "function"), [found], inputs, backward)
    return found


def penalty_of(variable: Any, penalty: Callable[[Any], Any]) -> tuple[Any, str, Any]:
    """Return what `replaced` takes to give a variable another penalty."""
    return variable, "_regularizer", penalty


def handles_of(variables: Sequence[Any]) -> list[Any]:
    """Return the resource handles of Keras's variables, as they are."""
    return [one.value.handle for one in variables]


@contextmanager
def opened_sizes(
    variables: Sequence[Any], shapes: Sequence[tuple[int | None, ...]]
) -> Iterator[None]:
    """Give Keras's variables, inside, inner variables whose handles tell fewer sizes.

    TensorFlow prepares a graph for each set of shapes that the handles of its variables tell: 50 ms
    of CPU, a fifth of a small training. So handles are to tell no sizes that may differ between
    models. Keras's own graphs need the sizes: afterwards the former inner variables are back, with
    the new values.

    Args:
        variables: Variables of a model or an optimizer; Keras knows their shapes as before.
        shapes: What each handle is to tell: None in the place of a size that may differ.
    """
    before = [one.value for one in variables]
    for one, shape in zip(variables, shapes, strict=True):
        inner = one.value
        if tuple(inner.shape) != shape:
            one._value = tf.Variable(
                inner, shape=shape, dtype=inner.dtype, trainable=inner.trainable, name=one.name
            )
    try:
        yield
    finally:
        for one, inner in zip(variables, before, strict=True):
            if (opened := one.value) is not inner:
                inner.assign(opened)
                one._value = inner
