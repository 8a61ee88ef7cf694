"""Plans a sweep: the next trials, and about how long all take; creates nothing."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from search_spaces.parameters import Value
    from sweeps.config.sweep import SweepConfig
    from sweeps.experiment import EnginePlan
    from sweeps.study.proposals import Proposal

SHOWN_SAMPLES: Final = 5


@dataclass(frozen=True)
class PlannedTrial:
    """One configuration that the sweep would run, and the way it would be trained."""

    origin: str
    params: Mapping[str, Value]
    plan: EnginePlan


@dataclass(frozen=True)
class SweepPlan:
    """The trials that would run.

    Attributes:
        trials: The next configurations, as far as they can be known.
        left: How many trials would be run in all.
        goes_on: A line that says where an existing sweep would go on; empty for a new one.
        measured_seconds: Median duration of its trials so far; None before one has ended.
    """

    config: SweepConfig = field(repr=False)
    trials: list[PlannedTrial]
    left: int
    goes_on: str = ""
    measured_seconds: float | None = None

    @property
    def trial_seconds(self) -> float | None:
        """Estimated duration of a trial: as measured so far, else the mean of the plans."""
        known = [p.plan.seconds for p in self.trials if p.plan.seconds is not None]
        if self.measured_seconds is not None or not known:
            return self.measured_seconds
        return sum(known) / len(known)

    @property
    def seconds(self) -> float | None:
        """Estimated duration of all trials that are left; None if it is not known."""
        if not self.left:
            return 0.0
        one = self.trial_seconds
        return None if one is None else one * self.left / self.config.parallelism.at_once

    @property
    def in_time(self) -> int | None:
        """Estimated number of trials that begin before `--timeout`; None if all do, or unknown."""
        limit, seconds = self.config.limits.timeout_seconds, self.seconds
        if limit is None or seconds is None or seconds <= limit:
            return None
        assert self.trial_seconds is not None
        at_once = self.config.parallelism.at_once
        return min(self.left, at_once * math.ceil(limit / self.trial_seconds))


def make_plan(config: SweepConfig) -> SweepPlan:
    """Return the next configurations that would be run, each with the way it would be trained.

    Raises:
        UsageError: The sweep exists with other options, or cannot be extended like that.
    """
    existing = None
    if config.home.find(config.name) or config.extend:
        from sweeps.runner.previewing import preview

        existing = preview(config)
    measured = None
    if existing is not None:
        proposals, left, goes_on = existing.proposals(), existing.left, existing.text
        measured = existing.typical_seconds
    else:
        proposals, left, goes_on = _first_proposals(config), config.limits.trials, ""
    trials = []
    for proposal in itertools.islice(proposals, len(config.space.baselines) + SHOWN_SAMPLES):
        engine = config.experiment.plan(config.received(proposal), config.data)
        trials.append(PlannedTrial(proposal.origin, proposal.params, engine))
    return SweepPlan(config, trials, left, goes_on, measured)


def _first_proposals(config: SweepConfig) -> Iterator[Proposal]:
    """Yield the baselines, then the sampler's proposals.

    The first `ask_ahead` of them are those of the real sweep: these proposals see no outcome yet.
    """
    from sweeps.study.proposals import Exhausted

    proposer = config.proposer()
    for _ in range(config.limits.trials):
        try:
            yield proposer.propose()
        except Exhausted:
            return


def what_a_pruner_sees(config: SweepConfig) -> str:
    """Return a line that says with which trials the pruner compares a trial; empty without one.

    Reproducible pruning uses the trials told before a trial was proposed, none that ended since.
    """
    if config.pruner.name == "none":
        return ""
    ahead, trials = config.ask_ahead, config.limits.trials
    if config.order != "number":
        return "judges a trial by those that had ended when it was proposed"
    if trials <= ahead:
        return (
            f"ends nothing: trial n is judged by trials 0 to n - {ahead} (--ask-ahead {ahead}), "
            f"and there are {trials}"
        )
    return (
        f"judges trial n by trials 0 to n - {ahead} (--ask-ahead {ahead}): the first {ahead} of "
        f"{trials} by none, the last by {trials - ahead}"
        + ("; a smaller --ask-ahead lets it end more" if ahead > 1 else "")
    )
