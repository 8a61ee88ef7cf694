"""Arrays of pixels as they come -> float32 (n, height, width) in [0, 1], with every step stated."""

from __future__ import annotations

from math import isqrt

import numpy as np

from digitexp.data.errors import DataError
from digitexp.data.found import Array
from digitexp.data.source import Images

COURSE_RANGE = (-0.15, 1.15)
"""Accepted pixels of the course's images, which were resampled and overshoot black and white a bit
(they run from about -0.13 to 1.13)."""

SHAPES = "(n, height, width), the same with one channel, or (n, height * width) of square images"


def convert_images(images: Array, where: str, *, course: bool = False) -> tuple[Images, list[str]]:
    """Convert pixels of any accepted form.

    Args:
        images: uint8 in 0 .. 255 or floats in [0, 1]; (n, h, w), (n, h, w, 1), (n, 1, h, w), or
            (n, h * w) of square images.
        where: Source and array, for messages.
        course: Whether flat rows are unrolled column by column (MATLAB's order) and pixels within
            `COURSE_RANGE` are clipped instead of refused.

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
    stack, policies = _to_stack(images, where, column_major=course)
    scaled, more = _to_unit_range(stack, where, course=course)
    return scaled, policies + more


def _to_stack(images: Array, where: str, *, column_major: bool) -> tuple[Array, list[str]]:
    """Bring images into the shape (n, height, width)."""
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


def _to_unit_range(images: Array, where: str, *, course: bool) -> tuple[Images, list[str]]:
    """Bring pixels into [0, 1] as float32."""
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
    allowed = COURSE_RANGE if course else (0.0, 1.0)
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
