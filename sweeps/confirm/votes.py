"""Compares ensembles of finalists with the single best, on the folds they were trained on.

Nothing is trained: a confirmation keeps the answers of every training. On a fold, an ensemble
consists of its members' trainings on that fold, and is evaluated on the fold's samples. So it is
compared like a single finalist, crossed by samples and folds (intervals.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sweeps.analysis.data import softmax
from sweeps.capabilities import PREDICTIONS, Evaluated
from sweeps.confirm.best import (
    FIRST_LOOK,
    TESTED,
    Joint,
    chances_of_being_best,
    nominal,
    single_level,
)
from sweeps.confirm.comparison import (
    COST,
    MARGIN,
    Comparison,
    FoldAnswers,
    Trainings,
    scores_of,
)
from sweeps.confirm.finalists import BLOCK_ACCURACY, Scored
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
from sweeps.experiment import Experiment, PreparedData
from sweeps.experiments.loading import ask, failed
from sweeps.interval import Interval
from sweeps.records import SweepInfo
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


KINDS: Final[tuple[VoteKind, ...]] = ("soft", "hard")
MEAN: Final[tuple[VoteKind, ...]] = ("mean",)


# The rules of a vote: what a training keeps for it, and how the vote of several is scored.


@dataclass(frozen=True)
class ClassBallot:
    """The vote of experiments that keep logits, which name a class: soft or hard.

    Attributes:
        classes: (samples,) the class of each sample, by its number.
    """

    classes: NDArray[np.int64] = field(repr=False)
    scored = BLOCK_ACCURACY
    array, kinds = "block_logits", KINDS
    truth = "classes than `labels` of its experiment returns"

    def scores(
        self, kept: NDArray[Any], samples: NDArray[np.int64], kind: VoteKind
    ) -> NDArray[Any] | None:
        """Return (n,) whether a vote recognises each sample.

        Args:
            kept: (members, n, ...) what each member kept.
            samples: (n,) the numbers of the samples.
            kind: The kind of vote.
        """
        if samples.max() >= len(self.classes):
            return np.full(len(samples), -1)  # as no training was scored
        right: NDArray[np.bool_] = answers(kept, kind) == self.classes[samples]
        return right


@dataclass(frozen=True)
class MeanBallot:
    """The vote of experiments that keep predictions: their mean is judged by the experiment.

    Attributes:
        experiment: A `SupportsVoting`.
        values: (samples, ...) the true value of each sample, by its number.
        scored: The metric.
    """

    experiment: Any
    values: NDArray[Any] = field(repr=False)
    scored: Scored
    classes = None
    array, kinds = PREDICTIONS, MEAN
    truth = "true values than `truth` of its experiment returns"

    def scores(
        self, kept: NDArray[Any], samples: NDArray[np.int64], kind: VoteKind
    ) -> NDArray[Any] | None:
        """Return (n,) the oriented score on each sample, or (1,) that of all.

        None if the experiment does not judge predictions by the metric. For the arguments see
        `ClassBallot.scores`.
        """
        mean = kept.astype(np.float64).mean(axis=0)
        found: Evaluated = ask(self.experiment, "judged", mean, self.values[samples])
        if self.scored.metric not in found.metrics:
            return None
        try:
            return scores_of(found, samples, self.scored)
        except (AttributeError, TypeError, ValueError) as error:
            raise failed(self.experiment, "judged", error) from error


Ballot = ClassBallot | MeanBallot


def classes_of(experiment: Experiment, data: PreparedData) -> NDArray[np.int64] | None:
    """Return (samples,) the class of each sample by its number; None without `SupportsVoting`.

    Raises:
        UsageError: `labels` of the experiment raised, or did not return whole numbers.
    """
    if not hasattr(experiment, "labels"):
        return None
    found = ask(experiment, "labels", data)
    try:
        classes: NDArray[np.int64] = np.asarray(found, np.int64)
    except (TypeError, ValueError) as error:
        raise failed(experiment, "labels", error) from None
    return classes


def ballot_of(experiment: Experiment, data: PreparedData, scored: Scored) -> Ballot | None:
    """Return how the trainings of an experiment vote; None without `SupportsVoting`.

    Args:
        experiment: The experiment that trains on folds.
        data: Its data.
        scored: The metric of the comparison.

    Raises:
        UsageError: The experiment raised.
    """
    if scored == BLOCK_ACCURACY:
        classes = classes_of(experiment, data)
        return None if classes is None else ClassBallot(classes)
    if not (hasattr(experiment, "truth") and hasattr(experiment, "judged")):
        return None
    truth = ask(experiment, "truth", data)
    return None if truth is None else MeanBallot(experiment, np.asarray(truth), scored)


# The bank of members that can vote: finalists of sweeps, with what their trainings kept for it.


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
        scores: (folds, n) the oriented score of each sample; 0 without a sample. n is 1 for one
            number per fold.
        kept: (folds, n, ...) logits or predictions.
        parameters: Number of weights.
        seconds: Seconds that a training took, mean over folds.
    """

    name: str
    is_winner: bool
    scores: NDArray[Any] = field(repr=False)
    kept: NDArray[Any] = field(repr=False)
    parameters: float
    seconds: float


@dataclass(frozen=True)
class Bank:
    """All members that can vote.

    Attributes:
        members: The members, the best mean over folds first; one of those that kept the same to
            the bit.
        samples: (folds, n) the number of each sample, or `NO_SAMPLE`.
        ballot: How they vote.
    """

    members: Sequence[Member]
    samples: NDArray[np.int64] = field(repr=False)
    ballot: Ballot

    def scores(self, members: Sequence[Member], kind: VoteKind) -> NDArray[Any] | None:
        """Return (folds, n) the oriented scores of a vote, as `Member.scores` are."""
        found = []
        for fold, numbers in enumerate(self.samples):
            own = numbers[numbers != NO_SAMPLE]
            kept = np.stack([member.kept[fold, : len(own)] for member in members])
            scores = self.ballot.scores(kept, own, kind)
            if scores is None:
                return None
            found.append(scores)
        return stacked(found, found[0].dtype)


def gather(confirmed: Sequence[Confirmed], folds: Sequence[int], ballot: Ballot) -> Bank | None:
    """Return the finalists of some sweeps, ready to vote; None if nothing was kept to vote with.

    A finalist one of whose trainings left no predictions takes no part in a vote by their mean.

    Args:
        confirmed: Sweeps of the same data.
        folds: Folds that all their finalists were trained on.
        ballot: How they vote.

    Raises:
        UsageError: They were evaluated on different samples, or the truth is that of other samples.
    """
    found: dict[str, Member] = {}
    samples: NDArray[np.int64] | None = None
    for one in confirmed:
        labels = one.trainings.labels
        kept = one.trainings.answers(labels, folds, ballot.classes)
        for label in labels:
            records = one.trainings.of(label, folds)
            results = [record.result for record in records if record.result is not None]
            if not all(ballot.array in result.arrays for result in results):
                return None
            if not results or (ballot.classes is None and len(results) < len(folds)):
                continue  # it has no model that could vote
            numbers = [fold.samples for fold in kept[label]]
            if not len(numbers[0]):  # one number per fold
                numbers = [result.arrays[ballot.scored.samples] for result in results]
            own = stacked(numbers, np.int64, NO_SAMPLE)
            samples = own if samples is None else samples
            member = Member(
                f"{one.name}:{label}" if len(confirmed) > 1 else label,
                label == one.winner,
                stacked([fold.scores for fold in kept[label]], kept[label][0].scores.dtype),
                _kept_for_votes(one, label, folds, kept[label], ballot),
                float(np.mean([result.metrics.get(COST, 0.0) for result in results])),
                float(np.mean([result.metrics.get(SECONDS, 0.0) for result in results])),
            )
            if not _can_be_judged(member, own, Bank([], samples, ballot)):
                return None
            # Sweeps may share a baseline: the same network twice is no second opinion.
            key = hashlib.sha256(member.kept.tobytes()).hexdigest()
            if key not in found or (member.is_winner and not found[key].is_winner):
                found[key] = member
    if samples is None:
        return None
    members = sorted(found.values(), key=lambda member: -float(member.scores.mean()))
    return Bank(members, samples, ballot)


def _kept_for_votes(
    one: Confirmed,
    label: str,
    folds: Sequence[int],
    kept: Sequence[FoldAnswers],
    ballot: Ballot,
) -> NDArray[Any]:
    """Return (folds, n, ...) the logits or the predictions of a finalist's trainings.

    A training that left no logits votes for the classes by how frequent they are.
    """
    own = [fold for fold, answers in zip(folds, kept, strict=True) if answers.constant is None]
    records = one.trainings.of(label, own)
    arrays = [record.result.arrays for record in records if record.result is not None]
    who = f"the training of {label} of {one.name}"
    check_kept(who, own, arrays, ballot.array, ballot.scored.samples)
    found = dict(zip(own, (one_fold[ballot.array] for one_fold in arrays), strict=True))
    shape, dtype = arrays[0][ballot.array].shape[1:], arrays[0][ballot.array].dtype
    logits = []
    for fold, answers in zip(folds, kept, strict=True):
        if answers.constant is not None:
            (width,) = shape
            row = np.full(width, _NEVER)
            row[: len(answers.constant)] = answers.constant[:width]
            found[fold] = np.tile(row, (len(answers.samples), 1))
        logits.append(found[fold])
    return stacked(logits, dtype)


_NEVER: Final = -50.0
"""Logit of a class that no sample has."""


def check_kept(
    who: str,
    folds: Sequence[int],
    kept: Sequence[Mapping[str, np.ndarray]],
    array: str,
    numbers: str,
) -> None:
    """Refuse logits that are not (n, classes) on each fold, or predictions that are not (n, ...).

    Args:
        who: Describes the trainings at the beginning of the error.
        folds: The folds.
        kept: The arrays of the training on each fold.
        array: Name of the array: `block_logits`, or that of predictions.
        numbers: Name of the array with the numbers of the samples.

    Raises:
        UsageError: The message names the fold, and what was kept.
    """
    width, is_by_class = kept[0][array].shape[1:], array == ClassBallot.array
    for fold, arrays in zip(folds, kept, strict=True):
        own, samples = arrays[array], len(arrays[numbers])
        if own.shape != (samples, *width) or (is_by_class and own.ndim != 2):
            needed = "(n, classes), as many classes" if is_by_class else "(n, ...), of one shape"
            raise UsageError(
                f"{who} on fold {fold} kept {array!r} {own.shape} for {samples} samples: "
                f"needed are {needed} on each fold"
            )


def _can_be_judged(member: Member, own: NDArray[np.int64], bank: Bank) -> bool:
    """Whether votes are judged by this metric; refuse one that judges otherwise than trainings."""
    if not np.array_equal(own, bank.samples):
        raise UsageError(
            f"{member.name} was judged on other samples: only finalists of one pool vote"
        )
    scores = bank.scores([member], bank.ballot.kinds[0])
    if scores is None:
        return False
    is_alike = scores.shape == member.scores.shape and (
        np.allclose(scores.mean(axis=1), member.scores.mean(axis=1), rtol=1e-3, atol=1e-6)
    )
    if not is_alike or (scores.dtype == bool and not np.array_equal(scores, member.scores)):
        ballot = bank.ballot
        raise UsageError(
            f"{member.name} was judged by other {ballot.truth}: "
            f"they are to be in the order of the numbers in `{ballot.scored.samples}`"
        )
    return True


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
    """Compare each ensemble's votes, such as soft and hard, with the single best.

    Intervals hold for all votes at once (two-sided max-t), and so also for the vote that stands
    out, at every look (best.py). With fewer than 20 folds no vote is called better, worse or
    equivalent.

    Args:
        sweeps: Names of the sweeps that the finalists come from.
        bank: The members; the first one is the single best.
        ensembles: Ensembles of these members.
        margin: A difference that does not matter.
    """
    single, scored, kinds = bank.members[0], bank.ballot.scored, bank.ballot.kinds
    asked = [(ensemble, kind) for ensemble in ensembles for kind in kinds]
    votes_cast = [bank.scores(ensemble.members, kind) for ensemble, kind in asked]
    is_by_sample = single.scores.shape == bank.samples.shape
    outcomes = Outcomes(
        np.array([single.scores, *votes_cast]), bank.samples if is_by_sample else None
    )
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
            announced=ensemble.is_announced and kind == kinds[0],
            vote=kind,
            accuracy=scored.measured(crossed_mean(outcomes, number).interval()),
            ahead_by=scored.difference(ahead),
            verdict=word_of(ahead, margin) if folds >= FIRST_LOOK else "cannot tell yet",
            parameters=sum(member.parameters for member in members),
            train_seconds=sum(member.seconds for member in members),
            chance_best=float(chances[number]),
        )
        votes.append(vote)
    mean = scored.measured(crossed_mean(outcomes, 0).interval())
    best = SingleBest(single.name, mean, single.parameters, single.seconds, float(chances[0]))
    winners = [member.name for member in bank.members if member.is_winner]
    return VotesConclusion("votes", sweeps, winners, best, votes, outcomes.folds, scored.metric)


def all_voting(
    info: SweepInfo, comparison: Comparison, ballot: Ballot | None
) -> VotesConclusion | None:
    """Return the conclusion about the vote of all finalists; None if they cannot vote."""
    winner = comparison.verdict.recommended.finalist.label
    confirmed = [Confirmed(info.name, comparison.trainings, winner)]
    bank = None if ballot is None else gather(confirmed, comparison.folds, ballot)
    if bank is None or len(bank.members) < 2:
        return None
    everyone = Ensemble(f"all {len(bank.members)}", bank.members, is_announced=True)
    return compare_votes([info.name], bank, [everyone], comparison.verdict.margin)


# Votes on the test set, of the models that an evaluation scored, from what it stored.
#
# The winner of a sweep has one training a fold, and these can vote: all trainings of one sweep,
# one training of each sweep, and all trainings of all sweeps. Nothing is scored again. So an
# evaluation that was made before there were votes has them too, marked as asked afterwards. Votes
# by the mean of predictions are judged by the experiment: their scores are stored with the others.


VOTE_QUESTIONS: Final = (
    "vote of all trainings of a winner, soft (hard beside it), minus the mean of one of them",
    "of several sweeps: vote across their winners, training by training, soft (hard beside it), "
    "minus the best single winner",
    "of several sweeps: vote of all trainings of all winners, soft (hard beside it), minus the "
    "best single winner",
)
MEAN_QUESTIONS: Final = tuple(
    question.replace("soft (hard beside it)", "by the mean of predictions")
    for question in VOTE_QUESTIONS
)
_ACROSS, _ALL = "vote_across", "vote_all"

Cast = Mapping[str, NDArray[Any]]
"""Scores of votes: `vote_<place>` (n,) of all trainings of a winner, `vote_across` (trainings, n)
of one training of each winner, `vote_all` (n,) of all trainings of all winners."""


def cast_votes(
    kept: Mapping[int, NDArray[Any]], score: Callable[[NDArray[Any]], NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """Return the scores of the votes of winners.

    Args:
        kept: (trainings, n, ...) logits or predictions, by the winner's place in the evaluation.
        score: Returns (n,) the oriented scores of the vote of (members, n, ...).
    """
    cast = {f"vote_{place}": score(one) for place, one in kept.items() if len(one) > 1}
    if len(kept) > 1:
        trainings = min(map(len, kept.values()))
        cast[_ACROSS] = np.array([
            score(np.stack([one[number] for one in kept.values()])) for number in range(trainings)
        ])  # fmt: skip
        cast[_ALL] = score(np.concatenate([*kept.values()]))
    return cast


def winner_places(evaluation: Evaluation) -> list[int]:
    """Return the places of the winners among the entries of an evaluation."""
    return [place for place, entry in enumerate(evaluation.entries) if entry.role == "winner"]


@dataclass(frozen=True)
class _Winner:
    """The winner of a sweep: `scores` (trainings, n), oriented."""

    place: int
    name: str
    label: str
    scores: NDArray[np.float64] = field(repr=False)

    @property
    def of_samples(self) -> NDArray[np.float64]:
        """(n,) the mean score of each sample over its trainings."""
        means: NDArray[np.float64] = self.scores.mean(axis=0)
        return means


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
    places, scored = winner_places(evaluation), scored_by(evaluation)
    cast = _cast_in(evaluation, scores, places)
    if not any(cast.values()):
        return None
    winners = [
        _Winner(k, e.name, e.label, np.asarray(evaluation.outcomes(scores, k), float))
        for k, e in enumerate(evaluation.entries)
        if k in places
    ]
    best = max(winners, key=lambda winner: float(winner.scores.mean()))
    several = [winner for winner in winners if len(winner.scores) > 1]
    compared = [_of_one(winner, kind, cast) for winner in several for kind in cast]
    if len(winners) > 1:
        compared += [_across(winners, best, kind, cast) for kind in cast]
        compared += [_of_all(winners, best, kind, cast) for kind in cast]
    at_once = len(winners) + len(compared)
    asked = VOTE_QUESTIONS if evaluation.is_by_class else MEAN_QUESTIONS
    return TestVotesConclusion(
        kind="test votes",
        evaluation=evaluation.at(evaluations, on_machine=on_machine),
        was_asked=set(asked) <= set(evaluation.questions),
        winners=[
            TestedWinner(
                w.name, w.label, len(w.scores), scored.measured(_crossed(w.scores).interval())
            )
            for w in winners
        ],
        best=best.name,
        votes=[one.concluded(at_once, scored) for one in compared],
        metric=scored.metric,
    )


def _cast_in(
    evaluation: Evaluation, scores: Mapping[str, np.ndarray], places: Sequence[int]
) -> dict[VoteKind, Cast]:
    """Return the votes of an evaluation by kind; none without logits or stored votes."""
    if not evaluation.is_by_class:
        found = {name: values for name, values in scores.items() if name.startswith("vote_")}
        return {MEAN[0]: found} if found else {}
    logits = {k: scores[f"logits_{k}"] for k in places if f"logits_{k}" in scores}
    if not logits or len(logits) < len(places):
        return {}
    classes = np.asarray(scores["labels"], np.int64)

    def scoring(kind: VoteKind) -> Callable[[NDArray[Any]], NDArray[Any]]:
        return lambda kept: answers(kept, kind) == classes

    return {kind: cast_votes(logits, scoring(kind)) for kind in KINDS}


def scored_by(evaluation: Evaluation) -> Scored:
    """Return the metric of an evaluation."""
    if evaluation.is_by_class:
        return BLOCK_ACCURACY
    return replace(Scored.by(evaluation.metric, evaluation.direction), unit=evaluation.unit)


@dataclass(frozen=True)
class _Compared:
    """A vote, its score `mean`, and its lead `ahead` over the winner `of`, both oriented.

    `ensembles` is the number of ensembles, each of its own trainings; None if there is only one.
    """

    voters: str
    members: int
    kind: VoteKind
    mean: Estimate
    ahead: Estimate
    of: _Winner
    ensembles: int | None = None

    def concluded(self, at_once: int, scored: Scored) -> VoteOnTest:
        """Return the stored form, with an interval for `at_once` models compared at once."""
        ahead = scored.difference(self.ahead.interval(at_once))
        is_enough = self.ensembles is None or self.ensembles >= FEWEST_FOLDS
        margin = MARGIN if scored.unit == "share" else 0.0
        word: VoteJudgement = word_of(ahead, margin) if is_enough else "cannot tell yet"
        mean = scored.measured(self.mean.interval())
        return VoteOnTest(self.voters, self.kind, self.members, mean, ahead, self.of.name, word)


def _crossed(values: NDArray[np.float64]) -> Estimate:
    """Return the mean of (trainings, n); of one training, with the error of samples alone."""
    trainings, n = values.shape
    if trainings < 2:
        return images_estimate(values[0])
    return crossed_estimate(values, np.tile(np.arange(n, dtype=np.int64), (trainings, 1)))


def _of_one(winner: _Winner, kind: VoteKind, cast: Mapping[VoteKind, Cast]) -> _Compared:
    """Compare the vote of a winner's trainings with the mean of its single ones, by sample."""
    scores = cast[kind][f"vote_{winner.place}"].astype(float)
    ahead = images_estimate(scores - winner.of_samples)
    members = len(winner.scores)
    return _Compared(winner.name, members, kind, images_estimate(scores), ahead, winner)


def _across(
    winners: Sequence[_Winner], best: _Winner, kind: VoteKind, cast: Mapping[VoteKind, Cast]
) -> _Compared:
    """Compare ensembles of one training a sweep with the best winner's training of the same number.

    There are as many ensembles as the sweep with the fewest trainings has.
    """
    scores = cast[kind][_ACROSS].astype(float)
    ahead, mean = _crossed(scores - best.scores[: len(scores)]), _crossed(scores)
    return _Compared("winners", len(winners), kind, mean, ahead, best, len(scores))


def _of_all(
    winners: Sequence[_Winner], best: _Winner, kind: VoteKind, cast: Mapping[VoteKind, Cast]
) -> _Compared:
    scores, members = cast[kind][_ALL].astype(float), sum(len(w.scores) for w in winners)
    ahead = images_estimate(scores - best.of_samples)
    return _Compared("all", members, kind, images_estimate(scores), ahead, best)
