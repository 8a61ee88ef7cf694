"""Says which models can be traced safely, and which of them share a trace.

Import this after `set_up_tensorflow()`.

Two models have the same structure if one trace serves both: layers, connections, loss, metrics and
optimizer are alike but for numbers that the trace takes as inputs (`Numbers`) and for the widths of
Dense layers. A layer whose code has sizes in it (convolutions, normalisation, ...) makes the shapes
of all weights before it part of the structure. A model with code of the user's in it has a
structure of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import keras
import numpy as np

from digitexp.training.graph import keras_internals as internals

_OPTIMIZERS: Final = (
    keras.optimizers.Adam,
    keras.optimizers.AdamW,
    keras.optimizers.SGD,
    keras.optimizers.RMSprop,
)
_ELASTIC: Final = frozenset(
    {
        keras.layers.Activation,
        keras.layers.Add,
        keras.layers.Concatenate,
        keras.layers.Dense,
        keras.layers.Dropout,
        keras.layers.ELU,
        keras.layers.Identity,
        keras.layers.InputLayer,
        keras.layers.LeakyReLU,
        keras.layers.Multiply,
        keras.layers.ReLU,
        keras.layers.Softmax,
    }
)
"""Layers whose code works for any width of what goes in."""

_OVERRIDABLE: Final = (
    "train_step",
    "test_step",
    "compute_loss",
    "compute_metrics",
    "make_train_function",
    "make_test_function",
    "fit",
    "evaluate",
    "reset_metrics",
    "get_metrics_result",
    "metrics",
)
_BY_SAMPLE: Final = frozenset(
    {
        keras.losses.binary_crossentropy,
        keras.losses.categorical_crossentropy,
        keras.losses.huber,
        keras.losses.kl_divergence,
        keras.losses.log_cosh,
        keras.losses.mean_absolute_error,
        keras.losses.mean_absolute_percentage_error,
        keras.losses.mean_squared_error,
        keras.losses.mean_squared_logarithmic_error,
        keras.losses.poisson,
        keras.losses.sparse_categorical_crossentropy,
    }
)
"""Losses that are computed for each sample; others may look at a whole batch, as Dice does."""
_LEFT_OUT: Final = frozenset({"seed", "units", "build_config", "compile_config", "shape"})
"""Members of a layer's configuration that make no other trace, where the layer is elastic."""


def why_not(model: Any) -> str | None:
    """Return why a compiled model must be trained by `model.fit`; None if it need not.

    Metrics are looked at if they are built, which they are with the first batch.
    """
    return (
        internals.missing(model)
        or _why_not_this_class(model)
        or _why_not_by(model.optimizer)
        or _why_not_these_weights(model)
        or _why_not_these_metrics(model)
    )


def _why_not_this_class(model: Any) -> str | None:
    for name in _OVERRIDABLE:
        if getattr(type(model), name, None) is not getattr(_base_of(model), name, None):
            return f"the model has its own {name}"
        if name in vars(model):
            return f"the model was given its own {name}"
    if model.run_eagerly:
        return "the model is compiled with run_eagerly"
    if model.jit_compile is True:
        return "the model is compiled with jit_compile"
    if getattr(model, "_distribute_strategy", None) is not None:
        return "the model is distributed"
    return None


def _base_of(model: Any) -> type:
    """Return the class of Keras whose training the model must have."""
    base: type = keras.Sequential if isinstance(model, keras.Sequential) else keras.Model
    return base


def _why_not_by(optimizer: Any) -> str | None:
    kind = type(optimizer)
    if kind not in _OPTIMIZERS:
        known = ", ".join(one.__name__ for one in _OPTIMIZERS)
        return f"the optimizer is {kind.__name__}; this engine has {known}"
    refused = {
        "amsgrad": getattr(optimizer, "amsgrad", False),
        "centered": getattr(optimizer, "centered", False),
        "use_ema": optimizer.use_ema,
        "gradient_accumulation_steps": optimizer.gradient_accumulation_steps,
        "loss_scale_factor": optimizer.loss_scale_factor,
    }
    asked = [name for name, is_asked in refused.items() if is_asked]
    if asked:
        return f"the optimizer has {', '.join(asked)}"
    if callable(optimizer._learning_rate) and internals.rate_of(optimizer) is None:
        return "the learning rate is a function"
    return None


def _why_not_these_weights(model: Any) -> str | None:
    for variable in model.trainable_variables:
        if variable.constraint is not None:
            return f"the weight {variable.path} has a constraint"
        if getattr(variable, "overwrite_with_gradient", False):
            return f"the weight {variable.path} is overwritten by its gradient"
    if not model.trainable_variables:
        return "the model has no trainable weights"
    kinds = {str(variable.dtype) for variable in model.trainable_variables}
    if kinds not in ({"float32"}, {"float64"}):
        return f"the weights are {', '.join(sorted(kinds))}"
    return None


def _why_not_these_metrics(model: Any) -> str | None:
    for metric in _metrics(model):
        if not type(metric).__module__.startswith("keras."):
            return f"the metric {metric.name} is a class of your own, which may keep more state"
    return None


def adds_up(model: Any) -> bool:
    """Return whether metrics of a whole epoch are what its batches add up to, one by one.

    That holds for Keras's own, which sum something over samples; the mean of a function of the
    user's may be one of a batch. A mask goes with the outputs of a batch, and is gone at the end.
    """
    return not any(map(_may_mask, _layers(model))) and not any(
        isinstance(one, keras.metrics.MeanMetricWrapper)
        and not one._fn.__module__.startswith("keras.")
        for one in _metrics(model)
    )


def is_mean_of_samples(model: Any) -> bool:
    """Return whether the loss of many samples is the mean of what it is for each, to rounding.

    Then an evaluation may take more samples at once than a step of training. Of several outputs
    Keras means the loss of each over batches, whatever their sizes.
    """
    losses = internals.reductions_of(model)
    return (
        adds_up(model)
        and len(losses) == 1
        and losses[0][0] in _BY_SAMPLE
        and losses[0][1] in {"sum_over_batch_size", "mean"}
        and not any(getattr(one, "activity_regularizer", None) for one in _layers(model))
    )


def _may_mask(layer: Any) -> bool:
    is_own = not type(layer).__module__.startswith("keras.")
    return is_own or type(layer) is keras.layers.Masking or bool(getattr(layer, "mask_zero", False))


def _metrics(model: Any) -> Iterator[Any]:
    """Return the metrics one by one; Keras has the compiled ones in a container."""
    for metric in model.metrics:
        yield from metric.metrics if hasattr(metric, "metrics") else [metric]


@dataclass(frozen=True)
class Numbers:
    """The numbers of a model that its trace takes as inputs.

    Attributes:
        owners: (object, attribute) that each number stands for while something is traced.
        values: The numbers.
    """

    owners: tuple[tuple[Any, str], ...]
    values: tuple[float, ...]


def numbers_of(model: Any) -> Numbers:
    """Return dropout rates, factors of penalties and the optimizer's settings."""
    owners = [
        *((layer, "rate") for layer in _layers(model) if _drops(layer)),
        *((one, name) for one in _penalties(model) for name in _factors(one)),
        *((model.optimizer, name) for name in _settings(model.optimizer)),
    ]
    return Numbers(tuple(owners), tuple(float(getattr(one, name)) for one, name in owners))


def _layers(model: Any) -> Iterator[Any]:
    yield from model._flatten_layers(include_self=False)


def dense_layers(model: Any) -> list[Any]:
    """Return the Dense layers of a model, those of layers within layers included."""
    return [layer for layer in _layers(model) if type(layer) is keras.layers.Dense]


def _drops(layer: Any) -> bool:
    return type(layer) is keras.layers.Dropout and 0 < layer.rate < 1 and not layer.noise_shape


def _penalties(model: Any) -> Iterator[Any]:
    """Return each L1 or L2 penalty once; the others keep their numbers in the trace."""
    seen = set()
    for variable in model.trainable_variables:
        one = variable.regularizer
        if _factors(one) and id(one) not in seen:
            seen.add(id(one))
            yield one


def _factors(penalty: Any) -> tuple[str, ...]:
    kinds = {keras.regularizers.L1: ("l1",), keras.regularizers.L2: ("l2",)}
    return kinds.get(type(penalty), ())


def _settings(optimizer: Any) -> Iterator[str]:
    names = {
        keras.optimizers.Adam: ("beta_1", "beta_2", "epsilon"),
        keras.optimizers.AdamW: ("beta_1", "beta_2", "epsilon"),
        keras.optimizers.SGD: ("momentum",),
        keras.optimizers.RMSprop: ("rho", "momentum", "epsilon"),
    }
    yield from names[type(optimizer)]
    for name in ("weight_decay", "clipnorm", "global_clipnorm", "clipvalue"):
        if getattr(optimizer, name):
            yield name


@dataclass(frozen=True)
class Structure:
    """A kind of models, which one trace serves.

    Attributes:
        key: Equal for models that share a trace.
        is_shared: Whether other models may use the trace of this one.
        shapes: Of each trainable weight; a dimension that may differ is None.
    """

    key: str
    is_shared: bool
    shapes: tuple[tuple[int | None, ...], ...]


def structure_of(model: Any, specs: Any) -> Structure:
    """Return the structure of a model that `why_not` has nothing against.

    Args:
        model: A compiled model; loss, metrics and optimizer are built.
        specs: Anything that says what its data are like, as JSON.
    """
    try:
        elastic = _elastic_layers(model)
        found = {**_of_model(model, elastic), "data": specs}
        key, is_known = json.dumps(found, sort_keys=True, default=repr), True
    except Exception:  # the user's layer or loss does not say what it is made of
        elastic, found, key, is_known = [], {}, "", False
    dynamic = {id(variable) for layer in elastic for variable in layer.variables}
    shapes = tuple(
        tuple(None if id(one) in dynamic else size for size in one.shape)
        for one in model.trainable_variables
    )
    is_shared = is_known and type(model) in MODELS and not _has_own_code(found)
    return Structure(key, is_shared, shapes)


def _of_model(model: Any, elastic: list[Any]) -> dict[str, Any]:
    """Return all that decides the trace of a model, but for its data."""
    optimizer, compiled = model.optimizer, model.get_compile_config()
    dynamic = {id(variable) for layer in elastic for variable in layer.variables}
    penalties = [id(one.regularizer) for one in model.trainable_variables]
    return {
        "model": _described(model, elastic),
        "weights": [
            [
                one.dtype,
                [None if id(one) in dynamic else size for size in one.shape],
                _penalty(one.regularizer),
                penalties.index(id(one.regularizer)),  # weights may share one, and its number
            ]
            for one in model.trainable_variables
        ],
        "outputs": [list(one.shape) for one in _outputs(model)],
        "fixed": [[one.dtype, list(one.shape)] for one in model.non_trainable_variables],
        "compiled": [
            _plain(compiled["loss"]),
            _plain(compiled["loss_weights"]),
            [_plain(internals.options_of(one)) for one in internals.losses_of(model)],
            [_plain(internals.options_of(one)) for one in _metrics(model)],
            [_plain(keras.saving.serialize_keras_object(one)) for one in _metrics(model)],
            [list(one.shape) for one in model.metrics_variables],
        ],
        "optimizer": [
            type(optimizer).__name__,
            [*_settings(optimizer)],
            bool(getattr(optimizer, "momentum", 0)),
            getattr(optimizer, "nesterov", False),
            _plain(optimizer.get_config()["learning_rate"])
            if internals.rate_of(optimizer)
            else None,
            internals.decayed(optimizer, model.trainable_variables),
        ],
    }


MODELS: Final = (keras.Sequential, type(keras.Model(i := keras.Input((1,)), i)))
"""Sequential, and the class of models that are made of their inputs and outputs."""


def _outputs(model: Any) -> list[Any]:
    return list(getattr(model, "outputs", None) or ())


def _elastic_layers(model: Any) -> list[Any]:
    """Return the Dense layers whose widths a trace may leave open.

    They are those that only elastic layers come after; the layers of a model are in the order in
    which they are called.
    """
    if type(model) not in MODELS:
        return []
    found: list[Any] = []
    for layer in model.layers:
        if type(layer) not in _ELASTIC:
            found = []
        elif type(layer) is keras.layers.Dense:
            found.append(layer)
    return found


def _described(model: Any, elastic: list[Any]) -> Any:
    """Return the configuration of layers and connections, without what makes no other trace."""
    if type(model) not in MODELS:
        return [type(model).__module__, type(model).__qualname__]
    open_names = {layer.name for layer in elastic}
    dropping = {layer.name for layer in model.layers if _drops(layer)}
    found = _plain(model.get_config())
    for layer in found["layers"]:
        config = layer.get("config", layer)
        if config.get("name") in dropping:
            config["rate"] = "a number"
        if config.get("name") not in open_names:
            config["sizes"] = config.get("units")
    return _without(found)


def _without(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            name: _without(one)
            for name, one in value.items()
            if name not in _LEFT_OUT and not _is_of_weights(name)
        }
    return [_without(one) for one in value] if isinstance(value, list) else value


def _is_of_weights(name: str) -> bool:
    """Return whether a member of a configuration is about weights, which are described apart."""
    is_penalty = name.endswith("_regularizer") and name != "activity_regularizer"
    return is_penalty or name.endswith("_initializer")


def _penalty(one: Any) -> Any:
    if one is None or _factors(one):
        return type(one).__name__
    return _plain(keras.saving.serialize_keras_object(one))


def _plain(value: Any) -> Any:
    """Return a configuration as JSON has it."""
    return json.loads(json.dumps(value, default=_number))


def _number(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else repr(value)


_WITH_OWN_CODE: Final = frozenset(
    {"Lambda", "__lambda__", "TorchModuleWrapper", "JaxLayer", "TFSMLayer"}
)


def _keeps_tensors(value: Mapping[str, Any]) -> bool:
    """Return whether a layer has tensors that are no variables, such as means it was adapted to."""
    kind = getattr(keras.layers, str(value.get("class_name")), None)
    return ".preprocessing." in getattr(kind, "__module__", "")


def _has_own_code(value: Any) -> bool:
    """Return whether a configuration names classes or functions that are not Keras's."""
    if isinstance(value, Mapping):
        module = value.get("module")
        if "class_name" in value and isinstance(module, str) and not module.startswith("keras"):
            return True
        if value.get("class_name") in _WITH_OWN_CODE or _keeps_tensors(value):
            return True
        return any(map(_has_own_code, value.values()))
    if isinstance(value, list):
        return any(map(_has_own_code, value))
    return isinstance(value, str) and "<function" in value
