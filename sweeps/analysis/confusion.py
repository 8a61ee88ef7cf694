"""Reads the confusion matrix of a record: counts, class names, the worst mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sweeps.journal.events import Record

WORST: Final = 3
"""How many mistakes the tags of a run name."""


def confusion_of(record: Record) -> NDArray[np.integer] | None:
    """Return the counts after each epoch: (epochs, classes, classes), [true, predicted].

    None if the experiment kept none, or keeps something else under that name.
    """
    counts = record.result.arrays.get("confusion") if record.result else None
    if counts is None or counts.ndim != 3 or counts.dtype.kind not in "iu" or 0 in counts.shape:
        return None
    return counts if counts.shape[1] == counts.shape[2] else None


def kept_epoch(record: Record, epochs: int) -> int:
    """Return the epoch, from 1, whose weights were kept: `best_epoch`, else the last one."""
    best = (record.result.metrics if record.result else {}).get("best_epoch", epochs)
    return int(best) if 1 <= best <= epochs else epochs


def best_confusion(record: Record) -> NDArray[np.int64] | None:
    """Return the counts [true, predicted] of the weights that were kept; None without counts.

    An experiment may keep the counts of that one epoch only.
    """
    counts = confusion_of(record)
    if counts is None:
        return None
    best: NDArray[np.int64] = counts[kept_epoch(record, len(counts)) - 1].astype(np.int64)
    return best


def worst_confusions(counts: NDArray[np.int64]) -> list[tuple[int, int, int]]:
    """Return the mistakes as (count, true, predicted), the most frequent first, then by class."""
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable").tolist()
    pairs = (divmod(cell, len(counts)) for cell in order if wrong.flat[cell] > 0)
    return [(int(wrong[true, said]), true, said) for true, said in pairs]


def class_names(record: Record, classes: int) -> list[str]:
    """Return the class names from the result or the data, else `0`, `1`, ..."""
    facts = (record.result.info if record.result else {}, record.data.get("info") or {})
    for names in (fact.get(key) for fact in facts for key in ("class_names", "classes")):
        if isinstance(names, Sequence) and not isinstance(names, str) and len(names) == classes:
            return [str(name) for name in names]
    return [str(number) for number in range(classes)]


def confusion_tags(record: Record) -> dict[str, str]:
    """Return the worst mistakes of the kept weights as tags, such as `confusion_1: 4 as 9: 12`."""
    counts = best_confusion(record)
    if counts is None:
        return {}
    names = class_names(record, len(counts))
    return {
        f"confusion_{rank}": f"{names[true]} as {names[said]}: {number}"
        for rank, (number, true, said) in enumerate(worst_confusions(counts)[:WORST], 1)
    }
