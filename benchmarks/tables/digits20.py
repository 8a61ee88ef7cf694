"""digits20-tabular: configurations of the space `mlp`, trained and published, to be looked up.

The space is continuous, the table is not: a proposal is answered by the nearest configuration with
the same number of layers and batch size. So what is searched is a mosaic of the trained ones, with
their seeds, curves and ends as they were.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.tables import bank, blocks, files
from search_spaces.parameters import Value

PUBLISHED = Path(__file__).with_name("digits20-tabular.npz")
SHA256 = "453823446f76d931f0f7332d6045f1617f7a58558456accca210816c3d10901e"
"""Of the published arrays, see `digest`; zlib may pack the same arrays differently."""
SPANS = {
    "learning_rate": (1e-4, 1e-2),
    "units": (8, 128),
    "dropout": (0.0, 0.5),
    "l2": (1e-7, 1e-2),
}
WEIGHTS = {"learning_rate": 1.0, "units": 1.0, "dropout": 1.0, "l2": 0.25}
"""How much a parameter's whole span counts in a distance: of a grid, what has least `surprise`."""
VALIDATION_IMAGES = 1000
NAMES = ("learning_rate", "batch_size", "hidden_layers", "units_1", "units_2", "units_3",
         "dropout", "l2")  # fmt: skip


@dataclass(frozen=True)
class Training:
    """One training, as a trial shows it.

    Attributes:
        accuracies: After each epoch, on the validation part.
        cross_entropies: The same, nats, without penalty.
        accuracy: Of the restored best weights, NaN if there are none.
        cross_entropy: The same, nats, without penalty.
        seconds: Of the training alone.
    """

    accuracies: list[float]
    cross_entropies: list[float]
    accuracy: float
    cross_entropy: float
    seconds: float
    diverged: bool


@dataclass(frozen=True)
class Digits20:
    """The table.

    Attributes:
        columns: (rows, len(NAMES)), float64, NaN where a parameter is not active.
        right: (rows, trainings, epochs), validation images right after each epoch.
        val_cross_entropy: (rows, trainings, epochs), without penalty, NaN after the last epoch.
        headlines: (rows, trainings, len(bank.HEADLINES)).
        diverged: (rows, trainings).
        early: (rows, trainings), whether early stopping ended it.
        judged: Rows that were trained on fresh folds, and what they had right there, see
            `blocks.train_row`.
    """

    columns: NDArray[np.float64] = field(repr=False)
    right: NDArray[np.uint16] = field(repr=False)
    val_cross_entropy: NDArray[np.floating[Any]] = field(repr=False)
    headlines: NDArray[np.float64] = field(repr=False)
    diverged: NDArray[np.bool_] = field(repr=False)
    early: NDArray[np.bool_] = field(repr=False)
    judged: Mapping[int, NDArray[np.uint8]] = field(repr=False)

    @cached_property
    def _places(self) -> NDArray[np.float64]:
        return np.array([_place(dict(zip(NAMES, row, strict=True))) for row in self.columns])

    @property
    def points(self) -> bank.Points:
        """The configurations, as the space has them."""
        return [bank.space().canonical(_active(row)) for row in self.columns.tolist()]

    def nearest(self, params: Mapping[str, Value]) -> int:
        """Return the row that answers a proposal."""
        same = (self.columns[:, 1] == params["batch_size"]) & (
            self.columns[:, 2] == params["hidden_layers"]
        )
        rows = np.flatnonzero(same)
        numbers = {name: float(str(params.get(name, math.nan))) for name in NAMES}
        distances = np.abs(self._places[rows] - _place(numbers)).sum(axis=1)
        return int(rows[distances.argmin()])

    def training(self, row: int, again: int) -> Training:
        """Return one of a row's trainings."""
        found = dict(zip(bank.HEADLINES, self.headlines[row, again].tolist(), strict=True))
        entropies = self.val_cross_entropy[row, again]
        entropies = entropies[np.isfinite(entropies)]
        return Training(
            accuracies=(self.right[row, again, : len(entropies)] / VALIDATION_IMAGES).tolist(),
            cross_entropies=entropies.tolist(),
            accuracy=found["best_val_accuracy"],
            cross_entropy=found["best_val_cross_entropy"],
            seconds=found["train_seconds"],
            diverged=bool(self.diverged[row, again]),
        )

    def surprise(self) -> float:
        """Return how far accuracies lie from that of the nearest other row, mean, in points.

        Seeds alone make two trainings of one row differ, see `noise`.
        """
        accuracy = np.nan_to_num(self.headlines[:, : bank.OWN, 0].mean(axis=1))
        off = []
        for cell in np.unique(self.columns[:, 1:3], axis=0):
            rows = np.flatnonzero((self.columns[:, 1:3] == cell).all(axis=1))
            apart = np.abs(self._places[rows][:, None] - self._places[rows][None]).sum(axis=2)
            np.fill_diagonal(apart, np.inf)
            if len(rows) > 1:
                off.append(np.abs(accuracy[rows] - accuracy[rows[apart.argmin(axis=1)]]))
        return float(100 * np.concatenate(off).mean())

    def noise(self) -> float:
        """Return how far the accuracies of a row's two seeds lie apart, mean, in points."""
        first, second = (self.headlines[:, again, 0] for again in range(bank.OWN))
        return float(100 * np.nanmean(np.abs(first - second)))


def of_folder(folder: Path) -> Digits20:
    """Return what has been trained in a folder so far."""
    points, arrays = bank.read(folder)
    columns = [[float(str(point.get(name, math.nan))) for name in NAMES] for point in points]
    arrays["headlines"] = arrays["headlines"].astype(np.float32).astype(np.float64)  # as published
    return Digits20(np.array(columns), **arrays, judged=blocks.read(folder))


def publish(table: Digits20, path: Path) -> str:
    """Write the table as small as it needs to be and return its digest."""
    arrays: dict[str, NDArray[Any]] = {
        "columns": table.columns,
        "right": table.right,
        "val_cross_entropy": table.val_cross_entropy.astype(np.float32),
        "headlines": table.headlines.astype(np.float32),
        "diverged": table.diverged,
        "early": table.early,
        "judged": np.array(sorted(table.judged), np.int32),
        "judged_right": np.array([table.judged[row] for row in sorted(table.judged)], np.uint8),
    }
    files.save(path, arrays)
    return digest(arrays)


def published() -> Digits20:
    """Return the published table.

    Raises:
        RuntimeError: Its arrays are not those that were published.
    """
    arrays = files.load(PUBLISHED)
    if (found := digest(arrays)) != SHA256:
        raise RuntimeError(f"{PUBLISHED}: SHA-256 of its arrays is {found}, expected {SHA256}")
    headlines = arrays.pop("headlines").astype(np.float64)
    rows, right = arrays.pop("judged").tolist(), arrays.pop("judged_right")
    judged = dict(zip(rows, right, strict=True))
    return Digits20(headlines=headlines, judged=judged, **arrays)


def unpack(folder: Path) -> None:
    """Write what is published as parts of a folder that lacks them; a build goes on from there."""
    table = published()
    for first in range(0, len(table.columns), bank.ROWS):
        rows = slice(first, first + bank.ROWS)
        if not bank.part(folder, first).exists():
            arrays = {
                name: getattr(table, name)[rows]
                for name in ("right", "val_cross_entropy", "headlines", "diverged", "early")
            }
            files.save(bank.part(folder, first), arrays)
    for row, right in table.judged.items():
        if not blocks.part(folder, row).exists():
            files.save(blocks.part(folder, row), {"right": right})


def digest(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Return the SHA-256 (hex) of named arrays: names, types, shapes and values."""
    found = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        found.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        found.update(array.tobytes())
    return found.hexdigest()


def _active(row: list[float]) -> dict[str, Value]:
    found = {name: value for name, value in zip(NAMES, row, strict=True) if not math.isnan(value)}
    return {
        name: value if name in {"learning_rate", "dropout", "l2"} else int(value)
        for name, value in found.items()
    }


def _place(numbers: Mapping[str, float]) -> NDArray[np.float64]:
    """Return where a point lies, each span scaled to its weight; layers it lacks lie at 0."""
    return np.array(
        [
            _scaled(name, numbers[name])
            for name in NAMES
            if name not in {"batch_size", "hidden_layers"}
        ]
    )


def _scaled(name: str, value: float) -> float:
    kind = name.partition("_")[0] if name.startswith("units") else name
    low, high = SPANS[kind]
    if math.isnan(value):
        return 0.0
    if low > 0:
        share = math.log(value / low) / math.log(high / low)
    else:
        share = (value - low) / (high - low)
    return WEIGHTS[kind] * share
