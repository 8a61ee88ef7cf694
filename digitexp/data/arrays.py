"""`.npy` and `.npz` files, read without pickle and never beyond a stated size.

A few kilobytes of a compressed or made-up file can declare terabytes; so the declared size is
looked at before anything is read.
"""

from __future__ import annotations

import struct
import tokenize
import zipfile
import zlib
from math import prod
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

from digitexp.data.errors import DataError
from digitexp.data.found import Array, Found, Pair

MAX_ARRAY_BYTES = 2**30
"""Largest array that is read, in bytes: six times MNIST as float32."""

_NO_ARCHIVE = (
    zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError, EOFError, OSError,
    RuntimeError, ValueError,
)  # fmt: skip
"""What zipfile raises for bytes that are no archive."""

_NO_HEADER = (
    ValueError, KeyError, TypeError, SyntaxError, RecursionError, MemoryError, tokenize.TokenError,
)  # fmt: skip
"""What NumPy raises for bytes that are no header: it parses them as a literal of Python."""

LAYOUTS = (
    ("X", "y"),
    ("images", "labels"),
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("x_train", "y_train", "x_test", "y_test"),
)
"""Names of the arrays in a `.npz`; where there are four, the test part may be missing."""


def read_npy(path: Path) -> Array:
    """Read one `.npy` file.

    Raises:
        DataError: If it is no `.npy`, cut short, too large, or holds pickled objects.
    """
    with path.open("rb") as stream:
        return _read_array(stream, path.stat().st_size, str(path))


def read_npz(path: Path) -> Found:
    """Read a `.npz` file with exactly one of the `LAYOUTS`.

    Raises:
        DataError: If it is no `.npz`, is damaged or too large, or has other arrays.
    """
    arrays = read_npz_arrays(path)
    pairs = [layout for layout in LAYOUTS if set(layout[:2]) <= set(arrays)]
    if len(pairs) != 1 or not _is_complete(arrays, pairs[0]):
        layouts = "; ".join(", ".join(layout) for layout in LAYOUTS)
        raise DataError.about(
            str(path),
            found=f"the arrays {', '.join(arrays) or '(none)'}",
            expected=f"exactly one of: {layouts} (the last two also without their test part)",
            fix="Save with np.savez_compressed(file, images=images, labels=labels).",
        )
    parts = [arrays[name] for name in pairs[0] if name in arrays]
    test = Pair(parts[2], parts[3]) if len(parts) == 4 else None
    return Found(path.stem, str(path), Pair(parts[0], parts[1]), test)


def read_npz_arrays(path: Path) -> dict[str, Array]:
    """Read every array of a `.npz` file, by name.

    Raises:
        DataError: If it is no `.npz`, is damaged or too large, or holds pickled objects.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return {
                member.filename.removesuffix(".npy"): _read_member(archive, member, path)
                for member in archive.infolist()
            }
    except DataError:
        raise
    except _NO_ARCHIVE as error:
        raise DataError.about(
            str(path), found=f"no readable zip archive ({error})", expected="a .npz file of NumPy"
        ) from error


def check_size(declared: int, where: str) -> None:
    """Raise DataError if an array of `declared` bytes is larger than is ever read."""
    if declared > MAX_ARRAY_BYTES:
        raise DataError.about(
            where,
            found=f"{declared:,} bytes declared",
            expected=f"at most {MAX_ARRAY_BYTES:,} per array",
            fix="Save fewer images, or uint8 instead of floats.",
        )


def _is_complete(arrays: dict[str, Array], layout: tuple[str, ...]) -> bool:
    """Whether the arrays are those of the layout, with or without its test part."""
    return set(arrays) in (set(layout), set(layout[:2]))


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> Array:
    where = f"{path} ({member.filename})"
    check_size(member.file_size, where)
    with archive.open(member) as stream:
        return _read_array(stream, member.file_size, where)


def _read_array(stream: IO[bytes], size: int, where: str) -> Array:
    """Read one array in NumPy's format from a stream of `size` bytes."""
    try:
        read_header = {
            (1, 0): npy.read_array_header_1_0,
            (2, 0): npy.read_array_header_2_0,
        }[npy.read_magic(stream)]
        shape, fortran_order, dtype = read_header(stream)
    except _NO_HEADER as error:
        raise DataError.about(
            where, found=f"no array ({error})", expected="NumPy's .npy format, version 1 or 2"
        ) from error
    if dtype.hasobject:
        raise DataError.about(
            where,
            found="pickled Python objects, which could run code when read",
            expected="plain numbers",
            fix="Save images of one size as a single uint8 or float array.",
        )
    declared = prod(shape) * dtype.itemsize
    check_size(declared, where)
    data = stream.read(declared) if declared == size - stream.tell() else b""
    if len(data) != declared:
        raise DataError.about(
            where, found=f"{size:,} bytes", expected=f"a header and {declared:,} bytes of {shape}"
        )
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran_order else "C")
