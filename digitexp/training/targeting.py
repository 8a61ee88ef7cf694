"""Targeted augmentation: a first training says which classes are recognised worst."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from digitexp.config import TrialConfig
from digitexp.metrics import confusion_counts
from digitexp.training.outcome import TrainingData, TrainingOutcome

__all__ = ["told_with", "without_augmentation", "worst_classes"]


def without_augmentation(config: TrialConfig) -> TrialConfig:
    """Return the configuration of the first training."""
    return replace(config, rotation=0.0, shift=0.0, zoom=0.0, augment_worst_classes=None)


def worst_classes(outcome: TrainingOutcome, data: TrainingData, count: int) -> tuple[int, ...]:
    """Return the labels of the classes with the lowest recall on the validation part, worst first.

    Args:
        outcome: With validation logits.
        data: What was trained on. A class without validation images comes last.
        count: How many; a tie goes to the lower label.
    """
    images = np.bincount(data.validation_labels, minlength=data.n_classes)
    recalls = np.where(images > 0, _right(outcome, data) / np.maximum(images, 1), np.inf)
    return tuple(int(label) for label in np.argsort(recalls, kind="stable")[:count])


def told_with(
    before: TrainingOutcome, after: TrainingOutcome, data: TrainingData
) -> TrainingOutcome:
    """Return the second training's outcome with what both came to, class by class.

    `data` names the classes that were augmented.

    Its time is that of both; `info["targeted"]` counts right answers on the validation part, None
    where the second training diverged at once.
    """
    table = {
        "classes": [data.class_names[label] for label in data.augmented_classes or ()],
        "images": np.bincount(data.validation_labels, minlength=data.n_classes).tolist(),
        "right_before": _right(before, data).tolist(),
        "right_after": None if after.validation_logits is None else _right(after, data).tolist(),
    }
    timings = {name: seconds + before.timings[name] for name, seconds in after.timings.items()}
    metrics = dict(after.metrics)
    if "train_seconds" in metrics:
        metrics["train_seconds"] = timings["train_seconds"]
    info = {**after.info, "targeted": table}
    return replace(after, info=info, timings=timings, metrics=metrics)


def _right(outcome: TrainingOutcome, data: TrainingData) -> np.ndarray:
    assert outcome.validation_logits is not None
    return np.diag(confusion_counts(outcome.validation_logits, data.validation_labels))
