"""Readers of data files: `.npy`, `.npz`, IDX, and the two forms of Andrew Ng's course.

NumPy's files are read without pickle. A few kilobytes of a compressed or made-up file can declare
terabytes; so the declared size is checked before anything is read.

IDX is the format of MNIST and Fashion-MNIST, gzipped or not: two zero bytes, one byte for the type
(8 = uint8), one for the number of dimensions, each dimension as a big-endian 32-bit number, then
the values row by row.

The course has 5000 digits as `X.npy` with `y.npy`, or as `ex4data1.mat`. Its images are rows of
400 pixels, unrolled column by column as MATLAB does. A flat row does not show its order, so the
rule is: rows of a `.mat` file, and rows of exactly 400 floats in a pair `X.npy`, `y.npy`, are read
column by column; all others row by row. Save 400 floats that are row by row as (n, 20, 20), which
is never transposed.
"""

from __future__ import annotations

import gzip
import struct
import tokenize
import zipfile
import zlib
from io import BufferedIOBase
from math import prod
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

from digitexp.data.source import Array, DataError, Found, Pair

MAX_ARRAY_BYTES = 2**30
"""Largest array that is read, in bytes: six times MNIST as float32."""

_NO_ARCHIVE = (
    zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError, EOFError, OSError,
    RuntimeError, ValueError,
)  # fmt: skip
"""Errors that zipfile raises for bytes that are no archive."""

_NO_HEADER = (
    ValueError, KeyError, TypeError, SyntaxError, RecursionError, MemoryError, tokenize.TokenError,
)  # fmt: skip
"""Errors that NumPy raises for bytes that are no header: it parses them as a Python literal."""

LAYOUTS = (
    ("X", "y"),
    ("images", "labels"),
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("x_train", "y_train", "x_test", "y_test"),
)
"""Names of the arrays in a `.npz`; where there are four, the test set may be missing."""


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
    if len(pairs) != 1 or set(arrays) not in (set(pairs[0]), set(pairs[0][:2])):
        layouts = "; ".join(", ".join(layout) for layout in LAYOUTS)
        raise DataError.about(
            str(path),
            found=f"the arrays {', '.join(arrays) or '(none)'}",
            expected=f"exactly one of: {layouts} (the last two also without their test set)",
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
            declared = sum(member.file_size for member in archive.infolist())
            if declared > 4 * MAX_ARRAY_BYTES:
                raise DataError.about(
                    str(path),
                    found=f"{declared:,} bytes declared by all its arrays",
                    expected=f"at most {4 * MAX_ARRAY_BYTES:,}",
                )
            arrays = {}
            for member in archive.infolist():
                where = f"{path} ({member.filename})"
                check_size(member.file_size, where)
                with archive.open(member) as stream:
                    name = member.filename.removesuffix(".npy")
                    arrays[name] = _read_array(stream, member.file_size, where)
            return arrays
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


def _read_array(stream: IO[bytes], size: int, where: str) -> Array:
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


FILES = {
    part: (f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte") for part in ("train", "t10k")
}
"""Names of the image and label file of each part, as MNIST has them; `.gz` may follow."""


def is_idx_folder(folder: Path) -> bool:
    """Return whether any file of a folder has the name of an IDX file."""
    return any(_locate(folder, name) for names in FILES.values() for name in names)


def read_idx_folder(folder: Path) -> Found:
    """Read the IDX files of a folder; the test set (`t10k-...`) may be missing.

    Raises:
        DataError: If a file of a pair is missing or damaged.
    """
    parts = {part: [_locate(folder, name) for name in names] for part, names in FILES.items()}
    for part, paths in parts.items():
        if None in paths and (part == "train" or any(paths)):
            raise DataError.about(
                str(folder),
                found=", ".join(path.name for path in paths if path) or f"no {part}-... files",
                expected=" and ".join(FILES[part]) + ", each gzipped (.gz) or not",
            )
    pairs = {
        part: Pair(*(read_idx(path) for path in paths if path))
        for part, paths in parts.items()
        if any(paths)
    }
    return Found(folder.resolve().name, str(folder), pairs["train"], pairs.get("t10k"))


def read_idx(path: Path) -> Array:
    """Read one IDX file of unsigned bytes, gzipped or not (its first bytes show it).

    Raises:
        DataError: If it is no IDX file of unsigned bytes, is damaged, or is too large.
    """
    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        if not packed:
            return _read_idx_stream(raw, str(path))
        try:
            with gzip.open(raw) as stream:
                return _read_idx_stream(stream, str(path))
        except (gzip.BadGzipFile, zlib.error, EOFError) as error:
            raise DataError.about(
                str(path), found=f"a damaged gzip file ({error})", expected="a whole one"
            ) from error


def _read_idx_stream(stream: BufferedIOBase, where: str) -> Array:
    head = stream.read(4)
    if len(head) < 4 or head[:3] != b"\x00\x00\x08" or not 1 <= head[3] <= 4:
        raise DataError.about(
            where,
            found=f"a file that begins with the bytes {head.hex(' ') or '(none)'}",
            expected="IDX of unsigned bytes: 00 00 08 and the number of dimensions, 01 to 04",
        )
    sizes = stream.read(4 * head[3])
    shape = struct.unpack(f">{len(sizes) // 4}I", sizes[: len(sizes) // 4 * 4])
    declared = prod(shape)
    check_size(declared, where)
    data = stream.read(declared + 1)  # one more than there should be, to notice a longer file
    if len(shape) != head[3] or len(data) != declared:
        raise DataError.about(
            where,
            found=f"{'more' if len(data) > declared else len(data)} bytes after the header",
            expected=f"{declared:,} bytes for the shape {shape} in its header",
        )
    return np.frombuffer(data, np.uint8).reshape(shape)


def _locate(folder: Path, name: str) -> Path | None:
    """Return the file of that name, unpacked rather than gzipped, or None."""
    candidates = (folder / name, folder / f"{name}.gz")
    return next((path for path in candidates if path.is_file()), None)


COURSE_PIXELS = 400


def is_pair_folder(folder: Path) -> bool:
    """Return whether a folder has an `X.npy` or a `y.npy`."""
    return any((folder / name).is_file() for name in ("X.npy", "y.npy"))


def read_pair(folder: Path) -> Found:
    """Read `X.npy` and `y.npy` of a folder.

    Raises:
        DataError: If one is missing or cannot be read.
    """
    missing = [name for name in ("X.npy", "y.npy") if not (folder / name).is_file()]
    if missing:
        raise DataError.about(
            str(folder),
            found=f"no {' and no '.join(missing)}",
            expected="X.npy with y.npy beside it",
        )
    images, labels = read_npy(folder / "X.npy"), read_npy(folder / "y.npy")
    ng_course = images.ndim == 2 and images.shape[1] == COURSE_PIXELS and images.dtype.kind == "f"
    return Found(folder.resolve().name, str(folder), Pair(images, labels), ng_course=ng_course)


def read_mat(path: Path) -> Found:
    """Read `X` (n, h * w) and `y` (n, 1) of a MATLAB file up to version 7.

    Raises:
        DataError: If it is no such file, or lacks one of the two, or `X` is no matrix.
    """
    from scipy.io import loadmat, whosmat

    try:  # the shapes, from the headers alone
        declared = {name: tuple(shape) for name, shape, _ in whosmat(path)}
    except Exception as error:  # of many kinds, from ValueError to zlib.error
        raise _unreadable(path, error) from error
    for name in ("X", "y"):
        if len(declared.get(name, ())) != 2:
            listed = ", ".join(f"{key} {shape}" for key, shape in declared.items()) or "nothing"
            raise DataError.about(
                str(path), found=listed, expected="matrices X (n, height * width) and y (n, 1)"
            )
        check_size(prod(declared[name]) * 8, f"{path} ({name})")
    try:
        variables = loadmat(path, variable_names=["X", "y"])
    except Exception as error:
        raise _unreadable(path, error) from error
    pair = Pair(np.asarray(variables["X"]), np.asarray(variables["y"]))
    return Found(path.stem, str(path), pair, ng_course=True)


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError.about(
        str(path),
        found=f"no readable MATLAB file ({type(error).__name__}: {error})",
        expected="a .mat file of version 7 or older",
        fix="In MATLAB or Octave: save('-v7', 'file.mat', 'X', 'y').",
    )
