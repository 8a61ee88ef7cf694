"""TrialConfig: one complete, valid set of hyperparameters."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from digitexp.parameters import (
    DEFAULT_UNITS,
    MAX_HIDDEN_LAYERS,
    PARAMETERS,
    ConfigError,
    Scalar,
)

__all__ = ["ConfigError", "TrialConfig"]

_NUMBERED = re.compile(r"(units|dropout)_([1-9][0-9]*)")


@dataclass(frozen=True)
class TrialConfig:
    """One configuration of the network and its training; the default is the tutorial's net.

    Limits, units and meanings of all fields stand in `digitexp.parameters.PARAMETERS`.

    Attributes:
        units: Neurons of each hidden layer; `hidden_layers`, `units_1`, ... in flat form.
        dropout: One rate for all hidden layers, or one per layer (`dropout_1`, ...).
        clipnorm: Largest norm of each gradient tensor; None = no clipping.
        early_stopping_patience_epochs: None = train all epochs; the best weights are restored
            all the same.
        plateau_patience_epochs: None = the learning rate stays.

    Raises:
        ConfigError: A field is of the wrong kind or out of limits, or two fields contradict.
    """

    learning_rate: float = 0.001
    batch_size: int = 32
    units: tuple[int, ...] = DEFAULT_UNITS
    dropout: float | tuple[float, ...] = 0.0
    l2: float = 0.0
    activation: str = "relu"
    kernel_initializer: str = "glorot_uniform"
    clipnorm: float | None = None
    epochs: int = 40
    early_stopping_patience_epochs: int | None = 5
    plateau_monitor: str = "val_loss"
    plateau_factor: float = 0.5
    plateau_patience_epochs: int | None = 3
    min_learning_rate: float = 1e-6
    engine: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.name not in {"units", "dropout"}:
                value = PARAMETERS[field.name].check(field.name, getattr(self, field.name))
                object.__setattr__(self, field.name, value)
        object.__setattr__(self, "units", _checked_series("units", self.units))
        PARAMETERS["hidden_layers"].check("hidden_layers", len(self.units))
        if isinstance(self.dropout, tuple | list):
            object.__setattr__(self, "dropout", _checked_series("dropout", self.dropout))
        else:
            rate = PARAMETERS["dropout"].check("dropout", self.dropout)
            object.__setattr__(self, "dropout", rate)
        _refuse_contradictions(self)

    @property
    def hidden_layers(self) -> int:
        """Number of hidden layers."""
        return len(self.units)

    @property
    def dropout_rates(self) -> tuple[float, ...]:
        """Dropout rate after each hidden layer."""
        if isinstance(self.dropout, tuple):
            return self.dropout
        return (self.dropout,) * len(self.units)

    def describe(self) -> str:
        """Say the essentials in one line, for titles and logs."""
        rates = self.dropout if isinstance(self.dropout, tuple) else (self.dropout,)
        parts = [
            "-".join(map(str, self.units)) or "no hidden layer",
            f"learning rate {self.learning_rate:.3g}",
            f"batch {self.batch_size}",
            f"dropout {'-'.join(f'{rate:.2g}' for rate in rates)}" if any(rates) else "",
            f"l2 {self.l2:.2g}" if self.l2 else "",
        ]
        return "  ·  ".join(part for part in parts if part)

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> TrialConfig:
        """Build a configuration from flat names; what is not given has its default.

        Args:
            params: Values by flat name: `learning_rate`, `units_1`, `dropout` or `dropout_1`, ...
                `hidden_layers` may be left out (the units tell it) but must agree with them.

        Raises:
            ConfigError: A name is unknown or missing, or a value is refused.
        """
        plain: dict[str, Any] = {}
        series: dict[str, dict[int, Any]] = {"units": {}, "dropout": {}}
        for name, value in params.items():
            if match := _NUMBERED.fullmatch(name):
                series[match[1]][int(match[2])] = value
            elif name in PARAMETERS and "{" not in name:
                plain[name] = value
            else:
                raise ConfigError(_unknown(name))
        layers = plain.pop("hidden_layers", None)
        if layers is not None or series["units"]:
            plain["units"] = _complete("units", series["units"], layers)
        if series["dropout"]:
            if "dropout" in plain:
                raise ConfigError(
                    f"dropout and dropout_{min(series['dropout'])} are both given; "
                    "give dropout for all layers, or dropout_1, dropout_2, ... for each."
                )
            count = len(plain.get("units", DEFAULT_UNITS))
            plain["dropout"] = _complete("dropout", series["dropout"], count)
        return cls(**plain)

    def to_params(self) -> dict[str, Scalar]:
        """Return the flat form, every parameter included; `from_params` takes it back."""
        params: dict[str, Scalar] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "units":
                params["hidden_layers"] = len(value)
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
    if count is None:
        count = max(given)
    count = PARAMETERS["hidden_layers"].check("hidden_layers", count)
    assert isinstance(count, int)
    layers = "is only 1 hidden layer" if count == 1 else f"are {count} hidden layers"
    if missing := [i for i in range(1, count + 1) if i not in given]:
        raise ConfigError(f"{name}_{missing[0]} is missing: there {layers}.")
    if extra := [i for i in sorted(given) if i > count]:
        raise ConfigError(
            f"{name}_{extra[0]} is given, but there {layers}; "
            f"raise hidden_layers or leave {name}_{extra[0]} out."
        )
    return tuple(given[i] for i in range(1, count + 1))


def _refuse_contradictions(config: TrialConfig) -> None:
    if isinstance(config.dropout, tuple) and len(config.dropout) != len(config.units):
        raise ConfigError(
            f"dropout has {len(config.dropout)} values for {len(config.units)} hidden layers; "
            "give one number, or one per layer."
        )
    plateau, stopping = config.plateau_patience_epochs, config.early_stopping_patience_epochs
    if plateau is None:
        return
    if stopping is not None and config.plateau_monitor == "val_loss" and plateau >= stopping:
        raise ConfigError(
            f"plateau_patience_epochs is {plateau} and early_stopping_patience_epochs is "
            f"{stopping}: training would stop before the learning rate can fall. Make "
            f"plateau_patience_epochs smaller than {stopping}, or none to keep the rate."
        )
    if config.min_learning_rate > config.learning_rate:
        raise ConfigError(
            f"min_learning_rate is {config.min_learning_rate:g}, above the learning_rate of "
            f"{config.learning_rate:g}, so the rate could never fall. Lower min_learning_rate, "
            "or set plateau_patience_epochs to none to keep the rate."
        )


def _flat_names() -> Iterable[str]:
    for name in PARAMETERS:
        if "{i}" in name:
            yield from (name.replace("{i}", str(i)) for i in range(1, MAX_HIDDEN_LAYERS + 1))
        else:
            yield name


def _unknown(name: str) -> str:
    close = difflib.get_close_matches(str(name), list(_flat_names()), n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    return f"There is no parameter {name!r}.{hint} Known: {', '.join(PARAMETERS)}."
