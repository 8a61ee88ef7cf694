"""Simulates outcomes of finalists whose true accuracies are known.

correct = (intercept + effect + sample + finalist x sample + fold + noise) > 0. Sample, finalist x
sample, fold and noise are normal. There are 4000 samples in repeats of four folds, and the accuracy
is about 93.5 %, as for the digits.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from sweeps.confirm.intervals import NO_SAMPLE, Outcomes

FOLDS_A_REPEAT, SAMPLES, ACCURACY = 4, 4000, 0.935


def simulated(
    random: np.random.Generator,
    points: float,
    finalists: int,
    folds: int,
    *,
    own: float = 1.0,
    fold: float = 0.1,
    unequal: bool = False,
    sizes: Sequence[int] = (SAMPLES // FOLDS_A_REPEAT,) * FOLDS_A_REPEAT,
) -> Outcomes:
    """Return outcomes in which the first finalist is better than the others by so many points.

    Args:
        random: The generator.
        points: True lead of the first finalist, in points of accuracy.
        finalists: Number of finalists.
        folds: Number of folds, a multiple of four.
        own: Spread of finalist x sample: what is easy for one finalist and hard for another.
        fold: Spread of the fold effect.
        unequal: Whether the spread of the fold effect differs between finalists, up to fourfold.
        sizes: Number of samples of each of the four folds.
    """
    sample, noise = 2.2, 0.9
    total = np.sqrt(sample**2 + own**2 + fold**2 + noise**2)
    at = stats.norm.ppf(ACCURACY)
    effect = np.zeros(finalists)
    effect[0] = points / 100 * total / stats.norm.pdf(at)
    samples = random.normal(0, sample, sum(sizes))
    owns = random.normal(0, own, (finalists, sum(sizes)))
    scale = np.linspace(0.5, 2, finalists) if unequal else np.ones(finalists)
    correct = np.zeros((finalists, folds, max(sizes)), bool)
    places = np.full((folds, max(sizes)), NO_SAMPLE)
    for repeat in range(folds // FOLDS_A_REPEAT):
        order = random.permutation(sum(sizes))
        for part, chosen in enumerate(np.split(order, np.cumsum(sizes)[:-1])):
            number = repeat * FOLDS_A_REPEAT + part
            places[number, : len(chosen)] = chosen
            level = at * total + effect + scale * random.normal(0, fold, finalists)
            drawn = random.normal(0, noise, (finalists, len(chosen)))
            found = level[:, None] + samples[chosen] + owns[:, chosen] + drawn > 0
            correct[:, number, : len(chosen)] = found
    return Outcomes(correct, places)
