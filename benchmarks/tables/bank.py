"""Trains digits20-tabular: configurations of the space `mlp`, three times each, with every epoch.

Twice on the split every sweep has, under two seeds, and once on a split of its own. Parts of
`ROWS` configurations are files in a folder, written whole or not at all, so that a killed build
goes on where it was; the first n configurations are the same however many are asked for.
"""

from __future__ import annotations

import sys
from functools import cache, lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tables.files import load, save
from search_spaces.loading import load_space
from search_spaces.parameters import Value
from search_spaces.space import Space
from sweeps.config.sweep import SPLIT_SEED
from sweeps.experiment import TrialResult, TrialSpec
from sweeps.experiments.loading import load_experiment
from sweeps.study.proposals import Proposer, training_seed
from sweeps.study.samplers import Choice, sampler_factory

SPACE = "mlp"
ROWS = 20
"""Configurations a part: under a minute is lost when a build is killed."""
EPOCHS = 40
TRAININGS = ("fixed, seed 0", "fixed, seed 1", "own split")
OWN = TRAININGS.index("own split")
HEADLINES = ("best_val_accuracy", "best_val_loss", "best_val_cross_entropy", "best_epoch",
             "epochs", "parameters", "train_seconds")  # fmt: skip
"""Headline metrics kept of each training; NaN if it diverged in its first epoch."""
_PARTS_A_PROCESS = 25
"""TensorFlow keeps what it made for every training; a new process lets go of it."""

Points = list[dict[str, Value]]


@cache
def space(name: str = SPACE) -> Space:
    """Return the space the configurations are drawn from."""
    return load_space(name)


def draw(count: int, name: str = SPACE) -> Points:
    """Return the first `count` configurations: the baselines, then uniformly random ones."""
    proposer = Proposer(
        space(name),
        seed=0,
        sampler=sampler_factory(Choice("random")),
        directions=["maximize"],
        admissible=lambda *_: True,
    )
    return [dict(proposer.propose().params) for _ in range(count)]


def build(folder: Path, count: int, processes: int) -> None:
    """Train what is missing of the first `count` configurations."""
    folder.mkdir(parents=True, exist_ok=True)
    points = draw(-(-count // ROWS) * ROWS)
    missing = [
        first for first in range(0, len(points), ROWS) if not part(folder, first).exists()
    ]  # fmt: skip
    todo = [(folder, first, points[first : first + ROWS]) for first in missing]
    with get_context("spawn").Pool(processes, maxtasksperchild=_PARTS_A_PROCESS) as pool:
        for done, _ in enumerate(pool.imap_unordered(_train_part, todo), 1):
            print(f"{done} of {len(missing)} parts of {ROWS}", file=sys.stderr, flush=True)


def _train_part(todo: tuple[Path, int, Points]) -> None:
    train_part(*todo)


def train_part(folder: Path, first: int, points: Points) -> None:
    """Train some configurations, in order, and write their part."""
    rows = [train(first + offset, point) for offset, point in enumerate(points)]
    arrays = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    save(part(folder, first), arrays)


def train(row: int, point: dict[str, Value]) -> dict[str, np.ndarray]:
    """Train a configuration three times.

    Returns:
        `right` (3, EPOCHS), uint16, validation images right after each epoch, 0 after the last;
        `val_cross_entropy` (3, EPOCHS), float32, NaN after the last; `headlines`
        (3, len(HEADLINES)), float64; `diverged` and `early` (3,), bool, how it ended.
    """
    experiment = load_experiment(space().experiment, None)
    config = space().configuration(point)
    found: dict[str, list[Any]] = {}
    for again, split_seed in enumerate((SPLIT_SEED, SPLIT_SEED, own_split(row))):
        data = _split(split_seed) if again != OWN else experiment.prepare(None, split_seed)
        spec = TrialSpec("tabular", row, 1, training_seed(again, row), config)
        result = experiment.train(spec, data, lambda epoch, values: None)
        for name, value in _kept(result, data.info["n_validation"]).items():
            found.setdefault(name, []).append(value)
    return {name: np.stack(values) for name, values in found.items()}


def own_split(row: int) -> int:
    """Return the seed of a configuration's own split, never that of all sweeps."""
    return SPLIT_SEED + 1 + row


def read(folder: Path) -> tuple[Points, dict[str, np.ndarray]]:
    """Return the configurations that were trained, and their arrays.

    A gap (processes finish their parts in any order) ends the table.
    """
    parts: list[dict[str, np.ndarray]] = []
    while (path := part(folder, len(parts) * ROWS)).exists():
        parts.append(load(path))
    if not parts:
        raise RuntimeError(f"{folder}: no part is trained yet; --build trains them")
    arrays = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return draw(len(arrays["right"])), arrays


@lru_cache(maxsize=1)
def _split(seed: int) -> Any:
    return load_experiment(space().experiment, None).prepare(None, seed)


def _kept(result: TrialResult, images: int) -> dict[str, Any]:
    epochs = len(result.history["val_loss"])
    right, entropy = np.zeros(EPOCHS, np.uint16), np.full(EPOCHS, np.nan, np.float32)
    accuracies = np.nan_to_num(np.array(result.history["val_accuracy"]))
    right[:epochs] = np.round(accuracies * images).astype(np.uint16)
    entropy[:epochs] = result.history["val_cross_entropy"]
    return {
        "right": right,
        "val_cross_entropy": entropy,
        "headlines": np.array([result.metrics.get(name, np.nan) for name in HEADLINES]),
        "diverged": np.bool_(result.outcome == "diverged"),
        "early": np.bool_(result.stop_reason == "early_stopping"),
    }


def part(folder: Path, first: int) -> Path:
    """Return the file of the configurations from `first` on."""
    return folder / "rows" / f"{first:05d}.npz"
