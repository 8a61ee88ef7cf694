"""Class by class: accuracy with its counts, and scikit-learn's classification report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["ClassAccuracy", "class_accuracies", "report_dict", "report_text"]


@dataclass(frozen=True)
class ClassAccuracy:
    """How many images of a class were recognised; the accuracy of a class is its recall.

    Attributes:
        name: Of the class.
        right: Images of it that were recognised.
        images: Images of it.
    """

    name: str
    right: int
    images: int

    @property
    def accuracy(self) -> float | None:
        """Share right, from 0 to 1; None if the class has no image."""
        return self.right / self.images if self.images else None


def class_accuracies(confusion: np.ndarray, class_names: Sequence[str]) -> list[ClassAccuracy]:
    """Return the accuracy of each class, in the order of the labels.

    Args:
        confusion: (classes, classes), counts, [true, predicted].
        class_names: As many names.
    """
    right, images = np.diagonal(confusion).tolist(), confusion.sum(axis=1).tolist()
    found = zip(class_names, right, images, strict=True)
    return [ClassAccuracy(name, int(hits), int(total)) for name, hits, total in found]


def report_text(labels: np.ndarray, predicted: np.ndarray, class_names: Sequence[str]) -> str:
    """Return `sklearn.metrics.classification_report`: precision, recall, F1 and support.

    Args:
        labels: (n,), integers from 0.
        predicted: (n,), integers from 0.
        class_names: Every class has its row, also one without images; what is 0 / 0 there is 0.
    """
    return str(_report(labels, predicted, class_names, digits=4))


def report_dict(
    labels: np.ndarray, predicted: np.ndarray, class_names: Sequence[str]
) -> Mapping[str, Any]:
    """Return the same as a dictionary: by class, `accuracy`, `macro avg` and `weighted avg`.

    Where class names would collide, classes are called by their numbers.
    """
    report: Mapping[str, Any] = _report(labels, predicted, class_names, output_dict=True)
    return report


_ROWS = ("accuracy", "macro avg", "weighted avg")


def _report(
    labels: np.ndarray, predicted: np.ndarray, class_names: Sequence[str], **how: Any
) -> Any:
    from sklearn.metrics import classification_report

    numbers = list(range(len(class_names)))
    collide = len({*class_names, *_ROWS}) < len(class_names) + len(_ROWS)
    names = [str(number) for number in numbers] if collide else list(class_names)
    return classification_report(
        labels, predicted, labels=numbers, target_names=names, zero_division=0.0, **how
    )
