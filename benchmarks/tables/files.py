"""Arrays as files: written whole or not at all, read without pickles."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def save(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Write named arrays, compressed; a build that is killed leaves no half of one behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}")
    with unfinished.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    unfinished.replace(path)


def load(path: Path) -> dict[str, NDArray[Any]]:
    """Return the named arrays of a file."""
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}
