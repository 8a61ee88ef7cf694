"""Arrays of labels as they come -> int64 (n,), classes 0 .. k-1."""

from __future__ import annotations

import numpy as np

from digitexp.data.errors import DataError
from digitexp.data.found import Array
from digitexp.data.source import Labels

TEN_MEANS_ZERO = "label 10 read as the digit 0"


def convert_labels(
    labels: Array, where: str, *, images: int, course: bool = False
) -> tuple[Labels, list[str]]:
    """Convert labels of any accepted form.

    Args:
        labels: Integers, shape (n,) or (n, 1).
        where: Source and array, for messages.
        images: Number of images there are, n.
        course: Whether labels 1 .. 10 are those of the course, where 10 stands for the digit 0
            because MATLAB counts from 1.

    Returns:
        Labels as int64 (n,), and the conversions applied.

    Raises:
        DataError: For another dtype or shape, or another number of labels than of images.
    """
    if labels.dtype.kind not in "iu":
        raise DataError.about(
            where,
            found=f"labels of dtype {labels.dtype}",
            expected="whole numbers of an integer dtype",
            fix="Convert with labels.astype('int64').",
        )
    if labels.ndim not in (1, 2) or (labels.ndim == 2 and labels.shape[1] != 1):
        raise DataError.about(
            where,
            found=f"labels of shape {labels.shape}",
            expected="(n,) or (n, 1)",
            fix="For one-hot rows save labels.argmax(axis=1)." if labels.ndim == 2 else "",
        )
    if len(labels) != images:
        raise DataError.about(
            where, found=f"{len(labels)} labels for {images} images", expected="one label per image"
        )
    flat = labels.reshape(-1).astype(np.int64)
    if course and flat.min() == 1 and flat.max() == 10:
        return np.where(flat == 10, 0, flat), [TEN_MEANS_ZERO]
    return flat, []


def check_classes(labels: Labels, where: str) -> int:
    """Return the number k of classes of training labels.

    Raises:
        DataError: If the classes are not 0 .. k-1, each present, with k >= 2.
    """
    classes = np.unique(labels)
    if len(classes) < 2 or not np.array_equal(classes, np.arange(len(classes))):
        raise DataError.about(
            where,
            found=f"the {len(classes)} label(s) {_shorten(classes)}",
            expected="at least two classes, numbered 0 .. k-1 without a gap",
            fix="Renumber with labels = np.unique(labels, return_inverse=True)[1].",
        )
    return len(classes)


def check_test_classes(labels: Labels, where: str, *, classes: int) -> None:
    """Raise DataError if a test label is none of the classes 0 .. classes-1 trained on."""
    strange = np.unique(labels[(labels < 0) | (labels >= classes)])
    if len(strange):
        raise DataError.about(
            where,
            found=f"test label(s) {_shorten(strange)}",
            expected=f"only classes of the training part, 0 .. {classes - 1}",
        )


def _shorten(values: Labels) -> str:
    shown = ", ".join(str(value) for value in values[:12])
    return shown if len(values) <= 12 else f"{shown}, ..."
