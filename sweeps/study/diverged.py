"""Where trials diverge: asked of a proposal before it is taken.

A diverged trial is a violated constraint to the sampler, and TPE keeps away from its region as a
whole; but it draws from wide kernels, and where the best known trials lie near the edge of that
region, as the best learning rates do, every sixth proposal still falls over it. So a proposal that
lies among diverged trials is drawn again, as one that repeats another is.

What lies among them is told by a decision tree (Breiman et al. 1984, splits by Gini impurity), of
which only the path of the proposal is ever grown. It needs no scale and no distance, and a
parameter that has nothing to do with it is not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeGuard

import numpy as np

from search_spaces.parameters import Value

ENOUGH: Final = 5
"""So many diverged trials make a region; fewer may be chance."""
MOSTLY: Final = 0.9
"""Share of trials in a region that have diverged."""
MAX_SPLITS: Final = 4
_ABSENT: Final = -np.inf


class DivergedRegions:
    """Learns from the slots that a proposal may see; the same answer for the same slots."""

    def __init__(self) -> None:
        self._columns: dict[str, None] = {}  # in the order of the slots that had them first
        self._rows: list[dict[str, float]] = []
        self._diverged: list[bool] = []
        self._points: np.ndarray | None = None  # of all rows, until another one is told

    def tell(self, params: Mapping[str, Value], *, diverged: bool) -> None:
        """Take a slot that has trained, to its end or not."""
        row = _features(params)
        self._columns |= dict.fromkeys(row)
        self._rows.append(row)
        self._diverged.append(diverged)
        self._points = None

    def contains(self, params: Mapping[str, Value]) -> bool:
        """Whether trials like this one diverge. Between regions, where nobody was yet: no."""
        row, points, diverged = _features(params), self._matrix(), np.array(self._diverged)
        names = list(self._columns)
        for _ in range(MAX_SPLITS):
            split = _best_split(points, diverged) if diverged.sum() >= ENOUGH else None
            if split is None:
                return False
            column, low, high = split
            value = row.get(names[column], _ABSENT)
            if low < value < high:
                return False
            side = points[:, column] <= low if value <= low else points[:, column] >= high
            points, diverged = points[side], diverged[side]
            if diverged.sum() >= ENOUGH and diverged.mean() >= MOSTLY:
                return True
        return False

    def _matrix(self) -> np.ndarray:
        if self._points is None:
            self._points = np.array(
                [[row.get(name, _ABSENT) for name in self._columns] for row in self._rows]
            )
        return self._points


def _features(params: Mapping[str, Value]) -> dict[str, float]:
    """Return numbers by name: a number as it is, another choice as a 1 of its own."""
    return {
        name if _is_number(value) else f"{name}={value!r}": (
            float(value) if _is_number(value) else 1.0
        )
        for name, value in params.items()
    }


def _is_number(value: Value) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _best_split(points: np.ndarray, diverged: np.ndarray) -> tuple[int, float, float] | None:
    """Return the column whose halves, up to and from these two values on, are the least mixed."""
    best, found = float(diverged.mean() * (1 - diverged.mean()) * len(diverged)) - 1e-9, None
    for column in range(points.shape[1]):
        order = np.argsort(points[:, column], kind="stable")
        values, bad = points[order, column], np.cumsum(diverged[order])
        cuts = np.flatnonzero(values[:-1] < values[1:])
        if not len(cuts):
            continue
        below, above = cuts + 1, len(values) - cuts - 1
        bad_below, bad_above = bad[cuts], bad[-1] - bad[cuts]
        mixed = bad_below * (1 - bad_below / below) + bad_above * (1 - bad_above / above)
        least = int(np.argmin(mixed))
        if mixed[least] < best:
            cut = cuts[least]
            best, found = float(mixed[least]), (column, float(values[cut]), float(values[cut + 1]))
    return found
