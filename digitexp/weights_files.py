"""Finds a file of weights and reads its arrays by layer. Nothing is ever unpickled.

The formats are `weights.npz` of `digitexp train`, and Keras 3's `.weights.h5`
(`model.save_weights`) and `.keras` (`model.save`), of which only the weights are read.
"""

from __future__ import annotations

import hashlib
import io
import json
import resource
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from digitexp.config import TrialConfig
from digitexp.data.files import check_size, read_npz_arrays

SECONDS: Final = 60.0
"""A file that takes longer to read is refused."""
BYTES: Final = 4 * 2**30
"""Memory that reading a file may take."""
_INSIDE_KERAS: Final = "model.weights.h5"
_CHILD: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from digitexp.weights_files import main; main()"
)


def read_hdf5(file: Path, seconds: float = SECONDS) -> bytes:
    """Return the weights of a `.weights.h5` or `.keras` file as an npz, named `layer/variable`.

    Given a damaged file, HDF5 may loop for ever in C, where no signal reaches Python, or take all
    memory (seen with 1.14.6 and 2.0.0). So a child process reads the file, under limits.

    Args:
        file: A `.weights.h5` or `.keras` file.
        seconds: Time limit of the reading.

    Raises:
        ValueError: The file is damaged or refers to another file. The message is to follow the
            file's name.
    """
    command = [sys.executable, "-I", "-c", _CHILD, json.dumps(sys.path), str(file)]
    try:
        answer = subprocess.run(command, capture_output=True, timeout=seconds, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        raise ValueError(f"HDF5 did not come to an end within {seconds:g} s: damaged") from None
    if answer.returncode:
        said = answer.stderr.decode("utf-8", "replace").strip().splitlines()
        raise ValueError(said[-1] if said else f"HDF5 crashed (exit code {answer.returncode})")
    return answer.stdout


def main() -> None:
    """Run in the child: write the npz to stdout, or the reason why there is none to stderr."""
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    file = Path(sys.argv[2])
    try:
        if file.suffix == ".h5":
            arrays = _read_layers(file)
        else:
            with zipfile.ZipFile(file) as archive:
                check_size(archive.getinfo(_INSIDE_KERAS).file_size, _INSIDE_KERAS)
                arrays = _read_layers(io.BytesIO(archive.read(_INSIDE_KERAS)))
    except Exception as error:
        sys.exit(" ".join(str(error).split()) or type(error).__name__)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    sys.stdout.buffer.write(buffer.getvalue())


def _read_layers(opened: Any) -> dict[str, np.ndarray]:
    """Read Keras 3's layout: each layer has a group `vars` with its name and numbered arrays."""
    import h5py

    found: dict[str, np.ndarray] = {}

    def visit(path: str, entry: Any) -> None:
        # The optimizer's variables and the generators of dropout are no weights of a layer.
        is_layer = path.startswith("layers/") and "seed_generator" not in path
        is_group = isinstance(entry, h5py.Group) and path.endswith("/vars")
        if not (is_layer and is_group and len(entry)):
            return
        if "name" not in entry.attrs:
            raise ValueError(
                f"{path} has no name of its layer; load it with the Keras that wrote it, and save "
                "it with Keras 3.10 or newer"
            )
        for key, dataset in entry.items():
            if not isinstance(dataset, h5py.Dataset):
                raise ValueError(f"{path}/{key} is no array; the file is damaged")  # noqa: TRY004
            if dataset.external or dataset.is_virtual:
                raise ValueError(f"{path}/{key} lies in another file, which is not read")
        check_size(sum(dataset.nbytes for dataset in entry.values()), path)
        found.update({f"{entry.attrs['name']}/{key}": np.asarray(entry[key]) for key in entry})

    with h5py.File(opened, "r") as archive:
        away = archive.visititems_links(
            lambda path, link: None if isinstance(link, h5py.HardLink) else str(path)
        )
        if away is not None:
            raise ValueError(f"{away} is a link to somewhere else, which is not followed")
        archive.visititems(visit)
    return found


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
