"""Which two classes are taken for each other most, such as 4 and 9."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["ConfusedPair", "confused_pairs"]


@dataclass(frozen=True)
class ConfusedPair:
    """Two classes that were taken for each other.

    Attributes:
        first: The class that was mistaken more often.
        second: What it was taken for.
        there: Images of `first` taken for `second`.
        back: Images of `second` taken for `first`; no more than `there`.
        share: Part of all errors that is of this pair, in (0, 1].
    """

    first: int
    second: int
    there: int
    back: int
    share: float

    @property
    def count(self) -> int:
        """Errors of this pair, both ways."""
        return self.there + self.back


def confused_pairs(confusion: np.ndarray) -> list[ConfusedPair]:
    """Return every pair of classes that was confused, the most confused first.

    A pair stands once, whichever way it was confused; of pairs with equal counts, the one with the
    lower classes comes first.

    Args:
        confusion: (classes, classes), counts, [true, predicted].
    """
    errors = int(confusion.sum() - np.trace(confusion))
    pairs = []
    for low, high in zip(*np.triu_indices(len(confusion), k=1), strict=True):
        up, down = int(confusion[low, high]), int(confusion[high, low])
        if up + down:
            first, second = (low, high) if up >= down else (high, low)
            share = (up + down) / errors
            pairs.append(ConfusedPair(int(first), int(second), max(up, down), min(up, down), share))
    return sorted(pairs, key=lambda pair: -pair.count)
