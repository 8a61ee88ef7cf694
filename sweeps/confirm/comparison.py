"""From the trainings of a confirmation to its verdict: which finalist is better, which as good."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, median_low
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from sweeps.by_sample import over_groups
from sweeps.capabilities import FOLDS_A_REPEAT, GROUPS, PREDICTIONS, SAMPLES, Evaluated
from sweeps.confirm.best import (
    Claims,
    Joint,
    Selection,
    all_claims,
    behind_the_best,
    folds_needed,
    folds_that_count,
    quotable,
)
from sweeps.confirm.finalists import ACCURACY, Finalist, Scored
from sweeps.confirm.intervals import (
    NO_SAMPLE,
    Outcomes,
    crossed_difference,
    moments_of,
    stacked,
)
from sweeps.errors import UsageError
from sweeps.experiment import TrialResult
from sweeps.interval import Interval
from sweeps.records import FINALIST, FOLD, Record, RecordStore
from sweeps.records.conclusions import (
    Components,
    ConfirmedStanding,
    Judgement,
    LeftAfter,
    SelectionBiasConclusion,
    Verdict,
)

MARGIN_SHARE: Final = 0.1
"""A difference that does not matter, as a share of the baseline's distance from perfect."""
MARGIN: Final = 0.005
"""A difference that does not matter where no score of the search is known: half a point."""


def margin_of(finalists: Sequence[Finalist], scored: Scored = ACCURACY) -> float:
    """Return the difference that does not matter: a share of the distance from perfect.

    The distance is that of the best baseline's score in the search, which is known before the
    first fold; without one that of the finalist with the worst.

    Raises:
        UsageError: No finalist has such a distance, and the metric is no share.
    """
    found = [
        (distance, finalist.is_baseline)
        for finalist in finalists
        if finalist.searched is not None
        and (distance := scored.distance(finalist.searched)) is not None
    ]
    if not found:
        if scored.unit == "share":
            return MARGIN
        raise UsageError(
            f"{scored.metric} has no distance from perfect (a loss of 0, a score of 1) of which a "
            "tenth would not matter: say by --margin, or by `confirm: {margin: ...}` in the space, "
            "which difference does not matter"
        )
    baselines = [distance for distance, is_baseline in found if is_baseline]
    return MARGIN_SHARE * (min(baselines) if baselines else max(found)[0])


def decide(
    outcomes: Outcomes,
    finalists: Sequence[Finalist],
    costs: Mapping[str, float],
    margin: float | None = None,
    scored: Scored = ACCURACY,
    left_after: Sequence[LeftAfter] = (),
) -> Verdict:
    """Compare every finalist with the best, see best.py.

    With fewer than 20 folds nothing is said of a finalist. Outcomes are in the order of finalists,
    costs by their labels. Without a margin it is that of `margin_of`. The figure to quote allows
    for the finalists that were left out after the first folds.
    """
    margin = margin_of(finalists, scored) if margin is None else margin
    joint = Joint.of(outcomes)
    claims = all_claims(outcomes, margin, joint)
    made = [
        _standing(joint, number, finalist, claims, margin, scored)
        for number, finalist in enumerate(finalists)
    ]
    order = sorted(range(len(made)), key=lambda n: (n != joint.leader, -joint.means[n]))
    as_good = (number for number in order if made[number].as_good)
    taken = min(as_good, key=lambda number: costs.get(made[number].finalist, 0.0))
    figure, bias = quotable(joint, taken, scored, _selection(finalists, left_after, scored))
    gained = _gain_over_control(outcomes, finalists)
    return Verdict(
        standings=[made[number] for number in order],
        champion=made[taken].finalist,
        settled=claims.better is not None,
        margin=margin,
        quotable=figure,
        quotable_bias=bias,
        gain_over_control=gained and scored.difference(gained),
        components=components_of(joint, outcomes),
    )


def _selection(
    finalists: Sequence[Finalist], left_after: Sequence[LeftAfter], scored: Scored
) -> Selection | None:
    if not left_after:
        return None
    stays = [one.is_baseline or one.is_control for one in finalists]
    means = [scored.sign * one.accuracy for one in left_after]
    return Selection(left_after[0].folds, means, stays, GO_ON)


def _standing(
    joint: Joint, number: int, finalist: Finalist, claims: Claims, margin: float, scored: Scored
) -> ConfirmedStanding:
    """Return how a finalist stands; a later fold may settle what is open by now."""
    is_leader, may_be_best = number == joint.leader, number not in claims.not_best
    is_as_good = is_leader or number in claims.as_good
    word: Judgement = "cannot tell yet"
    if is_leader:
        word = "leads"
    elif not may_be_best:
        word = "worse"
    elif is_as_good:
        word = "equivalent"
    behind = None
    if not is_leader:
        behind = behind_the_best(joint, number, is_settled=claims.better is not None)
    is_open = word == "cannot tell yet"
    return ConfirmedStanding(
        finalist=finalist.label,
        trial=finalist.trial,
        accuracy=scored.measured(joint.estimates[number].interval()),
        searched=finalist.searched,
        leader_ahead_by=behind and scored.difference(behind),
        verdict=word,
        folds_needed=folds_needed(joint, number, margin) if is_open else None,
        chance_best=float(joint.chances[number]),
        may_be_best=may_be_best,
        as_good=is_as_good,
        outlying_folds=int(joint.outlying[number]),
    )


def components_of(joint: Joint, outcomes: Outcomes) -> Components | None:
    """Return the variance components of the leads of a confirmation; None with one finalist.

    They are medians, the lower one of two: the lead over a finalist that fails altogether says
    nothing about close ones.
    """
    leader = joint.leader
    others = [k for k in range(len(joint.means)) if k != leader]
    if not others:
        return None
    fixed = joint.fixed[leader, others]
    variances = joint.errors[leader, others] ** 2
    leads = outcomes.by_fold[leader] - outcomes.by_fold[others]
    return Components(
        fixed=median_low(fixed.tolist()),
        by_folds=median_low(np.maximum(variances - fixed, 0.0).tolist()) * joint.folds,
        level=float(np.mean([joint.levels[k] for k in others])),
        numbers=None
        if outcomes.samples is None
        else median_low(leads.var(axis=1, ddof=1).tolist()),
    )


def _gain_over_control(outcomes: Outcomes, finalists: Sequence[Finalist]) -> Interval | None:
    best = next((n for n, f in enumerate(finalists) if f.place == 1 and not f.is_control), None)
    control = next((n for n, finalist in enumerate(finalists) if finalist.is_control), None)
    if best is None or control is None:
        return None
    return crossed_difference(outcomes, best, control).interval()


SEE: Final = "see `SupportsFolds` in sweeps/capabilities.py"
COST = "parameters"
"""Metric that decides which of several equivalent finalists is the cheapest."""


@dataclass(frozen=True)
class Trainings:
    """The trainings of a confirmation that have ended.

    A training that diverged counts by the weights it restored, if it kept their answers. One that
    left no answers (it diverged at once, or failed however often it was retried) counts as well:
    see `answers`. So no finalist is judged on its lucky trainings only.

    Attributes:
        found: The records with answers, by fold and the finalist's label; without arrays.
        lost: The records of trainings that ended without answers, likewise.
    """

    store: RecordStore = field(repr=False)
    scored: Scored
    found: Mapping[tuple[int, str], Record] = field(repr=False)
    lost: Mapping[tuple[int, str], Record] = field(repr=False, default_factory=dict)

    @classmethod
    def read(
        cls,
        store: RecordStore,
        left_out: Collection[str] = (),
        scored: Scored = ACCURACY,
    ) -> Trainings:
        """Read the trainings that have ended, without those of the finalists in `left_out`."""
        ended = {
            (int(str(r.params[FOLD])), str(r.params[FINALIST])): r
            for r in store.read_all()
            if r.ends_trial
        }
        own = {key: record for key, record in ended.items() if key[1] not in left_out}
        found = {key: record for key, record in own.items() if _has_answers(record, scored)}
        lost = {key: record for key, record in own.items() if key not in found}
        return cls(store, scored, found, lost)

    @property
    def labels(self) -> list[str]:
        """The labels of all finalists, in the order of their trainings."""
        return list(dict.fromkeys(label for _, label in [*self.found, *self.lost]))

    def have(self, finalists: Sequence[Finalist], folds: int) -> bool:
        """Whether all trainings of these finalists on so many folds have ended."""
        ended = self.found.keys() | self.lost.keys()
        return all((fold, one.label) in ended for fold in range(folds) for one in finalists)

    def of(self, label: str, folds: Sequence[int]) -> list[Record]:
        """Return a finalist's trainings with answers on these folds, with their arrays."""
        found = (self.found.get((fold, label)) for fold in folds)
        return [self.store.read(record.key) for record in found if record is not None]

    def whole_folds(self, labels: Sequence[str], folds: int) -> list[int]:
        """Return the folds of all repeats in which all trainings of every finalist have ended.

        On each fold one finalist or more has answers, so that its samples are known. Empty with
        fewer than two such repeats: a repeat evaluates every sample once, and a sample that was
        evaluated once says nothing about noise.
        """
        repeats = [
            range(first, first + FOLDS_A_REPEAT) for first in range(0, folds, FOLDS_A_REPEAT)
        ]
        ended = self.found.keys() | self.lost.keys()
        whole = [
            list(repeat)
            for repeat in repeats
            if all((fold, label) in ended for fold in repeat for label in labels)
            and all(any((fold, label) in self.found for label in labels) for fold in repeat)
        ]
        return [fold for repeat in whole for fold in repeat] if len(whole) > 1 else []

    def answers(self, labels: Sequence[str], folds: Sequence[int]) -> dict[str, list[FoldAnswers]]:
        """Return the answers of finalists on whole folds, one training after the other.

        A training without answers counts as the worst training of any finalist on any fold, by
        which each of its samples is worse, alike, than for the others.

        Args:
            labels: The finalists.
            folds: Folds of `whole_folds`.

        Raises:
            UsageError: A training kept arrays that cannot be compared; the message names it.
        """
        kept = {
            (fold, label): self._checked(self.store.read(self.found[fold, label].key))
            for label in labels
            for fold in folds
            if (fold, label) in self.found
        }
        if len({len(own.samples) > 0 for own in kept.values()}) > 1:  # not of all: of none
            numbers = {key: own.scores.mean(dtype=float) for key, own in kept.items()}
            kept = {key: of_fold(number) for key, number in numbers.items()}
        first = {fold: next(label for label in labels if (fold, label) in kept) for fold in folds}
        for (fold, label), own in kept.items():
            if not np.array_equal(kept[fold, first[fold]].samples, own.samples):
                raise UsageError(
                    f"fold {fold}: {first[fold]} and {label} were evaluated on different samples "
                    f"({SEE})"
                )
        samples = [kept[fold, first[fold]].samples for fold in folds]
        check_repeats(folds, samples)
        worst = min(float(own.scores.mean()) for own in kept.values())
        for fold, asked in zip(folds, samples, strict=True):
            others = [kept[fold, label].scores for label in labels if (fold, label) in kept]
            for label in labels:
                if (fold, label) in self.lost:
                    mean = np.mean(others, axis=0)
                    kept[fold, label] = FoldAnswers(asked, mean + (worst - mean.mean()))
        return {label: [kept[fold, label] for fold in folds] for label in labels}

    def _checked(self, record: Record) -> FoldAnswers:
        assert record.result is not None
        try:
            return fold_answers(record.result, self.scored)
        except ValueError as error:
            who = f"the training of {record.params[FINALIST]} on fold {record.params[FOLD]}"
            raise UsageError(f"{who} (trial {record.trial}) {error} ({SEE})") from None


def _has_answers(record: Record, scored: Scored) -> bool:
    has_result = record.result is not None and scored.metric in record.result.metrics
    return record.outcome == "complete" or (record.outcome == "diverged" and has_result)


FIRST: Final = 8
"""All finalists are trained on so many folds; then only those of `gone_on`."""
FIRST_IF_QUICK: Final = 4
GO_ON: Final = 2
"""So many of the best do, and the best baseline."""


def most_going_on(finalists: Sequence[Finalist]) -> int:
    """Return how many finalists go on, at most: see `best_of`."""
    kept = any(one.is_baseline for one in finalists) + any(one.is_control for one in finalists)
    return min(len(finalists), GO_ON + kept)


def gone_on(
    trainings: Trainings, finalists: Sequence[Finalist], first: int
) -> tuple[list[Finalist], list[LeftAfter]] | None:
    """Return who goes on after the first folds, see `best_of`, and who does not.

    Nothing is claimed of the latter, which have their means, and stand the best first. None before
    all finalists were trained on the first folds.

    Raises:
        UsageError: A training kept arrays that cannot be compared; the message names it.
    """
    labels, folds = [finalist.label for finalist in finalists], range(first)
    if not trainings.have(finalists, first):
        return None
    if not all(any((fold, label) in trainings.found for label in labels) for fold in folds):
        return list(finalists), []  # nobody has answers on one of them
    answers = trainings.answers(labels, folds)
    means = {label: fmean(float(own.scores.mean()) for own in answers[label]) for label in labels}
    going, sign = best_of(finalists, means), trainings.scored.sign
    left = [
        LeftAfter(one.label, one.trial, first, sign * means[one.label], one.searched)
        for one in sorted(finalists, key=lambda finalist: -means[finalist.label])
        if one not in going
    ]
    return going, left


def best_of(finalists: Sequence[Finalist], means: Mapping[str, float]) -> list[Finalist]:
    """Return the two with the best means, and the best baseline.

    With the best of random trials it and the search's best go on as well: they are compared.
    """
    order = sorted(finalists, key=lambda finalist: -means[finalist.label])
    baselines = [finalist for finalist in order if finalist.is_baseline]
    going = [*order[:GO_ON], *baselines[:1]]
    if any(finalist.is_control for finalist in finalists):
        going += [one for one in finalists if one.is_control or one.place == 1]
    return [finalist for finalist in finalists if finalist in going]


@dataclass(frozen=True)
class Comparison:
    """The trainings of a confirmation and their verdict so far.

    Attributes:
        folds: The folds that count.
        finalists: The finalists that take part.
        outcomes: The outcomes that it comes from, in the order of the finalists.
    """

    trainings: Trainings
    folds: Sequence[int]
    verdict: Verdict
    finalists: Sequence[Finalist]
    outcomes: Outcomes = field(repr=False)

    @property
    def champion(self) -> Finalist:
        """The finalist to take."""
        return next(one for one in self.finalists if one.label == self.verdict.champion)

    @property
    def champions_trainings(self) -> list[Record]:
        """Its trainings that have answers, by fold; without arrays."""
        found = (self.trainings.found.get((fold, self.verdict.champion)) for fold in self.folds)
        return [record for record in found if record is not None]


def compare_finalists(
    store: RecordStore,
    finalists: Sequence[Finalist],
    folds: int,
    left_out: Collection[str] = (),
    margin: float | None = None,
    scored: Scored = ACCURACY,
    left_after: Sequence[LeftAfter] = (),
) -> Comparison | None:
    """Compare finalists on the folds that all of them were trained on.

    Others (`left_out`, by label) may have been trained, too. Without a margin it is that of
    `margin_of`. For `left_after` see `decide`.

    Returns:
        The comparison; None before two repeats are whole, and if the finalist to take has no
        complete training.

    Raises:
        UsageError: A training kept arrays that cannot be compared; the message names it.
    """
    trainings = Trainings.read(store, left_out, scored)
    labels = [finalist.label for finalist in finalists]
    whole = trainings.whole_folds(labels, folds)
    if not whole:
        return None
    whole = whole[: folds_that_count(len(whole))]
    kept = trainings.answers(labels, whole)
    outcomes = Outcomes(
        np.array([stacked([own.scores for own in kept[label]], float) for label in labels]),
        _counted_from_0([own.samples for own in kept[labels[0]]]),
    )
    costs = {label: _cost(trainings.of(label, whole)) for label in labels}
    records = {**trainings.found, **trainings.lost}
    ended = {label: Counter(records[fold, label].outcome for fold in whole) for label in labels}
    verdict = decide(outcomes, finalists, costs, margin, scored, left_after)
    if not ended[verdict.champion]["complete"]:
        return None
    standings = [
        msgspec.structs.replace(
            one, diverged=ended[one.finalist]["diverged"], failed=ended[one.finalist]["failed"]
        )
        for one in verdict.standings
    ]
    verdict = msgspec.structs.replace(verdict, standings=standings)
    return Comparison(trainings, whole, verdict, finalists, outcomes)


def _counted_from_0(samples: Sequence[NDArray[np.int64]]) -> NDArray[np.int64] | None:
    """Return (folds, n) numbers without gaps, however large they are; None if there are none."""
    if not len(samples[0]):
        return None
    pool = np.unique(np.concatenate(samples))
    return stacked([np.searchsorted(pool, own) for own in samples], np.int64, NO_SAMPLE)


@dataclass(frozen=True)
class FoldAnswers:
    """The samples that a training evaluated, or their groups, and its score for each.

    Attributes:
        samples: (n,) their numbers; empty if there is one number for the fold.
        scores: (n,) the oriented value of each; (1,) for the fold.
    """

    samples: NDArray[np.int64]
    scores: NDArray[np.float64]


def of_fold(score: float) -> FoldAnswers:
    """Return the answers of a training that has one number for the fold."""
    return FoldAnswers(np.empty(0, np.int64), np.array([score]))


def fold_answers(result: TrialResult | Evaluated, scored: Scored) -> FoldAnswers:
    """Return the answers that a training on a fold kept, or those of a model to the test set.

    Raises:
        ValueError: They are missing or malformed. The message (`kept no ...`) is meant to follow
            the name of the training.
    """
    arrays, name, numbers = result.arrays, scored.by_sample, SAMPLES
    if name not in arrays:
        return of_fold(scored.sign * result.metrics[scored.metric])
    if numbers not in arrays:
        raise ValueError(f"kept no {numbers!r}")
    values, samples = arrays[name], arrays[numbers]
    if values.ndim != 1 or values.shape != samples.shape or not len(samples):
        shapes = f"{name!r} {values.shape} and {numbers!r} {samples.shape}"
        raise ValueError(f"kept {shapes}, not one of both for each sample")
    groups = arrays.get(GROUPS, samples)
    if groups.shape != samples.shape:
        raise ValueError(f"kept {GROUPS!r} {groups.shape} for {len(samples)} samples")
    for name_of, kept in ((numbers, samples), (GROUPS, groups)):
        if kept.dtype.kind not in "iu" or kept.min() < 0:
            raise ValueError(f"kept {name_of!r} that are no whole numbers from 0")
    mean, metric = float(values.mean(dtype=float)), result.metrics[scored.metric]
    if not np.isclose(mean, metric, rtol=1e-3, atol=1e-6):
        raise ValueError(
            f"kept {name!r} with the mean {mean:g}, where its metric {scored.metric!r} is "
            f"{metric:g}: the mean of the array is to be the metric (see `sweeps.by_sample`), or "
            "leave the array out"
        )
    scores = scored.sign * values.astype(float)
    if GROUPS in arrays:
        scores, samples = over_groups(scores, groups.astype(np.int64))
    return FoldAnswers(samples.astype(np.int64), scores)


def scores_of(found: Evaluated, samples: NDArray[np.int64], scored: Scored) -> NDArray[Any]:
    """Return (n,) the oriented score of each of some samples, or (1,) that of all.

    Raises:
        ValueError: The metric is missing, or its array does not belong to the samples.
    """
    if scored.metric not in found.metrics:
        raise ValueError(f"no metric {scored.metric!r}, by which the models were compared")
    arrays = {**found.arrays, SAMPLES: samples}
    return fold_answers(replace(found, arrays=arrays), scored).scores


def check_repeats(folds: Sequence[int], samples: Sequence[NDArray[np.int64]]) -> None:
    """Refuse folds if the four of a repeat do not evaluate every sample once.

    Raises:
        UsageError: The message names the four folds, and the number of samples they evaluate.
    """
    pool = np.unique(np.concatenate(samples))
    for first in range(0, len(folds), FOLDS_A_REPEAT):
        found = np.sort(np.concatenate(samples[first : first + FOLDS_A_REPEAT]))
        if not np.array_equal(found, pool):
            four = ", ".join(str(fold) for fold in folds[first : first + FOLDS_A_REPEAT])
            raise UsageError(
                f"folds {four} judge {len(np.unique(found))} of {len(pool)} samples, "
                f"{len(found)} times in all: each is to be judged once by four folds ({SEE})"
            )


def check_kept(who: str, folds: Sequence[int], kept: Sequence[Mapping[str, np.ndarray]]) -> None:
    """Refuse predictions that are not (n, ...) on each fold, of one shape.

    They are in what the training on each fold kept. The error begins with `who`.

    Raises:
        UsageError: The message names the fold, and what was kept.
    """
    width = kept[0][PREDICTIONS].shape[1:]
    for fold, arrays in zip(folds, kept, strict=True):
        own, samples = arrays[PREDICTIONS], len(arrays[SAMPLES])
        if own.shape != (samples, *width):
            raise UsageError(
                f"{who} on fold {fold} kept {PREDICTIONS!r} {own.shape} for {samples} samples: "
                "needed are (n, ...), of one shape on each fold"
            )


def _cost(records: Sequence[Record]) -> float:
    """Return the mean cost of trainings; infinity without any, so that nothing else is dearer."""
    if not records:
        return float("inf")
    return float(np.mean([r.result.metrics.get(COST, 0.0) for r in records if r.result]))


def measure_selection_bias(comparison: Comparison) -> SelectionBiasConclusion | None:
    """Return the selection bias of the search's best (the winner's curse).

    It was selected by the same score that it reports: its score minus its mean on fresh folds.
    None if the best takes no part, or its score was of another metric.
    """
    outcomes, scored = comparison.outcomes, comparison.trainings.scored
    means = moments_of(outcomes.scores.astype(float), outcomes.samples).mean_estimates()
    for best, fresh in zip(comparison.finalists, means, strict=True):
        if best.place == 1 and best.searched is not None:
            bias = replace(fresh, value=scored.sign * best.searched - fresh.value)
            total = scored.difference(bias.interval())
            of_both = best.searched, scored.sign * fresh.value
            return SelectionBiasConclusion(best.label, *of_both, total)
    return None
