"""Finds a file of weights and reads its arrays by layer. Nothing is ever unpickled.

The formats are `weights.npz` of `digitexp train`, and Keras 3's `.weights.h5`
(`model.save_weights`) and `.keras` (`model.save`), of which only the weights are read.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np

from digitexp.config import TrialConfig
from digitexp.data.files import read_npz_arrays
from digitexp.hdf5_weights import read_hdf5

__all__ = [
    "FILES_IN_FOLDERS",
    "Layers",
    "check_initial_weights",
    "file_digest",
    "find_weights",
    "holds_weights",
    "read_weights",
]

Layers = Mapping[str, Mapping[str, np.ndarray]]
"""Arrays by layer, then by name (`kernel`), or by number (`0`) where a file has no names."""

FILES_IN_FOLDERS: Final = ("weights.npz", "model.weights.h5", "model.keras")
"""Names of the file in a folder, as `digitexp train`, Keras and `sweeps export` give them."""

_FORMS: Final = (
    "a .weights.h5 or .keras file of Keras 3, a weights.npz of `digitexp train`, or a folder with "
    "one of them"
)


def check_initial_weights(config: TrialConfig) -> None:
    """Raise ValueError if a configuration names initial weights that are not there."""
    if config.initial_weights is not None:
        find_weights(config.initial_weights)


def find_weights(path: str | Path) -> Path:
    """Return the file that a path stands for, without opening it.

    Args:
        path: The file, or a folder that holds exactly one of `FILES_IN_FOLDERS`.

    Raises:
        ValueError: There is no such file, or its format is not one that is read.
    """
    place = Path(path).expanduser()
    if place.is_dir():
        inside = [name for name in FILES_IN_FOLDERS if (place / name).is_file()]
        if len(inside) != 1:
            holds = " and ".join(inside) or "none of " + ", ".join(FILES_IN_FOLDERS)
            raise ValueError(f"initial_weights {path}: the folder holds {holds}; give {_FORMS}.")
        return place / inside[0]
    if not place.is_file():
        raise ValueError(f"initial_weights {path}: there is no such file; give {_FORMS}.")
    if place.suffix not in {".h5", ".npz", ".keras"}:
        raise ValueError(f"initial_weights {path}: received a {place.suffix} file; give {_FORMS}.")
    return place


def holds_weights(path: str | Path) -> bool:
    """Return whether a path holds weights, and not images (a `.npz` may hold either)."""
    place = Path(path).expanduser()
    if place.is_dir():
        return any((place / name).is_file() for name in FILES_IN_FOLDERS)
    if place.suffix == ".npz" and zipfile.is_zipfile(place):
        with zipfile.ZipFile(place) as archive:
            return any("/" in name for name in archive.namelist())
    return place.suffix in {".h5", ".keras"}


def read_weights(file: Path) -> Layers:
    """Return all weights of a file by layer; layers without weights are left out.

    Args:
        file: As `find_weights` returns it.

    Raises:
        ValueError: The file is damaged, holds pickled objects, or has another format.
    """
    if file.suffix == ".npz":
        return _by_layer(read_npz_arrays(file), file)
    try:
        with np.load(io.BytesIO(read_hdf5(file)), allow_pickle=False) as archive:
            layers = _by_layer(archive, file)
    except (ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{file}: no weights can be read ({error}); give {_FORMS}.") from error
    if not layers:
        raise ValueError(f"{file}: there are no weights of Keras 3's layout in it; give {_FORMS}.")
    return layers


def file_digest(file: Path) -> str:
    """Return the SHA-256 (hex) of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _by_layer(arrays: Mapping[str, np.ndarray], file: Path) -> Layers:
    layers: dict[str, dict[str, np.ndarray]] = {}
    for name, array in arrays.items():
        layer, slash, variable = name.rpartition("/")
        if not slash:
            raise ValueError(
                f"{file}: the array {name!r} names no layer; give {_FORMS} (names such as "
                "hidden_1/kernel)."
            )
        layers.setdefault(layer, {})[variable] = array
    return layers
