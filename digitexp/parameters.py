"""Every hyperparameter of the digits experiment, stated once: kind, limits, meaning.

`TrialConfig` validates against this table; the adapter shows it to the framework.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from types import MappingProxyType
from typing import Literal

from digitexp.activations import ACTIVATIONS

Scalar = bool | int | float | str | None
"""A flat value, as written in YAML, on a command line or in a record."""


class ConfigError(ValueError):
    """A hyperparameter is unknown, missing, of the wrong kind, out of limits or contradictory."""


@dataclass(frozen=True)
class Parameter:
    """One hyperparameter.

    Attributes:
        kind: Type of its values; an `int` is accepted where a `float` is expected.
        meaning: One line, with the unit.
        low: Smallest allowed number, inclusive.
        high: Largest allowed number, inclusive.
        choices: Allowed texts; None = any text.
        optional: Whether None ("off") is allowed.
    """

    kind: Literal["float", "int", "bool", "categorical"]
    meaning: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] | None = None
    optional: bool = False

    def check(self, name: str, value: Scalar) -> Scalar:
        """Return `value` as a plain bool, int, float, str or None.

        Raises:
            ConfigError: The value is of another kind or outside the limits.
        """
        if value is None and self.optional:
            return None
        if self.kind == "categorical":
            is_text = isinstance(value, str) and value.strip() != ""
            if is_text and (self.choices is None or value in self.choices):
                return value
            raise self._refused(name, value)
        if self.kind == "bool":
            if isinstance(value, bool):
                return value
            raise self._refused(name, value)
        kind = Integral if self.kind == "int" else Real
        if isinstance(value, bool) or not isinstance(value, kind):
            raise self._refused(name, value)
        number = int(value) if self.kind == "int" else float(value)
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        if not math.isfinite(number) or not low <= number <= high:
            raise self._refused(name, value)
        return number

    def _refused(self, name: str, value: object) -> ConfigError:
        return ConfigError(f"{name} is {value!r}; it must be {self.allowed}.")

    @property
    def allowed(self) -> str:
        """The allowed values in words, such as `a number from 0 to 10`."""
        if self.kind == "bool":
            words = "true or false"
        elif self.kind == "categorical":
            words = "a text" if self.choices is None else "one of " + ", ".join(self.choices)
        else:
            noun = "an integer" if self.kind == "int" else "a number"
            words = f"{noun} from {self.low:.15g} to {self.high:.15g}"
        return f"{words}, or none (off)" if self.optional else words


INITIALIZERS = (
    "glorot_uniform",
    "glorot_normal",
    "he_uniform",
    "he_normal",
    "lecun_uniform",
    "lecun_normal",
)
ENGINES = ("auto", "compiled", "keras")
MAX_HIDDEN_LAYERS = 10
MAX_CONV_BLOCKS = 4
MAX_CONVS_PER_BLOCK = 4


PARAMETERS: Mapping[str, Parameter] = MappingProxyType(
    {
        "learning_rate": Parameter(
            "float", "Adam's learning rate at the start", low=1e-8, high=10.0
        ),
        "architecture": Parameter(
            "categorical",
            "mlp (dense layers) or cnn (convolutional blocks before them)",
            choices=("mlp", "cnn"),
        ),
        "conv_blocks": Parameter(
            "int",
            "cnn: blocks of convolutions, each ended by a 2x2 max-pooling; follows from filters_1,"
            " filters_2, ... if not given",
            low=1,
            high=MAX_CONV_BLOCKS,
        ),
        "filters_{i}": Parameter("int", "filters of each convolution in block i", low=1, high=1024),
        "kernel_size": Parameter("int", "cnn: side of the kernels, pixels", low=1, high=11),
        "convs_per_block": Parameter(
            "int", "cnn: convolutions in a block", low=1, high=MAX_CONVS_PER_BLOCK
        ),
        "batch_norm": Parameter("bool", "cnn: batch normalisation after each convolution"),
        "conv_dropout": Parameter(
            "float", "cnn: share of activations dropped after each block", low=0.0, high=0.95
        ),
        "batch_size": Parameter("int", "images per step", low=1, high=65536),
        "hidden_layers": Parameter(
            "int",
            "number of hidden layers; follows from units_1, units_2, ... if not given",
            low=0,
            high=MAX_HIDDEN_LAYERS,
        ),
        "units_{i}": Parameter("int", "neurons of hidden layer i", low=1, high=4096),
        "dropout": Parameter(
            "float", "share of activations dropped in training", low=0.0, high=0.95
        ),
        "dropout_{i}": Parameter(
            "float", "dropout after hidden layer i, in place of dropout", low=0.0, high=0.95
        ),
        "l2": Parameter(
            "float", "L2 penalty on the kernels of all but the last layer", low=0.0, high=10.0
        ),
        "activation": Parameter(
            "categorical", "activation of the hidden layers", choices=ACTIVATIONS
        ),
        "kernel_initializer": Parameter(
            "categorical", "initializer of all kernels", choices=INITIALIZERS
        ),
        "initial_weights": Parameter(
            "categorical",
            "weights to start from: a .weights.h5, weights.npz or .keras file, or a folder with"
            " one; the output layer always starts anew",
            optional=True,
        ),
        "frozen_layers": Parameter(
            "int",
            "number of first layers that keep their initial weights; a convolution and its batch"
            " normalisation count as one",
            low=0,
            high=MAX_CONV_BLOCKS * MAX_CONVS_PER_BLOCK + MAX_HIDDEN_LAYERS,
        ),
        "clipnorm": Parameter(
            "float",
            "largest norm of each gradient tensor; none switches clipping off",
            low=1e-6,
            high=1e6,
            optional=True,
        ),
        "label_smoothing": Parameter(
            "float", "share of the target spread over all classes in training", low=0.0, high=0.9
        ),
        "rotation": Parameter(
            "float", "largest random turn of a training image, degrees", low=0.0, high=180.0
        ),
        "shift": Parameter(
            "float", "largest random shift, share of height and width", low=0.0, high=0.5
        ),
        "zoom": Parameter("float", "largest random zoom in or out, share", low=0.0, high=0.5),
        "augment_worst_classes": Parameter(
            "int",
            "number of classes to augment: those a first training recognises worst; none = all",
            low=1,
            high=1000,
            optional=True,
        ),
        "adversarial_epsilon": Parameter(
            "float",
            "each batch is trained once more after an attack (FGSM) of this size, in pixel values",
            low=0.0,
            high=1.0,
        ),
        "epochs": Parameter("int", "most passes over the training part", low=1, high=10_000),
        "early_stopping_patience_epochs": Parameter(
            "int",
            "epochs without a better val_loss before training stops; none never stops early",
            low=1,
            high=10_000,
            optional=True,
        ),
        "learning_rate_schedule": Parameter(
            "categorical",
            "plateau (the plateau_* parameters), or cosine or exponential decay over all epochs",
            choices=("plateau", "cosine", "exponential"),
        ),
        "final_learning_rate_share": Parameter(
            "float",
            "cosine, exponential: the rate at the end, as a share of learning_rate",
            low=1e-6,
            high=1.0,
        ),
        "plateau_monitor": Parameter(
            "categorical",
            "loss whose plateau lowers the learning rate",
            choices=("val_loss", "loss"),
        ),
        "plateau_factor": Parameter(
            "float", "factor of the learning rate at a plateau", low=0.01, high=0.99
        ),
        "plateau_patience_epochs": Parameter(
            "int",
            "epochs without improvement before the rate falls; none keeps the rate",
            low=1,
            high=10_000,
            optional=True,
        ),
        "min_learning_rate": Parameter(
            "float", "plateaus lower the rate no further", low=0.0, high=1.0
        ),
        "precision": Parameter(
            "categorical",
            "precision of the arithmetic; mixed_* computes in 16 bits and keeps weights in 32",
            choices=("float32", "mixed_float16", "mixed_bfloat16"),
        ),
        "input_pipeline": Parameter(
            "categorical",
            "memory (tensors) or tf_data (shuffled, batched and prefetched by tf.data)",
            choices=("memory", "tf_data"),
        ),
        "engine": Parameter(
            "categorical",
            "compiled (an epoch in one call), keras (model.fit) or auto (whichever is faster)",
            choices=ENGINES,
        ),
        "seed": Parameter("int", "decides weights, shuffling and dropout", low=0, high=2**32 - 1),
    }
)
"""The parameters by name, in reading order; `units_{i}` stands for units_1, units_2, ..."""
