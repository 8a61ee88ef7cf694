"""Targeted augmentation: a first training says which classes are recognised worst."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from digitexp.config import TrialConfig
from digitexp.evaluation import confusion_counts
from digitexp.training.outcome import TrainingData, TrainingOutcome

__all__ = ["Aim", "find_worst_classes"]


@dataclass(frozen=True)
class Aim:
    """Which classes are to be augmented, and how they were recognised before.

    Attributes:
        classes: Their labels, the worst first; None if the first training diverged.
        right: (classes,) right answers of the first training, on the validation part.
    """

    classes: tuple[int, ...] | None
    right: np.ndarray

    def told(self, after: TrainingOutcome, data: TrainingData) -> dict[str, Any]:
        """Return the table before and after, JSON-compatible: counts of right answers by class."""
        assert self.classes is not None
        counts = _right(after, data)
        return {
            "classes": [data.class_names[label] for label in self.classes],
            "images": np.bincount(data.validation_labels, minlength=data.n_classes).tolist(),
            "right_before": self.right.tolist(),
            "right_after": None if counts is None else counts.tolist(),
        }


def find_worst_classes(
    config: TrialConfig,
    data: TrainingData,
    train: Callable[[TrialConfig, TrainingData], TrainingOutcome],
) -> Aim:
    """Train the configuration without augmentation and take the classes of the lowest recall.

    Args:
        config: Its `augment_worst_classes` says how many; a tie goes to the lower label.
        data: Recall is that of the validation part.
        train: Trains a configuration.
    """
    plain = replace(config, rotation=0.0, shift=0.0, zoom=0.0, augment_worst_classes=None)
    right = _right(train(plain, data), data)
    if right is None:
        return Aim(None, np.zeros(data.n_classes, np.int64))
    images = np.bincount(data.validation_labels, minlength=data.n_classes)
    recalls = np.where(images > 0, right / np.maximum(images, 1), np.inf)
    order = np.argsort(recalls, kind="stable")[: config.augment_worst_classes]
    return Aim(tuple(int(label) for label in order), right)


def _right(outcome: TrainingOutcome, data: TrainingData) -> np.ndarray | None:
    if outcome.validation_logits is None:
        return None
    return np.diag(confusion_counts(outcome.validation_logits, data.validation_labels))
