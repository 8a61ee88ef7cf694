"""Simulates outcomes of finalists whose true accuracies are known.

correct = (intercept + effect + image + finalist x image + fold + noise) > 0. Image, finalist x
image, fold and noise are normal. There are 4000 images in repeats of four folds, and the accuracy
is about 93.5 %, as for the digits.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from sweeps.confirm.intervals import NO_IMAGE, Outcomes

FOLDS_A_REPEAT, IMAGES, ACCURACY = 4, 4000, 0.935


def simulated(
    random: np.random.Generator,
    points: float,
    finalists: int,
    folds: int,
    *,
    own: float = 1.0,
    fold: float = 0.1,
    unequal: bool = False,
    sizes: Sequence[int] = (IMAGES // FOLDS_A_REPEAT,) * FOLDS_A_REPEAT,
) -> Outcomes:
    """Return outcomes in which the first finalist is better than the others by so many points.

    Args:
        random: The generator.
        points: True lead of the first finalist, in points of accuracy.
        finalists: Number of finalists.
        folds: Number of folds, a multiple of four.
        own: Spread of finalist x image: what is easy for one finalist and hard for another.
        fold: Spread of the fold effect.
        unequal: Whether the spread of the fold effect differs between finalists, up to fourfold.
        sizes: Number of images of each of the four folds.
    """
    image, noise = 2.2, 0.9
    total = np.sqrt(image**2 + own**2 + fold**2 + noise**2)
    at = stats.norm.ppf(ACCURACY)
    effect = np.zeros(finalists)
    effect[0] = points / 100 * total / stats.norm.pdf(at)
    images = random.normal(0, image, sum(sizes))
    owns = random.normal(0, own, (finalists, sum(sizes)))
    scale = np.linspace(0.5, 2, finalists) if unequal else np.ones(finalists)
    correct = np.zeros((finalists, folds, max(sizes)), bool)
    places = np.full((folds, max(sizes)), NO_IMAGE)
    for repeat in range(folds // FOLDS_A_REPEAT):
        order = random.permutation(sum(sizes))
        for part, chosen in enumerate(np.split(order, np.cumsum(sizes)[:-1])):
            number = repeat * FOLDS_A_REPEAT + part
            places[number, : len(chosen)] = chosen
            level = at * total + effect + scale * random.normal(0, fold, finalists)
            drawn = random.normal(0, noise, (finalists, len(chosen)))
            found = level[:, None] + images[chosen] + owns[:, chosen] + drawn > 0
            correct[:, number, : len(chosen)] = found
    return Outcomes(correct, places)
