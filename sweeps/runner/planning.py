"""Plans a sweep: its next trials, and about how long all of them take; creates nothing."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from statistics import fmean, median
from typing import Final

from search_spaces.parameters import Value
from sweeps.capabilities import SupportsRecognition
from sweeps.config.sweep import SweepConfig
from sweeps.experiment import EnginePlan
from sweeps.experiments.loading import ask
from sweeps.journal.events import Learned
from sweeps.records import SweepInfo
from sweeps.records.enqueued import EPOCHS
from sweeps.runner.budget import Budget, Reserving, first_proposals, make_budget, warm_seconds
from sweeps.runner.opening import (
    check_fingerprint,
    describe_extension,
    describe_imported,
    extended,
    learned_by,
    make_trial_queue,
)
from sweeps.runner.trial_queue import TrialQueue
from sweeps.study.points import Proposal
from sweeps.study.proposals import Exhausted
from sweeps.workspace.clock import Stopwatch

SHOWN_SAMPLES: Final = 5


@dataclass(frozen=True)
class PlannedTrial:
    """One configuration that the sweep would run, and the way it would be trained.

    `epochs` is its parameter of that name, the most that it trains; None without one.
    """

    origin: str
    params: Mapping[str, Value]
    plan: EnginePlan
    epochs: Value = None


@dataclass(frozen=True)
class SweepPlan:
    """The trials that would run.

    Attributes:
        trials: The next configurations, as far as they can be known.
        left: How many trials would be run in all.
        goes_on: A line that says where an existing sweep would go on; empty for a new one.
        measured_seconds: Median duration of its trials so far; None before one has ended.
        learned: What it learns, or has learned, from other sweeps; None as a rule.
        budget: What the rest of the budget allows; None without one.
    """

    config: SweepConfig = field(repr=False)
    trials: list[PlannedTrial]
    left: int
    goes_on: str = ""
    measured_seconds: float | None = None
    learned: Learned | None = None
    budget: Budget | None = None

    @property
    def trial_seconds(self) -> float | None:
        """Estimated duration of a trial: as measured so far, else the mean of the plans."""
        known = [p.plan.seconds for p in self.trials if p.plan.seconds is not None]
        if self.measured_seconds is not None or not known:
            return self.measured_seconds
        return fmean(known)

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


def make_plan(config: SweepConfig, reserving: Reserving | None = None) -> SweepPlan:
    """Return the next configurations that would be run, each with the way it would be trained.

    Raises:
        UsageError: The sweep exists with other options, or cannot be extended like that.
    """
    budget = make_budget(config, Stopwatch(), reserving)
    if budget is not None and budget.trials is not None:
        config = replace(config, limits=replace(config.limits, trials=budget.trials))
    existing = check_fingerprint(config)
    if existing is not None:
        return _plan_of_existing(config, existing, budget)
    planned = [*_planned(config, first_proposals(config), config.learned)]
    return SweepPlan(config, planned, config.limits.trials, learned=config.learned, budget=budget)


def _plan_of_existing(config: SweepConfig, before: SweepInfo, budget: Budget | None) -> SweepPlan:
    store, trials = config.home.store(before.id), config.limits.trials
    info, records = extended(config, before, code={}), store.read_all()
    queue = make_trial_queue(config, info, records)
    left = max(trials - len({record.trial for record in records if record.ends_trial}), 0)
    if config.extend:
        goes_on = describe_extension(before, info, queue.prior)
    else:
        imported = store.state().imported
        knows = f"; {describe_imported(imported)}" if imported else ""
        goes_on = f"{trials - left} of {trials} trials are done{knows}"
    whole = [record for record in records if record.outcome in {"complete", "pruned"}]
    seconds = warm_seconds(whole, config.parallelism.at_once)
    measured = median(seconds) if seconds else None
    learned = learned_by(store, info)
    planned = [*_planned(config, _next_proposals(config, queue), learned)]
    return SweepPlan(config, planned, left, goes_on, measured, learned, budget)


def _next_proposals(config: SweepConfig, queue: TrialQueue) -> Iterator[Proposal]:
    """Yield the next proposals of a sweep, up to the first that must wait for an outcome."""
    recorded = {record.trial for record in queue.records}
    with suppress(Exhausted):
        while queue.may_open() and len(queue.trials) < config.limits.trials:
            trial = queue.open_next()
            if trial.number not in recorded and not trial.prior:
                yield trial.proposal


def _planned(
    config: SweepConfig, proposals: Iterator[Proposal], learned: Learned | None
) -> Iterator[PlannedTrial]:
    """Yield the first proposals, each with the way it would be trained."""
    known = len(config.space.baselines) + (len(learned.points) if learned else 0)
    experiment, own = config.experiment, config.experiment.parameters.get(EPOCHS)
    way = "recognise" if isinstance(experiment, SupportsRecognition) else "plan"
    for one in itertools.islice(proposals, known + SHOWN_SAMPLES):
        epochs = one.config.get(EPOCHS, own.default if own else None)
        plan = ask(experiment, way, one.config, config.data)
        yield PlannedTrial(one.origin, one.params, plan, epochs)


def what_a_pruner_sees(config: SweepConfig) -> str:
    """Return a line that says with which trials the pruner compares a trial; empty without one.

    Reproducible pruning uses the trials told before a trial was proposed, none that ended since.
    """
    if config.pruner.name == "none":
        return ""
    ahead, trials = config.ask_ahead, config.limits.trials
    if config.order != "number":
        return "judges a trial by those that had ended when it was proposed"
    by = f"by trials 0 to n - {ahead} (--ask-ahead {ahead})"
    if trials <= ahead:
        return f"ends nothing: trial n is judged {by}, and there are {trials}"
    more = "; a smaller --ask-ahead lets it end more" if ahead > 1 else ""
    seen = f"the first {ahead} of {trials} by none, the last by {trials - ahead}"
    return f"judges trial n {by}: {seen}{more}"
