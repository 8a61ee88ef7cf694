"""Loads a `Source` by name or path: it chooses the reader, and `make_source` checks the result.

The embedded `digits20` are 5000 training and validation images and 5000 test images of MNIST, 500
per class, cropped to 20x20; `build_digits20` makes them. The arrays are hashed, not the archive,
because deflate differs between zlib builds.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from digitexp.data import files
from digitexp.data.checking import make_source
from digitexp.data.files import read_npz_arrays
from digitexp.data.source import Array, DataError, Found, Pair, Source

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
        if array is None:
            found = "no such array"
        elif array.dtype != np.uint8:
            found = f"dtype {array.dtype}"
        else:
            found = hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()
        if found != expected:
            raise DataError.about(f"{where} ({name})", found=found, expected=expected, fix=REPAIR)


REPAIR = "Reinstall the package, or run: python -m digitexp.data.build_digits20 mnist"


FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
"""The classes of Fashion-MNIST in the order of its documentation."""


def read_sklearn_digits() -> Found:
    """Read the 1797 images, 8x8 with 17 shades, that scikit-learn carries (no test set)."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    pair = Pair((digits.images / 16).astype("float32"), digits.target)
    return Found("sklearn-digits", "sklearn-digits", pair, policies=("pixels divided by 16",))


def _read_keras(name: str, class_names: tuple[str, ...] | None = None) -> Found:
    """Read a data set of `keras.datasets`, which downloads it once and keeps it."""
    from digitexp.tensorflow_setup import set_up_tensorflow

    set_up_tensorflow()  # before Keras: TensorFlow reads its settings only once
    from keras import datasets

    module: Any = getattr(datasets, name)
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # Keras's progress bar
            (images, labels), (test_images, test_labels) = module.load_data()
    except Exception as error:  # Keras raises a bare Exception when a download fails
        raise DataError.about(
            name,
            found=f"no data, because Keras could not load it ({error})",
            expected="a download, or one kept from an earlier time",
            fix="Without a network, name a folder with the four IDX files instead: "
            "train-images-idx3-ubyte(.gz), train-labels-idx1-ubyte(.gz) and the same two of t10k.",
        ) from error
    train, test = Pair(images, labels), Pair(test_images, test_labels)
    return Found(name, name, train, test, class_names=class_names)


DEFAULT = "digits20"

_NAMED: dict[str, tuple[Callable[[], Found], str, str]] = {
    "digits20": (
        read_digits20,
        "Handwritten digits",
        "embedded: 5000 + 5000 test digits of MNIST, 20x20",
    ),
    "sklearn-digits": (
        read_sklearn_digits,
        "Handwritten digits of scikit-learn",
        "scikit-learn's 1797 digits, 8x8, no test set",
    ),
    "mnist": (
        lambda: _read_keras("mnist"),
        "MNIST",
        "MNIST by Keras: 60000 + 10000 test digits, 28x28 (downloads)",
    ),
    "fashion_mnist": (
        lambda: _read_keras("fashion_mnist", FASHION_CLASSES),
        "Fashion-MNIST",
        "Fashion-MNIST by Keras: 60000 + 10000 test images of clothes, 28x28 (downloads)",
    ),
}
"""Name -> reader, title (where people choose among data, as in MLflow), and description."""

TITLES = {name: title for name, (_, title, _) in _NAMED.items()}

_FILES: dict[str, Callable[[Path], Found]] = {
    ".npz": files.read_npz,
    ".npy": lambda path: files.read_pair(path.parent),
    ".mat": files.read_mat,
}

PATHS = (
    "a folder of IDX files (train-images-idx3-ubyte, ..., gzipped or not), a folder with X.npy and "
    "y.npy, a .npz file, or a .mat file"
)


def known_sources() -> dict[str, str]:
    """Return the sources known by name, each with one line of description."""
    return {name: description for name, (_, _, description) in _NAMED.items()}


def load_source(source: str | None = None) -> Source:
    """Load and check a data set by name or path.

    Args:
        source: One of `known_sources()` (a name wins over a folder of that name; write `./mnist`
            for the folder), or a path: a folder of IDX files, a folder with `X.npy` and `y.npy` (or
            the path of that `X.npy`), a `.npz`, a `.mat`. None means `digits20`.

    Returns:
        float32 images in [0, 1] and labels 0 .. k-1, the test set apart.

    Raises:
        DataError: If there is no such source, or it cannot be trained on.
    """
    return make_source(find_source(DEFAULT if source is None else source))


def find_source(name: str) -> Found:
    """Read a data set as its files have it, before anything is checked or converted.

    Args:
        name: As for `load_source`.

    Raises:
        DataError: If there is no such source, or its files cannot be read.
    """
    if name in _NAMED:
        return _NAMED[name][0]()
    try:
        path = Path(name).expanduser()
        if not name.strip() or not path.exists():
            raise _unknown(name, path)
        if path.is_dir():
            return _read_folder(path)
        if (reader := _FILES.get(path.suffix.lower())) is None:
            raise DataError.about(str(path), found=f"a file '{path.name}'", expected=PATHS)
        return reader(path)
    except (OSError, RuntimeError) as error:  # RuntimeError: no home folder of that user
        raise DataError.about(
            f"data source '{name}'", found=f"something unreadable ({error})", expected=PATHS
        ) from error


def _read_folder(folder: Path) -> Found:
    has_idx, has_pair = files.is_idx_folder(folder), files.is_pair_folder(folder)
    if has_idx == has_pair:
        found = "both IDX files and X.npy, y.npy" if has_idx else "a folder without either"
        raise DataError.about(
            str(folder),
            found=found,
            expected="IDX files (train-images-idx3-ubyte, ..., gzipped or not) or X.npy and y.npy",
        )
    return files.read_idx_folder(folder) if has_idx else files.read_pair(folder)


def _unknown(name: str, path: Path) -> DataError:
    is_path = path.parent != Path() or path.suffix.lower() in _FILES
    beside = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    candidates = beside if is_path else [*_NAMED, *beside]
    close = difflib.get_close_matches(path.name if is_path else name, candidates, n=1)
    hint = f"Did you mean '{path.with_name(close[0]) if is_path else close[0]}'?" if close else ""
    return DataError.about(
        f"data source '{name}'",
        found="no file or folder of that name" if is_path else "no such name or path",
        expected=f"{', '.join(_NAMED)}, or the path of {PATHS}",
        fix=hint,
    )
