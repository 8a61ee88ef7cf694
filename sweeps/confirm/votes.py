"""Compares ensembles of finalists with the single best, on the folds they were trained on.

Nothing is trained: a confirmation keeps the logits of every training. On a fold, an ensemble
consists of its members' trainings on that fold, and is evaluated on the fold's samples. So it is
compared like a single finalist, crossed by samples and folds (intervals.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sweeps.analysis.data import softmax
from sweeps.confirm.best import (
    FIRST_LOOK,
    TESTED,
    Joint,
    chances_of_being_best,
    nominal,
    single_level,
)
from sweeps.confirm.comparison import COST, MARGIN, FoldAnswers, Trainings
from sweeps.confirm.intervals import (
    FEWEST_FOLDS,
    NO_SAMPLE,
    Estimate,
    Outcomes,
    crossed_estimate,
    crossed_mean,
    images_estimate,
    stacked,
)
from sweeps.errors import UsageError
from sweeps.interval import Interval
from sweeps.records.conclusions import (
    SingleBest,
    TestedWinner,
    TestVotesConclusion,
    VoteJudgement,
    VoteKind,
    VoteOnFolds,
    VoteOnTest,
    VotesConclusion,
)
from sweeps.records.evaluations import Evaluation

# Votes of several models. The soft vote is the mean of their probabilities, the hard vote the class
# that most of them name (Hansen & Salamon 1990, "Neural network ensembles"; Lakshminarayanan,
# Pritzel & Blundell 2017, "deep ensembles", average probabilities as here).


def probabilities(
    logits: ArrayLike, temperatures: Sequence[float] | None = None
) -> NDArray[np.float64]:
    """Return each member's probabilities, finite however large its logits are.

    Args:
        logits: (m, n, classes) of m members for the same n inputs, in the same order.
        temperatures: (m,) above 0; each member's logits are divided by its own. None: by 1.

    Returns:
        (m, n, classes), each row summing to 1.

    Raises:
        ValueError: There is no member, a shape is wrong, or a temperature is not above 0.
    """
    given = np.asarray(logits, np.float64)
    if given.ndim != 3 or 0 in given.shape[::2]:
        raise ValueError(f"logits {given.shape}: needed is (members, inputs, classes), one or more")
    if temperatures is not None:
        divisors = np.asarray(temperatures, np.float64)
        is_usable = divisors.shape == given.shape[:1] and np.isfinite(divisors).all()
        if not (is_usable and (divisors > 0).all()):
            raise ValueError(
                f"temperatures {list(temperatures)}: needed are {len(given)}, one a member, each "
                "above 0"
            )
        given = given / divisors[:, None, None]
    return softmax(given)


def soft_vote(
    logits: ArrayLike, temperatures: Sequence[float] | None = None
) -> NDArray[np.float64]:
    """Return (n, classes) the mean of the members' probabilities; see `probabilities`."""
    mean: NDArray[np.float64] = probabilities(logits, temperatures).mean(axis=0)
    return mean


def hard_vote(logits: ArrayLike, temperatures: Sequence[float] | None = None) -> NDArray[np.int64]:
    """Return (n,) the class that most members name.

    A tie goes to the class with the largest mean probability over all members, so that two members
    that disagree are not decided by chance. If that is equal too, the first class is taken.
    Arguments and errors are those of `probabilities`; temperatures matter only to ties.
    """
    shares = probabilities(logits, temperatures)
    classes = shares.shape[2]
    named = np.asarray(logits).argmax(axis=2)
    counts = (named[:, :, None] == np.arange(classes)).sum(axis=0)
    is_tied = counts == counts.max(axis=1, keepdims=True)
    winners: NDArray[np.int64] = np.where(is_tied, shares.mean(axis=0), -1.0).argmax(axis=1)
    return winners


# The bank of members that can vote: finalists of sweeps, with the logits of their trainings.


SECONDS = "train_seconds"


@dataclass(frozen=True)
class Confirmed:
    """A sweep whose finalists may vote.

    Attributes:
        name: Name of the sweep.
        trainings: The trainings of its confirmation.
        winner: Label of the finalist that the verdict recommends.
        margin: The difference that does not matter to its verdict.
    """

    name: str
    trainings: Trainings
    winner: str
    margin: float = MARGIN


@dataclass(frozen=True)
class Member:
    """A finalist with its trainings on the folds.

    Attributes:
        name: Its label; with several sweeps, such as `mlp:trial-17`.
        is_winner: Whether the verdict recommends it.
        correct: (folds, n) whether a sample was recognised; False without a sample.
        logits: (folds, n, classes).
        parameters: Number of weights.
        seconds: Seconds that a training took, mean over folds.
    """

    name: str
    is_winner: bool
    correct: NDArray[np.bool_] = field(repr=False)
    logits: NDArray[np.float32] = field(repr=False)
    parameters: float
    seconds: float


@dataclass(frozen=True)
class Bank:
    """All members that can vote.

    Attributes:
        members: The members, the best mean over folds first; one of those with the same logits to
            the bit.
        samples: (folds, n) the number of each sample, or `NO_SAMPLE`.
        classes: (folds, n) its class; -1 without a sample.
    """

    members: Sequence[Member]
    samples: NDArray[np.int64] = field(repr=False)
    classes: NDArray[np.int64] = field(repr=False)


def gather(
    confirmed: Sequence[Confirmed], folds: Sequence[int], classes: NDArray[np.int64]
) -> Bank | None:
    """Return the finalists of some sweeps, ready to vote; None if their logits were not kept.

    Args:
        confirmed: Sweeps of the same data.
        folds: Folds that all their finalists were trained on.
        classes: (samples,) the class of each sample, by its number.

    Raises:
        UsageError: They were evaluated on different samples, or `classes` belong to other samples.
    """
    found: dict[str, Member] = {}
    samples: NDArray[np.int64] | None = None
    for one in confirmed:
        labels = one.trainings.labels
        kept = one.trainings.answers(labels, folds, classes)
        for label in labels:
            records = one.trainings.of(label, folds)
            results = [record.result for record in records if record.result is not None]
            if not all("block_logits" in result.arrays for result in results):
                return None
            if not results:
                continue  # it has no model that could vote
            own = stacked([fold.samples for fold in kept[label]], np.int64, NO_SAMPLE)
            samples = own if samples is None else samples
            member = Member(
                f"{one.name}:{label}" if len(confirmed) > 1 else label,
                label == one.winner,
                stacked([fold.scores for fold in kept[label]], bool),
                _logits(one, label, folds, kept[label]),
                float(np.mean([result.metrics.get(COST, 0.0) for result in results])),
                float(np.mean([result.metrics.get(SECONDS, 0.0) for result in results])),
            )
            _check(member, own, samples, classes)
            # Sweeps may share a baseline: the same network twice is no second opinion.
            key = hashlib.sha256(member.logits.tobytes()).hexdigest()
            if key not in found or (member.is_winner and not found[key].is_winner):
                found[key] = member
    assert samples is not None  # a sweep that was confirmed has finalists
    members = sorted(found.values(), key=lambda member: -float(member.correct.mean()))
    return Bank(members, samples, np.where(samples == NO_SAMPLE, -1, classes[samples]))


def _logits(
    one: Confirmed, label: str, folds: Sequence[int], kept: Sequence[FoldAnswers]
) -> NDArray[np.float32]:
    """Return (folds, n, classes) the logits of a finalist's trainings.

    A training that left none votes for the classes by how frequent they are.
    """
    own = [fold for fold, answers in zip(folds, kept, strict=True) if answers.constant is None]
    records = one.trainings.of(label, own)
    arrays = [record.result.arrays for record in records if record.result is not None]
    check_logits(f"the training of {label} of {one.name}", own, arrays)
    found = dict(zip(own, (one_fold["block_logits"] for one_fold in arrays), strict=True))
    width, dtype = arrays[0]["block_logits"].shape[1], arrays[0]["block_logits"].dtype
    logits = []
    for fold, answers in zip(folds, kept, strict=True):
        if answers.constant is not None:
            row = np.full(width, _NEVER)
            row[: len(answers.constant)] = answers.constant[:width]
            found[fold] = np.tile(row, (len(answers.samples), 1))
        logits.append(found[fold])
    return stacked(logits, dtype)


_NEVER: Final = -50.0
"""Logit of a class that no sample has."""


def check_logits(who: str, folds: Sequence[int], kept: Sequence[Mapping[str, np.ndarray]]) -> None:
    """Refuse logits that are not (n, classes) on each fold.

    Args:
        who: Describes the trainings at the beginning of the error.
        folds: The folds.
        kept: The arrays of the training on each fold.

    Raises:
        UsageError: The message names the fold, and what was kept.
    """
    classes = kept[0]["block_logits"].shape[1:]
    for fold, arrays in zip(folds, kept, strict=True):
        own, samples = arrays["block_logits"], len(arrays["block_images"])
        if own.shape != (samples, *classes) or own.ndim != 2:
            raise UsageError(
                f"{who} on fold {fold} kept 'block_logits' {own.shape} for {samples} samples: "
                "needed are (n, classes), as many classes on each fold"
            )


def _check(
    member: Member, own: NDArray[np.int64], samples: NDArray[np.int64], classes: NDArray[np.int64]
) -> None:
    if not np.array_equal(own, samples):
        raise UsageError(
            f"{member.name} was judged on other samples: only finalists of one pool vote"
        )
    is_known, present = own.max() < len(classes), own != NO_SAMPLE
    right = is_known and (member.logits.argmax(2) == classes[own]) & present
    if not (is_known and np.array_equal(right, member.correct)):
        raise UsageError(
            f"{member.name} was judged by other classes than `labels` of its experiment returns: "
            "they are to be in the order of the numbers in `block_images`"
        )


KINDS: Final[tuple[VoteKind, ...]] = ("soft", "hard")


@dataclass(frozen=True)
class Ensemble:
    """Members that vote together.

    Attributes:
        name: Its name, such as `top 3`.
        members: Two or more.
        is_announced: Whether the verdict is about it, which is fixed before it is scored.
    """

    name: str
    members: Sequence[Member]
    is_announced: bool = False


def answers(logits: NDArray[np.float32], kind: VoteKind) -> NDArray[np.int64]:
    """Return (n,) the class that the members vote for.

    Args:
        logits: (members, n, classes).
        kind: The kind of vote.
    """
    chosen: NDArray[np.int64] = (
        soft_vote(logits).argmax(axis=1) if kind == "soft" else hard_vote(logits)
    )
    return chosen


def word_of(lead: Interval, margin: float = MARGIN) -> VoteJudgement:
    """Return the verdict of the 95 % interval of a lead."""
    if lead.is_told_apart:
        return "better" if lead.low > 0 else "worse"
    return "equivalent" if lead.lies_within(margin) else "cannot tell yet"


def compare_votes(
    sweeps: Sequence[str], bank: Bank, ensembles: Sequence[Ensemble], margin: float = MARGIN
) -> VotesConclusion:
    """Compare each ensemble's soft and hard vote with the single best.

    Intervals hold for all votes at once (two-sided max-t), and so also for the vote that stands
    out, at every look (best.py). With fewer than 20 folds no vote is called better, worse or
    equivalent.

    Args:
        sweeps: Names of the sweeps that the finalists come from.
        bank: The members; the first one is the single best.
        ensembles: Ensembles of these members.
        margin: A difference that does not matter.
    """
    single = bank.members[0]
    asked = [(ensemble, kind) for ensemble in ensembles for kind in KINDS]
    right = [_correct(bank, ensemble, kind) for ensemble, kind in asked]
    outcomes = Outcomes(np.array([single.correct, *right]), bank.samples)
    joint, folds = Joint.of(outcomes), outcomes.folds
    chances = chances_of_being_best(joint)
    level = single_level(joint.from_(0), TESTED, two_sided=True)
    level = nominal(level, folds)
    votes = []
    for number, (ensemble, kind) in enumerate(asked, 1):
        lead = float(joint.means[number] - joint.means[0])
        half = joint.critical(number, 0, level) * float(joint.errors[number, 0])
        ahead = Interval.around(lead, half)
        members = ensemble.members
        vote = VoteOnFolds(
            ensemble=ensemble.name,
            members=[member.name for member in members],
            announced=ensemble.is_announced and kind == "soft",
            vote=kind,
            accuracy=crossed_mean(outcomes, number).interval(),
            ahead_by=ahead,
            verdict=word_of(ahead, margin) if folds >= FIRST_LOOK else "cannot tell yet",
            parameters=sum(member.parameters for member in members),
            train_seconds=sum(member.seconds for member in members),
            chance_best=float(chances[number]),
        )
        votes.append(vote)
    mean = crossed_mean(outcomes, 0).interval()
    best = SingleBest(single.name, mean, single.parameters, single.seconds, float(chances[0]))
    winners = [member.name for member in bank.members if member.is_winner]
    return VotesConclusion("votes", sweeps, winners, best, votes, outcomes.folds)


def _correct(bank: Bank, ensemble: Ensemble, kind: VoteKind) -> NDArray[np.bool_]:
    """Return (folds, n) whether a vote recognised a sample."""
    stacked = np.stack([member.logits for member in ensemble.members])
    flat = stacked.reshape(len(stacked), -1, stacked.shape[3])
    right: NDArray[np.bool_] = answers(flat, kind).reshape(bank.classes.shape) == bank.classes
    return right


# Votes on the test set, of the models that an evaluation scored, from stored logits.
#
# The winner of a sweep has one training a fold, and these can vote: all trainings of one sweep,
# one training of each sweep, and all trainings of all sweeps. Nothing is scored again. So an
# evaluation that was made before there were votes has them too, marked as asked afterwards.


VOTE_QUESTIONS: Final = (
    "vote of all trainings of a winner, soft (hard beside it), minus the mean of one of them",
    "of several sweeps: vote across their winners, training by training, soft (hard beside it), "
    "minus the best single winner",
    "of several sweeps: vote of all trainings of all winners, soft (hard beside it), minus the "
    "best single winner",
)


@dataclass(frozen=True)
class _Winner:
    """The winner of a sweep: `correct` (trainings, n), `logits` (trainings, n, classes)."""

    name: str
    label: str
    correct: NDArray[np.bool_] = field(repr=False)
    logits: NDArray[np.float32] = field(repr=False)

    @property
    def of_samples(self) -> NDArray[np.float64]:
        """(n,) the share of its trainings that recognised each sample."""
        shares: NDArray[np.float64] = self.correct.mean(axis=0)
        return shares


def conclude_votes(
    evaluation: Evaluation,
    scores: Mapping[str, np.ndarray],
    evaluations: int,
    *,
    on_machine: bool = False,
) -> TestVotesConclusion | None:
    """Return the conclusion about votes in an evaluation; None if its models cannot vote.

    Args:
        evaluation: The evaluation.
        scores: Its scores, see `AccessLog.scores`.
        evaluations: Number of evaluations of the test set by now.
        on_machine: Whether these are those of all homes of this machine.
    """
    winners = _winners(evaluation, scores)
    if not winners or (len(winners) == 1 and len(winners[0].logits) < 2):
        return None
    classes = np.asarray(scores["labels"], np.int64)
    best = max(winners, key=lambda winner: float(winner.correct.mean()))
    compared = [row for w in winners if len(w.logits) > 1 for row in _of_one(w, classes)]
    if len(winners) > 1:
        compared += [*_across(winners, best, classes), *_of_all(winners, best, classes)]
    at_once = len(winners) + len(compared)
    return TestVotesConclusion(
        kind="test votes",
        evaluation=evaluation.at(evaluations, on_machine=on_machine),
        was_asked=set(VOTE_QUESTIONS) <= set(evaluation.questions),
        winners=[
            TestedWinner(
                w.name, w.label, len(w.logits), _crossed(w.correct.astype(float)).interval()
            )
            for w in winners
        ],
        best=best.name,
        votes=[one.concluded(at_once) for one in compared],
    )


def _winners(evaluation: Evaluation, scores: Mapping[str, np.ndarray]) -> list[_Winner]:
    return [
        _Winner(e.name, e.label, scores[f"correct_{k}"] != 0, scores[f"logits_{k}"])
        for k, e in enumerate(evaluation.entries)
        if e.role == "winner" and f"logits_{k}" in scores
    ]


@dataclass(frozen=True)
class _Compared:
    """A vote, its accuracy `mean`, and its lead `ahead` over the winner `of`.

    `ensembles` is the number of ensembles, each of its own trainings; None if there is only one.
    """

    voters: str
    members: int
    kind: VoteKind
    mean: Estimate
    ahead: Estimate
    of: _Winner
    ensembles: int | None = None

    def concluded(self, at_once: int) -> VoteOnTest:
        """Return the stored form, with an interval for `at_once` models compared at once."""
        ahead = self.ahead.interval(at_once)
        is_enough = self.ensembles is None or self.ensembles >= FEWEST_FOLDS
        word: VoteJudgement = word_of(ahead) if is_enough else "cannot tell yet"
        accuracy = self.mean.interval()
        return VoteOnTest(self.voters, self.kind, self.members, accuracy, ahead, self.of.name, word)


def _crossed(values: NDArray[np.float64]) -> Estimate:
    """Return the mean of (trainings, n); of one training, with the error of samples alone."""
    trainings, n = values.shape
    if trainings < 2:
        return images_estimate(values[0])
    return crossed_estimate(values, np.tile(np.arange(n, dtype=np.int64), (trainings, 1)))


def _of_one(winner: _Winner, classes: NDArray[np.int64]) -> list[_Compared]:
    """Compare the vote of a winner's trainings with the mean of its single ones, by sample."""
    members = len(winner.logits)
    made = []
    for kind in KINDS:
        right = (answers(winner.logits, kind) == classes).astype(float)
        ahead = images_estimate(right - winner.of_samples)
        made.append(_Compared(winner.name, members, kind, images_estimate(right), ahead, winner))
    return made


def _across(
    winners: Sequence[_Winner], best: _Winner, classes: NDArray[np.int64]
) -> list[_Compared]:
    """Compare ensembles of one training a sweep with the best winner's training of the same number.

    There are as many ensembles as the sweep with the fewest trainings has.
    """
    places = min(len(winner.logits) for winner in winners)
    made = []
    for kind in KINDS:
        right = np.array([
            answers(np.stack([winner.logits[place] for winner in winners]), kind) == classes
            for place in range(places)
        ]).astype(float)  # fmt: skip
        ahead = _crossed(right - best.correct[:places])
        mean = _crossed(right)
        made.append(_Compared("winners", len(winners), kind, mean, ahead, best, places))
    return made


def _of_all(
    winners: Sequence[_Winner], best: _Winner, classes: NDArray[np.int64]
) -> list[_Compared]:
    everything = np.concatenate([winner.logits for winner in winners])
    made = []
    for kind in KINDS:
        right = (answers(everything, kind) == classes).astype(float)
        ahead = images_estimate(right - best.of_samples)
        mean = images_estimate(right)
        made.append(_Compared("all", len(everything), kind, mean, ahead, best))
    return made
