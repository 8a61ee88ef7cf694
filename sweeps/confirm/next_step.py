"""Estimates whether more trials or more folds pay, after a confirmation.

More trials. The best score of a search always rises, by luck alone. So the scores of its trials are
freed from luck first. The noise of one score is measured by the confirmation: it is what two
finalists differ by from fold to fold. With it, the distribution of the trials' true scores is the
one under which the observed scores are most likely (Kiefer & Wolfowitz 1956; Koenker & Mizera
2014). From it follows the search's own curve, the expected best of n trials (Dodge et al. 2019).
Twice as many trials are expected to bring what the last doubling brought. That is so for scores
with an exponential tail, for which the estimate is scaled to be right; if the scores have an upper
limit, it promises too much. Two assumptions are not checked: the search's validation set is about
as large as a fold, and later trials are like earlier ones.

Its interval holds what a Bayesian bootstrap of the trials gives (Rubin 1981), and the interval of
an exponential tail that is known by the few best trials alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median_low
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sweeps.confirm.best import LOOKS
from sweeps.confirm.comparison import Comparison
from sweeps.confirm.finalists import Scored
from sweeps.interval import Interval
from sweeps.records import Record

FEWEST_TRIALS: Final = 10
"""With fewer trials that have a score nothing is said of more."""
_MOST: Final = 100
"""So many of the best trials are freed from luck; below them it does not matter."""
_POINTS, _ROUNDS, _RESAMPLED = 30, 150, 200
_PRODUCT: Final = 200_000
"""Multiplications of a matrix product that BLAS does not divide among threads, which is slow."""


@dataclass(frozen=True)
class NextSteps:
    """What more trials and more folds would bring.

    Attributes:
        trials: So many more trials: as many as the search has.
        gain: By how much they are expected to raise the score on fresh folds; None with too few
            trials to say.
        margin: A gain that does not matter.
        folds: The folds, in all, that settle the verdict with 80 %; None if nothing is open, or no
            number of folds settles it.
    """

    trials: int
    gain: Interval | None
    margin: float
    folds: int | None


def next_steps(comparison: Comparison, records: Sequence[Record]) -> NextSteps:
    """Estimate what each step would bring, from the trials of the search that have an outcome."""
    searched = [record for record in records if not record.origin.startswith("baseline ")]
    count = max(len(searched), 1)
    gain = _of_trials(records, comparison.trainings.scored, noise_of(comparison), count)
    return NextSteps(count, gain, comparison.verdict.margin, _folds(comparison))


def noise_of(comparison: Comparison) -> float:
    """Return the standard deviation of one score by luck: seed, samples, partition.

    What folds have in common, such as their difficulty, is no part of it. It is the median over the
    other finalists of their difference from the leader: one that fails now and then says nothing.
    """
    scores, leader = comparison.outcomes.by_fold, comparison.outcomes.leader
    apart = [
        float((scores[leader] - own).var(ddof=1)) / 2
        for number, own in enumerate(scores)
        if number != leader
    ]
    return math.sqrt(median_low(apart))


def _folds(comparison: Comparison) -> int | None:
    """Return the folds of the look that settles most; None if no look settles anything."""
    needed = (standing.folds_needed for standing in comparison.verdict.standings)
    settles = [folds for folds in needed if folds is not None]
    if len(comparison.folds) < LOOKS[0]:
        settles.append(LOOKS[0])
    return max(settles, default=None)


def _of_trials(
    records: Sequence[Record], scored: Scored, noise: float, more: int
) -> Interval | None:
    """Return the gain of more trials; None with too few that have a score."""
    searched: list[float] = []
    baselines = [-math.inf]
    for record in records:
        found = record.result.metrics.get(scored.metric) if record.result else None
        is_scored = record.outcome == "complete" and found is not None
        score = scored.sign * float(found) if is_scored and found is not None else -math.inf
        of = baselines if record.origin.startswith("baseline ") else searched
        of.append(score)
    if sum(map(math.isfinite, searched)) < FEWEST_TRIALS:
        return None
    gain = gain_of_more_trials(np.array(searched), noise, more, max(baselines))
    return replace(gain, unit=scored.unit)


def gain_of_more_trials(
    scores: NDArray[np.float64], noise: float, more: int, at_least: float = -math.inf
) -> Interval:
    """Return by how much the true score of the best trial is expected to rise.

    Args:
        scores: The scores of the trials, larger is better; minus infinity without one.
        noise: Standard deviation of a score about the trial's true one; 0 takes luck for true.
        more: Number of trials to add.
        at_least: A score that is had anyway, of a baseline.
    """
    count = len(scores)
    weights = np.vstack([
        np.full((1, count), 1 / count),
        np.random.default_rng(0).dirichlet(np.ones(count), _RESAMPLED),
    ])  # fmt: skip
    order = np.argsort(scores)[-_MOST:]
    order = order[np.isfinite(scores[order])]
    truths, masses = _true_scores(scores[order], weights[:, order], noise)
    truths = np.maximum(truths, at_least)
    gains = _best_of(truths, masses, count) - _best_of(truths, masses, count / 2)
    gains = np.where(gains > 1e-12 * abs(truths[-1]), gains, 0.0)
    # Draws from the scores that were found contain the best of them too seldom.
    gains *= math.log(1 + more / count) / math.log(math.expm1(-1) / math.expm1(-1 / 2))
    value, (low, high) = float(gains[0]), np.quantile(gains[1:], (0.025, 0.975))
    lowest, highest = value * _of_exponential_tail()
    return Interval(value, min(float(low), float(lowest)), max(float(high), float(highest)))


def _true_scores(
    scores: NDArray[np.float64], weights: NDArray[np.float64], noise: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return possible true scores, ascending, and their masses (rows of weights, scores).

    The masses are found by the EM algorithm, which starts from equal ones.
    """
    if noise <= 0:
        return scores, weights
    grid = np.unique(np.concatenate([scores, np.linspace(scores[0], scores[-1], _POINTS)]))
    likely = np.exp(-(((scores[:, None] - grid) / noise) ** 2) / 2)
    whole = weights.sum(axis=1, keepdims=True)
    masses = np.full((len(weights), len(grid)), 1 / len(grid))
    a_few = max(1, _PRODUCT // likely.size)
    for first in range(0, len(masses), a_few):
        own, wanted = masses[first : first + a_few], (weights / whole)[first : first + a_few]
        for _ in range(_ROUNDS):
            own *= (wanted / np.maximum(own @ likely.T, 1e-300)) @ likely
    return grid, masses * whole


def _best_of(
    truths: NDArray[np.float64], masses: NDArray[np.float64], count: float
) -> NDArray[np.float64]:
    """Return the expected largest of so many draws; mass that lacks lies below all."""
    below = np.cumsum(masses, axis=1)
    below = np.clip(below + 1 - below[:, -1:], 0.0, 1.0)
    below = np.hstack([np.zeros((len(below), 1)), below]) ** count
    return np.diff(below, axis=1) @ truths


def _of_exponential_tail() -> NDArray[np.float64]:
    """Return the 95 % limits of a gain, as multiples of it, if the scores' tail is exponential.

    The gain is then a weighted sum of independent exponential distances between the best scores
    (Renyi 1953); as many distances of one weight have its relative variance.
    """
    from scipy.special import chdtri

    place = np.arange(1, _MOST)
    weights = (np.exp(-place / 2) - np.exp(-place)) / place
    distances = weights.sum() ** 2 / (weights**2).sum()
    limits: NDArray[np.float64] = 2 * distances / chdtri(2 * distances, np.array([0.025, 0.975]))
    return limits
