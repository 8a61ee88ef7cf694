"""Simulates outcomes of finalists whose true accuracies are known.

correct = (intercept + effect + sample + finalist x sample + fold + noise) > 0. Sample, finalist x
sample, fold and noise are normal. There are 4000 samples in repeats of four folds, and the accuracy
is about 93.5 %, as for the digits. An area near 1 comes from scores of the same parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.tables import digits20
from sweeps.by_sample import roc_auc
from sweeps.confirm.intervals import NO_SAMPLE, Outcomes
from sweeps.interval import wilson

FOLDS_A_REPEAT, SAMPLES, ACCURACY = 4, 4000, 0.935


AREA = "area near 1"
FAILURES = {"fails by 10": (0.1, 10.0), "fails by 20": (0.05, 20.0), "fails by 40": (0.03, 40.0),
            "fails by 60": (0.02, 60.0)}  # fmt: skip
"""Which share of the trainings of one finalist is worse by how many points."""
LUCKS = ("normal", "t2", "rare bad", "rare bad in one", "class-wise", "unequal", "real", AREA)
"""How the effects of folds, which hold the luck of a seed, are distributed; see `simulated`."""
CLASSES, BAD = 10, (0.08, 7.0)
TRUTHS = {AREA: 0.99}
"""What equal finalists have, where it is not `ACCURACY`."""


def limits(share: float, draws: int) -> tuple[float, float]:
    """Return the 95 % limits of a share (Wilson 1927)."""
    low, high = wilson(round(share * draws), draws).ends
    return max(low, 0.0), high


def share_with_limits(share: float, draws: int) -> str:
    """Return a share of 100 with its 95 % limits."""
    low, high = limits(share, draws)
    return f"{100 * share:.1f} ({100 * low:.1f}-{100 * high:.1f})"


@cache
def real_seeds() -> NDArray[np.float64]:
    """Return differences by a seed as they were measured, with the spread of one training.

    They are those of two trainings of one configuration on one split, of the better half of the
    configurations of digits20-tabular.
    """
    accuracies = digits20.published("best_val_accuracy")[:, : digits20.ON_THE_SPLIT]
    known = accuracies[np.isfinite(accuracies).all(axis=1)]
    better = known[known.mean(axis=1) > np.median(known.mean(axis=1))]
    differences = (better[:, 0] - better[:, 1]) / np.sqrt(2)
    return np.concatenate([differences, -differences])


def simulated(
    random: np.random.Generator,
    points: float | Sequence[float],
    finalists: int,
    folds: int,
    *,
    own: float = 1.0,
    fold: float = 0.1,
    luck: str = "normal",
    sizes: Sequence[int] = (SAMPLES // FOLDS_A_REPEAT,) * FOLDS_A_REPEAT,
) -> Outcomes:
    """Return outcomes in which the first finalist is better than the others by so many points.

    Args:
        random: The generator.
        points: True lead of the first finalist, in points of accuracy; or the lead of each.
        finalists: Number of finalists.
        folds: Number of folds, a multiple of four.
        own: Spread of finalist x sample: what is easy for one finalist and hard for another.
        fold: Spread of the fold effect.
        luck: How fold effects are distributed: `normal`; `t2`, Student's t with 2 degrees of
            freedom; `rare bad`, 8 % of trainings are 7 points worse; `rare bad in one`, those of
            the last finalist only, whose mean is the same; `class-wise`, an effect for each of ten
            classes by t with 3 degrees of freedom; `unequal`, spreads from a fifth of `fold` to
            four times of it, with equal means; `real`, see `real_seeds`; `area near 1`, not the
            accuracy but the area under the curve, of two classes of one size, whose distance has
            normal fold effects; those of `FAILURES`, of the last finalist, whose mean is the same.
        sizes: Number of samples of each of the four folds.
    """
    sample, noise = 2.2, 0.9
    if luck == AREA:
        parts = (sample, own, fold, noise)
        return _areas(random, np.broadcast_to(points, finalists), folds, parts, sizes)
    scale = np.geomspace(0.2, 4, finalists) if luck == "unequal" else np.ones(finalists)
    total = np.sqrt(sample**2 + own**2 + fold**2 + noise**2)
    at = stats.norm.ppf(ACCURACY)
    leads = np.zeros(finalists)
    leads[: np.size(points)] = points
    effect = leads / 100 * total / stats.norm.pdf(at) + at * total
    if luck == "unequal":  # equal means, in spite of unequal spreads
        totals = np.sqrt(total**2 + (scale**2 - 1) * fold**2)
        effect = stats.norm.ppf(ACCURACY + leads / 100) * totals
    has_bad_ones = luck.startswith("rare bad") or luck in FAILURES
    is_bad_one = np.array([luck == "rare bad"] * (finalists - 1) + [has_bad_ones])
    bad_share, bad_points = FAILURES.get(luck, BAD)
    shares = ACCURACY + leads / 100 + is_bad_one * bad_share * bad_points / 100
    if is_bad_one.any():
        effect = stats.norm.ppf(shares) * total
        worse = stats.norm.ppf(shares - bad_points / 100) * total - effect
    samples = random.normal(0, sample, sum(sizes))
    owns = random.normal(0, own, (finalists, sum(sizes)))
    classes = random.integers(0, CLASSES, sum(sizes))
    correct = np.zeros((finalists, folds, max(sizes)), bool)
    places = np.full((folds, max(sizes)), NO_SAMPLE)
    for repeat in range(folds // FOLDS_A_REPEAT):
        order = random.permutation(sum(sizes))
        for part, chosen in enumerate(np.split(order, np.cumsum(sizes)[:-1])):
            number = repeat * FOLDS_A_REPEAT + part
            places[number, : len(chosen)] = chosen
            drawn = (
                random.standard_t(2, finalists) if luck == "t2" else random.normal(0, 1, finalists)
            )
            if luck == "real":
                drawn = random.choice(real_seeds(), finalists) * total / stats.norm.pdf(at) / fold
            level = effect + scale * fold * drawn
            if is_bad_one.any():
                level += is_bad_one * (random.random(finalists) < bad_share) * worse
            found = level[:, None] + samples[chosen] + owns[:, chosen]
            if luck == "class-wise":
                found += 2 * fold * random.standard_t(3, (finalists, CLASSES))[:, classes[chosen]]
            found += noise * random.standard_normal((finalists, len(chosen)), np.float32)
            correct[:, number, : len(chosen)] = found > 0
    return Outcomes(correct, places)


def _areas(
    random: np.random.Generator,
    points: NDArray[np.float64],
    folds: int,
    parts: tuple[float, float, float, float],
    sizes: Sequence[int],
) -> Outcomes:
    """Return areas under the curve, sample by sample, of finalists with leads in points."""
    sample, own, fold, noise = parts
    finalists, n = len(points), sum(sizes)
    spread = np.sqrt(2 * (sample**2 + own**2 + noise**2) + fold**2)
    distance = stats.norm.ppf(TRUTHS[AREA] + points / 100) * spread
    scores = random.normal(0, sample, n) + random.normal(0, own, (finalists, n))
    values = np.zeros((finalists, folds, max(sizes)))
    places = np.full((folds, max(sizes)), NO_SAMPLE)
    is_positive = np.arange(n) % 2 == 1
    for number in range(folds):
        part = number % FOLDS_A_REPEAT
        if part == 0:
            chosen = np.split(random.permutation(n), np.cumsum(sizes)[:-1])
        rows = chosen[part]
        places[number, : len(rows)] = rows
        apart = distance + fold * random.normal(0, 1, finalists)
        found = scores[:, rows] + noise * random.normal(0, 1, (finalists, len(rows)))
        found += np.where(is_positive[rows], apart[:, None], 0.0)
        for finalist in range(finalists):
            values[finalist, number, : len(rows)] = roc_auc(is_positive[rows], found[finalist])
    return Outcomes(values, places)
