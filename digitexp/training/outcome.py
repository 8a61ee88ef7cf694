"""The data that go into a training, and the outcome that comes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from digitexp.data import Source, Split

EPOCH_METRICS = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")
VAL_CROSS_ENTROPY = "val_cross_entropy"
"""`val_loss` without the penalty, which pruners compare across `l2`. Trainings of before it was
recorded have none."""

Forward = Callable[[np.ndarray], tuple[np.ndarray, float]]
"""(n, features) images -> ((n, classes) logits, L2 penalty) of the present weights."""

OnEpoch = Callable[[int, Mapping[str, float]], str | None]
"""Called with (epoch from 0, the epoch's metrics); returns None (go on) or a reason to stop."""


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Training and validation part, as the network takes them; equal only to itself.

    Attributes:
        train_images: (n_train, features), float32 in [0, 1].
        train_labels: (n_train,), int32 from 0.
        validation_images: (n_validation, features), float32 in [0, 1].
        validation_labels: (n_validation,), int32 from 0.
        class_names: Name of each class, in the order of its label.
        image_shape: Height and width of an image, whose rows of pixels follow one another.
        augmented_classes: Labels of the classes that are augmented; None = all.
        fold: (n, features) images and (n,) labels of a fold, which scores the training in place of
            the validation part; that one then only says when to stop. None in a search.
    """

    train_images: np.ndarray = field(repr=False)
    train_labels: np.ndarray = field(repr=False)
    validation_images: np.ndarray = field(repr=False)
    validation_labels: np.ndarray = field(repr=False)
    class_names: tuple[str, ...]
    image_shape: tuple[int, ...]
    augmented_classes: tuple[int, ...] | None = None
    fold: tuple[np.ndarray, np.ndarray] | None = field(default=None, repr=False)

    @classmethod
    def from_split(
        cls,
        images: np.ndarray,
        labels: np.ndarray,
        train_indices: np.ndarray,
        validation_indices: np.ndarray,
        class_names: Sequence[str],
    ) -> TrainingData:
        """Flatten (n, height, width) images and divide them by the indices of a split."""
        flat = images.reshape(len(images), -1).astype(np.float32, copy=False)
        integers = labels.astype(np.int32)
        return cls(
            train_images=flat[train_indices],
            train_labels=integers[train_indices],
            validation_images=flat[validation_indices],
            validation_labels=integers[validation_indices],
            class_names=tuple(class_names),
            image_shape=tuple(int(side) for side in images.shape[1:]),
        )

    @classmethod
    def of_split(cls, source: Source, split: Split) -> TrainingData:
        """Return the arrays of a source's own split into training and validation part."""
        train, validation = split.train_indices, split.validation_indices
        return cls.from_split(source.images, source.labels, train, validation, source.class_names)

    @property
    def n_classes(self) -> int:
        """Outputs of the network."""
        return len(self.class_names)


@dataclass(frozen=True)
class TrainingOutcome:
    """The result of training one net.

    Attributes:
        outcome: `complete`, `stopped` (`on_epoch` said so) or `diverged` (NaN or infinity).
        stop_reason: `early_stopping`, `max_epochs`, `diverged`, or the text of `on_epoch`.
        metrics: Headline metrics of the restored best weights; all finite; empty when training
            diverged in its first epoch. `best_epoch` counts from 1.
        history: Metrics of the epochs by name, one value per epoch; NaN only in the last epoch of a
            diverged training. `learning_rate` is the rate used in that epoch.
        arrays: What was kept of each epoch, and what the best weights were judged by. Of digits
            `confusion` (epochs, classes, classes), uint32, [true, predicted], on the validation
            part after each epoch; `validation_logits` (n_validation, classes), float32; and of a
            fold `fold_logits`.
        weights: The restored best weights by name; None when training diverged in its first epoch.
        timings: Seconds by stage; names end in `_seconds`.
        summary: The net's layers as a table, in text.
        engine: Name of the engine.
        engine_reason: Why this one, in a few words.
        info: JSON-compatible facts that are in no metric.
    """

    outcome: Literal["complete", "stopped", "diverged"]
    stop_reason: str
    metrics: Mapping[str, float]
    history: Mapping[str, list[float]]
    arrays: Mapping[str, np.ndarray] = field(repr=False)
    weights: Mapping[str, np.ndarray] | None = field(repr=False)
    timings: Mapping[str, float]
    summary: str = field(repr=False)
    engine: str
    engine_reason: str = ""
    info: Mapping[str, Any] = field(default_factory=dict)
