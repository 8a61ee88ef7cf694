"""Mistakes of a classifier: by class, by pair, image by image, and under attack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np

from digitexp.metrics import accuracy, confusion_counts
from digitexp.numpy_functions import softmax


@dataclass(frozen=True, eq=False)
class Answers:
    """The answers of a classifier to labelled images.

    Attributes:
        images: (n, height, width), from 0 (paper) to 1 (ink).
        labels: (n,), integers from 0 to classes - 1.
        logits: (n, classes), finite.
        class_names: Name of each class, in the order of its label.
        part: Name of these images, such as `the validation part`.
        train_accuracy: Share right of the training part, from 0 to 1; None if it is not known.
        image_numbers: (n,), the number of each image in its source, from 0; None if not known.
    """

    images: np.ndarray = field(repr=False)
    labels: np.ndarray = field(repr=False)
    logits: np.ndarray = field(repr=False)
    class_names: tuple[str, ...]
    part: str = "the validation part"
    train_accuracy: float | None = None
    image_numbers: np.ndarray | None = field(default=None, repr=False)

    @cached_property
    def predicted(self) -> np.ndarray:
        """(n,), the class with the largest logit; of equal ones the lowest."""
        return np.asarray(self.logits.argmax(axis=1))

    @cached_property
    def confusion(self) -> np.ndarray:
        """(classes, classes), counts, [true, predicted]."""
        return confusion_counts(self.logits, self.labels)

    @property
    def accuracy(self) -> float:
        """Share of right answers, from 0 to 1."""
        return accuracy(self.logits, self.labels)


def report_text(labels: np.ndarray, predicted: np.ndarray, class_names: Sequence[str]) -> str:
    """Return `sklearn.metrics.classification_report`: precision, recall, F1 and support.

    Args:
        labels: (n,), integers from 0.
        predicted: (n,), integers from 0.
        class_names: Every class has a row, also one without images; 0 / 0 counts as 0 there.
    """
    return str(_report(labels, predicted, class_names, digits=4))


def report_dict(
    labels: np.ndarray, predicted: np.ndarray, class_names: Sequence[str]
) -> Mapping[str, Any]:
    """Return `report_text` as a dictionary: by class, `accuracy`, `macro avg`, `weighted avg`.

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


@dataclass(frozen=True)
class Mistake:
    """One image that was taken for something else.

    Attributes:
        index: Index of the image among those evaluated, from 0.
        image_number: Number of the image in its source, from 0; None if that is not known.
        true: Class of the image.
        said: Class that the network predicted.
        probability: Probability of the predicted class, in (0, 1]: the softmax of the logits, not
            calibrated.
        probability_of_true: Probability of the true class, by the same softmax.
    """

    index: int
    image_number: int | None
    true: int
    said: int
    probability: float
    probability_of_true: float


def find_mistakes(answers: Answers) -> list[Mistake]:
    """Return all mistakes, the most confident first, equal ones in the order of the images."""
    probabilities, numbers = softmax(answers.logits), answers.image_numbers
    found = []
    for index in surest_first(answers.logits).tolist():
        true, said = int(answers.labels[index]), int(answers.predicted[index])
        if true != said:
            number = None if numbers is None else int(numbers[index])
            sure, right = (float(probabilities[index, label]) for label in (said, true))
            found.append(Mistake(index, number, true, said, sure, right))
    return found


def surest_first(logits: np.ndarray) -> np.ndarray:
    """Return the indices of logits (n, classes), the most probable answer first; ties in order."""
    return np.argsort(-softmax(logits).max(axis=1), kind="stable")


@dataclass(frozen=True)
class ConfusedPair:
    """Two classes that were taken for each other.

    Attributes:
        first: The class that was mistaken more often.
        second: The class it was taken for.
        there: Images of `first` taken for `second`.
        back: Images of `second` taken for `first`; no more than `there`.
        share: Share of all errors that this pair has, in (0, 1].
    """

    first: int
    second: int
    there: int
    back: int
    share: float

    @property
    def count(self) -> int:
        """Errors of this pair, both ways."""
        return self.there + self.back


def confused_pairs(confusion: np.ndarray) -> list[ConfusedPair]:
    """Return every pair of classes that was confused, the most confused first.

    A pair stands once, whichever way it was confused; of pairs with equal counts, the one with the
    lower classes comes first.

    Args:
        confusion: (classes, classes), counts, [true, predicted].
    """
    errors = int(confusion.sum() - np.trace(confusion))
    pairs = []
    for low, high in zip(*np.triu_indices(len(confusion), k=1), strict=True):
        up, down = int(confusion[low, high]), int(confusion[high, low])
        if up + down:
            first, second = (low, high) if up >= down else (high, low)
            share = (up + down) / errors
            pairs.append(ConfusedPair(int(first), int(second), max(up, down), min(up, down), share))
    return sorted(pairs, key=lambda pair: -pair.count)


EPSILONS: Final = (0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3)
"""Sizes of an attack, in pixel values of [0, 1]; 0.3 is what MNIST's literature goes up to."""


def attacked_accuracies(
    model: Any, images: np.ndarray, labels: np.ndarray, epsilons: Sequence[float] = EPSILONS
) -> np.ndarray:
    """Return the accuracy (len(epsilons),) on images attacked by the network's own gradients.

    The attack is the fast gradient sign method (Goodfellow, Shlens & Szegedy 2015): one step,
    against this very network. Stronger attacks exist, so the accuracy is an upper bound of
    robustness.

    Args:
        model: A compiled Keras model that returns logits; TensorFlow must be set up.
        images: (n, pixels), float32 in [0, 1].
        labels: (n,), integers from 0.
        epsilons: How far each pixel may move.
    """
    import tensorflow as tf

    from digitexp.trained import logits_of
    from digitexp.training.keras_engine import attacked

    found, classes = [], labels.astype(np.int32)
    parts = [slice(start, start + 1000) for start in range(0, len(images), 1000)]
    for epsilon in epsilons:
        worse = [
            np.asarray(attacked(model, tf.constant(images[p]), tf.constant(classes[p]), epsilon))
            for p in parts
        ]
        found.append(accuracy(logits_of(model, np.concatenate(worse)), labels))
    return np.array(found)
