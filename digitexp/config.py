"""TrialConfig: one complete, valid set of hyperparameters, none of which contradict each other."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from digitexp.parameters import (
    MAX_CONV_BLOCKS,
    MAX_HIDDEN_LAYERS,
    PARAMETERS,
    ConfigError,
    Scalar,
)

__all__ = ["CNN_ONLY", "ConfigError", "TrialConfig", "only_keras", "refuse_contradictions"]


CNN_ONLY: Final = ("filters", "kernel_size", "convs_per_block", "batch_norm", "conv_dropout")
"""Fields of a TrialConfig that only convolutional nets use."""


def refuse_contradictions(config: TrialConfig) -> None:
    """Raise ConfigError if two settings contradict each other, or one could have no effect."""
    for problem in (*_of_layers(config), *_of_training(config)):
        raise ConfigError(problem)


def _of_layers(config: TrialConfig) -> Iterator[str]:
    """Yield the contradictions in what the net is made of."""
    defaults = type(config).__dataclass_fields__
    if isinstance(config.dropout, tuple) and len(config.dropout) != len(config.units):
        yield (
            f"dropout has {len(config.dropout)} values for {len(config.units)} hidden layers; "
            "give one number, or one per layer."
        )
    for name in CNN_ONLY if config.architecture == "mlp" else ():
        if getattr(config, name) != defaults[name].default:
            yield (
                f"{name} is {getattr(config, name)!r}, but an mlp has no convolutions; "
                f"set architecture to cnn, or leave {name} out."
            )
    frozen, there = config.frozen_layers, config.layers_before_output
    if frozen and config.initial_weights is None:
        yield (
            f"frozen_layers is {frozen}, but initial_weights is not given: layers that start at "
            "random would never learn. Give initial_weights, or set frozen_layers to 0."
        )
    if frozen > there:
        yield (
            f"frozen_layers is {frozen}, but there are {there} layers before the output layer, "
            f"which always trains; frozen_layers may be at most {there}."
        )


def _of_training(config: TrialConfig) -> Iterator[str]:
    """Yield the contradictions in how the net is trained."""
    if config.augment_worst_classes is not None and not config.is_augmented:
        yield (
            f"augment_worst_classes is {config.augment_worst_classes}, but nothing is augmented; "
            "set rotation, shift or zoom above 0, or leave augment_worst_classes out."
        )
    if config.engine == "compiled" and (reason := only_keras(config)):
        yield f"engine is 'compiled', which trains no such net: {reason}. Set it to auto or keras."
    plateau, stopping = config.plateau_patience_epochs, config.early_stopping_patience_epochs
    if plateau is None or config.learning_rate_schedule != "plateau":
        return
    if stopping is not None and config.plateau_monitor == "val_loss" and plateau >= stopping:
        yield (
            f"plateau_patience_epochs is {plateau} and early_stopping_patience_epochs is "
            f"{stopping}: training would stop before the learning rate can fall. Make "
            f"plateau_patience_epochs smaller than {stopping}, or none to keep the rate."
        )
    if config.min_learning_rate > config.learning_rate:
        yield (
            f"min_learning_rate is {config.min_learning_rate:g}, above the learning_rate of "
            f"{config.learning_rate:g}, so the rate could never fall. Lower min_learning_rate, "
            "or set plateau_patience_epochs to none to keep the rate."
        )


def only_keras(config: TrialConfig) -> str | None:
    """Return why only Keras's own loop can train a configuration; None if `compiled` can."""
    reasons = (
        (
            config.architecture == "cnn",
            "a convolutional net, whose arithmetic takes far longer than what is around it",
        ),
        (config.is_augmented, "images are augmented by Keras's layers"),
        (config.adversarial_epsilon > 0, "each batch is attacked first"),
        (config.precision != "float32", f"precision {config.precision}"),
        (config.input_pipeline != "memory", "tf.data feeds the images"),
    )
    return next((reason for is_so, reason in reasons if is_so), None)


_NUMBERED = re.compile(r"(units|dropout|filters)_([1-9][0-9]*)")
_COUNTS = {"units": "hidden_layers", "filters": "conv_blocks"}
"""Series -> the parameter that counts its values."""
_SERIES = ("units", "dropout", "filters")


@dataclass(frozen=True)
class TrialConfig:
    """One configuration of the network and its training; the default is the tutorial's net.

    `digitexp.parameters.PARAMETERS` holds the limits, units and meanings of all fields.

    Attributes:
        architecture: `mlp`, or `cnn`: convolutional blocks before the hidden layers.
        filters: Filters of each convolutional block; `conv_blocks`, `filters_1`, ... in flat form.
            The default is that of Keras's example "Simple MNIST convnet".
        units: Neurons of each hidden layer; `hidden_layers`, `units_1`, ... in flat form.
        dropout: One rate for all hidden layers, or one per layer (`dropout_1`, ...).
        initial_weights: File or folder of the weights to start from, relative to the current
            folder; None = random weights.
        frozen_layers: Number of first layers that do not train.
        clipnorm: Largest norm of each gradient tensor; None = no clipping.
        early_stopping_patience_epochs: None = train all epochs; the best weights are restored
            in either case.
        plateau_patience_epochs: None = the learning rate stays.

    Raises:
        ConfigError: A field is of the wrong kind or out of limits, or two fields contradict.
    """

    architecture: str = "mlp"
    filters: tuple[int, ...] = (32, 64)
    kernel_size: int = 3
    convs_per_block: int = 1
    batch_norm: bool = False
    conv_dropout: float = 0.0
    learning_rate: float = 0.001
    batch_size: int = 32
    units: tuple[int, ...] = (25, 15)
    dropout: float | tuple[float, ...] = 0.0
    l2: float = 0.0
    activation: str = "relu"
    kernel_initializer: str = "glorot_uniform"
    initial_weights: str | None = None
    frozen_layers: int = 0
    clipnorm: float | None = None
    label_smoothing: float = 0.0
    rotation: float = 0.0
    shift: float = 0.0
    zoom: float = 0.0
    augment_worst_classes: int | None = None
    adversarial_epsilon: float = 0.0
    epochs: int = 40
    early_stopping_patience_epochs: int | None = 5
    learning_rate_schedule: str = "plateau"
    final_learning_rate_share: float = 0.01
    plateau_monitor: str = "val_loss"
    plateau_factor: float = 0.5
    plateau_patience_epochs: int | None = 3
    min_learning_rate: float = 1e-6
    precision: str = "float32"
    input_pipeline: str = "memory"
    engine: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            name, value = field.name, getattr(self, field.name)
            is_rate = name == "dropout" and not isinstance(value, tuple | list)  # of all layers
            is_series = name in _SERIES and not is_rate
            check = _checked_series if is_series else PARAMETERS[name].check
            object.__setattr__(self, name, check(name, value))
        for name, count in _COUNTS.items():
            PARAMETERS[count].check(count, len(getattr(self, name)))
        refuse_contradictions(self)

    @property
    def hidden_layers(self) -> int:
        """Number of hidden layers."""
        return len(self.units)

    @property
    def layers_before_output(self) -> int:
        """Number of convolutions and hidden layers, which can start from given weights."""
        is_cnn = self.architecture == "cnn"
        return len(self.units) + (len(self.filters) * self.convs_per_block if is_cnn else 0)

    @property
    def dropout_rates(self) -> tuple[float, ...]:
        """Dropout rate after each hidden layer."""
        if isinstance(self.dropout, tuple):
            return self.dropout
        return (self.dropout,) * len(self.units)

    @property
    def is_augmented(self) -> bool:
        """Whether training images are turned, shifted or zoomed."""
        return any((self.rotation, self.shift, self.zoom))

    def describe(self) -> str:
        """Return the essentials in one line, for titles and logs."""
        rates = self.dropout if isinstance(self.dropout, tuple) else (self.dropout,)
        blocks = "-".join(map(str, self.filters))
        parts = [
            f"filters {blocks}" if self.architecture == "cnn" else "",
            "-".join(map(str, self.units)) or "no hidden layer",
            self.activation if self.activation != "relu" else "",
            f"learning rate {self.learning_rate:.3g}",
            f"batch {self.batch_size}",
            f"dropout {'-'.join(f'{rate:.2g}' for rate in rates)}" if any(rates) else "",
            f"l2 {self.l2:.2g}" if self.l2 else "",
            f"starts from {self.initial_weights}" if self.initial_weights else "",
            f"{self.frozen_layers} frozen" if self.frozen_layers else "",
        ]
        return "  ·  ".join(part for part in parts if part)

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> TrialConfig:
        """Build a configuration from flat names; a parameter that is missing has its default.

        Args:
            params: Values by flat name: `learning_rate`, `units_1`, `dropout` or `dropout_1`, ...
                `hidden_layers` may be left out; if given, it must agree with the units.

        Raises:
            ConfigError: A name is unknown or missing, or a value is refused.
        """
        plain: dict[str, Any] = {}
        series: dict[str, dict[int, Any]] = {name: {} for name in _SERIES}
        for name, value in params.items():
            if match := _NUMBERED.fullmatch(name):
                series[match[1]][int(match[2])] = value
            elif name in PARAMETERS and "{" not in name:
                plain[name] = value
            else:
                raise ConfigError(_unknown(name))
        for name, count_name in _COUNTS.items():
            count = plain.pop(count_name, None)
            if count is not None or series[name]:
                plain[name] = _complete(name, series[name], count)
        if series["dropout"]:
            if "dropout" in plain:
                raise ConfigError(
                    f"dropout and dropout_{min(series['dropout'])} are both given; "
                    "give dropout for all layers, or dropout_1, dropout_2, ... for each."
                )
            count = len(plain.get("units", cls.units))
            plain["dropout"] = _complete("dropout", series["dropout"], count)
        return cls(**plain)

    def to_params(self) -> dict[str, Scalar]:
        """Return every parameter that has an effect by flat name; `from_params` reads it again."""
        params: dict[str, Scalar] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in CNN_ONLY and self.architecture != "cnn":
                continue
            if field.name in _COUNTS:
                params[_COUNTS[field.name]] = len(value)
            if isinstance(value, tuple):
                params |= {f"{field.name}_{i}": item for i, item in enumerate(value, 1)}
            else:
                params[field.name] = value
        return params


def _checked_series(name: str, values: Any) -> tuple[Any, ...]:
    if not isinstance(values, tuple | list):
        raise ConfigError(f"{name} is {values!r}; it must be a tuple with one value per layer.")
    parameter = PARAMETERS[f"{name}_{{i}}"]
    return tuple(parameter.check(f"{name}_{i}", value) for i, value in enumerate(values, 1))


def _complete(name: str, given: Mapping[int, Any], count: Any) -> tuple[Any, ...]:
    """Return name_1 ... name_count; a count of None means "as many as are given"."""
    count_name = _COUNTS.get(name, "hidden_layers")
    if count is None:
        count = max(given)
    count = PARAMETERS[count_name].check(count_name, count)
    assert isinstance(count, int)
    noun = count_name.replace("_", " ").replace("conv ", "convolutional ")
    nouns = f"is only 1 {noun.removesuffix('s')}" if count == 1 else f"are {count} {noun}"
    if missing := [i for i in range(1, count + 1) if i not in given]:
        raise ConfigError(f"{name}_{missing[0]} is missing: there {nouns}.")
    if extra := [i for i in sorted(given) if i > count]:
        raise ConfigError(
            f"{name}_{extra[0]} is given, but there {nouns}; "
            f"raise {count_name} or leave {name}_{extra[0]} out."
        )
    return tuple(given[i] for i in range(1, count + 1))


def _unknown(name: str) -> str:
    known = list(PARAMETERS)
    for one in (one for one in PARAMETERS if "{i}" in one):
        count = MAX_CONV_BLOCKS if one.startswith("filters") else MAX_HIDDEN_LAYERS
        known += [one.replace("{i}", str(i)) for i in range(1, count + 1)]
    close = difflib.get_close_matches(str(name), known, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    return f"There is no parameter {name!r}.{hint} Known: {', '.join(PARAMETERS)}."


DEFAULTS: Final[Mapping[str, Scalar]] = {
    **TrialConfig(architecture="cnn").to_params(),
    "architecture": TrialConfig.architecture,
}
"""The default of each parameter by flat name; a series has one for each of its values."""
