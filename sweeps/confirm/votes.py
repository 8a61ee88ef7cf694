"""Lets finalists of confirmed sweeps vote, and compares their votes with the single best.

Nothing is trained: a confirmation keeps the answers of every training. On a fold, an ensemble
consists of its members' trainings on that fold, and is evaluated on the fold's samples. So it is
compared like a single finalist, crossed by samples and folds (intervals.py).

A vote is the mean of the members' predictions: of their probabilities (Lakshminarayanan, Pritzel &
Blundell 2017, "deep ensembles"), or of the values that they expect. Earlier versions also counted,
on a test set, the class that most members name (Hansen & Salamon 1990, "Neural network ensembles").
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sweeps.analysis.data import softmax
from sweeps.capabilities import FOLDS_A_REPEAT, GROUPS, PREDICTIONS, SAMPLES, Evaluated
from sweeps.confirm.access_log import evaluations_of
from sweeps.confirm.best import (
    FIRST_LOOK,
    TESTED,
    Joint,
    folds_that_count,
    nominal,
    single_level,
)
from sweeps.confirm.checks import check_data, experiment_on_folds
from sweeps.confirm.comparison import (
    COST,
    MARGIN,
    Comparison,
    Trainings,
    check_kept,
    scores_of,
)
from sweeps.confirm.finalists import Scored
from sweeps.confirm.intervals import (
    NO_SAMPLE,
    Estimate,
    Outcomes,
    crossed_estimate,
    crossed_mean,
    images_estimate,
    stacked,
)
from sweeps.errors import UsageError
from sweeps.experiment import Experiment, PreparedData, TrialResult
from sweeps.experiments.loading import ask, failed
from sweeps.home import Home
from sweeps.interval import Interval
from sweeps.records import Conclusions, SweepInfo, heard, is_same_data
from sweeps.records.conclusions import (
    AtEvaluation,
    Conclusion,
    SingleBest,
    TestedChampion,
    TestVotesConclusion,
    VoteJudgement,
    VoteKind,
    VoteOnFolds,
    VoteOnTest,
    VotesConclusion,
)
from sweeps.records.evaluations import Evaluation

SECONDS: Final = "train_seconds"


def soft_vote(logits: ArrayLike) -> NDArray[np.float64]:
    """Return (n, classes) the mean of the members' probabilities, however large the logits are.

    Args:
        logits: (m, n, classes) of m members for the same n inputs, in the same order.
    """
    mean: NDArray[np.float64] = softmax(np.asarray(logits, np.float64)).mean(axis=0)
    return mean


def hard_vote(logits: ArrayLike) -> NDArray[np.int64]:
    """Return (n,) the class that most members (m, n, classes) name.

    A tie goes to the class with the largest mean probability over all members, so that two members
    that disagree are not decided by chance. If that is equal too, the first class is taken.
    """
    given = np.asarray(logits)
    counts = (given.argmax(axis=2)[:, :, None] == np.arange(given.shape[2])).sum(axis=0)
    is_tied = counts == counts.max(axis=1, keepdims=True)
    winners: NDArray[np.int64] = np.where(is_tied, soft_vote(given), -1.0).argmax(axis=1)
    return winners


@dataclass(frozen=True)
class Ballot:
    """How trainings vote: by the mean of the predictions that they keep.

    Attributes:
        truth: (samples, ...) the class or the true value of each sample, by its number.
        scored: The metric.
        judge: The experiment that judges predictions, a `SupportsVoting`.
    """

    truth: NDArray[Any] = field(repr=False)
    scored: Scored
    judge: Any

    def scores(self, kept: NDArray[Any], samples: NDArray[np.int64]) -> NDArray[Any] | None:
        """Return (n,) the oriented score of a vote on each sample, or (1,) that of all.

        Args:
            kept: (members, n, ...) what each member kept.
            samples: (n,) the numbers of the samples.

        Returns:
            The scores; None if the experiment does not judge predictions by the metric.
        """
        mean = kept.astype(np.float64).mean(axis=0)
        found: Evaluated = ask(self.judge, "judged", mean, self.truth[samples])
        if self.scored.metric not in found.metrics:
            return None
        try:
            return scores_of(found, samples, self.scored)
        except (AttributeError, TypeError, ValueError) as error:
            raise failed(self.judge, "judged", error) from error


def ballot_of(experiment: Experiment, data: PreparedData, scored: Scored) -> Ballot | None:
    """Return how the trainings of an experiment on folds vote; None without `SupportsVoting`.

    Raises:
        UsageError: The experiment raised.
    """
    if not (hasattr(experiment, "truth") and hasattr(experiment, "judged")):
        return None
    truth = ask(experiment, "truth", data)
    return None if truth is None else Ballot(np.asarray(truth), scored, experiment)


@dataclass(frozen=True)
class Confirmed:
    """A sweep whose finalists may vote: the trainings of its confirmation, and its verdict.

    `winner` is the champion's label, `margin` the difference that does not matter.
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
        is_winner: Whether it is a champion.
        scores: (folds, n) the oriented score of each sample; 0 without a sample. n is 1 for one
            number per fold.
        kept: (folds, n, ...) predictions.
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

    def scores(self, members: Sequence[Member]) -> NDArray[Any] | None:
        """Return (folds, n) the oriented scores of a vote, as `Member.scores` are."""
        found = []
        for fold, numbers in enumerate(self.samples):
            own = numbers[numbers != NO_SAMPLE]
            kept = np.stack([member.kept[fold, : len(own)] for member in members])
            scores = self.ballot.scores(kept, own)
            if scores is None:
                return None
            found.append(scores)
        return stacked(found, found[0].dtype)


def gather(confirmed: Sequence[Confirmed], folds: Sequence[int], ballot: Ballot) -> Bank | None:
    """Return the finalists of some sweeps, ready to vote; None if nothing was kept to vote with.

    A finalist one of whose trainings left no predictions takes no part. All finalists were trained
    on the folds.

    Raises:
        UsageError: They were evaluated on different samples, or the truth is that of other samples.
    """
    found: dict[str, Member] = {}
    samples: NDArray[np.int64] | None = None
    for one in confirmed:
        labels = one.trainings.labels
        kept = one.trainings.answers(labels, folds)
        for label in labels:
            records = one.trainings.of(label, folds)
            results = [record.result for record in records if record.result is not None]
            if not all(PREDICTIONS in result.arrays for result in results):
                return None
            if any(GROUPS in result.arrays for result in results):
                return None  # a vote is judged by sample
            if len(results) < len(folds):
                continue  # it has no model that could vote
            numbers = [fold.samples for fold in kept[label]]
            if not len(numbers[0]):  # one number per fold
                numbers = [result.arrays[SAMPLES] for result in results]
            own = stacked(numbers, np.int64, NO_SAMPLE)
            who = f"the training of {label} of {one.name}"
            samples = own if samples is None else samples
            member = Member(
                f"{one.name}:{label}" if len(confirmed) > 1 else label,
                label == one.winner,
                stacked([fold.scores for fold in kept[label]], kept[label][0].scores.dtype),
                _kept_for_votes(who, folds, results),
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


def _kept_for_votes(who: str, folds: Sequence[int], results: Sequence[TrialResult]) -> NDArray[Any]:
    """Return (folds, n, ...) the predictions of a finalist's trainings."""
    arrays = [result.arrays for result in results]
    check_kept(who, folds, arrays)
    return stacked([one[PREDICTIONS] for one in arrays], arrays[0][PREDICTIONS].dtype)


def _can_be_judged(member: Member, own: NDArray[np.int64], bank: Bank) -> bool:
    """Whether votes are judged by this metric; refuse one that judges otherwise than trainings."""
    if not np.array_equal(own, bank.samples):
        raise UsageError(
            f"{member.name} was judged on other samples: only finalists of one pool vote"
        )
    scores = bank.scores([member])
    if scores is None:
        return False
    is_alike = scores.shape == member.scores.shape and (
        np.allclose(scores.mean(axis=1), member.scores.mean(axis=1), rtol=1e-3, atol=1e-6)
    )
    if not is_alike:
        raise UsageError(
            f"{member.name} was judged by other true values than `truth` of its experiment "
            f"returns: they are to be in the order of the numbers in `{SAMPLES}`"
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


def word_of(lead: Interval, margin: float = MARGIN) -> VoteJudgement:
    """Return the verdict of the 95 % interval of a lead."""
    if lead.is_told_apart:
        return "better" if lead.low > 0 else "worse"
    return "equivalent" if lead.lies_within(margin) else "cannot tell yet"


def compare_votes(
    sweeps: Sequence[str], bank: Bank, ensembles: Sequence[Ensemble], margin: float = MARGIN
) -> VotesConclusion:
    """Compare each ensemble's vote with the single best.

    Intervals hold for all votes at once (two-sided max-t), and so also for the vote that stands
    out, at every look (best.py). With fewer than 20 folds no vote is called better, worse or
    equivalent.
    """
    single, scored = bank.members[0], bank.ballot.scored
    votes_cast = [bank.scores(ensemble.members) for ensemble in ensembles]
    is_by_sample = single.scores.shape == bank.samples.shape
    outcomes = Outcomes(
        np.array([single.scores, *votes_cast]), bank.samples if is_by_sample else None
    )
    joint, folds = Joint.of(outcomes), outcomes.folds
    chances = joint.chances
    level = single_level(joint.from_(0), TESTED, two_sided=True)
    level = nominal(level, folds)
    votes = []
    for number, ensemble in enumerate(ensembles, 1):
        lead = float(joint.means[number] - joint.means[0])
        half = joint.critical(number, 0, level) * float(joint.errors[number, 0])
        ahead = Interval.around(lead, half)
        members = ensemble.members
        vote = VoteOnFolds(
            ensemble=ensemble.name,
            members=[member.name for member in members],
            announced=ensemble.is_announced,
            vote="mean",
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
    return VotesConclusion(sweeps, winners, best, votes, outcomes.folds, scored.metric)


def all_voting(
    info: SweepInfo, comparison: Comparison, ballot: Ballot | None
) -> VotesConclusion | None:
    """Return the conclusion about the vote of all finalists; None if they cannot vote."""
    confirmed = [Confirmed(info.name, comparison.trainings, comparison.verdict.champion)]
    bank = None if ballot is None else gather(confirmed, comparison.folds, ballot)
    if bank is None or len(bank.members) < 2:
        return None
    everyone = Ensemble(f"all {len(bank.members)}", bank.members, is_announced=True)
    return compare_votes([info.name], bank, [everyone], comparison.verdict.margin)


def ensemble(
    home: Home, infos: Sequence[SweepInfo], top: int | None = None, source: str | None = None
) -> list[Conclusion]:
    """Compare votes of finalists with the single best.

    Nothing is trained or written, and no test set is read.

    Args:
        home: The home of the sweeps.
        infos: One confirmed sweep, or several of the same data, which vote together.
        top: Number of best finalists that vote. None: of one sweep every number from two on, of
            several sweeps the winners, and all finalists.
        source: Source of the data; None for the experiment's own.

    Returns:
        The conclusion about votes on fresh folds, then those on the test set, one an evaluation.

    Raises:
        UsageError: A sweep is not confirmed, their data differ, their experiment cannot vote, or
            there are not as many finalists.
    """
    confirmed = [_confirmed(home, info) for info in infos]
    _check_alike(infos, confirmed)
    experiment, data = check_data(home, infos[0], source)
    scored = confirmed[0].trainings.scored
    ballot = ballot_of(experiment, data, scored)
    bank = None if ballot is None else gather(confirmed, _shared_folds(confirmed), ballot)
    if bank is None:
        raise UsageError(
            f"the trainings of {infos[0].name} cannot vote: their experiment keeps no predictions "
            f"on folds, or judges none by {scored.metric} (see `SupportsVoting` in "
            "sweeps/capabilities.py)"
        )
    margin = min(one.margin for one in confirmed)
    ensembles = choose_ensembles(bank, top)
    votes = compare_votes([info.name for info in infos], bank, ensembles, margin)
    return [votes, *_tested(home, [info.id for info in infos])]


def _check_alike(infos: Sequence[SweepInfo], confirmed: Sequence[Confirmed]) -> None:
    """Refuse sweeps of different data, or that were confirmed by different metrics."""
    first = infos[0]
    for other in infos[1:]:
        if not is_same_data(first.data, other.data):
            raise UsageError(
                f"sweeps {first.name!r} and {other.name!r} cannot vote together: they were made on "
                f"different data ({first.data.get('name')}, {other.data.get('name')}) or splits, "
                "so that their folds differ; name sweeps of the same data"
            )
    metrics = sorted({one.trainings.scored.metric for one in confirmed})
    if len(metrics) > 1:
        raise UsageError(
            f"these sweeps cannot vote together: they were confirmed by {' and '.join(metrics)}"
        )


def choose_ensembles(bank: Bank, top: int | None) -> list[Ensemble]:
    """Return the ensembles that vote, and mark the announced one, which the verdict is about.

    The announced ensemble is the one that `top` asks for. Without `top` it is fixed before any vote
    is counted: of several sweeps the winners, of one sweep all finalists.

    Raises:
        UsageError: There are fewer finalists than `top`, or fewer than two.
    """
    members = bank.members
    count = len(members)
    if count < 2:
        raise UsageError("one finalist alone cannot vote: confirm with more (--top)")
    if top is not None and not 2 <= top <= count:
        raise UsageError(f"--top {top}: {count} different finalists can vote, give 2 to {count}")
    winners = [member for member in members if member.is_winner]
    are_several = len(winners) > 1
    if top is not None:
        sizes = {top, count} if are_several else {top}
    else:
        sizes = {count} if are_several else set(range(2, count + 1))
    announced = top if top is not None or are_several else count
    chosen = [Ensemble("champions", winners, is_announced=announced is None)] if are_several else []
    for size in sorted(sizes):
        name = f"all {count}" if size == count else f"top {size}"
        chosen.append(Ensemble(name, members[:size], is_announced=size == announced))
    return chosen


def _confirmed(home: Home, info: SweepInfo) -> Confirmed:
    confirmed = Conclusions(home.store(info.id)).confirmed()
    _, scored = experiment_on_folds(home, info)  # raises if it can never be confirmed
    if confirmed is None:
        raise UsageError(
            f"sweep {info.name!r} is not confirmed, so that nothing of it can vote; first: "
            f"`sweeps confirm {info.name}`"
        )
    verdict = confirmed.verdict
    if verdict and verdict.standings[0].accuracy.unit != scored.unit:
        scored = replace(scored, unit="number")  # an accuracy in percent
    store = home.store(confirmed.confirmation)
    left_after = [one.finalist for one in verdict.left_after] if verdict else []
    trainings = Trainings.read(store, [*confirmed.left_out, *left_after], scored)
    margin = verdict.margin if verdict else MARGIN
    return Confirmed(info.name, trainings, confirmed.finalist, margin)


def _shared_folds(confirmed: Sequence[Confirmed]) -> list[int]:
    """Return the folds that all finalists of all sweeps were trained on, in whole repeats."""
    found = []
    for one in confirmed:
        ended = [*one.trainings.found, *one.trainings.lost]
        most = max((fold for fold, _ in ended), default=-1) + 1
        whole = one.trainings.whole_folds(
            one.trainings.labels, FOLDS_A_REPEAT * -(-most // FOLDS_A_REPEAT)
        )
        found.append(set(whole))
    shared = sorted(set.intersection(*found))
    if len(shared) < 2 * FOLDS_A_REPEAT:
        names = ", ".join(one.name for one in confirmed)
        raise UsageError(
            f"{names}: {len(shared)} folds are whole for all finalists, {2 * FOLDS_A_REPEAT} are "
            "needed; confirm again"
        )
    return shared[: folds_that_count(len(shared))]


def _tested(home: Home, sweeps: Sequence[str]) -> list[Conclusion]:
    """Return the votes in evaluations that scored all these sweeps, from their stored scores."""
    found: dict[str, Conclusion] = {}
    for access_log, evaluation in evaluations_of(home, sweeps):
        scores = heard(partial(access_log.scores, evaluation))
        votes = conclude_votes(evaluation, scores, access_log.at(evaluation)) if scores else None
        found |= {evaluation.name: votes} if votes else {}
    # An imported sweep brings the conclusions of its former home.
    kept = [Conclusions(home.store(sweep)).tested() for sweep in sweeps]
    names = sorted(name for name, is_vote in set.intersection(*map(set, kept)) if is_vote)
    return [*found.values(), *(kept[0][name, True] for name in names if name not in found)]


VOTE_QUESTION: Final = (
    "vote of all trainings of a winner, soft (hard beside it), minus the mean of one of them"
)
MEAN_QUESTION: Final = VOTE_QUESTION.replace("soft (hard beside it)", "by the mean of predictions")


def conclude_votes(
    evaluation: Evaluation, scores: Mapping[str, np.ndarray], at: AtEvaluation
) -> TestVotesConclusion | None:
    """Return the conclusion about votes in an evaluation; None if its models cannot vote.

    All trainings of a winner vote, one a fold, by what the evaluation stored: nothing is scored
    again. One that was made before there were votes has them too, marked as asked afterwards. `at`
    is the description of the evaluation, with the number of those by now.
    """
    scored, entries = scored_by(evaluation), evaluation.entries
    places = [place for place, entry in enumerate(entries) if entry.role == "winner"]
    cast = _cast_in(evaluation, scores, places)
    if not cast:
        return None
    own = {place: np.asarray(evaluation.outcomes(scores, place), float) for place in places}
    winners = []
    for place, found in own.items():
        entry, mean = entries[place], scored.measured(_crossed(found).interval())
        winners.append(TestedChampion(entry.name, entry.label, len(found), mean))
    votes = []
    for place, kind in cast:
        voted, name = cast[place, kind].astype(float), entries[place].name
        # A vote is compared with the mean of its voters, sample by sample.
        lead = images_estimate(voted - own[place].mean(axis=0))
        ahead = scored.difference(lead.interval(len(places) + len(cast)))
        word = word_of(ahead, MARGIN if scored.unit == "share" else 0.0)
        accuracy = scored.measured(images_estimate(voted).interval())
        votes.append(VoteOnTest(name, kind, len(own[place]), accuracy, ahead, name, word))
    asked = VOTE_QUESTION if evaluation.is_by_class else MEAN_QUESTION
    return TestVotesConclusion(
        evaluation=at,
        was_asked=asked in evaluation.questions,
        champions=winners,
        best=entries[max(places, key=lambda place: float(own[place].mean()))].name,
        votes=votes,
        metric=scored.metric,
    )


def _crossed(values: NDArray[np.float64]) -> Estimate:
    """Return the mean of (trainings, n); of one training, with the error of samples alone."""
    trainings, n = values.shape
    if trainings < 2:
        return images_estimate(values[0])
    return crossed_estimate(values, np.tile(np.arange(n, dtype=np.int64), (trainings, 1)))


def _cast_in(
    evaluation: Evaluation, scores: Mapping[str, np.ndarray], places: Sequence[int]
) -> dict[tuple[int, VoteKind], NDArray[Any]]:
    """Return (n,) the oriented scores of votes, by the winner's place and the kind of vote.

    There are none without logits or stored votes. A single training does not vote.
    """
    if not evaluation.is_by_class:
        names = {place: f"vote_{place}" for place in places}
        return {(place, "mean"): scores[name] for place, name in names.items() if name in scores}
    if not all(f"logits_{place}" in scores for place in places):
        return {}
    labels = np.asarray(scores["labels"], np.int64)
    cast: dict[tuple[int, VoteKind], NDArray[Any]] = {}
    for place in places:
        if len(logits := scores[f"logits_{place}"]) > 1:
            cast[place, "soft"] = soft_vote(logits).argmax(axis=1) == labels
            cast[place, "hard"] = hard_vote(logits) == labels
    return cast


def scored_by(evaluation: Evaluation) -> Scored:
    """Return the metric of an evaluation."""
    return replace(Scored.by(evaluation.metric, evaluation.direction), unit=evaluation.unit)
