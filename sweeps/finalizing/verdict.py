"""Who is better, who is as good, and who cannot be told apart yet."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sweeps.finalizing.finalists import Finalist
from sweeps.finalizing.intervals import (
    FEWEST_BLOCKS,
    Estimate,
    crossed_difference,
    crossed_mean,
    quantile,
)
from sweeps.finalizing.outcomes import Outcomes

MARGIN = 0.005
"""A difference that does not matter: half a point."""

Word = Literal["leads", "worse", "equivalent", "cannot tell yet"]


@dataclass(frozen=True)
class Standing:
    """What fresh blocks say of one finalist.

    Attributes:
        finalist: Who.
        mean: Its accuracy, with error.
        behind: The leader's accuracy minus its own; None of the leader.
        low: Lower end of the interval of that, simultaneous for all who follow.
        high: Its upper end.
        word: `worse` if the interval is above 0, `equivalent` if it lies inside the margin.
        more_blocks: How many would settle it in all; None if blocks alone will not.
        cost: What is compared among equivalent ones, such as the number of weights.
    """

    finalist: Finalist
    mean: Estimate
    behind: Estimate | None
    low: float
    high: float
    word: Word
    more_blocks: int | None
    cost: float


@dataclass(frozen=True)
class Verdict:
    """Standings, the best first.

    Attributes:
        standings: All finalists.
        blocks: On how many blocks.
    """

    standings: Sequence[Standing]
    blocks: int

    @property
    def is_settled(self) -> bool:
        """Whether the leader is better than every other."""
        return all(standing.word == "worse" for standing in self.standings[1:])

    @property
    def may_be_best(self) -> list[Standing]:
        """The leader and those who cannot be said to be worse: with 95 % the best is among them."""
        return [standing for standing in self.standings if standing.word != "worse"]

    @property
    def recommended(self) -> Standing:
        """The cheapest of those equivalent to the leader, itself included."""
        good = [s for s in self.standings if s.word in {"leads", "equivalent"}]
        return min(good, key=lambda standing: standing.cost)


def decide(
    outcomes: Outcomes,
    finalists: Sequence[Finalist],
    costs: Mapping[str, float],
    margin: float = MARGIN,
) -> Verdict:
    """Compare the leader with every other finalist.

    The intervals hold for all comparisons at once: one-sided errors of 5 % in all are shared
    between them (Bonferroni), 2.5 % where there is one only, for either may be the leader.
    With fewer than eight blocks nobody is called worse.

    Args:
        outcomes: In the order of `finalists`.
        finalists: Who.
        costs: By label.
        margin: See `MARGIN`.
    """
    leader = outcomes.leader
    others = outcomes.finalists - 1
    error = 0.025 if others == 1 else 0.05 / others
    made = []
    for number, finalist in enumerate(finalists):
        mean = crossed_mean(outcomes, number)
        cost = costs.get(finalist.label, 0.0)
        if number == leader:
            made.append(Standing(finalist, mean, None, 0.0, 0.0, "leads", 0, cost))
            continue
        behind = crossed_difference(outcomes, leader, number)
        low, high = behind.interval(1 - 2 * error)
        word: Word = "cannot tell yet"
        if outcomes.blocks >= FEWEST_BLOCKS:
            if low > 0:
                word = "worse"
            elif -margin < low and high < margin:
                word = "equivalent"
        more = _blocks_needed(behind, outcomes.blocks, error, margin)
        made.append(Standing(finalist, mean, behind, low, high, word, more, cost))
    order = sorted(made, key=lambda s: (s.word != "leads", -s.mean.value))
    return Verdict(order, outcomes.blocks)


def _blocks_needed(behind: Estimate, blocks: int, error: float, margin: float) -> int | None:
    """Return how many blocks would make the interval narrow enough, if it stays where it is."""
    goal = max(abs(behind.value), margin - abs(behind.value)) / quantile(1 - error, 1e9)
    room = goal**2 - behind.of_images  # which more blocks of the same images do not reduce
    if room <= 0:
        return None
    return max(blocks, math.ceil(behind.of_blocks * blocks / room))
