"""A user's Keras model as a chain, which the engine `compiled` trains; or why it is none.

Import this after `set_up_tensorflow()`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import keras
import numpy as np

from digitexp.activations import ACTIVATIONS
from digitexp.chain import Chain, Dense, Layer, Loss, Normalization, Optimizer
from digitexp.training.graph import keras_internals as internals
from digitexp.training.graph.structure import MODELS, why_not

Metric = Callable[[np.ndarray, np.ndarray], float]
"""(targets or labels, outputs) of a whole epoch -> its value."""


class NoChain(ValueError):  # noqa: N818 - it says what a model is
    """A model cannot be trained by the engine `compiled`; the message says why."""


@dataclass(frozen=True)
class KerasChain:
    """A model as a chain.

    Attributes:
        chain: Its layers and its loss.
        optimizer: Its optimizer; the learning rate is the model's own.
        dtype: Type of its weights.
        variables: Keras's variable of each array of weights, by its name in the chain.
        metrics: The compiled metrics, by their names in a history.
        first: Layers that come before anything is learnt, applied to all samples at once.
    """

    chain: Chain
    optimizer: Optimizer
    dtype: str
    variables: Mapping[str, Any]
    metrics: Mapping[str, Metric]
    first: tuple[Any, ...]

    def weights(self) -> dict[str, np.ndarray]:
        """Return copies of the model's weights."""
        return {name: one.numpy().copy() for name, one in self.variables.items()}

    def give_back(self, weights: Mapping[str, np.ndarray]) -> None:
        """Give the model weights of the chain."""
        for name, array in weights.items():
            self.variables[name].assign(array)

    def in_order(self, model: Any, weights: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Return all weights of the model in Keras's order, those of the chain as given."""
        known = {id(self.variables[name]): array for name, array in weights.items()}
        return [known[id(v)] if id(v) in known else v.numpy() for v in model.weights]

    def samples(self, x: Any) -> np.ndarray:
        """Return inputs (n, ...) of the model as the chain takes them: (n, features).

        Raises:
            NoChain: They are several, or of another width.
        """
        if not isinstance(x, np.ndarray) or x.dtype.kind not in "fiub":
            raise NoChain("its inputs are no single array of numbers")
        found = x.astype(self.dtype, copy=False)
        for layer in self.first:
            found = np.asarray(layer(found))
        if found.ndim != 2 or found.shape[1] != self.chain.features:
            raise NoChain(f"its inputs are of shape {x.shape}")
        return found

    def answers(self, y: Any) -> np.ndarray:
        """Return targets as the loss takes them: labels (n,), or (n, outputs).

        Raises:
            NoChain: They have another shape.
        """
        if not isinstance(y, np.ndarray) or y.dtype.kind not in "fiub":
            raise NoChain("its targets are no single array of numbers")
        shape, outputs = y.shape[1:], self.chain.widths[-1]
        if self.chain.loss.name == "sparse_categorical_crossentropy":
            if shape not in {(), (1,)}:
                raise NoChain(f"its labels are of shape {y.shape}")
            return y.reshape(len(y)).astype(np.int64)
        if shape != (outputs,) and not (shape == () and outputs == 1):
            raise NoChain(f"its targets are of shape {y.shape}, its outputs {outputs}")
        return y.reshape(len(y), outputs).astype(self.dtype)

    def measured(self, y: np.ndarray, outputs: np.ndarray) -> dict[str, float]:
        """Return the compiled metrics of all samples, from their targets and outputs."""
        return {name: float(metric(y, outputs)) for name, metric in self.metrics.items()}


def chain_of(model: Any, y: Any) -> KerasChain:
    """Return a compiled and built model as a chain.

    Args:
        model: The model.
        y: Its targets, which decide what the metric `accuracy` is.

    Raises:
        NoChain: It is none.
    """
    if (reason := why_not(model)) is not None:
        raise NoChain(reason)
    if type(model) not in MODELS or "call" in vars(model):
        raise NoChain(f"the model is a {type(model).__name__}, which may call its layers otherwise")
    first, layers, variables, features = _layers_of(model)
    dtype = str(model.trainable_variables[0].dtype)
    mixed = [one.name for one in model.layers if one.compute_dtype != dtype]
    if mixed:
        raise NoChain(f"the layer {mixed[0]} computes in another type than {dtype}")
    chain = Chain(features, tuple(layers), _loss_of(model, layers[-1]))
    known = {id(one) for one in (*variables.values(), *(w for one in first for w in one.weights))}
    if any(id(one) not in known for one in model.weights):
        raise NoChain("it has weights of another kind")
    optimizer = _optimizer_of(model)
    return KerasChain(chain, optimizer, dtype, variables, _metrics_of(model, chain, y), first)


_FIRST: Final = (keras.layers.Flatten, keras.layers.Rescaling, keras.layers.Normalization)
"""Layers without anything to learn, which give the same for a sample each time."""

_ACTIVATIONS: Final = {
    getattr(keras.activations, name): name for name in (*ACTIVATIONS, "linear", "softmax")
}


def _layers_of(model: Any) -> tuple[tuple[Any, ...], list[Layer], dict[str, Any], int]:
    """Return the layers before the first that learns, the others, the variables by name, features.

    Features are the numbers of a sample that go into the others.
    """
    first: list[Any] = []
    found: list[Layer] = []
    variables: dict[str, Any] = {}
    in_turn = internals.layers_in_turn(model)
    if not in_turn:
        raise NoChain("its layers are no chain")
    before = model.inputs[0]
    for layer, given in in_turn:
        if type(layer) in _FIRST and not found:
            first.append(layer)
            before = given
            continue
        if len(before.shape) != 2 or before.shape[1] is None:
            raise NoChain(f"its inputs are of shape {tuple(before.shape)}; add a Flatten layer")
        one = _layer_of(layer, given)
        last = found[-1] if found else None
        if type(one) is Layer and last is not None and not last.dropout:
            # Activation and dropout of their own are those of the layer before.
            if one.activation == "linear":
                found[-1] = replace(last, dropout=one.dropout)
                continue
            if last.activation == "linear":
                found[-1] = replace(last, activation=one.activation)
                continue
        found.append(one)
        variables |= _variables_of(layer, one)
    if not found:
        raise NoChain("it has no layers")
    inner = [one.name for one in found[:-1] if one.activation == "softmax"]
    if inner:
        raise NoChain(f"the layer {inner[0]} is a softmax within the net")
    return tuple(first), found, variables, int(before.shape[1])


def _layer_of(layer: Any, given: Any) -> Layer:
    """Return a layer of Keras's as a layer of a chain.

    Raises:
        NoChain: It is no such layer, or has an option that the engine has not.
    """
    make = _KINDS.get(type(layer))
    if make is None:
        raise NoChain(f"the layer {layer.name} is a {type(layer).__name__}")
    if getattr(layer, "activity_regularizer", None) is not None:
        raise NoChain(f"the layer {layer.name} has an activity_regularizer")
    return make(layer, int(given.shape[-1]))


def _dense(layer: Any, units: int) -> Layer:
    if layer.bias_regularizer is not None:
        raise NoChain(f"the layer {layer.name} has a bias_regularizer")
    if getattr(layer, "lora_enabled", False) or getattr(layer, "quantization_mode", None):
        raise NoChain(f"the layer {layer.name} is quantised or has LoRA")
    l1, l2 = _penalty(layer)
    return Dense(
        layer.name,
        units,
        _activation(layer),
        trains=_trains(layer),
        l1=l1,
        l2=l2,
        has_bias=layer.use_bias,
    )


def _penalty(layer: Any) -> tuple[float, float]:
    one = layer.kernel_regularizer
    if one is None:
        return 0.0, 0.0
    if type(one) not in {keras.regularizers.L1, keras.regularizers.L2, keras.regularizers.L1L2}:
        raise NoChain(f"the layer {layer.name} has the penalty {type(one).__name__}")
    return float(getattr(one, "l1", 0.0)), float(getattr(one, "l2", 0.0))


def _activation(layer: Any) -> str:
    if (name := _ACTIVATIONS.get(layer.activation)) is None:
        own = getattr(layer.activation, "__name__", type(layer.activation).__name__)
        raise NoChain(f"the activation {own} of layer {layer.name} is none of this engine")
    return name


def _trains(layer: Any) -> bool:
    learnt = (getattr(layer, name, None) for name in ("kernel", "bias", "gamma", "beta"))
    kinds = {variable.trainable for variable in learnt if variable is not None}
    if len(kinds) > 1:
        raise NoChain(f"the layer {layer.name} trains in part")
    return kinds != {False}


def _normalization(layer: Any, units: int) -> Layer:
    is_batch = type(layer) is keras.layers.BatchNormalization
    axis = layer.axis[0] if isinstance(layer.axis, list) and len(layer.axis) == 1 else layer.axis
    penalties = [layer.beta_regularizer, layer.gamma_regularizer]
    odd = {
        "axis": axis not in {1, -1},
        "a penalty": any(one is not None for one in penalties),
        "renorm": getattr(layer, "renorm", False),
        "rms_scaling": getattr(layer, "rms_scaling", False),
        "trainable": not layer.trainable or not _trains(layer),
    }
    if any(odd.values()):
        which = next(name for name, is_so in odd.items() if is_so)
        raise NoChain(f"the normalisation {layer.name} has another {which} than this engine")
    return Normalization(
        layer.name,
        units,
        over="batch" if is_batch else "layer",
        epsilon=float(layer.epsilon),
        momentum=float(layer.momentum) if is_batch else 0.0,
        has_gamma=layer.scale,
        has_beta=layer.center,
    )


def _dropout(layer: Any, units: int) -> Layer:
    if layer.noise_shape is not None:
        raise NoChain(f"the layer {layer.name} has a noise_shape")
    if layer.rate >= 1:
        raise NoChain(f"the layer {layer.name} drops everything")
    return Layer(layer.name, units, dropout=float(layer.rate))


def _named(name: str, **options: Any) -> Callable[[Any, int], Layer]:
    """Return what makes of a layer that is an activation the same by its name."""

    def make(layer: Any, units: int) -> Layer:
        for option, value in options.items():
            if getattr(layer, option) != value:
                raise NoChain(f"the layer {layer.name} has another {option} than this engine")
        return Layer(layer.name, units, name)

    return make


_KINDS: Final[Mapping[type, Callable[[Any, int], Layer]]] = {
    keras.layers.Dense: _dense,
    keras.layers.BatchNormalization: _normalization,
    keras.layers.LayerNormalization: _normalization,
    keras.layers.Dropout: _dropout,
    keras.layers.Activation: lambda layer, units: Layer(layer.name, units, _activation(layer)),
    keras.layers.ReLU: _named("relu", max_value=None, negative_slope=0.0, threshold=0.0),
    keras.layers.LeakyReLU: _named("leaky_relu", negative_slope=0.2),
    keras.layers.ELU: _named("elu", alpha=1.0),
    keras.layers.Softmax: _named("softmax", axis=-1),
    keras.layers.Identity: lambda layer, units: Layer(layer.name, units),
}


def _variables_of(layer: Any, one: Layer) -> dict[str, Any]:
    names = ("kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance")
    found = {name: getattr(layer, name, None) for name in names}
    return {f"{one.name}/{name}": own for name, own in found.items() if own is not None}


_LOSSES: Final = {
    "sparse_categorical_crossentropy": keras.losses.SparseCategoricalCrossentropy,
    "categorical_crossentropy": keras.losses.CategoricalCrossentropy,
    "binary_crossentropy": keras.losses.BinaryCrossentropy,
    "mean_squared_error": keras.losses.MeanSquaredError,
    "mean_absolute_error": keras.losses.MeanAbsoluteError,
    "huber": keras.losses.Huber,
}
_ENDS: Final = {
    "sparse_categorical_crossentropy": "softmax",
    "categorical_crossentropy": "softmax",
    "binary_crossentropy": "sigmoid",
}
"""The activation that Keras takes off again before a cross-entropy of probabilities."""


def _loss_of(model: Any, last: Layer) -> Loss:
    """Return the loss of a model, whose last layer is given."""
    name, how = _described_loss(model.loss)
    compiled = model.get_compile_config()
    if compiled["loss_weights"] is not None:
        raise NoChain("its loss has a weight")
    if how.get("reduction", "sum_over_batch_size") not in {"sum_over_batch_size", "mean"}:
        raise NoChain(f"its loss has the reduction {how['reduction']}")
    if how.get("ignore_class") is not None:
        raise NoChain("its loss has an ignore_class")
    if how.get("axis", -1) != -1:
        raise NoChain("its loss has an axis")
    end = _ENDS.get(name)
    takes_logits, gives_shares = how.get("from_logits", False), last.activation == end
    if end is not None and takes_logits and gives_shares:
        raise NoChain(f"its loss takes logits, and a {end} gives probabilities")
    if end is not None and not takes_logits and not gives_shares:
        raise NoChain(f"its loss takes probabilities, and no {end} gives them")
    if last.activation == "softmax" and end != "softmax":
        raise NoChain(f"a softmax comes before the loss {name}")
    if last.activation == "sigmoid" and end == "softmax":
        raise NoChain(f"a sigmoid comes before the loss {name}")
    if last.activation == end and last.dropout:
        raise NoChain("its last layer drops outputs")
    return Loss(name, float(how.get("label_smoothing", 0.0)), float(how.get("delta", 1.0)))


def _described_loss(given: Any) -> tuple[str, Mapping[str, Any]]:
    """Return the name of a loss in a chain, and its options.

    Raises:
        NoChain: It is another one.
    """
    one = keras.losses.get(given) if isinstance(given, str) else given
    for name, kind in _LOSSES.items():
        if type(one) is kind:
            return name, {**one.get_config(), **internals.options_of(one)}
        if one is getattr(keras.losses, name):
            return name, {}
    own = getattr(one, "__name__", type(one).__name__)
    raise NoChain(f"the loss {own} is none of this engine")


def _optimizer_of(model: Any) -> Optimizer:
    own = model.optimizer
    if internals.rate_of(own) is not None:
        raise NoChain("its learning rate follows a schedule")
    decayed = set(internals.decayed(own, model.trainable_variables))
    if len(decayed) > 1:
        raise NoChain("not all of its weights decay")
    names = {
        keras.optimizers.SGD: "sgd",
        keras.optimizers.RMSprop: "rmsprop",
    }
    return Optimizer(
        names.get(type(own), "adam"),  # type: ignore[arg-type]
        beta_1=float(getattr(own, "beta_1", 0.0)),
        beta_2=float(getattr(own, "beta_2", getattr(own, "rho", 0.0))),
        epsilon=float(getattr(own, "epsilon", 0.0)),
        momentum=float(getattr(own, "momentum", 0.0)),
        nesterov=bool(getattr(own, "nesterov", False)),
        weight_decay=float(own.weight_decay or 0.0),
        clipnorm=float(own.clipnorm or 0.0),
        clipvalue=float(own.clipvalue or 0.0),
        global_clipnorm=float(own.global_clipnorm or 0.0),
    )


def _metrics_of(model: Any, chain: Chain, y: Any) -> dict[str, Metric]:
    given, weighted = internals.metrics_given(model)
    if weighted:
        raise NoChain("it has weighted_metrics")
    if not isinstance(given, list | tuple):
        raise NoChain("its metrics are no list")
    found: dict[str, Metric] = {}
    for each in given:
        one = _resolved(each, chain, y)
        function = getattr(one, "_fn", None)
        kind = type(one).__name__ if function is None else function.__name__
        if not all(of.__module__.startswith("keras.") for of in (type(one), function or type(one))):
            raise NoChain(f"the metric {one.name} is your own, and may be one of a batch")
        if chain.ends_in_logits and "cross" in kind.lower():
            raise NoChain(f"the metric {one.name} takes what comes before the last activation")
        if one.name in found or one.name == "loss":
            raise NoChain(f"two metrics have the name {one.name}")
        found[one.name] = _fast(one) or _by_keras(one)
    return found


def _resolved(given: Any, chain: Chain, y: Any) -> Any:
    """Return a compiled metric as an object, with the name that it has in a history."""
    kinds = keras.metrics
    if isinstance(given, str) and given in {"accuracy", "acc"}:
        if chain.widths[-1] == 1:
            return kinds.BinaryAccuracy(name=given)
        is_sparse = np.ndim(y) < 2 or np.shape(y)[-1] == 1
        kind = kinds.SparseCategoricalAccuracy if is_sparse else kinds.CategoricalAccuracy
        return kind(name=given)
    one = kinds.get(given) if isinstance(given, str) else given
    if isinstance(one, kinds.Metric):
        one.name = given if isinstance(given, str) else one.name
        return one
    if not callable(one):
        raise NoChain("its metrics are no list")
    return kinds.MeanMetricWrapper(one, name=given if isinstance(given, str) else one.__name__)


def _by_keras(metric: Any) -> Metric:
    """Return a metric of Keras's that adds something up, over all samples at once."""

    def measure(y: np.ndarray, outputs: np.ndarray) -> float:
        metric.reset_state()
        metric.update_state(y, outputs)
        found = float(metric.result())
        metric.reset_state()  # it is the model's own, which looks at it next
        return found

    return measure


def _fast(metric: Any) -> Metric | None:
    """Return the same in NumPy, where that is known."""
    if type(metric) is keras.metrics.BinaryAccuracy and metric.threshold != 0.5:
        return None
    function = getattr(metric, "_fn", None)
    return _NUMPY.get(getattr(function, "__name__", ""))


_NUMPY: Final[Mapping[str, Metric]] = {
    "sparse_categorical_accuracy": lambda y, found: np.mean(found.argmax(1) == y.reshape(len(y))),
    "categorical_accuracy": lambda y, found: np.mean(found.argmax(1) == y.argmax(1)),
    "binary_accuracy": lambda y, found: np.mean((found > 0.5) == y.reshape(found.shape)),
    "mean_absolute_error": lambda y, found: np.mean(
        np.abs(found - y.reshape(found.shape)), dtype=float
    ),
    "mean_squared_error": lambda y, found: np.mean(
        (found - y.reshape(found.shape)) ** 2, dtype=float
    ),
}
