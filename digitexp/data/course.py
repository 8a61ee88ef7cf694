"""The two forms of the 5000 digits of Andrew Ng's course: `X.npy` with `y.npy`, and `ex4data1.mat`.

His images are rows of 400 pixels, unrolled column by column as MATLAB does. A flat row says nothing
of its order, so the rule is: rows of a `.mat` file, and rows of exactly 400 floats in a pair
`X.npy`, `y.npy`, are read column by column; all others row by row. Whoever has 400 floats row by
row saves them as (n, 20, 20), which is never transposed.
"""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np

from digitexp.data.arrays import check_size, read_npy
from digitexp.data.errors import DataError
from digitexp.data.found import Array, Found, Pair

COURSE_PIXELS = 400


def is_pair_folder(folder: Path) -> bool:
    """Whether a folder has an `X.npy` or a `y.npy`."""
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
    course = images.ndim == 2 and images.shape[1] == COURSE_PIXELS and images.dtype.kind == "f"
    return Found(folder.resolve().name, str(folder), Pair(images, labels), course=course)


def read_mat(path: Path) -> Found:
    """Read `X` (n, h * w) and `y` (n, 1) of a MATLAB file up to version 7.

    Raises:
        DataError: If it is no such file, or lacks one of the two, or `X` is no matrix.
    """
    declared = _list_variables(path)
    for name in ("X", "y"):
        if len(declared.get(name, ())) != 2:
            listed = ", ".join(f"{key} {shape}" for key, shape in declared.items()) or "nothing"
            raise DataError.about(
                str(path), found=listed, expected="matrices X (n, height * width) and y (n, 1)"
            )
        check_size(prod(declared[name]) * 8, f"{path} ({name})")
    images, labels = _load_variables(path)
    return Found(path.stem, str(path), Pair(images, labels), course=True)


def _list_variables(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes in a `.mat` file, from its headers alone."""
    from scipy.io import whosmat

    try:
        return {name: tuple(shape) for name, shape, _ in whosmat(path)}
    except Exception as error:  # of many kinds, from ValueError to zlib.error
        raise _unreadable(path, error) from error


def _load_variables(path: Path) -> tuple[Array, Array]:
    from scipy.io import loadmat

    try:
        variables = loadmat(path, variable_names=["X", "y"])
    except Exception as error:
        raise _unreadable(path, error) from error
    return np.asarray(variables["X"]), np.asarray(variables["y"])


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError.about(
        str(path),
        found=f"no readable MATLAB file ({type(error).__name__}: {error})",
        expected="a .mat file of version 7 or older",
        fix="In MATLAB or Octave: save('-v7', 'file.mat', 'X', 'y').",
    )
