"""Which weights stay on disk: the baselines' and those of the best trials; replay re-makes any.

Of a confirmation all stay: if its sweep is tested, the test part scores every training.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from search_spaces.objectives import Objective
from sweeps.records import Record, RecordStore, confirmed_by
from sweeps.records.pareto import worth_keeping

KEEP_BEST: Final = 20


class WeightKeeper:
    """Drops weights from trials that are no longer among the best, as better ones arrive.

    With several objectives those of the Pareto front are kept, and of the best by the first one.
    What is dropped once is never wanted again: whoever is dominated, or behind so many, stays so.
    """

    def __init__(
        self, store: RecordStore, objectives: Sequence[Objective], directory: Path | None = None
    ) -> None:
        self._store = store
        self._keeps_all = confirmed_by(directory) is not None
        self._objectives = objectives
        self._kept: list[Record] = []

    def add(self, record: Record) -> None:
        """Rank a record that has just been written (or was found at the start)."""
        is_baseline = record.origin.startswith("baseline ")
        if record.weights_sha256 is None or is_baseline or self._keeps_all:
            return
        if record.objective is None:
            self._store.drop_weights(record.spec.key)
            return
        result = record.result and dataclasses.replace(record.result, arrays={}, weights=None)
        self._kept.append(dataclasses.replace(record, result=result))  # the numbers will do
        if len(self._kept) > KEEP_BEST:
            kept = worth_keeping(self._kept, self._objectives, KEEP_BEST)
            keys = {one.spec.key for one in kept}
            for dropped in (one for one in self._kept if one.spec.key not in keys):
                self._store.drop_weights(dropped.spec.key)
            self._kept = kept
