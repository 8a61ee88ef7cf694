"""A name or a path -> a `Source`: chooses the reader; what it finds is checked in one place."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path

from digitexp.data import arrays, course, embedded, idx, named
from digitexp.data.checking import make_source
from digitexp.data.errors import DataError
from digitexp.data.found import Found
from digitexp.data.source import Source

DEFAULT = "digits20"

_NAMED: dict[str, tuple[Callable[[], Found], str]] = {
    "digits20": (embedded.read_digits20, "embedded: 5000 + 5000 test digits of MNIST, 20x20"),
    "sklearn-digits": (named.read_sklearn_digits, "scikit-learn's 1797 digits, 8x8, no test part"),
    "mnist": (named.read_mnist, "MNIST by Keras: 60000 + 10000 test digits, 28x28 (downloads)"),
    "fashion_mnist": (
        named.read_fashion_mnist,
        "Fashion-MNIST by Keras: 60000 + 10000 test images of clothes, 28x28 (downloads)",
    ),
}

_FILES: dict[str, Callable[[Path], Found]] = {
    ".npz": arrays.read_npz,
    ".npy": lambda path: course.read_pair(path.parent),
    ".mat": course.read_mat,
}

PATHS = (
    "a folder of IDX files (train-images-idx3-ubyte, ..., gzipped or not), a folder with X.npy and "
    "y.npy, a .npz file, or a .mat file"
)


def known_sources() -> dict[str, str]:
    """Return the sources known by name, each with one line of description."""
    return {name: description for name, (_, description) in _NAMED.items()}


def load_source(source: str | None = None) -> Source:
    """Load and check a data set by name or path.

    Args:
        source: One of `known_sources()` (a name wins over a folder of that name; write `./mnist`
            for the folder), or a path: a folder of IDX files, a folder with `X.npy` and `y.npy` (or
            the path of that `X.npy`), a `.npz`, a `.mat`. None means `digits20`.

    Returns:
        float32 images in [0, 1] and labels 0 .. k-1, the test part apart.

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
        return _read_folder(path) if path.is_dir() else _read_file(path)
    except (OSError, RuntimeError) as error:  # RuntimeError: no home folder of that user
        raise DataError.about(
            f"data source '{name}'", found=f"something unreadable ({error})", expected=PATHS
        ) from error


def _read_file(path: Path) -> Found:
    reader = _FILES.get(path.suffix.lower())
    if reader is None:
        raise DataError.about(str(path), found=f"a file '{path.name}'", expected=PATHS)
    return reader(path)


def _read_folder(folder: Path) -> Found:
    has_idx, has_pair = idx.is_idx_folder(folder), course.is_pair_folder(folder)
    if has_idx == has_pair:
        found = "both IDX files and X.npy, y.npy" if has_idx else "a folder without either"
        raise DataError.about(
            str(folder),
            found=found,
            expected="IDX files (train-images-idx3-ubyte, ..., gzipped or not) or X.npy and y.npy",
        )
    return idx.read_idx_folder(folder) if has_idx else course.read_pair(folder)


def _unknown(name: str, path: Path) -> DataError:
    """Say that there is no such name or path, with the nearest one there is."""
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
