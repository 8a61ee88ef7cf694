"""Which engine trains a configuration, why that one, and about how long it takes.

Answers without importing TensorFlow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

from digitexp.config import TrialConfig
from digitexp.contradictions import only_keras
from digitexp.training.estimates import estimate_seconds
from digitexp.training.outcome import Forward, TrainingData

__all__ = ["Engine", "TrainingPlan", "load_engine", "plan_training"]


class Engine(Protocol):
    """What an engine's module offers."""

    def fit(
        self,
        model: Any,
        config: TrialConfig,
        data: TrainingData,
        callbacks: Sequence[Any],
        *,
        shuffle: bool = True,
    ) -> None:
        """Train a compiled model in place."""
        ...

    def forward(self, model: Any, config: TrialConfig) -> Forward:
        """Return a function that answers the logits and the penalty of the present weights."""
        ...


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
    config: TrialConfig, n_train: int, image_shape: tuple[int, ...], n_classes: int
) -> TrainingPlan:
    """Choose the engine and estimate the time.

    Args:
        config: What is to be trained; its `engine` may leave the choice to us.
        n_train: Number of training images.
        image_shape: Height and width of the images.
        n_classes: Outputs of the network.
    """
    engine, reason = config.engine, "asked for"
    if engine == "auto" and (needed := only_keras(config)):
        engine, reason = "keras", needed
    elif engine == "auto":
        engine, reason = "fused", "a multilayer perceptron: a whole epoch fits in one graph"
    if config.precision != "float32":
        reason += "; on CPUs it was no faster (docs/networks.md)"
    seconds = estimate_seconds(engine, config, n_train, image_shape, n_classes)
    return TrainingPlan(engine, reason, seconds)


def load_engine(name: str) -> Engine:
    """Import an engine by the name a plan gives; TensorFlow must be set up."""
    if name == "fused":
        from digitexp.training.fused import engine

        return cast(Engine, engine)
    from digitexp.training import keras_engine

    return cast(Engine, keras_engine)
