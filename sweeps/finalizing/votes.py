"""Does an ensemble pay? Finalists vote on the blocks they were trained on, against the single best.

Nothing is trained: a confirmation keeps the logits of every training. An ensemble on a block are
its members' trainings on that block, judged on the block's images, so that it stands beside single
finalists: images by blocks, crossed (intervals.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from sweeps.finalizing.bank import Bank, Member
from sweeps.finalizing.intervals import FEWEST_BLOCKS, Estimate, crossed_difference, crossed_mean
from sweeps.finalizing.outcomes import Outcomes
from sweeps.finalizing.verdict import MARGIN
from sweeps.finalizing.voting import hard_vote, soft_vote

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
        ahead: That minus the single best's.
        low: Lower end of the interval of that, for all differences at once.
        high: Its upper end.
        word: `better` if the interval is above 0, `equivalent` if it lies within half a point.
    """

    ensemble: Ensemble
    kind: Kind
    mean: Estimate
    ahead: Estimate
    low: float
    high: float
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


def word_of(low: float, high: float, margin: float = MARGIN) -> Word:
    """Return what the 95 % interval of a lead says."""
    if low > 0:
        return "better"
    if high < 0:
        return "worse"
    return "equivalent" if -margin < low and high < margin else "cannot tell yet"


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
        ahead = crossed_difference(outcomes, number, 0)
        low, high = ahead.interval(outcomes.finalists)
        word = word_of(low, high, margin) if is_enough else "cannot tell yet"
        votes.append(Vote(ensemble, kind, crossed_mean(outcomes, number), ahead, low, high, word))
    return Votes(single, crossed_mean(outcomes, 0), votes, outcomes.blocks)


def _correct(bank: Bank, ensemble: Ensemble, kind: Kind) -> NDArray[np.bool_]:
    """Return (blocks, n) whether a vote recognised an image."""
    stacked = np.stack([member.logits for member in ensemble.members])
    flat = stacked.reshape(len(stacked), -1, stacked.shape[3])
    right: NDArray[np.bool_] = answers(flat, kind).reshape(bank.classes.shape) == bank.classes
    return right
