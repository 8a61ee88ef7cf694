"""Decides which of several finalists may be the best, from one joint covariance of all of them.

The scores of K finalists come from the same samples and the same folds; larger is better. Their
joint covariance is made like the error of one difference (intervals.py). Every variance there is a
quadratic form, so that the moments of all finalists give the error of each difference.

Comparisons are those with the best (Gupta 1965; Hsu 1984): finalist i may be the best unless one of
the differences theta_j - theta_i is seen to be above 0. Its critical value is the upper quantile of
the largest of these K - 1 correlated differences, if all finalists were equal. So the best itself
is missed in at most 5 of 100 confirmations. A leader is better than all others if it beats each of
them at half that level: it was selected by the same outcomes, and one that is not the best has to
beat the best (Gutmann & Maymin 1987, "Is the selected population the best?", for equal variances;
unequal ones by simulation, `python -m benchmarks intervals`).

Folds are added until one is satisfied, so that each claim has a level for all looks together. The
looks are fixed (`LOOKS`), and between them no verdict changes. The look at 20 folds spends four
fifths of what the looks have (of "as good" nine tenths), the others share the rest by their folds
(Lan & DeMets 1983). Boundaries assume that information grows with the folds. Where samples limit
it, the looks are more alike, and the boundaries are wider than needed (Slepian 1962).

What no fold has shown is not known to be absent. If none of n trainings of a finalist went wrong,
up to 3 / n of its trainings may (rule of three: Hanley & Lippman-Hand 1983), and its mean is too
good by what those would have cost. No outcome tells such a confirmation from others. So the claims
about the best are tested at a level below the promised one (`TESTED`), and the difference is for
these. Its size comes from simulation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sweeps.confirm.finalists import Scored
from sweeps.confirm.intervals import Estimate, Outcomes, moments_of
from sweeps.interval import Interval

LOOKS: Final = (20, 28, 40, 56, 80, 100)
"""Numbers of folds at which verdicts may change; with fewer they are all "cannot tell yet"."""
FIRST_LOOK: Final = LOOKS[0]
LEVEL: Final = 0.05
"""How often each kind of claim may be wrong, over all looks."""
TESTED: Final = 0.6 * LEVEL
"""The level at which all looks together test who is the best; the rest is kept in reserve.

`python -m benchmarks intervals` chose it: where 8 % of the trainings of one of two equal finalists
go wrong, `TESTED` = `LEVEL` makes more than 7 mistakes in 100. The intervals at 20 folds are 4 %
wider by it.
"""
_AT_FIRST: Final = 0.8
"""The share of a level that is spent at the first look."""
AS_GOOD_AT_FIRST: Final = 0.9
"""The same for "as good": it is what a default confirmation is to find among equals."""
_OUTLYING: Final = 5.0
"""A fold this many robust standard deviations below a finalist's others is an outlier."""


def looks(folds: int) -> Sequence[int]:
    """Return the looks up to so many folds."""
    return [look for look in LOOKS if look <= folds]


def folds_that_count(folds: int) -> int:
    """Return how many of so many folds count: those up to the last look; all before the first."""
    return max(looks(folds), default=folds)


def spent(folds: int, at_first: float = _AT_FIRST) -> float:
    """Return the share of a claim's level that is spent after the look at so many folds."""
    return at_first + (1 - at_first) * (folds - FIRST_LOOK) / (LOOKS[-1] - FIRST_LOOK)


def nominal(level: float, folds: int, at_first: float = _AT_FIRST) -> float:
    """Return the level at which one look is to test, if a claim has a level over all looks.

    Args:
        level: One-sided level of the claim over all looks.
        folds: Folds of this look; with fewer than `FIRST_LOOK`, that of the first.
        at_first: Share of the level that the first look spends.
    """
    if folds <= FIRST_LOOK:
        return level * at_first
    digits = 1 - math.floor(math.log10(level))
    rounded = math.floor(level * 10**digits) / 10**digits  # down to two digits: few are computed
    return _boundaries(rounded, at_first)[LOOKS.index(folds_that_count(folds))]


def _tail(z: NDArray[np.float64] | float) -> NDArray[np.float64]:
    from scipy.special import ndtr

    tail: NDArray[np.float64] = ndtr(-np.asarray(z))
    return tail


@lru_cache(maxsize=256)
def _boundaries(level: float, at_first: float) -> tuple[float, ...]:
    """Return the nominal levels of all looks (Armitage, McPherson & Rowe 1969).

    The sum over folds is a normal random walk, followed on a grid while no claim is made.
    """
    from scipy.special import ndtri

    levels = [level * at_first]
    before, bound = FIRST_LOOK, -float(ndtri(levels[0])) * math.sqrt(FIRST_LOOK)
    sums = np.linspace(-7 * math.sqrt(before), bound, 401)
    density = np.exp(-(sums**2) / (2 * before)) / math.sqrt(2 * math.pi * before)
    for folds in LOOKS[1:]:
        weights, step = density * (sums[1] - sums[0]), math.sqrt(folds - before)
        weights[[0, -1]] /= 2
        wanted = level * (spent(folds, at_first) - spent(before, at_first))
        low, high = 0.0, 12 * math.sqrt(folds)
        for _ in range(60):
            middle = (low + high) / 2
            crosses = float(weights @ _tail((middle - sums) / step)) > wanted
            low, high = (middle, high) if crosses else (low, middle)
        levels.append(float(_tail(high / math.sqrt(folds))))
        after = np.linspace(-7 * math.sqrt(folds), high, 401)
        kernel = np.exp(-(((after[:, None] - sums) / step) ** 2) / 2)
        density = kernel @ weights / (math.sqrt(2 * math.pi) * step)
        sums, before = after, folds
    return tuple(levels)


@lru_cache(maxsize=16)
def _draws(columns: int) -> NDArray[np.float64]:
    """Return (columns, 8192) evenly spread draws of a standard normal distribution."""
    from scipy.special import ndtri
    from scipy.stats.qmc import Sobol

    uniform = Sobol(columns, rng=0).random_base2(13)
    normal: NDArray[np.float64] = ndtri(np.clip(uniform, 1e-9, 1 - 1e-9))
    return np.ascontiguousarray(normal.T)


def _scales(freedom: float, normal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return draws of the square root of freedom / chi^2 from draws of a normal distribution.

    The cube root of chi^2 is nearly linear in them (Wilson & Hilferty 1931), so that its quantiles
    are interpolated. That changes a draw by 0.01 % at most from five degrees of freedom on, by 0.3
    % with one.
    """
    from scipy.special import chdtri, ndtr

    nodes = np.linspace(-6.1, 6.1, 245)
    roots = np.cbrt(chdtri(freedom, ndtr(-nodes)) / freedom)
    scales: NDArray[np.float64] = np.interp(normal, nodes, roots) ** -1.5
    return scales


def _quantile(level: float, freedom: Any) -> Any:
    """Return the upper quantile of Student's t; scipy.stats computes the same, but slowly."""
    from scipy.special import stdtrit

    return -stdtrit(freedom, level)


def _root(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    values, vectors = np.linalg.eigh(covariance)
    root: NDArray[np.float64] = vectors * np.sqrt(np.maximum(values, 0))
    return root


def single_level(
    covariance: NDArray[np.float64], level: float, *, two_sided: bool = False
) -> float:
    """Return the one-sided level of each of several tests whose largest has a given level.

    Args:
        covariance: (m, m) of the estimates; one of variance 0 does not count.
        level: Probability that one or more tests reject if all estimates have mean 0.
        two_sided: Whether both sides reject; the level returned is that of one side.
    """
    errors = np.sqrt(np.diag(covariance))
    kept = errors > 0
    if kept.sum() < 2:
        return level / 2 if two_sided else level
    scaled = covariance[np.ix_(kept, kept)] / np.outer(errors[kept], errors[kept])
    drawn = _root(scaled) @ _draws(int(kept.sum()))
    largest = (np.abs(drawn) if two_sided else drawn).max(axis=0)
    place = (1 - level) * (len(largest) - 1)  # np.quantile's, which is slower
    low = int(place)
    parted = np.partition(largest, (low, low + 1))
    value = parted[low] + (place - low) * (parted[low + 1] - parted[low])
    return min(float(_tail(value)), level)


@dataclass(frozen=True)
class Joint:
    """The mean scores of all finalists with their joint error (intervals.py).

    Attributes:
        means: (K,) mean scores.
        covariance: (K, K) of the means; positive semidefinite.
        fixed_covariance: (K, K) the part of it that more folds do not reduce.
        errors: (K, K) standard error of the difference of two finalists.
        freedom: (K, K) its degrees of freedom.
        fixed: (K, K) the part of its variance that more folds do not reduce.
        outlying: (K,) number of folds on which a finalist is far below its others.
        folds: Number of folds.
        estimates: Each mean with its own error.
        is_right_or_wrong: Whether each sample has a score of 0 or 1.
    """

    means: NDArray[np.float64]
    covariance: NDArray[np.float64] = field(repr=False)
    fixed_covariance: NDArray[np.float64] = field(repr=False)
    errors: NDArray[np.float64] = field(repr=False)
    freedom: NDArray[np.float64] = field(repr=False)
    fixed: NDArray[np.float64] = field(repr=False)
    outlying: NDArray[np.int64]
    folds: int
    estimates: Sequence[Estimate]
    is_right_or_wrong: bool

    @classmethod
    def of(cls, outcomes: Outcomes) -> Joint:
        """Estimate it.

        The difference from a finalist with outlying folds has the larger one of two errors, the
        crossed one and that of the block jackknife. With few samples all errors are larger, see
        `pool_factor`; those of means by half as much.
        """
        moments = moments_of(outcomes.scores.astype(float), outcomes.samples)
        factor = moments.factor
        pairs = moments.differences()
        by_fold, outlying = outcomes.by_fold, outlying_folds(outcomes.by_fold)
        variances, freedom = pairs.of_samples + pairs.of_folds, pairs.freedom
        if outlying.any():
            apart = by_fold[:, None] - by_fold[None]
            jackknife = apart.var(axis=2, ddof=1) / outcomes.folds
            has_one = (outlying[:, None] > 0) | (outlying[None] > 0)
            is_larger = has_one & (jackknife > variances)
            variances = np.where(is_larger, jackknife, variances)
            freedom = np.where(is_larger, np.minimum(freedom, outcomes.folds - 1.0), freedom)
        fixed = np.maximum(pairs.of_samples - pairs.of_noise, 0.0)
        return cls(
            moments.means,
            factor**2 * moments.covariance(),
            factor**2 * moments.fixed_covariance(),
            factor * np.sqrt(variances),
            freedom,
            factor**2 * fixed,
            outlying,
            outcomes.folds,
            [one.times((1 + factor) / 2) for one in moments.mean_estimates()],
            bool(((outcomes.scores == 0) | (outcomes.scores == 1)).all()),
        )

    @cached_property
    def levels(self) -> Sequence[float]:
        """For each finalist the one-sided level, over all looks, of one lead over it.

        It is at most half of `TESTED`: among two, the one that is not the best leaves a better one.
        """
        numbers = range(len(self.means))
        return [min(single_level(self.from_(k), TESTED), TESTED / 2) for k in numbers]

    @cached_property
    def chances(self) -> NDArray[np.float64]:
        """(K,) the probability of each finalist to be the best, by `drawn_means`; they sum to 1.

        Finalists that are the same in every outcome share theirs.
        """
        drawn = drawn_means(self)
        is_best = drawn >= drawn.max(axis=0) - 1e-12
        chances: NDArray[np.float64] = (is_best / is_best.sum(axis=0)).mean(axis=1)
        return chances

    @property
    def leader(self) -> int:
        """The number of the finalist with the best mean; the first of equal ones."""
        return int(self.means.argmax())

    def from_(self, reference: int) -> NDArray[np.float64]:
        """Return (K - 1, K - 1) covariance of the differences of all others from one finalist."""
        others = [k for k in range(len(self.means)) if k != reference]
        contrasts = np.eye(len(self.means))[others]
        contrasts[:, reference] = -1
        return contrasts @ self.covariance @ contrasts.T

    def tails(self, leads: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (K, K) the p-values, one-sided, of leads (K, K) of finalists over others."""
        from scipy.special import stdtr

        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = leads / self.errors
        ratios[np.isnan(ratios)] = 0.0
        found: NDArray[np.float64] = stdtr(self.freedom, -ratios)
        return found

    def critical(self, first: int, second: int, level: float) -> float:
        """Return the critical value of a difference, in standard errors, at a one-sided level."""
        return float(_quantile(level, self.freedom[first, second]))


def outlying_folds(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return (K,) on how many folds a finalist is far below its others, from (K, folds) scores.

    Each fold is compared with the median of the other finalists there, since folds differ in
    difficulty.
    """
    numbers = range(len(scores))
    others = [np.median(np.delete(scores, k, axis=0), axis=0) for k in numbers]
    rest = scores - np.array(others)
    centred = rest - np.median(rest, axis=1, keepdims=True)
    spread = 1.4826 * np.median(np.abs(centred), axis=1, keepdims=True)
    far: NDArray[np.int64] = ((centred < -_OUTLYING * spread) & (spread > 0)).sum(axis=1)
    return far


def drawn_means(joint: Joint) -> NDArray[np.float64]:
    """Return (K, 8192) evenly spread draws of the true means, given those of the outcomes.

    With a flat prior, they have a multivariate t distribution around the means, with the joint
    crossed covariance.
    """
    draws = _draws(len(joint.means) + 1)
    freedom = float(np.delete(joint.freedom[joint.leader], joint.leader).min(initial=np.inf))
    drawn = _root(joint.covariance) @ draws[:-1]
    if freedom < 1e5:
        drawn *= _scales(freedom, draws[-1])
    drawn += joint.means[:, None]
    return drawn


@dataclass(frozen=True)
class Claims:
    """The claims about finalists at one look, or over several.

    Attributes:
        better: Number of the leader if it is better than all others; None if it is not settled.
        not_best: Numbers of the finalists that are not the best.
        as_good: Numbers of those behind the best by less than the margin.
    """

    better: int | None = None
    not_best: frozenset[int] = frozenset()
    as_good: frozenset[int] = frozenset()


def claims_at(joint: Joint, margin: float) -> Claims:
    """Return the claims of one look, at the level that is its own."""
    count = len(joint.means)
    if joint.folds < FIRST_LOOK or count < 2:
        return Claims()
    leads = joint.means[:, None] - joint.means[None]
    tails = joint.tails(leads)
    np.fill_diagonal(tails, 1.0)
    leader = joint.leader
    others = [k for k in range(count) if k != leader]
    is_better = all(tails[leader, k] < nominal(TESTED / 2, joint.folds) for k in others)
    nominals = [nominal(level, joint.folds) for level in joint.levels]
    excluded = {k for k in others if tails[:, k].min() < nominals[k]}
    if is_better:
        excluded = set(others)
    return Claims(
        leader if is_better else None, frozenset(excluded), _as_good(joint, leads, margin)
    )


def _as_good(joint: Joint, leads: NDArray[np.float64], margin: float) -> frozenset[int]:
    """Return who is behind the best by less than the margin, step by step (Holm 1979; max-t).

    That i is behind nobody by the margin or more is the union of its K - 1 differences, each of
    which is tested at the full level. The tests of several finalists share it.
    """
    tails = joint.tails(margin - leads.T)  # [i, j]: i is behind j by less than the margin
    np.fill_diagonal(tails, 0.0)
    worst = tails.max(axis=1)
    left = [k for k in range(len(worst)) if k != joint.leader]
    found: set[int] = set()
    covariance = joint.from_(joint.leader)
    places = list(left)
    while left:
        own = [places.index(k) for k in left]
        level = single_level(covariance[np.ix_(own, own)], LEVEL)
        first = min(left, key=lambda k: worst[k])
        if worst[first] >= nominal(level, joint.folds, AS_GOOD_AT_FIRST):
            break
        found.add(first)
        left.remove(first)
    return frozenset(found)


def all_claims(outcomes: Outcomes, margin: float, joint: Joint | None = None) -> Claims:
    """Return the claims of all looks up to now that the outcomes of today do not contradict.

    A claim stays when folds are added: all looks together are wrong at most as often as `LEVEL`.
    It is dropped if another finalist leads by now, or the chance to be the best has become another.
    `joint` are the finalists on all folds, if they were estimated before.
    """
    joint = joint or Joint.of(outcomes)
    claims = [
        claims_at(joint if n == outcomes.folds else Joint.of(outcomes.first(n)), margin)
        for n in looks(outcomes.folds)
    ]
    if not claims:
        return Claims()
    leader, chances = joint.leader, joint.chances
    is_better = chances[leader] > 1 - LEVEL and any(c.better == leader for c in claims)
    excluded = {k for c in claims for k in c.not_best if k != leader and chances[k] < LEVEL}
    if not is_better and len(excluded) == len(chances) - 1:
        excluded.remove(max(excluded, key=lambda k: (chances[k], joint.means[k])))
    as_good = {k for c in claims for k in c.as_good if k != leader}
    return Claims(leader if is_better else None, frozenset(excluded), frozenset(as_good))


def behind_the_best(joint: Joint, finalist: int, *, is_settled: bool) -> Interval:
    """Return how far a finalist is behind the best of the others, with its 95 % interval.

    Its value is the leader's lead. Its lower end is the largest lower end of a lead over it, so
    that it is above 0 where the finalist is not the best (Hsu 1984).
    """
    others = [k for k in range(len(joint.means)) if k != finalist]
    level = TESTED / 2 if is_settled else joint.levels[finalist]
    level = nominal(level, joint.folds)
    halves = {k: joint.critical(k, finalist, level) * joint.errors[k, finalist] for k in others}
    leads = joint.means - joint.means[finalist]
    value = float(leads[others].max())
    low = max(float(leads[k] - halves[k]) for k in others)
    high = max(float(leads[k] + halves[k]) for k in others)
    return Interval(value, low, high)


def folds_needed(joint: Joint, finalist: int, margin: float) -> int | None:
    """Return the look that settles a finalist with 80 %, if its lead stays as it is.

    It settles that it is not the best, or that it is as good. None if no look does.
    """
    leader = joint.leader
    behind = float(joint.means[leader] - joint.means[finalist])
    level = joint.levels[finalist]
    fixed = float(joint.fixed[leader, finalist])
    shrinking = (float(joint.errors[leader, finalist]) ** 2 - fixed) * joint.folds
    for count in (look for look in LOOKS if look > joint.folds):
        error = math.sqrt(fixed + shrinking / count)
        wanted = (
            (behind, normal_critical(nominal(level, count))),
            (margin - behind, normal_critical(nominal(LEVEL, count, AS_GOOD_AT_FIRST))),
        )
        if any(distance > (critical + POWER) * error for distance, critical in wanted):
            return count
    return None


POWER: Final = 0.8416
"""Standard errors beyond the critical value at which a claim is made in 80 of 100 cases."""


def normal_critical(level: float) -> float:
    """Return the critical value of a normal distribution, one-sided."""
    from scipy.special import ndtri

    return float(-ndtri(level))


@dataclass(frozen=True)
class Selection:
    """How the finalists on all folds were picked: by the first folds, where others were left out.

    Attributes:
        first: On how many folds all finalists were trained.
        means: The means of the others there, larger is better.
        stays: (K,) whether a finalist on all folds is there whatever its mean was.
        most: How many of the rest are, those with the best means.
    """

    first: int
    means: Sequence[float]
    stays: Sequence[bool]
    most: int


def quotable(
    joint: Joint, taken: int, scored: Scored, picked: Selection | None = None
) -> tuple[Interval, float]:
    """Return the figure of a finalist that was selected on the folds that measure it, and its bias.

    The figure is its mean less the bias, with a 95 % interval that allows for the selection, in the
    unit and the limits of the metric.

    Lower end: `taken` may be whoever its outcomes flatter, so it holds for all finalists at once
    (one-sided max-t). Upper end of the leader: it is no better than the best, whose mean is no
    better than the leader's, so that one finalist's own level is enough (Venter 1988; Fuentes,
    Casella & Wells 2018). The bias is that of the largest of draws around the means, which are
    shrunk to their common mean as far as their spread is no more than their errors (Stein 1956).
    Those that were left out are drawn, too: their errors are taken for those of the others.

    Near a limit of the metric, a mean that was selected for being too good has an error that is too
    small. So the interval is on the metric's scale around the mean, to which the error belongs, and
    not around the figure. Where each sample is right or wrong, the level for all finalists is wide
    enough without that, by simulation (`python -m benchmarks intervals`).
    """
    errors = np.array([one.error for one in joint.estimates])
    freedom = np.array([one.freedom for one in joint.estimates])
    more = len(picked.means) if picked is not None else 0
    level = single_level(_with_more(joint.covariance, more), LEVEL / 2)
    low = joint.means[taken] - _quantile(level, freedom[taken]) * errors[taken]
    if taken == joint.leader:
        high = float((joint.means + _quantile(LEVEL / 2, freedom) * errors).max())
    else:
        high = float(joint.means[taken] + _quantile(level, freedom[taken]) * errors[taken])
    bias = _bias_of_the_largest(joint, picked) if taken == joint.leader else 0.0
    mean, figure = float(joint.means[taken]), float(joint.means[taken]) - bias
    middle = figure if joint.is_right_or_wrong else mean
    found = scored.measured(Interval(middle, min(float(low), middle), max(high, middle)))
    value = scored.sign * figure
    low, high = min(found.low, value), max(found.high, value)
    return replace(found, value=value, low=low, high=high), bias


def _with_more(covariance: NDArray[np.float64], more: int) -> NDArray[np.float64]:
    """Return a covariance with more finalists: each of them varies as the others do on average."""
    count = len(covariance)
    if not more:
        return covariance
    own = float(np.diag(covariance).mean())
    apart = (float(covariance.sum()) - count * own) / max(count * (count - 1), 1)
    whole = np.full((count + more, count + more), apart)
    np.fill_diagonal(whole, own)
    whole[:count, :count] = covariance
    return whole


def _bias_of_the_largest(joint: Joint, picked: Selection | None) -> float:
    means = np.concatenate([joint.means, picked.means if picked is not None else []])
    count, more = len(means), len(means) - len(joint.means)
    if count < 2:
        return 0.0
    covariance = _with_more(joint.covariance, more)
    centred = means - means.mean()
    centring = np.eye(count) - 1 / count
    by_chance = float(np.trace(centring @ covariance @ centring))
    seen = float((centred**2).sum())
    kept = max(0.0, 1 - by_chance / seen) if seen > 0 else 0.0
    truths = means.mean() + kept * centred
    if picked is None or not more:
        drawn = truths[:, None] + _root(covariance) @ _draws(count)
    else:
        fixed = _with_more(joint.fixed_covariance, more)
        a_fold = (covariance - fixed) * joint.folds
        of_samples, early, late = np.split(_draws(3 * count), 3)
        common = truths[:, None] + _root(fixed) @ of_samples
        early = _root(a_fold / picked.first) @ early
        late = _root(a_fold / max(joint.folds - picked.first, 1)) @ late
        share = min(picked.first / joint.folds, 1.0)  # a budget may end with the first folds
        drawn = common + share * early + (1 - share) * late
        is_free = ~np.array([*picked.stays, *[False] * more])
        places = np.argsort(np.argsort(-(common + early)[is_free], axis=0), axis=0)
        goes_on = np.ones(drawn.shape, bool)
        goes_on[is_free] = places < picked.most
        drawn = np.where(goes_on, drawn, -np.inf)
    largest = drawn.argmax(axis=0)
    return max(float((drawn.max(axis=0) - truths[largest]).mean()), 0.0)
