"""What every source becomes: float32 images in [0, 1], integer labels, a test part kept apart."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

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
        class_names: What people call the k classes, in order.
        policies: Every conversion applied on the way, one sentence each.
        digest: SHA-256 (hex) of `images` and `labels`; equal arrays have equal digests, whatever
            file they came from.
        test: The test part, or None if the source has none.
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
