"""Hyperparameters that are each allowed, but not together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from digitexp.limits import ConfigError

if TYPE_CHECKING:
    from digitexp.config import TrialConfig

__all__ = ["CNN_ONLY", "only_keras", "refuse_contradictions"]

CNN_ONLY: Final = ("filters", "kernel_size", "convs_per_block", "batch_norm", "conv_dropout")
"""Fields of a TrialConfig that say something of convolutional nets only."""


def refuse_contradictions(config: TrialConfig) -> None:
    """Raise ConfigError if two settings contradict each other, or one could never matter."""
    if isinstance(config.dropout, tuple) and len(config.dropout) != len(config.units):
        raise ConfigError(
            f"dropout has {len(config.dropout)} values for {len(config.units)} hidden layers; "
            "give one number, or one per layer."
        )
    _refuse_unused(config)
    _refuse_frozen(config)
    if config.engine == "fused" and (reason := only_keras(config)):
        raise ConfigError(
            f"engine is 'fused', which trains no such net: {reason}. Set engine to auto or keras."
        )
    if config.learning_rate_schedule == "plateau":
        _refuse_plateau(config)


def only_keras(config: TrialConfig) -> str | None:
    """Return why only Keras's own loop can train this, None if the fused engine can as well."""
    reasons = (
        (
            config.architecture == "cnn",
            "a convolutional net, whose arithmetic takes far longer than what is around it",
        ),
        (config.frozen_layers > 0, "layers are frozen"),
        (config.is_augmented, "images are augmented by Keras's layers"),
        (config.adversarial_epsilon > 0, "each batch is attacked first"),
        (config.precision != "float32", f"precision {config.precision}"),
        (config.input_pipeline != "memory", "tf.data feeds the images"),
    )
    return next((reason for is_so, reason in reasons if is_so), None)


def _refuse_unused(config: TrialConfig) -> None:
    defaults = type(config).__dataclass_fields__
    for name in CNN_ONLY if config.architecture == "mlp" else ():
        if getattr(config, name) != defaults[name].default:
            raise ConfigError(
                f"{name} is {getattr(config, name)!r}, but an mlp has no convolutions; "
                f"set architecture to cnn, or leave {name} out."
            )
    if config.augment_worst_classes is not None and not config.is_augmented:
        raise ConfigError(
            f"augment_worst_classes is {config.augment_worst_classes}, but nothing is augmented; "
            "set rotation, shift or zoom above 0, or leave augment_worst_classes out."
        )


def _refuse_frozen(config: TrialConfig) -> None:
    frozen, there = config.frozen_layers, config.layers_before_output
    if frozen and config.initial_weights is None:
        raise ConfigError(
            f"frozen_layers is {frozen}, but initial_weights is not given: layers that start at "
            "random would never learn. Give initial_weights, or set frozen_layers to 0."
        )
    if frozen > there:
        raise ConfigError(
            f"frozen_layers is {frozen}, but there are {there} layers before the output layer, "
            f"which always trains; frozen_layers may be at most {there}."
        )


def _refuse_plateau(config: TrialConfig) -> None:
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
