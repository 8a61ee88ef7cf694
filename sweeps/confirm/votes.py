"""Does an ensemble pay? Finalists vote on the blocks they were trained on, against the single best.

Nothing is trained: a confirmation keeps the logits of every training. An ensemble on a block are
its members' trainings on that block, judged on the block's images, so that it stands beside single
finalists: images by blocks, crossed (intervals.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sweeps.confirm.comparison import COST, MARGIN, Trainings
from sweeps.confirm.intervals import FEWEST_BLOCKS, Estimate, crossed_difference, crossed_mean
from sweeps.confirm.outcomes import NO_IMAGE, Outcomes, stacked
from sweeps.errors import UsageError
from sweeps.interval import Interval

# Several models answer as one: the mean of their probabilities, or the class most of them name.
#
# Soft vote: the mean of what each holds probable; hard vote: the majority (Hansen & Salamon 1990,
# "Neural network ensembles"; Lakshminarayanan, Pritzel & Blundell 2017, "deep ensembles", average
# probabilities as here).


def probabilities(
    logits: ArrayLike, temperatures: Sequence[float] | None = None
) -> NDArray[np.float64]:
    """Return what each member holds probable, finite however large its logits are.

    Args:
        logits: (m, n, classes) of m members for the same n inputs, in the same order.
        temperatures: (m,) above 0, what each member's logits are divided by; None: by nothing.

    Returns:
        (m, n, classes), each row summing to 1.

    Raises:
        ValueError: There is no member, a shape is another one, or a temperature is not above 0.
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
    # The largest is taken off first: exp overflows above 709, and softmax does not change.
    powers = np.exp(given - given.max(axis=2, keepdims=True))
    shares: NDArray[np.float64] = powers / powers.sum(axis=2, keepdims=True)
    return shares


def soft_vote(
    logits: ArrayLike, temperatures: Sequence[float] | None = None
) -> NDArray[np.float64]:
    """Return (n, classes) the mean of the members' probabilities; see `probabilities`."""
    mean: NDArray[np.float64] = probabilities(logits, temperatures).mean(axis=0)
    return mean


def hard_vote(logits: ArrayLike, temperatures: Sequence[float] | None = None) -> NDArray[np.int64]:
    """Return (n,) the class that most members name.

    Of classes that equally many name, the one with the largest mean probability over all members
    is taken, so that two members that disagree are no toss of a coin; of classes equal in that,
    too, the first. Arguments and errors are those of `probabilities`; temperatures matter to
    such ties only.
    """
    shares = probabilities(logits, temperatures)
    classes = shares.shape[2]
    named = np.asarray(logits).argmax(axis=2)
    counts = (named[:, :, None] == np.arange(classes)).sum(axis=0)
    is_tied = counts == counts.max(axis=1, keepdims=True)
    winners: NDArray[np.int64] = np.where(is_tied, shares.mean(axis=0), -1.0).argmax(axis=1)
    return winners


# Everything that can vote: finalists of sweeps, with the logits of their trainings on blocks.


SECONDS = "train_seconds"


@dataclass(frozen=True)
class Confirmed:
    """A sweep whose finalists may vote.

    Attributes:
        name: Of the sweep.
        trainings: Of its confirmation.
        winner: Label of the finalist that finalising says to take.
    """

    name: str
    trainings: Trainings
    winner: str

    @property
    def labels(self) -> list[str]:
        """Its finalists, in the order of their trainings."""
        return list(dict.fromkeys(label for _, label in self.trainings.found))


@dataclass(frozen=True)
class Member:
    """A finalist with its trainings on the blocks.

    Attributes:
        name: Its label; of several sweeps, `mlp:trial-17`.
        is_winner: Whether finalising says to take it.
        correct: (blocks, n) whether an image was recognised; not where there is none.
        logits: (blocks, n, classes).
        parameters: Number of weights.
        seconds: That a training took, mean over blocks.
    """

    name: str
    is_winner: bool
    correct: NDArray[np.bool_] = field(repr=False)
    logits: NDArray[np.float32] = field(repr=False)
    parameters: float
    seconds: float


@dataclass(frozen=True)
class Bank:
    """Everything that can vote.

    Attributes:
        members: The best mean over blocks first; of those that answer alike to the bit, one.
        images: (blocks, n) which image stands at each place, or `NO_IMAGE`.
        classes: (blocks, n) of which class it is; -1 where there is none.
    """

    members: Sequence[Member]
    images: NDArray[np.int64] = field(repr=False)
    classes: NDArray[np.int64] = field(repr=False)


def gather(
    confirmed: Sequence[Confirmed], blocks: Sequence[int], classes: NDArray[np.int64]
) -> Bank | None:
    """Return the finalists of some sweeps, ready to vote; None if their logits were not kept.

    Args:
        confirmed: Sweeps of the same data.
        blocks: Blocks that all their finalists were trained on.
        classes: (images,) the class of each image, by its number.

    Raises:
        UsageError: They were judged on different images, or `classes` are those of others.
    """
    found: dict[str, Member] = {}
    images: NDArray[np.int64] | None = None
    for one in confirmed:
        for label in one.labels:
            records = one.trainings.of(label, blocks)
            results = [record.result for record in records if record.result is not None]
            if not all("block_logits" in result.arrays for result in results):
                return None
            arrays = [result.arrays for result in results]
            own = stacked([kept["block_images"] for kept in arrays], np.int64, NO_IMAGE)
            images = own if images is None else images
            member = Member(
                f"{one.name}:{label}" if len(confirmed) > 1 else label,
                label == one.winner,
                stacked([kept["block_correct"] != 0 for kept in arrays], bool),
                _logits(one, label, blocks, arrays),
                float(np.mean([result.metrics.get(COST, 0.0) for result in results])),
                float(np.mean([result.metrics.get(SECONDS, 0.0) for result in results])),
            )
            _check(member, own, images, classes)
            # Sweeps may share a baseline: the same network twice is no second opinion.
            key = hashlib.sha256(member.logits.tobytes()).hexdigest()
            if key not in found or (member.is_winner and not found[key].is_winner):
                found[key] = member
    assert images is not None  # a sweep that was finalised has finalists
    members = sorted(found.values(), key=lambda member: -float(member.correct.mean()))
    return Bank(members, images, np.where(images == NO_IMAGE, -1, classes[images]))


def _logits(
    one: Confirmed, label: str, blocks: Sequence[int], kept: Sequence[Mapping[str, np.ndarray]]
) -> NDArray[np.float32]:
    """Return (blocks, n, classes) the logits of a finalist's trainings."""
    check_logits(f"the training of {label} of {one.name}", blocks, kept)
    logits = [arrays["block_logits"] for arrays in kept]
    return stacked(logits, logits[0].dtype)


def check_logits(who: str, blocks: Sequence[int], kept: Sequence[Mapping[str, np.ndarray]]) -> None:
    """Refuse logits that are not (n, classes) on each block.

    Args:
        who: Was trained.
        blocks: On which blocks.
        kept: The arrays of each of these trainings.

    Raises:
        UsageError: Says on which block, and what was kept.
    """
    classes = kept[0]["block_logits"].shape[1:]
    for block, arrays in zip(blocks, kept, strict=True):
        own, images = arrays["block_logits"], len(arrays["block_images"])
        if own.shape != (images, *classes) or own.ndim != 2:
            raise UsageError(
                f"{who} on block {block} kept 'block_logits' {own.shape} for {images} images: "
                "needed are (n, classes), as many classes on each block"
            )


def _check(
    member: Member, own: NDArray[np.int64], images: NDArray[np.int64], classes: NDArray[np.int64]
) -> None:
    if not np.array_equal(own, images):
        raise UsageError(
            f"{member.name} was judged on other images: only finalists of one pool vote"
        )
    is_known, present = own.max() < len(classes), own != NO_IMAGE
    right = is_known and (member.logits.argmax(2) == classes[own]) & present
    if not (is_known and np.array_equal(right, member.correct)):
        raise UsageError(
            f"{member.name} was judged by other classes than `labels` of its experiment returns: "
            "they are to be in the order of the numbers in `block_images`"
        )


Kind = Literal["soft", "hard"]
KINDS: Final[tuple[Kind, ...]] = ("soft", "hard")
Word = Literal["better", "worse", "equivalent", "cannot tell yet"]


@dataclass(frozen=True)
class Ensemble:
    """Members that vote together.

    Attributes:
        name: Such as `top 3`.
        members: Two or more.
        is_announced: Whether it was asked for, or is what a verdict is about, whatever it scores.
    """

    name: str
    members: Sequence[Member]
    is_announced: bool = False


@dataclass(frozen=True)
class Vote:
    """What an ensemble's vote came to, against the single best.

    Attributes:
        ensemble: Who votes.
        kind: How.
        mean: Its accuracy.
        ahead: That minus the single best's; its interval is for all differences at once.
        word: `better` if the interval is above 0, `equivalent` if it lies within half a point.
    """

    ensemble: Ensemble
    kind: Kind
    mean: Estimate
    ahead: Interval
    word: Word

    @property
    def parameters(self) -> float:
        """Number of weights of all members."""
        return sum(member.parameters for member in self.ensemble.members)

    @property
    def seconds(self) -> float:
        """That training all members on a block took."""
        return sum(member.seconds for member in self.ensemble.members)


@dataclass(frozen=True)
class Votes:
    """The votes of some ensembles.

    Attributes:
        single: The single best: the best mean over blocks.
        mean: Its accuracy.
        votes: Of each ensemble the soft one, then the hard one.
        blocks: On how many blocks.
    """

    single: Member
    mean: Estimate
    votes: Sequence[Vote]
    blocks: int


def answers(logits: NDArray[np.float32], kind: Kind) -> NDArray[np.int64]:
    """Return (n,) the class that members name together.

    Args:
        logits: (members, n, classes).
        kind: How they vote.
    """
    chosen: NDArray[np.int64] = (
        soft_vote(logits).argmax(axis=1) if kind == "soft" else hard_vote(logits)
    )
    return chosen


def word_of(lead: Interval, margin: float = MARGIN) -> Word:
    """Return what the 95 % interval of a lead says."""
    if lead.is_told_apart:
        return "better" if lead.low > 0 else "worse"
    return "equivalent" if lead.lies_within(margin) else "cannot tell yet"


def judge_votes(bank: Bank, ensembles: Sequence[Ensemble], margin: float = MARGIN) -> Votes:
    """Let each ensemble vote, softly and hard, and compare it with the single best.

    Intervals hold for all pairs of single best and votes at once (Tukey-Kramer): also for the
    vote that stands out. With fewer than eight blocks none is called better, worse or equivalent.

    Args:
        bank: Whose first member is the single best.
        ensembles: Of its members.
        margin: A difference that does not matter.
    """
    single = bank.members[0]
    asked = [(ensemble, kind) for ensemble in ensembles for kind in KINDS]
    right = [_correct(bank, ensemble, kind) for ensemble, kind in asked]
    outcomes = Outcomes(np.array([single.correct, *right]), bank.images)
    is_enough = outcomes.blocks >= FEWEST_BLOCKS
    votes = []
    for number, (ensemble, kind) in enumerate(asked, 1):
        ahead = crossed_difference(outcomes, number, 0).interval(outcomes.finalists)
        word = word_of(ahead, margin) if is_enough else "cannot tell yet"
        votes.append(Vote(ensemble, kind, crossed_mean(outcomes, number), ahead, word))
    return Votes(single, crossed_mean(outcomes, 0), votes, outcomes.blocks)


def _correct(bank: Bank, ensemble: Ensemble, kind: Kind) -> NDArray[np.bool_]:
    """Return (blocks, n) whether a vote recognised an image."""
    stacked = np.stack([member.logits for member in ensemble.members])
    flat = stacked.reshape(len(stacked), -1, stacked.shape[3])
    right: NDArray[np.bool_] = answers(flat, kind).reshape(bank.classes.shape) == bank.classes
    return right
