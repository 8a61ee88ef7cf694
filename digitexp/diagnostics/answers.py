"""Labelled images and what a classifier said of them: all that an evaluation is made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from digitexp.evaluation import confusion_counts

__all__ = ["Answers"]


@dataclass(frozen=True, eq=False)
class Answers:
    """What a classifier said of labelled images.

    Attributes:
        images: (n, height, width), from 0 (paper) to 1 (ink).
        labels: (n,), integers from 0 to classes - 1.
        logits: (n, classes), finite.
        class_names: Name of each class, in the order of its label.
        part: What these images are, such as `the validation part`.
        train_accuracy: Share right of the training part, from 0 to 1; None if it is not known.
        image_numbers: (n,), the number of each image in its source, from 0; None if not known.

    Raises:
        ValueError: There is no image, or the shapes do not fit, or a logit is not finite.
    """

    images: np.ndarray = field(repr=False)
    labels: np.ndarray = field(repr=False)
    logits: np.ndarray = field(repr=False)
    class_names: tuple[str, ...]
    part: str = "the validation part"
    train_accuracy: float | None = None
    image_numbers: np.ndarray | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        n = len(self.labels)
        if n == 0:
            raise ValueError(f"{self.part}: received no image; give at least one")
        if self.images.ndim != 3 or len(self.images) != n:
            raise ValueError(f"images {self.images.shape}: give ({n}, height, width)")
        if self.logits.shape != (n, len(self.class_names)):
            expected = (n, len(self.class_names))
            raise ValueError(f"logits {self.logits.shape}: give {expected}, (images, classes)")
        if not np.isfinite(self.logits).all():
            raise ValueError("logits: some are not finite; a training that diverged has no answers")

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
        return float(np.mean(self.predicted == self.labels))
