"""IDX files, the format of MNIST and Fashion-MNIST, gzipped or not.

Format: two zero bytes, one byte for the type (8 = uint8), one for the number of dimensions, each
dimension as a big-endian 32-bit number, then the values row by row.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from math import prod
from pathlib import Path
from typing import Protocol

import numpy as np

from digitexp.data.arrays import check_size
from digitexp.data.errors import DataError
from digitexp.data.found import Array, Found, Pair

FILES = {
    part: (f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte") for part in ("train", "t10k")
}
"""Names of the image and label file of each part, as MNIST has them; `.gz` may follow."""


class _Readable(Protocol):
    """A binary stream, packed or not."""

    def read(self, size: int, /) -> bytes: ...


def is_idx_folder(folder: Path) -> bool:
    """Whether any file of a folder has the name of an IDX file."""
    return any(_locate(folder, name) for names in FILES.values() for name in names)


def read_idx_folder(folder: Path) -> Found:
    """Read the IDX files of a folder; the test part (`t10k-...`) may be missing.

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
    """Read one IDX file of unsigned bytes, gzipped or not (told by its first bytes).

    Raises:
        DataError: If it is no IDX file of unsigned bytes, is damaged, or is too large.
    """
    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        if not packed:
            return read_idx_stream(raw, str(path))
        try:
            with gzip.open(raw) as stream:
                return read_idx_stream(stream, str(path))
        except (gzip.BadGzipFile, zlib.error, EOFError) as error:
            raise DataError.about(
                str(path), found=f"a damaged gzip file ({error})", expected="a whole one"
            ) from error


def read_idx_stream(stream: _Readable, where: str) -> Array:
    """Read one IDX file of unsigned bytes from an open binary stream.

    Raises:
        DataError: If it is no IDX file of unsigned bytes, is cut short, or is too large.
    """
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
