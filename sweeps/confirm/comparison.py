"""From the trainings of a confirmation to its verdict: who is better, who as good, who unclear."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sweeps.confirm.finalists import Finalist
from sweeps.confirm.intervals import (
    FEWEST_FOLDS,
    NO_IMAGE,
    Estimate,
    Outcomes,
    critical_value,
    crossed_difference,
    crossed_mean,
    probability_better,
    stacked,
)
from sweeps.errors import UsageError
from sweeps.experiment import TrialResult
from sweeps.interval import Interval
from sweeps.records import BLOCK, FINALIST, Record, RecordStore
from sweeps.records.conclusions import ConfirmedStanding, Judgement

# Who is better, who is as good, and who cannot be told apart yet.


MARGIN = 0.005
"""A difference that does not matter: half a point."""

MOST_FOLDS = 200
"""More are not recommended: the pool of images is used 50 times by then."""


@dataclass(frozen=True)
class Standing:
    """A finalist as fresh folds judge it.

    Attributes:
        finalist: Who.
        mean: Its accuracy, with error.
        behind: The leader's accuracy minus its own; None of the leader. Its interval is for all
            pairs at once, and once the leader is settled, its own.
        word: `worse` if the interval is above 0, `equivalent` if it lies inside the margin.
        more_blocks: How many would settle it in all, if it stays where it is; None if it is
            settled, or more than `MOST_FOLDS` would be needed.
        chance: Probability that the leader really is the better one of the two, by a correlated
            Bayesian t-test, which answers for new training sets too, and for this pair alone: that
            the leader was picked among several is not allowed for. None of the leader, or where
            the size of the training sets is not known.
        cost: What is compared among equivalent ones, such as the number of weights.
    """

    finalist: Finalist
    mean: Estimate
    behind: Interval | None
    word: Judgement
    more_folds: int | None
    cost: float
    chance: float | None = None

    @property
    def concluded(self) -> ConfirmedStanding:
        """The same, as it is kept."""
        return ConfirmedStanding(
            finalist=self.finalist.label,
            trial=self.finalist.trial,
            accuracy=self.mean.interval(),
            searched=self.finalist.searched,
            leader_ahead_by=self.behind,
            probability_leader_better=self.chance,
            verdict=self.word,
            folds_needed=self.more_folds,
        )


@dataclass(frozen=True)
class Verdict:
    """Standings, the best first.

    Attributes:
        standings: All finalists.
        folds: On how many folds.
        is_settled: Whether the leader is better than every other.
        gain_over_control: Of the search's best over the best of random trials; None without one.
    """

    standings: Sequence[Standing]
    folds: int
    is_settled: bool
    gain_over_control: Interval | None = None

    @property
    def control(self) -> Standing | None:
        """The best of random trials, if it takes part."""
        return next((s for s in self.standings if s.finalist.is_control), None)

    @property
    def may_be_best(self) -> list[Standing]:
        """The leader and those who cannot be said to be worse: with 95 % the best is among them."""
        return [standing for standing in self.standings if standing.word != "worse"]

    @property
    def recommended(self) -> Standing:
        """The cheapest of those equivalent to the leader, itself included."""
        good = [s for s in self.standings if s.word in {"leads", "equivalent"}]
        return min(good, key=lambda standing: standing.cost)

    @property
    def runner_up(self) -> Standing | None:
        """The best of the others that the search proposed; None if there is no other."""
        others = (s for s in self.standings if s is not self.recommended)
        own = (s for s in others if not (s.finalist.is_baseline or s.finalist.is_control))
        return next(own, None)

    @property
    def baseline(self) -> Standing | None:
        """The baseline, unless it is the one to take."""
        others = (s for s in self.standings if s is not self.recommended)
        return next((s for s in others if s.finalist.is_baseline), None)


def decide(
    outcomes: Outcomes,
    finalists: Sequence[Finalist],
    costs: Mapping[str, float],
    margin: float = MARGIN,
    train_size: int = 0,
) -> Verdict:
    """Compare the leader with every other finalist.

    The leader is settled if the 95 % interval of its lead over each other one is above 0: whoever
    is not the best has to beat the best one too, which happens in 5 of 100 cases at most, however
    many there are (intersection-union test, Berger 1982). Else the intervals hold for all pairs at
    once (Tukey-Kramer), for leader and last are chosen by what is compared. With fewer than eight
    folds nobody is called worse.

    Args:
        outcomes: In the order of `finalists`.
        finalists: Who.
        costs: By label.
        margin: See `MARGIN`.
        train_size: Images in a fold's training set; 0 if that is not known.
    """
    leader = outcomes.leader
    behind = {
        number: crossed_difference(outcomes, leader, number)
        for number in range(outcomes.finalists)
        if number != leader
    }
    is_enough = outcomes.folds >= FEWEST_FOLDS
    is_settled = is_enough and all(lead.interval().low > 0 for lead in behind.values())
    compared = 2 if is_settled else outcomes.finalists
    made = []
    for number, finalist in enumerate(finalists):
        mean = crossed_mean(outcomes, number)
        cost = costs.get(finalist.label, 0.0)
        if number == leader:
            made.append(Standing(finalist, mean, None, "leads", None, cost))
            continue
        lead = behind[number]
        gap = lead.interval(compared)
        word: Judgement = "cannot tell yet"
        if is_enough and gap.low > 0:
            word = "worse"
        elif is_enough and gap.lies_within(margin):
            word = "equivalent"
        is_open = word == "cannot tell yet"
        more = _folds_needed(lead, outcomes.folds, compared, margin) if is_open else None
        chance = probability_better(outcomes, leader, number, train_size) if train_size else None
        made.append(Standing(finalist, mean, gap, word, more, cost, chance))
    order = sorted(made, key=lambda s: (s.word != "leads", -s.mean.value))
    return Verdict(order, outcomes.folds, is_settled, _gain_over_control(outcomes, finalists))


def _gain_over_control(outcomes: Outcomes, finalists: Sequence[Finalist]) -> Interval | None:
    places = {f.place: number for number, f in enumerate(finalists) if not f.is_control}
    control = next((number for number, f in enumerate(finalists) if f.is_control), None)
    if control is None or 1 not in places:
        return None
    return crossed_difference(outcomes, places[1], control).interval()


def _folds_needed(behind: Estimate, folds: int, compared: int, margin: float) -> int | None:
    """Return how many folds would make the interval narrow enough, if it stays where it is."""
    wanted = max(abs(behind.value), margin - abs(behind.value))
    fixed = behind.of_images - behind.of_noise
    shrinking = (behind.of_folds + behind.of_noise) * folds
    for count in range(folds + 4, MOST_FOLDS + 1, 4):
        # Degrees of freedom grow with the folds, at least while these are what matters.
        critical = critical_value(compared, behind.freedom * count / folds)
        if critical**2 * (fixed + shrinking / count) < wanted**2:
            return count
    return None


FOLDS_A_REPEAT = 4
"""Folds that judge every image once between them, see `Confirms`."""
_SEE = "see `SupportsCrossValidation` in sweeps/capabilities.py"
COST = "parameters"
"""What makes one of several equivalent finalists the cheapest."""


@dataclass(frozen=True)
class Trainings:
    """The complete trainings of a confirmation.

    Attributes:
        store: Their records.
        found: By fold and the finalist's label; without arrays.
    """

    store: RecordStore = field(repr=False)
    found: Mapping[tuple[int, str], Record] = field(repr=False)

    @classmethod
    def read(cls, store: RecordStore, left_out: Collection[str] = ()) -> Trainings:
        """Read what is recorded, but for some finalists."""
        complete = (record for record in store.read_all() if record.outcome == "complete")
        found = {(int(str(r.params[BLOCK])), str(r.params[FINALIST])): r for r in complete}
        return cls(store, {key: r for key, r in found.items() if key[1] not in left_out})

    def of(self, label: str, folds: Sequence[int]) -> list[Record]:
        """Return a finalist's trainings on some folds, with their arrays."""
        return [self.store.read(self.found[fold, label].spec.key) for fold in folds]

    def whole_folds(self, labels: Sequence[str], folds: int) -> list[int]:
        """Return the folds of those repeats that everyone has whole, two repeats at least.

        A repeat judges every image once, and an image that was judged once says nothing about
        noise. One with a training that failed is left out.
        """
        repeats = [
            range(first, first + FOLDS_A_REPEAT) for first in range(0, folds, FOLDS_A_REPEAT)
        ]
        whole = [
            list(repeat)
            for repeat in repeats
            if all((fold, label) in self.found for fold in repeat for label in labels)
        ]
        return [fold for repeat in whole for fold in repeat] if len(whole) > 1 else []


@dataclass(frozen=True)
class Comparison:
    """A confirmation and what it says so far.

    Attributes:
        trainings: What was trained.
        folds: The folds that count.
        verdict: What they say.
    """

    trainings: Trainings
    folds: Sequence[int]
    verdict: Verdict


def compare_finalists(
    store: RecordStore,
    finalists: Sequence[Finalist],
    folds: int,
    left_out: Collection[str] = (),
) -> Comparison | None:
    """Return what the folds say that every finalist has been trained on; None before two repeats.

    Args:
        store: The confirmation's records.
        finalists: Who takes part.
        folds: On how many folds.
        left_out: Labels of others that may have been trained.

    Raises:
        UsageError: What a training kept cannot be judged; says which, and what is the matter.
    """
    trainings = Trainings.read(store, left_out)
    labels = [finalist.label for finalist in finalists]
    whole = trainings.whole_folds(labels, folds)
    if not whole:
        return None
    kept = {label: [_kept(record) for record in trainings.of(label, whole)] for label in labels}
    images = [own.images for own in kept[labels[0]]]
    for label, own in kept.items():
        _check_same(whole, images, own, f"{labels[0]} and {label}")
    check_repeats(whole, images)
    outcomes = Outcomes(
        np.array([stacked([own.correct for own in kept[label]], bool) for label in labels]),
        stacked(images, np.int64, NO_IMAGE),
    )
    costs = {label: _cost(trainings.of(label, whole)) for label in labels}
    first = trainings.of(labels[0], whole[:1])[0].result
    train_size = int(first.info.get("n_train", 0)) if first else 0
    return Comparison(trainings, whole, decide(outcomes, finalists, costs, train_size=train_size))


@dataclass(frozen=True)
class Kept:
    """The images that a training judged, (n,), and whether it was right of each."""

    images: NDArray[np.int64]
    correct: NDArray[np.bool_]


def what_was_kept(result: TrialResult) -> Kept:
    """Return what a training on a fold kept.

    Raises:
        ValueError: That cannot be judged; says, after the name of the training, what it kept.
    """
    missing = [name for name in ("block_correct", "block_images") if name not in result.arrays]
    if missing:
        raise ValueError(f"kept no {' and no '.join(map(repr, missing))}")
    correct, images = result.arrays["block_correct"], result.arrays["block_images"]
    if correct.ndim != 1 or correct.shape != images.shape or not len(images):
        shapes = f"'block_correct' {correct.shape} and 'block_images' {images.shape}"
        raise ValueError(f"kept {shapes}, not one of both for each image")
    if images.dtype.kind not in "iu" or images.min() < 0:
        raise ValueError("kept 'block_images' that are no whole numbers from 0")
    if not np.isin(correct, (0, 1)).all():
        raise ValueError("kept 'block_correct' that are not 0 or 1")
    return Kept(images.astype(np.int64), correct != 0)


def _kept(record: Record) -> Kept:
    assert record.result is not None
    try:
        return what_was_kept(record.result)
    except ValueError as error:
        who = f"the training of {record.params[FINALIST]} on fold {record.params[BLOCK]}"
        raise UsageError(f"{who} (trial {record.spec.trial}) {error} ({_SEE})") from None


def _check_same(
    folds: Sequence[int], images: Sequence[NDArray[np.int64]], kept: Sequence[Kept], who: str
) -> None:
    """Refuse folds that are not the same for two finalists."""
    for fold, comparison, other in zip(folds, images, kept, strict=True):
        if not np.array_equal(comparison, other.images):
            raise UsageError(f"fold {fold}: {who} were judged on different images ({_SEE})")


def check_repeats(folds: Sequence[int], images: Sequence[NDArray[np.int64]]) -> None:
    """Refuse folds of which four do not judge every image once.

    Args:
        folds: A multiple of four.
        images: Which images each judges.

    Raises:
        UsageError: Says which four, and how many images they judge.
    """
    pool = np.unique(np.concatenate(images))
    for first in range(0, len(folds), FOLDS_A_REPEAT):
        found = np.sort(np.concatenate(images[first : first + FOLDS_A_REPEAT]))
        if not np.array_equal(found, pool):
            four = ", ".join(str(fold) for fold in folds[first : first + FOLDS_A_REPEAT])
            raise UsageError(
                f"folds {four} judge {len(np.unique(found))} of {len(pool)} images, "
                f"{len(found)} times in all: each is to be judged once by four folds ({_SEE})"
            )


def _cost(records: Sequence[Record]) -> float:
    return float(np.mean([r.result.metrics.get(COST, 0.0) for r in records if r.result]))
