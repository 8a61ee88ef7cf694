"""The evaluation of a recorded trial, from the logits it kept; nothing is trained or run again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from digitexp.data.source import Source
from digitexp.diagnostics.answers import Answers
from digitexp.diagnostics.files import evaluation_files
from digitexp.training.outcome import TrainingData

__all__ = ["evaluate_block", "evaluate_trial"]


def evaluate_trial(
    data: TrainingData,
    image_shape: Sequence[int],
    kept: Mapping[str, np.ndarray],
    metrics: Mapping[str, float],
) -> dict[str, bytes]:
    """Return the files of `evaluation_files` for the validation part of a trial.

    Args:
        data: What the trial was trained on.
        image_shape: Height and width of an image.
        kept: The trial's arrays; `validation_logits` (n_validation, classes) is looked for.
        metrics: The trial's; `train_accuracy` is shown if it is there.

    Raises:
        ValueError: No such logits are kept.
    """
    answers = Answers(
        images=data.validation_images.reshape(-1, *image_shape),
        labels=data.validation_labels,
        logits=_known(kept.get("validation_logits")),
        class_names=data.class_names,
        train_accuracy=metrics.get("train_accuracy"),
    )
    return evaluation_files(answers)


def evaluate_block(
    source: Source,
    numbers: np.ndarray | None,
    logits: np.ndarray | None,
    part: str,
    metrics: Mapping[str, float],
) -> dict[str, bytes]:
    """Return the same for any images of a source that a training was judged on.

    Args:
        source: Where the images are from.
        numbers: (n,), which images of it; None if that was not kept.
        logits: (n, classes), what was said of them; None if that was not kept.
        part: What they are.
        metrics: See `evaluate_trial`.

    Raises:
        ValueError: Numbers or logits were not kept.
    """
    images = _known(numbers)
    answers = Answers(
        images=source.images[images],
        labels=source.labels[images],
        logits=_known(logits),
        class_names=source.class_names,
        part=part,
        train_accuracy=metrics.get("train_accuracy"),
        image_numbers=images,
    )
    return evaluation_files(answers)


def _known(array: np.ndarray | None) -> np.ndarray:
    if array is None:
        raise ValueError(
            "it kept no logits of images it was not trained on, as one that diverged or was "
            "trained on everything; take another one"
        )
    return array
