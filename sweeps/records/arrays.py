"""Arrays as files: npz archives without pickles; the event of an attempt has their SHA-256."""

from __future__ import annotations

import hashlib
import io
import os
import threading
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Final

import numpy as np

from sweeps.records.schema import said_of
from sweeps.workspace.files import (
    MOST_UNPACKED,
    FormatError,
    open_file,
    opened_archive,
    reading,
    unpacked,
)

_ARRAY: Final = ".npy"
MOST_ARRAYS: Final = 2 * 2**30
"""Most bytes that the arrays of an attempt may have together."""
_READING: Final = threading.Lock()
"""One thread at a time reads arrays: NumPy parses their headers by `ast`, whose recursion counter
is shared by all threads in CPython 3.11 (gh-106905), so that two at once raise a SystemError."""


def read_arrays(path: Path, digest: str, most: int | None = None) -> dict[str, np.ndarray]:
    """Return the arrays in a file, which is not read into memory as a whole.

    The digest is its SHA-256 (hex); it may have `most` bytes.

    Raises:
        FileNotFoundError: There is none.
        FormatError: It is damaged, not that of the attempt, or larger than it may be.
        RecordError: It cannot be read.
    """
    with said_of(path), open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        if most is not None and size > most:
            raise FormatError(f"it has {size} bytes, and may have {most}")
        if hashlib.file_digest(file, "sha256").hexdigest() != digest:
            raise FormatError("damaged, its checksum does not fit its attempt")
        return unpack_arrays(file)


def pack_arrays(arrays: Mapping[str, np.ndarray], *, compressed: bool = True) -> bytes:
    """Return named arrays as a compressed npz archive, like that of `np.savez_compressed`.

    NumPy's own function is not used, because no array may be named `file` or `allow_pickle` there:
    these are arguments of it. An archive that is soon deleted need not be `compressed`.
    """
    arrays = {name: np.asanyarray(array) for name, array in arrays.items()}
    # A large archive is not compressed: its reader derives its limit from the size of the file.
    is_much = sum(array.nbytes for array in arrays.values()) > MOST_UNPACKED // 2
    buffer = io.BytesIO()
    method = zipfile.ZIP_STORED if is_much or not compressed else zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}{_ARRAY}", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
    return buffer.getvalue()


def unpack_arrays(
    file: IO[bytes], wanted: Callable[[str], bool] = lambda name: True
) -> dict[str, np.ndarray]:
    """Return the wanted arrays of a `pack_arrays` archive by name; all of them by default.

    Raises:
        FormatError: The bytes are torn or altered, or unpack to more than the limit.
    """
    what, arrays = "archive of arrays", dict[str, np.ndarray]()
    with _READING, opened_archive(file, what) as archive, reading(what):
        for member in archive.infolist():
            name = member.filename.removesuffix(_ARRAY)
            if wanted(name):
                content = io.BytesIO(unpacked(archive, member))
                arrays[name] = np.lib.format.read_array(content, allow_pickle=False)
    return arrays
