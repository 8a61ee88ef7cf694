"""What configurations of digits20-tabular are worth: their accuracy on fresh folds.

Only those that some search chose are trained again, each on blocks 0 to 3, which judge every image
outside the search's validation set once. Kept image by image: a search whose trials were each
scored on a split of their own has chosen by images that blocks judge on, so those are left out for
it.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from functools import cache, lru_cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.tables import bank, files
from digitexp.data import load_source, split_source
from digitexp.data.splits import FOLDS, make_fold
from search_spaces.parameters import Value
from sweeps.config.sweep import SPLIT_SEED
from sweeps.experiment import PreparedData, TrialSpec
from sweeps.experiments.loading import load_experiment

_ROWS_A_PROCESS = 100


def train_missing(folder: Path, points: bank.Points, rows: Collection[int], processes: int) -> None:
    """Train on blocks what was chosen and is not in the folder yet."""
    todo = [(folder, row, points[row]) for row in sorted(rows) if not part(folder, row).exists()]
    if not todo:
        return
    with get_context("spawn").Pool(processes, maxtasksperchild=_ROWS_A_PROCESS) as pool:
        for done, _ in enumerate(pool.imap_unordered(_train_row, todo), 1):
            print(f"{done} of {len(todo)} on blocks", file=sys.stderr, flush=True)


def _train_row(todo: tuple[Path, int, dict[str, Value]]) -> None:
    train_row(*todo)


def train_row(folder: Path, row: int, point: dict[str, Value]) -> None:
    """Train a configuration on the blocks and keep which images it had right."""
    right, images = [], []
    experiment = load_experiment("digitexp.on_blocks:experiment", None)
    for block in range(FOLDS):
        config = {**bank.space().configuration(point), "block": block}
        spec = TrialSpec("tabular", row, 1, 0, config)  # blocks bring their own seeds
        result = experiment.train(spec, _pool(), lambda epoch, values: None)
        right.append(result.arrays["block_correct"] != 0)
        images.append(result.arrays["block_images"])
    ordered = np.argsort(np.concatenate(images), kind="stable")
    files.save(part(folder, row), {"right": np.packbits(np.concatenate(right)[ordered])})


def read(folder: Path) -> dict[int, NDArray[np.uint8]]:
    """Return what was trained on blocks there: of each row the packed bits of `train_row`."""
    paths = sorted((folder / "blocks").glob("*.npz"))
    return {int(path.stem): files.load(path)["right"] for path in paths}


def unpacked(bits: Mapping[int, NDArray[np.uint8]], rows: Collection[int]) -> NDArray[np.bool_]:
    """Return (rows, images) what each has right outside the search's validation set, in order."""
    count = len(judged_images())
    return np.array([np.unpackbits(bits[row], count=count) != 0 for row in rows])


@lru_cache(maxsize=1)
def judged_images() -> NDArray[np.int64]:
    """Return the images that the blocks judge on, sorted.

    All outside the search's validation set.
    """
    source = load_source(None)
    split = split_source(source, SPLIT_SEED)
    blocks = [make_fold(source.labels, split, number) for number in range(FOLDS)]
    return np.sort(np.concatenate([block.evaluation_indices for block in blocks]))


@cache
def scored_on(row: int) -> NDArray[np.bool_]:
    """Return which of the judged images have scored a configuration's training on its own split."""
    split = split_source(load_source(None), bank.own_split(row))
    return np.isin(judged_images(), split.validation_indices)


def worth(right: NDArray[np.bool_], position: int, without: NDArray[np.bool_] | None) -> float:
    """Return the accuracy of one configuration, with or without some images.

    Images differ in difficulty, and those left out have been lucky ones. So a configuration is
    compared on the remaining ones with all that were judged, and the difference is added to the
    mean of all on all images; with every image that is its plain accuracy.

    Args:
        right: (rows, images), see `read`.
        position: The configuration's place among the rows.
        without: (images,) which to leave out.
    """
    kept = slice(None) if without is None else ~without
    own, others = right[position, kept].mean(), right[:, kept].mean()
    return float(right.mean() + own - others)


@lru_cache(maxsize=1)
def _pool() -> PreparedData:
    return load_experiment("digitexp.on_blocks:experiment", None).prepare(None, SPLIT_SEED)


def part(folder: Path, row: int) -> Path:
    """Return the file of a configuration."""
    return folder / "blocks" / f"{row:05d}.npz"
