"""Are two trials different? Judged sample by sample, as far as one training each can tell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sweeps.analysis.data import SweepData, logits
from sweeps.records import Record

_Z = 1.959964


@dataclass(frozen=True)
class Difference:
    """The accuracy of one model minus another's on the same samples.

    Attributes:
        n: Samples.
        only_first: Those that only the first got right.
        only_second: Those that only the second got right.
        difference: Share, the first minus the second.
        low: Lower end of its 95 % interval.
        high: Upper end. It speaks of other samples of the same kind, not of another seed, and
            knows nothing of how many trials were tried before one was picked.
    """

    n: int
    only_first: int
    only_second: int
    difference: float
    low: float
    high: float

    @property
    def is_told_apart(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.low > 0 or self.high < 0


def paired_difference(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Difference:
    """Compare which samples two models got right.

    The interval is Wald's with half a sample added to each of the four cells (Agresti & Min 2005,
    "Simple improved confidence intervals for comparing matched proportions").

    Args:
        first: (n,) whether the first was right.
        second: (n,) the same of the second.
    """
    n = len(first)
    only_first = int(np.sum(first & ~second))
    only_second = int(np.sum(second & ~first))
    b, c, total = only_first + 0.5, only_second + 0.5, n + 2.0
    middle = (b - c) / total
    error = math.sqrt(max((b + c) - (b - c) ** 2 / total, 0.0)) / total
    return Difference(
        n=n,
        only_first=only_first,
        only_second=only_second,
        difference=(only_first - only_second) / n,
        low=middle - _Z * error,
        high=middle + _Z * error,
    )


def rightness(record: Record, labels: NDArray[np.int64]) -> NDArray[np.bool_] | None:
    """Return (n,) which validation samples a trial got right; None without its logits."""
    scores = logits(record)
    if scores is None or len(scores) != len(labels):
        return None
    right: NDArray[np.bool_] = scores.argmax(axis=1) == labels
    return right


def leader_against(data: SweepData, slots: Sequence[int]) -> dict[int, Difference]:
    """Compare the best trial with others of its sweep; those without logits are left out."""
    if data.samples is None or not data.ranking:
        return {}
    labels = data.samples.labels
    leader = rightness(data.full(data.ranking[0].slot), labels)
    compared: dict[int, Difference] = {}
    for slot in slots:
        other = rightness(data.full(slot), labels)
        if leader is not None and other is not None:
            compared[slot] = paired_difference(leader, other)
    return compared


def wilson(right: int, total: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927); (0, 1) of nothing."""
    if total == 0:
        return 0.0, 1.0
    share = right / total
    middle = share + _Z**2 / (2 * total)
    half = _Z * math.sqrt(share * (1 - share) / total + _Z**2 / (4 * total**2))
    scale = 1 + _Z**2 / total
    return (middle - half) / scale, (middle + half) / scale
