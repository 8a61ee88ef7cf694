"""Who is better, who is as good, and who cannot be told apart yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sweeps.finalizing.finalists import Finalist
from sweeps.finalizing.intervals import (
    FEWEST_BLOCKS,
    Estimate,
    critical_value,
    crossed_difference,
    crossed_mean,
    probability_better,
)
from sweeps.finalizing.outcomes import Outcomes

MARGIN = 0.005
"""A difference that does not matter: half a point."""

MOST_BLOCKS = 200
"""More are not recommended: the pool of images is used 50 times by then."""

Word = Literal["leads", "worse", "equivalent", "cannot tell yet"]


@dataclass(frozen=True)
class Standing:
    """What fresh blocks say of one finalist.

    Attributes:
        finalist: Who.
        mean: Its accuracy, with error.
        behind: The leader's accuracy minus its own; None of the leader.
        low: Lower end of the interval of that: for all pairs at once, and once the leader is
            settled, its own.
        high: Its upper end.
        word: `worse` if the interval is above 0, `equivalent` if it lies inside the margin.
        more_blocks: How many would settle it in all, if it stays where it is; None if it is
            settled, or more than `MOST_BLOCKS` would be needed.
        chance: Probability that the leader really is the better one of the two, by a correlated
            Bayesian t-test, which answers for new training sets too, and for this pair alone: that
            the leader was picked among several is not allowed for. None of the leader, or where
            the size of the training sets is not known.
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
    chance: float | None = None


@dataclass(frozen=True)
class Verdict:
    """Standings, the best first.

    Attributes:
        standings: All finalists.
        blocks: On how many blocks.
        is_settled: Whether the leader is better than every other.
        gain_over_control: Of the search's best over the best of random trials; None without one.
    """

    standings: Sequence[Standing]
    blocks: int
    is_settled: bool
    gain_over_control: Estimate | None = None

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
    blocks nobody is called worse.

    Args:
        outcomes: In the order of `finalists`.
        finalists: Who.
        costs: By label.
        margin: See `MARGIN`.
        train_size: Images in a block's training set; 0 if that is not known.
    """
    leader = outcomes.leader
    behind = {
        number: crossed_difference(outcomes, leader, number)
        for number in range(outcomes.finalists)
        if number != leader
    }
    is_enough = outcomes.blocks >= FEWEST_BLOCKS
    is_settled = is_enough and all(lead.interval()[0] > 0 for lead in behind.values())
    compared = 2 if is_settled else outcomes.finalists
    made = []
    for number, finalist in enumerate(finalists):
        mean = crossed_mean(outcomes, number)
        cost = costs.get(finalist.label, 0.0)
        if number == leader:
            made.append(Standing(finalist, mean, None, 0.0, 0.0, "leads", None, cost))
            continue
        lead = behind[number]
        low, high = lead.interval(compared)
        word: Word = "cannot tell yet"
        if is_enough and low > 0:
            word = "worse"
        elif is_enough and -margin < low and high < margin:
            word = "equivalent"
        is_open = word == "cannot tell yet"
        more = _blocks_needed(lead, outcomes.blocks, compared, margin) if is_open else None
        chance = probability_better(outcomes, leader, number, train_size) if train_size else None
        made.append(Standing(finalist, mean, lead, low, high, word, more, cost, chance))
    order = sorted(made, key=lambda s: (s.word != "leads", -s.mean.value))
    return Verdict(order, outcomes.blocks, is_settled, _gain_over_control(outcomes, finalists))


def _gain_over_control(outcomes: Outcomes, finalists: Sequence[Finalist]) -> Estimate | None:
    places = {f.place: number for number, f in enumerate(finalists) if not f.is_control}
    control = next((number for number, f in enumerate(finalists) if f.is_control), None)
    if control is None or 1 not in places:
        return None
    return crossed_difference(outcomes, places[1], control)


def _blocks_needed(behind: Estimate, blocks: int, compared: int, margin: float) -> int | None:
    """Return how many blocks would make the interval narrow enough, if it stays where it is."""
    wanted = max(abs(behind.value), margin - abs(behind.value))
    fixed = behind.of_images - behind.of_noise
    shrinking = (behind.of_blocks + behind.of_noise) * blocks
    for count in range(blocks + 4, MOST_BLOCKS + 1, 4):
        # Degrees of freedom grow with the blocks, at least while these are what matters.
        critical = critical_value(compared, behind.freedom * count / blocks)
        if critical**2 * (fixed + shrinking / count) < wanted**2:
            return count
    return None
