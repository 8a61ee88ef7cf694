"""Trains one configuration of the digits: its net, and what is measured of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from digitexp.config import ConfigError, TrialConfig
from digitexp.metrics import accuracy, confusion_counts, cross_entropy, of_training, recalls
from digitexp.models import count_parameters
from digitexp.training import trainer
from digitexp.training.engines import engine_of
from digitexp.training.observer import Observer
from digitexp.training.outcome import (
    VAL_CROSS_ENTROPY,
    Forward,
    OnEpoch,
    TrainingData,
    TrainingOutcome,
)
from digitexp.training.schedule import Schedule, shown_rate
from digitexp.weights_files import Layers, file_digest, find_weights, read_weights

if TYPE_CHECKING:
    from digitexp.training.resuming import SavesState


OUTPUT = "output"
"""The layer that always starts anew: its weights belong to the classes of other data, and the same
number of classes does not make them the same classes."""


def start_from(net: Any, path: str | None) -> dict[str, Any]:
    """Give a net the weights of a file, all but those of its output layer.

    Layers are matched by name. Both nets must have the same layers, with arrays of the same shapes.

    Args:
        net: A net as it was drawn; its layers may be frozen.
        path: `initial_weights` of a configuration; None = the net stays as it is.

    Returns:
        JSON-compatible facts: `initial_weights` with path, SHA-256 of the file and the layers taken
        over; empty without a path.

    Raises:
        ValueError: The file cannot be read, or belongs to another net; the message names the first
            layer that differs.
    """
    if path is None:
        return {}
    file = find_weights(path)
    stored = {name: arrays for name, arrays in read_weights(file).items() if name != OUTPUT}
    layers: dict[str, dict[str, np.ndarray]] = {}
    for name, array in net.named_weights().items():
        layer, _, variable = name.partition("/")
        if layer != OUTPUT:
            layers.setdefault(layer, {})[variable] = array
    if problem := _mismatch(stored, layers):
        raise ConfigError(f"initial_weights {path}: {problem}")
    net.give({
        f"{layer}/{variable}": array
        for layer, own in layers.items()
        for variable, array in zip(own, _in_order(stored[layer], own), strict=True)
    })  # fmt: skip
    told = {"path": path, "sha256": file_digest(file), "layers": list(layers)}
    return {"initial_weights": told}


def _in_order(arrays: Mapping[str, np.ndarray], variables: Mapping[str, Any]) -> list[np.ndarray]:
    """Return the arrays in the order of the variables, whether they have names or numbers."""
    if set(arrays) == set(variables):
        return [arrays[name] for name in variables]
    return [array for _, array in sorted(arrays.items(), key=lambda item: int(item[0]))]


def _mismatch(stored: Layers, layers: Mapping[str, Mapping[str, Any]]) -> str | None:
    there, here = ", ".join(stored) or "none", ", ".join(layers) or "none"
    whole = f"Layers there: {there}; here: {here}."
    for name, variables in layers.items():
        if name not in stored:
            return f"layer {name} is not in it. {whole} Build both nets alike."
        names = [set(variables), {str(number) for number in range(len(variables))}]
        if set(stored[name]) not in names:
            found = ", ".join(sorted(stored[name]))
            return f"layer {name} has {found} there, {', '.join(variables)} here."
        for array, (variable, value) in zip(
            _in_order(stored[name], variables), variables.items(), strict=True
        ):
            if array.shape != tuple(value.shape):
                return (
                    f"{variable} of layer {name} has shape {array.shape} there, "
                    f"{tuple(value.shape)} here. Both nets must have the same layers, and the "
                    "same size of images if they are flattened before dense layers."
                )
    if extra := [name for name in stored if name not in layers]:
        return f"layer {extra[0]} has no place in this net. {whole} Build both nets alike."
    return None


def _go_on(_epoch: int, _metrics: Mapping[str, float]) -> None:
    return None


def train(
    config: TrialConfig,
    data: TrainingData,
    on_epoch: OnEpoch = _go_on,
    checkpoint: SavesState | None = None,
) -> TrainingOutcome:
    """Train one configuration and judge its best epoch.

    The outcome depends on the configuration (its seed and engine included) and the data only, to
    the bit; not on what was trained before in this process.

    Args:
        config: The configuration.
        data: Training and validation part.
        on_epoch: Called after each epoch, except the one that diverged; a text it returns ends
            the training and becomes the stop reason. A first training that only finds the worst
            classes does not call it, and so cannot be ended by it.
        checkpoint: Keeps the state, from which the next attempt goes on; None: nothing is saved. A
            first training that only finds the worst classes is made anew.
    """
    if config.augment_worst_classes is None:
        return _train(config, data, on_epoch, checkpoint)
    plain = replace(config, rotation=0.0, shift=0.0, zoom=0.0, augment_worst_classes=None)
    before = _train(plain, data)
    if before.weights is None:
        return before  # it diverged at once: no class is known to be worst
    worst = _worst_classes(before, data, config.augment_worst_classes)
    targeted = replace(data, augmented_classes=worst)
    return _told_with(before, _train(config, targeted, on_epoch, checkpoint), targeted)


def repeat_by_keras(
    config: TrialConfig, data: TrainingData, on_epoch: OnEpoch = _go_on
) -> TrainingOutcome:
    """Train as the engine `compiled` does, from the same weights in the same order, by Keras.

    Raises:
        ConfigError: The engine `compiled` does not train this configuration.
    """
    if (name := engine_of(config)[0]) != "compiled":
        raise ConfigError(f"engine {name} trained it, so there is nothing to compare")
    return _train(config, data, on_epoch, repeats=True)


def _train(
    config: TrialConfig,
    data: TrainingData,
    on_epoch: OnEpoch = _go_on,
    checkpoint: SavesState | None = None,
    *,
    repeats: bool = False,
) -> TrainingOutcome:
    began, engine = perf_counter(), _engine("keras" if repeats else engine_of(config)[0])
    with engine.memory_errors():
        net = (engine.SameNet if repeats else engine.Net)(config, data)
        info = start_from(net, config.initial_weights)
        observer = Observer(on_epoch, Schedule(vars(config)), partial(_measured, data))
        return trainer.train(
            net,
            observer,
            lambda: _judged(config, data, net.forward, observer.history),
            began=began,
            checkpoint=checkpoint,
            info=info,
        )


def _engine(name: str) -> Any:
    """Import an engine: a module with `Net`, see `digitexp.training.trainer`, and `memory_errors`.

    `Net` is made of a `TrialConfig` and `TrainingData`; in `memory_errors`, too little memory
    raises MemoryError.
    """
    if name == "compiled":
        from digitexp.training.compiled import engine

        return engine
    from digitexp.tensorflow_setup import set_up_tensorflow

    set_up_tensorflow()
    from digitexp.training import keras_engine

    return keras_engine


def _measured(
    data: TrainingData, forward: Forward, rate: float
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Measure the validation part after an epoch that was trained at that rate."""
    labels = data.validation_labels
    logits, penalty = forward(data.validation_images)
    entropy = cross_entropy(logits, labels)
    return {
        "val_loss": entropy + penalty,
        "val_accuracy": accuracy(logits, labels),
        "learning_rate": shown_rate(rate),
        VAL_CROSS_ENTROPY: entropy,
    }, {"confusion": confusion_counts(logits, labels)}


def _judged(
    config: TrialConfig, data: TrainingData, forward: Forward, history: Mapping[str, list[float]]
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Return headline metrics of the part that scores, and logits, of the restored best weights."""
    labels = data.validation_labels
    logits, penalty = forward(data.validation_images)
    kept = {"validation_logits": logits}
    if data.fold is not None:
        images, labels = data.fold
        logits, _ = forward(images)
        kept["fold_logits"] = logits
    right, entropy = accuracy(logits, labels), cross_entropy(logits, labels)
    starts = range(0, len(data.train_labels), _AT_ONCE)
    train_logits = [forward(data.train_images[i : i + _AT_ONCE])[0] for i in starts]
    train_accuracy = accuracy(np.concatenate(train_logits), data.train_labels)
    return {
        "best_val_accuracy": right,
        "best_val_loss": entropy + penalty,
        "best_val_cross_entropy": entropy,
        "train_accuracy": train_accuracy,
        "accuracy_gap": train_accuracy - right,
        **of_training(history),
        "parameters": float(count_parameters(config, data.image_shape, data.n_classes)),
        **recalls(confusion_counts(logits, labels), data.class_names),
    }, kept


_AT_ONCE: Final = 8192
"""Images whose logits are computed together: large data would fill the memory."""


def _worst_classes(outcome: TrainingOutcome, data: TrainingData, count: int) -> tuple[int, ...]:
    """Return the labels of the `count` classes that validate worst; a tie goes to the lower one."""
    images = np.bincount(data.validation_labels, minlength=data.n_classes)
    recalls = np.where(images > 0, _right(outcome, data) / np.maximum(images, 1), np.inf)
    return tuple(int(label) for label in np.argsort(recalls, kind="stable")[:count])


def _told_with(
    before: TrainingOutcome, after: TrainingOutcome, data: TrainingData
) -> TrainingOutcome:
    """Return the second training's outcome with the time of both and their results by class.

    `info["targeted"]` counts right answers on the validation part; those of the second training are
    None if it diverged at once. `data` names the classes that were augmented.
    """
    table = {
        "classes": [data.class_names[label] for label in data.augmented_classes or ()],
        "images": np.bincount(data.validation_labels, minlength=data.n_classes).tolist(),
        "right_before": _right(before, data).tolist(),
        "right_after": None if after.weights is None else _right(after, data).tolist(),
    }
    timings = {name: seconds + before.timings[name] for name, seconds in after.timings.items()}
    metrics = dict(after.metrics)
    if "train_seconds" in metrics:
        metrics["train_seconds"] = timings["train_seconds"]
    info = {**after.info, "targeted": table}
    return replace(after, info=info, timings=timings, metrics=metrics)


def _right(outcome: TrainingOutcome, data: TrainingData) -> np.ndarray:
    logits = outcome.arrays["validation_logits"]
    return np.diag(confusion_counts(logits, data.validation_labels))
