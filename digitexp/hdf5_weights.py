"""Reads Keras's HDF5 files of weights in a child process, which can be killed.

Given a damaged file, HDF5 may loop for ever in C, where no signal reaches Python, or take all
memory (seen with 1.14.6 and 2.0.0). So a child reads the file under limits and returns an npz.
"""

from __future__ import annotations

import io
import json
import resource
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, Final

import numpy as np

from digitexp.data.files import check_size

SECONDS: Final = 60.0
"""A file that takes longer to read is refused."""
BYTES: Final = 4 * 2**30
"""Memory that reading a file may take."""
_INSIDE_KERAS: Final = "model.weights.h5"
_CHILD: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from digitexp.hdf5_weights import main; main()"
)


def read_hdf5(file: Path, seconds: float = SECONDS) -> bytes:
    """Return the weights of a `.weights.h5` or `.keras` file as an npz, named `layer/variable`.

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
    try:
        arrays = _read(Path(sys.argv[2]))
    except Exception as error:
        sys.exit(" ".join(str(error).split()) or type(error).__name__)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    sys.stdout.buffer.write(buffer.getvalue())


def _read(file: Path) -> dict[str, np.ndarray]:
    if file.suffix == ".h5":
        return _read_layers(file)
    with zipfile.ZipFile(file) as archive:
        check_size(archive.getinfo(_INSIDE_KERAS).file_size, _INSIDE_KERAS)
        return _read_layers(io.BytesIO(archive.read(_INSIDE_KERAS)))


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
