"""What a record knows of which class was taken for which: counts, names, the worst mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sweeps.records.record import Record

WORST: Final = 3
"""Mistakes that a run's tags name."""


def confusion_of(record: Record) -> NDArray[np.integer] | None:
    """Return the counts after each epoch: (epochs, classes, classes), [true, predicted].

    None where the experiment kept none, or something else under that name.
    """
    counts = record.result.arrays.get("confusion") if record.result else None
    if counts is None or counts.ndim != 3 or counts.dtype.kind not in "iu" or 0 in counts.shape:
        return None
    return counts if counts.shape[1] == counts.shape[2] else None


def kept_epoch(record: Record, epochs: int) -> int:
    """Return the epoch, from 1, whose weights were kept: `best_epoch`, else the last one."""
    best = (record.result.metrics if record.result else {}).get("best_epoch", epochs)
    return int(best) if 1 <= best <= epochs else epochs


def class_names(record: Record, classes: int) -> list[str]:
    """Return the names that result or data give the classes, else `0`, `1`, ..."""
    facts = (record.result.info if record.result else {}, record.data.get("info") or {})
    for names in (fact.get(key) for fact in facts for key in ("class_names", "classes")):
        if isinstance(names, Sequence) and not isinstance(names, str) and len(names) == classes:
            return [str(name) for name in names]
    return [str(number) for number in range(classes)]


def confusion_tags(record: Record) -> dict[str, str]:
    """Return the worst mistakes of the kept weights: `confusion_1` is `4 as 9: 12`, and so on."""
    counts = confusion_of(record)
    if counts is None:
        return {}
    epochs, classes, _ = counts.shape
    wrong = counts[kept_epoch(record, epochs) - 1].astype(np.int64)
    np.fill_diagonal(wrong, 0)
    names = class_names(record, classes)
    worst = np.argsort(-wrong, axis=None, kind="stable")[:WORST].tolist()  # equal ones by class
    pairs = [divmod(cell, classes) for cell in worst if wrong.flat[cell] > 0]
    return {
        f"confusion_{rank}": f"{names[true]} as {names[said]}: {wrong[true, said]}"
        for rank, (true, said) in enumerate(pairs, 1)
    }
