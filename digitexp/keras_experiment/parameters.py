"""What a user says of the parameters, in the framework's terms."""

from __future__ import annotations

from digitexp.parameters import PARAMETERS
from sweeps.experiment import ParameterInfo, Value

__all__ = ["TRAINING", "described", "training_parameters"]

TRAINING = (
    "epochs",
    "batch_size",
    "early_stopping_patience_epochs",
    "plateau_patience_epochs",
    "plateau_factor",
    "min_learning_rate",
)
"""Parameters that every such experiment has; meaning, limits and defaults as in `digits`."""


def described(name: str, value: Value | ParameterInfo) -> ParameterInfo:
    """Return what is known of a parameter from its default alone.

    Raises:
        ValueError: The default is of a type that no space could write.
    """
    if isinstance(value, ParameterInfo):
        return value
    if isinstance(value, bool):
        return ParameterInfo("bool", default=value)
    if isinstance(value, int):
        return ParameterInfo("int", default=value)
    if isinstance(value, float):
        return ParameterInfo("float", default=value)
    if isinstance(value, str):
        return ParameterInfo("categorical", default=value)
    raise ValueError(
        f"parameter {name!r}: default {value!r} is no number, text, True or False; give a "
        "ParameterInfo"
    )


def training_parameters() -> dict[str, ParameterInfo]:
    """Return the parameters that every such experiment has."""
    return {
        name: ParameterInfo(
            type=PARAMETERS[name].kind,
            low=PARAMETERS[name].low,
            high=PARAMETERS[name].high,
            default=PARAMETERS[name].default,
            optional=PARAMETERS[name].optional,
            description=PARAMETERS[name].meaning,
        )
        for name in TRAINING
    }
