"""Small real data: the first images of the embedded digits, and files made from them."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from digitexp.data.loading import read_digits20

COUNT = 300


def idx_bytes(array: np.ndarray) -> bytes:
    """Return a uint8 array in the IDX format."""
    head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return head + array.tobytes()


def write_idx_folder(folder: Path, *, packed: bool = False, **arrays: np.ndarray) -> Path:
    """Write `train_images`, ... as the IDX files of MNIST's names; return the folder."""
    folder.mkdir(exist_ok=True)
    for name, array in arrays.items():
        part, kind = name.split("_")
        file = f"{part.replace('test', 't10k')}-{kind}-idx{3 if kind == 'images' else 1}-ubyte"
        data = idx_bytes(array)
        path = folder / (f"{file}.gz" if packed else file)
        path.write_bytes(gzip.compress(data) if packed else data)
    return folder


@pytest.fixture(scope="session")
def pixels() -> np.ndarray:
    """300 training images, uint8 (300, 20, 20), every class among them."""
    return read_digits20().train.images[:COUNT]


@pytest.fixture(scope="session")
def digits() -> np.ndarray:
    """Their labels, uint8 (300,)."""
    return read_digits20().train.labels[:COUNT]


@pytest.fixture(scope="session")
def test_pixels() -> np.ndarray:
    """100 test images, uint8 (100, 20, 20)."""
    return read_digits20().test.images[:100]


@pytest.fixture(scope="session")
def test_digits() -> np.ndarray:
    """Their labels, uint8 (100,)."""
    return read_digits20().test.labels[:100]


@pytest.fixture
def parts(pixels, digits, test_pixels, test_digits) -> dict[str, np.ndarray]:
    """All four arrays by the names of digits20."""
    return {
        "train_images": pixels,
        "train_labels": digits,
        "test_images": test_pixels,
        "test_labels": test_digits,
    }
