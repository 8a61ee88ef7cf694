"""The winner's curse: how much of the best score of a search was luck, and of which kind.

The best of many trials was picked by what it is measured on. Its score minus its mean on fresh
blocks is that luck; part of it is its seed (the same configuration, trained on the search's own
split with other seeds), part the choice of the epoch (which is made by the images that score it),
and the rest the images themselves, V0, that happened to suit it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sweeps.finalizing.finalists import SCORE
from sweeps.finalizing.intervals import critical_value
from sweeps.finalizing.judging import Judged
from sweeps.finalizing.verdict import Standing
from sweeps.records import Record


@dataclass(frozen=True)
class Part:
    """A part of the luck, as a share, with its 95 % interval."""

    name: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Luck:
    """What the search's best owed to luck.

    Attributes:
        standing: The search's best, as fresh blocks have it.
        total: Its score in the search minus its mean on fresh blocks.
        parts: What that consists of; empty where it was not trained again on the search's split.
    """

    standing: Standing
    total: Part
    parts: Sequence[Part]


@dataclass(frozen=True)
class _Mean:
    value: float
    error: float
    freedom: float

    def part(self, name: str) -> Part:
        half = critical_value(2, max(self.freedom, 1.0)) * self.error
        return Part(name, self.value, self.value - half, self.value + half)


def measure_luck(judged: Judged, again: Sequence[Record]) -> Luck | None:
    """Return what the search's best owed to luck; None where its score was no accuracy.

    Args:
        judged: The confirmation.
        again: Trainings of the search's best on the search's split, with other seeds.
    """
    standing = next((s for s in judged.verdict.standings if s.finalist.place == 1), None)
    if standing is None or standing.finalist.searched is None:
        return None
    searched, fresh = standing.finalist.searched, standing.mean
    total = _Mean(searched - fresh.value, fresh.error, fresh.freedom)
    scores = [r.result.metrics[SCORE] for r in again if r.result and SCORE in r.result.metrics]
    if len(scores) < 2:
        return Luck(standing, total.part("all of it"), ())
    own = _mean(scores)
    seed = _Mean(searched - own.value, own.error, own.freedom)
    inner, gaps = _inner(judged, standing.finalist.label)
    epoch = _mean(gaps)
    # What is left, own - fresh - epoch: the block's own images cancel out of it.
    stopped = _mean(inner)
    error = math.hypot(own.error, stopped.error)
    images = _Mean(own.value - stopped.value, error, min(own.freedom, stopped.freedom))
    parts = [
        seed.part("its seed"),
        epoch.part("the choice of its epoch"),
        images.part("the images that scored it"),
    ]
    return Luck(standing, total.part("all of it"), parts)


def _inner(judged: Judged, label: str) -> tuple[list[float], list[float]]:
    """Return its accuracies on the images that chose the epoch, and by how much others are worse.

    Block by block; the others are the images that the block evaluates on.
    """
    results = [judged.trainings.found[block, label].result for block in judged.blocks]
    metrics = [r.metrics for r in results if r is not None and SCORE in r.metrics]
    gaps = [m[SCORE] - m["block_accuracy"] for m in metrics]
    return [m[SCORE] for m in metrics], gaps


def _mean(values: Sequence[float]) -> _Mean:
    if len(values) < 2:
        return _Mean(float(np.mean(values)) if values else 0.0, 0.0, 1.0)
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return _Mean(float(np.mean(values)), error, len(values) - 1)
