"""Converts and checks the arrays of a reader; `make_source` is the only way to a `Source`."""

from __future__ import annotations

import hashlib
from math import isqrt

import numpy as np

from digitexp.data.source import (
    Array,
    DataError,
    Found,
    Images,
    Labels,
    Pair,
    Source,
    TestPart,
    digest_arrays,
)

COURSE_RANGE = (-0.15, 1.15)
"""Accepted pixels of the course's images, which were resampled and overshoot black and white a bit
(they run from about -0.13 to 1.13)."""

SHAPES = "(n, height, width), the same with one channel, or (n, height * width) of square images"


def convert_images(
    images: Array, where: str, *, ng_course: bool = False
) -> tuple[Images, list[str]]:
    """Convert pixels of any accepted form.

    Args:
        images: uint8 in 0 .. 255 or floats in [0, 1]; (n, h, w), (n, h, w, 1), (n, 1, h, w), or
            (n, h * w) of square images.
        where: Source and array, for messages.
        ng_course: Whether flat rows are unrolled column by column (MATLAB's order) and pixels
            within `COURSE_RANGE` are clipped instead of refused.

    Returns:
        Images as float32 (n, height, width) in [0, 1], and the conversions applied.

    Raises:
        DataError: For any other dtype, shape or range, NaN, infinity, or no pixels at all.
    """
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        raise DataError.about(
            where,
            found=f"pixels of dtype {images.dtype}",
            expected="uint8 in 0 .. 255 or floats in [0, 1]",
            fix="Convert with images.astype('uint8') if they are whole numbers up to 255.",
        )
    if images.size == 0:
        raise DataError.about(where, found=f"no pixels (shape {images.shape})", expected=SHAPES)
    stack, policies = _to_stack(images, where, column_major=ng_course)
    scaled, more = _to_unit_range(stack, where, ng_course=ng_course)
    return scaled, policies + more


def _to_stack(images: Array, where: str, *, column_major: bool) -> tuple[Array, list[str]]:
    if images.ndim == 4 and 1 in (images.shape[3], images.shape[1]):
        return images.squeeze(3 if images.shape[3] == 1 else 1), ["the single channel dropped"]
    if images.ndim == 3:
        return images, []
    side = isqrt(images.shape[1]) if images.ndim == 2 else 0
    if side == 0 or side * side != images.shape[1]:
        raise DataError.about(where, found=f"images of shape {images.shape}", expected=SHAPES)
    stack = images.reshape(-1, side, side)
    order = "column by column" if column_major else "row by row"
    policy = f"flat rows of {side * side} pixels read {order} as {side}x{side} images"
    return (stack.transpose(0, 2, 1) if column_major else stack), [policy]


def _to_unit_range(images: Array, where: str, *, ng_course: bool) -> tuple[Images, list[str]]:
    low, high = float(images.min()), float(images.max())
    if images.dtype == np.uint8:
        if high <= 1:
            raise DataError.about(
                where,
                found=f"uint8 pixels from {low:.0f} to {high:.0f}",
                expected="uint8 up to 255, or floats in [0, 1]",
                fix="For black and white images save images.astype('float32').",
            )
        return images.astype(np.float32) / np.float32(255), ["pixels divided by 255"]
    if not np.isfinite([low, high]).all():
        count = int(np.count_nonzero(~np.isfinite(images)))
        raise DataError.about(
            where, found=f"{count} pixels that are NaN or infinite", expected="floats in [0, 1]"
        )
    policies = (
        [] if images.dtype == np.float32 else [f"pixels rounded from {images.dtype} to float32"]
    )
    allowed = COURSE_RANGE if ng_course else (0.0, 1.0)
    if low < allowed[0] or high > allowed[1]:
        raise DataError.about(
            where,
            found=f"pixels from {low:.4g} to {high:.4g}",
            expected=f"floats in [{allowed[0]:g}, {allowed[1]:g}] or uint8 in 0 .. 255",
            fix="Divide by the largest value, such as images / 255.",
        )
    if low < 0 or high > 1:
        policies.append(f"pixels clipped from [{low:.4g}, {high:.4g}] to [0, 1]")
    return np.clip(images.astype(np.float32), 0, 1), policies


def convert_labels(
    labels: Array, where: str, *, images: int, ng_course: bool = False
) -> tuple[Labels, list[str]]:
    """Convert labels of any accepted form.

    Args:
        labels: Integers, shape (n,) or (n, 1).
        where: Source and array, for messages.
        images: Number of images, n.
        ng_course: Whether labels 1 .. 10 are those of the course, where 10 stands for the digit 0
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
    if ng_course and flat.min() == 1 and flat.max() == 10:
        return np.where(flat == 10, 0, flat), ["label 10 read as the digit 0"]
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


def fingerprint_images(images: Images) -> list[bytes]:
    """Return 16 bytes per image, equal exactly for equal images of one shape."""
    rows = np.ascontiguousarray(images)
    return [hashlib.blake2b(row.data, digest_size=16).digest() for row in rows]


def find_shared(first: list[bytes], second: list[bytes]) -> list[tuple[int, int]]:
    """Return (index in `first`, index in `second`) of each image of `second` that is in `first`."""
    known: dict[bytes, int] = {}
    for index, key in enumerate(first):
        known.setdefault(key, index)
    return [(known[key], index) for index, key in enumerate(second) if key in known]


def make_source(found: Found) -> Source:
    """Convert and check everything a reader found.

    Raises:
        DataError: If images, labels or their classes are of no accepted form, if training and test
            images differ in shape, or if an image lies in both parts.
    """
    images, labels, policies = _convert(found.train, found, "training")
    classes = check_classes(labels, f"{found.where} (training labels)")
    names = found.class_names or tuple(str(number) for number in range(classes))
    test = None
    if found.test is not None:
        test_images, test_labels, more = _convert(found.test, found, "test")
        check_test_classes(test_labels, f"{found.where} (test labels)", classes=classes)
        _check_apart(images, test_images, found.where)
        policies += [policy for policy in more if policy not in policies]
        test = TestPart(
            test_images, test_labels, digest_arrays(images=test_images, labels=test_labels)
        )
    return Source(
        name=found.name,
        images=images,
        labels=labels,
        class_names=names,
        policies=(*found.policies, *policies),
        digest=digest_arrays(images=images, labels=labels),
        test=test,
    )


def _convert(pair: Pair, found: Found, part: str) -> tuple[Images, Labels, list[str]]:
    images, policies = convert_images(
        pair.images, f"{found.where} ({part} images)", ng_course=found.ng_course
    )
    labels, more = convert_labels(
        pair.labels, f"{found.where} ({part} labels)", images=len(images), ng_course=found.ng_course
    )
    images = np.ascontiguousarray(images)
    for array in (images, labels):
        array.flags.writeable = False  # one trial must not change the data of the next
    return images, labels, policies + more


def _check_apart(images: Images, test_images: Images, where: str) -> None:
    if images.shape[1:] != test_images.shape[1:]:
        raise DataError.about(
            where,
            found=f"training images {images.shape[1:]} and test images {test_images.shape[1:]}",
            expected="one height and width",
        )
    shared = find_shared(fingerprint_images(images), fingerprint_images(test_images))
    if shared:
        train_index, test_index = shared[0]
        raise DataError.about(
            where,
            found=f"{len(shared)} test image(s) that are training images too "
            f"(test {test_index} = training {train_index})",
            expected="no image in both parts",
            fix="Remove them from one part: the test score would be too good.",
        )
