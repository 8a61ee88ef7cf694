"""A source of data: float32 images in [0, 1], integer labels, a test set kept apart."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray


class DataError(ValueError):
    """Data that cannot be trained on: missing, misnamed, of a wrong form, or unsafe to read."""

    @classmethod
    def about(cls, where: str, *, found: str, expected: str, fix: str = "") -> Self:
        """Build the message every refusal has: what was found, what is expected, how to fix it.

        Args:
            where: Name or path of the source, with the array or file meant.
            found: Description of the data that are there.
            expected: Description of data that would have been accepted.
            fix: Advice to the user; may be empty when `expected` says it all.
        """
        message = f"{where}: found {found}; expected {expected}."
        return cls(f"{message} {fix}".rstrip())


Array = NDArray[Any]
"""An array of which neither dtype nor shape is known yet."""


@dataclass(frozen=True, eq=False)
class Pair:
    """Images and their labels, of any dtype and shape."""

    images: Array
    labels: Array


@dataclass(frozen=True, eq=False)
class Found:
    """A source as its reader found it.

    Attributes:
        name: Short name of the source.
        where: Name or path, for messages.
        train: Training and validation images with labels.
        test: The test set, or None.
        ng_course: Whether this is the form of Andrew Ng's course: rows unrolled column by column,
            pixels a little outside [0, 1] and the label 10 for the digit 0 are then accepted.
        class_names: Names of the classes; None = their numbers.
        policies: Conversions the reader itself applied.
    """

    name: str
    where: str
    train: Pair
    test: Pair | None = None
    ng_course: bool = False
    class_names: tuple[str, ...] | None = None
    policies: tuple[str, ...] = ()


Images = NDArray[np.float32]
Labels = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TestPart:
    """Images no training and no choice between models may see.

    Attributes:
        images: float32 (n, height, width), in [0, 1], read-only.
        labels: int64 (n,), a subset of the classes of the source, read-only.
        digest: SHA-256 (hex) of both arrays.
    """

    __test__ = False  # keeps pytest from collecting a class whose name begins with Test

    images: Images = field(repr=False)
    labels: Labels = field(repr=False)
    digest: str


@dataclass(frozen=True, eq=False)
class Source:
    """A data set ready to be split.

    Attributes:
        name: Short name: that of a known source, or the name of the file or folder.
        images: Training and validation images, float32 (n, height, width), in [0, 1], read-only.
        labels: Their classes, int64 (n,), each of 0 .. k-1 present, read-only.
        class_names: Names of the k classes, in order.
        policies: Every conversion applied on the way, one sentence each.
        digest: SHA-256 (hex) of `images` and `labels`; equal arrays have equal digests, whatever
            file they came from.
        test: The test set, or None if the source has none.
    """

    name: str
    images: Images = field(repr=False)
    labels: Labels = field(repr=False)
    class_names: tuple[str, ...]
    policies: tuple[str, ...]
    digest: str
    test: TestPart | None = None


def digest_arrays(**arrays: NDArray[np.generic]) -> str:
    """Return the SHA-256 (hex) of named arrays: names, dtypes, shapes and little-endian bytes.

    The order of the arguments counts.
    """
    total = hashlib.sha256()
    for name, array in arrays.items():
        portable = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        total.update(f"{name} {portable.dtype.str} {portable.shape}\n".encode())
        total.update(portable.data)
    return total.hexdigest()


def resized(images: Images, shape: tuple[int, int]) -> Images:
    """Return images in another height and width, by Pillow's bilinear resampling.

    Where images become smaller, a new pixel averages over all pixels that it covers. Proportions
    are not kept: each side is brought to its own new length.

    Args:
        images: float32 (n, height, width), in [0, 1].
        shape: The new height and width.

    Returns:
        float32 (n, *shape), in [0, 1]; the same array if nothing changes.
    """
    if images.shape[1:] == shape:
        return images
    from PIL import Image

    height, width = shape
    bilinear = Image.Resampling.BILINEAR
    changed = [np.asarray(Image.fromarray(one).resize((width, height), bilinear)) for one in images]
    result: Images = np.clip(np.stack(changed), 0, 1).astype(np.float32)
    return result
