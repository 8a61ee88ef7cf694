"""Which engine trains a configuration, why that one, and about how long it takes.

Answers without importing TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from digitexp.config import ConfigError, TrialConfig
from digitexp.models import count_parameters

__all__ = ["ENGINES", "Fit", "TrainingPlan", "load_engine", "plan_training"]

Fit = Callable[..., None]
"""(model, config, data, callbacks, *, shuffle=True): trains the model in place."""

ENGINES = ("auto", "keras")


@dataclass(frozen=True)
class TrainingPlan:
    """How a configuration is trained.

    Attributes:
        engine: Name of the engine.
        reason: Why that one, in a few words.
        seconds: About how long all epochs take on one core; early stopping makes it less.
    """

    engine: str
    reason: str
    seconds: float


def plan_training(
    config: TrialConfig, n_train: int, n_features: int, n_classes: int, engine: str = "auto"
) -> TrainingPlan:
    """Choose the engine and estimate the time.

    Args:
        config: What is to be trained.
        n_train: Number of training images.
        n_features: Inputs of the network.
        n_classes: Outputs of the network.
        engine: One of `ENGINES`; `auto` leaves the choice to us.

    Raises:
        ConfigError: There is no such engine.
    """
    if engine not in ENGINES:
        raise ConfigError(f"There is no engine {engine!r}; choose one of {', '.join(ENGINES)}.")
    reason = "model.fit trains every configuration" if engine == "auto" else "asked for"
    return TrainingPlan("keras", reason, _keras_seconds(config, n_train, n_features, n_classes))


def load_engine(name: str) -> Fit:
    """Import an engine by the name a plan gives; TensorFlow must be set up."""
    from digitexp.training import keras_engine

    return {"keras": keras_engine.fit}[name]


def _keras_seconds(config: TrialConfig, n_train: int, n_features: int, n_classes: int) -> float:
    """Return seconds for all epochs, TensorFlow's start not included.

    Shape: least-squares fit to 24 nets (4000 images of 400 pixels; 1 to 3 layers of 15 to 128
    units, batch 16 to 128, with and without dropout). Scale: 5 of them timed on an otherwise idle
    core, where the estimate is within 15 % (TensorFlow 2.21, Keras 3.15, x86).
    """
    layers = config.hidden_layers + 1
    dropouts = sum(rate > 0 for rate in config.dropout_rates)
    weights = count_parameters(config, n_features, n_classes)
    steps = -(-n_train // config.batch_size)
    tracing = 0.5 + 0.12 * layers
    step = 51e-6 + 41e-6 * layers + 33e-6 * dropouts + 2.0e-9 * weights
    epoch = 0.022 + steps * step + 1.18e-10 * weights * n_train
    return tracing + config.epochs * epoch
