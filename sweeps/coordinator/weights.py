"""Which weights stay on disk: the baselines' and those of the best trials; replay re-makes any.

Of a confirmation all stay: if its sweep is tested, the test part scores every training.
"""

from __future__ import annotations

import heapq
from pathlib import Path
from typing import Final, Literal

from sweeps.records import Record, RecordStore, confirmed_by

KEEP_BEST: Final = 20


class WeightKeeper:
    """Drops weights from trials that are no longer among the best, as better ones arrive."""

    def __init__(
        self,
        store: RecordStore,
        direction: Literal["maximize", "minimize"],
        directory: Path | None = None,
    ) -> None:
        self._store = store
        self._keeps_all = confirmed_by(directory) is not None
        self._sign = 1.0 if direction == "maximize" else -1.0
        self._best: list[tuple[float, int, str]] = []  # a heap: the worst of the kept comes first

    def add(self, record: Record) -> None:
        """Rank a record that has just been written (or was found at the start)."""
        is_baseline = record.origin.startswith("baseline ")
        if record.weights_sha256 is None or is_baseline or self._keeps_all:
            return
        if record.objective is None:
            self._store.drop_weights(record.spec.key)
            return
        entry = (self._sign * record.objective, -record.spec.slot, record.spec.key)
        heapq.heappush(self._best, entry)
        if len(self._best) > KEEP_BEST:
            self._store.drop_weights(heapq.heappop(self._best)[2])
