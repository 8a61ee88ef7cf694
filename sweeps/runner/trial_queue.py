"""The trial queue of a sweep: trials are opened strictly in order, and told strictly in order.

Opening restores a trial that the journal or a record holds already (a resumed sweep), and proposes
any other. Trial n opens once trials 0 to n - `ask_ahead` have ended, so that its proposal sees
exactly their outcomes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from optuna.trial import TrialState

from search_spaces.objectives import Objective
from search_spaces.parameters import Value
from sweeps.config.policies import Failure, failures_before
from sweeps.journal import Asked
from sweeps.records import EnqueuedPoint, Record
from sweeps.study.proposals import Proposal, Proposer, proposal_of_record
from sweeps.study.sampler_view import TrialOutcome, trial_outcome


@dataclass(frozen=True)
class PriorTrial:
    """A trial that an earlier generation proposed.

    Attributes:
        proposal: Its parameters as they were proposed.
        config: The configuration that the experiment received, or will receive.
        attempts: Number of the last attempt known to have begun.
        point: Its parameters in the new space; None if it lies outside.
        obstacle: The reason it lies outside; empty if it does not.
    """

    proposal: Proposal
    config: Mapping[str, Value]
    attempts: int
    point: Mapping[str, Value] | None
    obstacle: str = ""


@dataclass
class QueuedTrial:
    """One trial of the sweep.

    Attributes:
        number: Trial number, from 0.
        proposal: Its parameters, and where they came from.
        attempts: How many attempts were begun.
        outcome: How it ended; None while it is open.
        prior: Its facts in an earlier generation, if one proposed it.
        failures: Its failed attempts, in order; empty if it had ended before this start.
        point: Number of the enqueued point that it tries; None as a rule.
    """

    number: int
    proposal: Proposal
    attempts: int = 0
    outcome: TrialOutcome | None = None
    prior: PriorTrial | None = None
    failures: list[Failure] = field(default_factory=list)
    point: int | None = None

    @property
    def is_outside(self) -> bool:
        """Whether it lies outside the sweep's present space; then the sampler does not see it."""
        return self.prior is not None and self.prior.point is None

    @property
    def failure(self) -> Failure | None:
        """The last failure, if the trial has failed in this start; None otherwise."""
        has_failed = self.outcome is not None and self.outcome.state == TrialState.FAIL
        return self.failures[-1] if has_failed and self.failures else None


@dataclass
class TrialQueue:
    """The open, ended and told trials of a sweep.

    Attributes:
        ask: Writes an attempt into the journal, before it begins.
        asked: For each trial in the journal, by number, its last attempt that was asked for.
        objectives: The objectives of the sweep.
        epoch_metric: The metric that the pruner watches; None without a pruner.
        ask_ahead: How many trials may be in flight.
        in_order: Whether a proposal waits for the trials before it (reproducible), or sees whatever
            has ended.
        prior: Trials of earlier generations, by trial number.
        points: Returns the enqueued point of a trial number; None as a rule.
        retried: Failed trials that are, or were, run again. For each, the number of trials opened
            before that: their proposals saw the failure.
        retried_attempts: Keys of the attempts at these trials that no longer end them.
        trials: Every trial opened so far.
    """

    ask: Callable[[Asked], None]
    asked: Mapping[int, Asked]
    proposer: Proposer
    records: Sequence[Record]
    objectives: Sequence[Objective]
    epoch_metric: str | None
    ask_ahead: int
    in_order: bool = True
    prior: Mapping[int, PriorTrial] = field(default_factory=dict)
    points: Callable[[int], EnqueuedPoint | None] = lambda trial: None
    retried: Mapping[int, int] = field(default_factory=dict)
    retried_attempts: Collection[str] = ()
    trials: list[QueuedTrial] = field(default_factory=list)
    _shown: set[int] = field(default_factory=set)
    _shown_failed: set[int] = field(default_factory=set)  # shown as failed; to be shown again
    _shown_before: int = 0  # every trial below is shown; `_shown` holds those beyond
    _told: int = 0

    def __post_init__(self) -> None:
        self._latest = {r.trial: r for r in self.records}  # ordered by attempt: last one wins

    def may_open(self) -> bool:
        """Whether all trials that the next proposal must see have ended, and few are in flight."""
        number, last = len(self.trials), len(self.trials) - self.ask_ahead
        if self.in_order:
            seen = [last, *(trial for trial in self.retried if trial < last)] if last >= 0 else []
            return all(self._seen(self.trials[trial], number) is not None for trial in seen)
        return sum(s.outcome is None for s in self.trials) < self.ask_ahead

    def next_needs_training(self) -> bool:
        """Whether the next trial has no outcome yet."""
        number = len(self.trials)
        record = self._latest.get(number)
        return record is None or not record.ends_trial

    def open_next(self) -> QueuedTrial:
        """Open the next trial: restore it with its outcome, or propose it.

        Raises:
            Exhausted: Every point of the space was tried.
        """
        number = len(self.trials)
        self._show_outcomes(before=number)
        trial = self._restored(number)
        if trial is None:
            point = self.points(number)
            trial = QueuedTrial(number, self.proposer.propose(point))
            trial.point = None if point is None else point.number
        self.trials.append(trial)
        return trial

    def begin(self, trial: QueuedTrial) -> None:
        """Ask for the next attempt at a trial; its number is never used again.

        Raises:
            StoreError: It cannot be written.
        """
        trial.attempts += 1
        asked = Asked(
            trial=trial.number,
            attempt=trial.attempts,
            params=dict(trial.proposal.params),
            origin=trial.proposal.origin,
            point=trial.point,
        )
        self.ask(asked)

    def close(self, trial: QueuedTrial, record: Record) -> None:
        """Take the final record of a trial."""
        outcome = trial_outcome(record, self.objectives, self.epoch_metric)
        # Only the pruner of its own generation can use what a pruner noted about a trial.
        trial.outcome = replace(outcome, pruner_attrs=None) if trial.prior else outcome

    def tell_ended(self) -> list[QueuedTrial]:
        """Return the ended trials before the first that is still open, each once, in order."""
        newly = []
        for trial in self.trials[self._told :]:
            if trial.outcome is None:
                break
            newly.append(trial)
        self._told += len(newly)
        return newly

    def _show_outcomes(self, before: int) -> None:
        """Show the sampler view the outcomes that the proposal of trial `before` must see."""
        visible = max(0, before - self.ask_ahead + 1) if self.in_order else before
        for trial in self.trials[self._shown_before : visible]:
            outcome = self._seen(trial, before)
            if trial.number not in self._shown and outcome is not None:
                if not trial.is_outside:
                    self.proposer.tell(trial.number, outcome)
                self._shown.add(trial.number)
                if outcome is not trial.outcome:
                    self._shown_failed.add(trial.number)
        self._show_again(before)
        while self._shown_before in self._shown:
            self._shown.remove(self._shown_before)
            self._shown_before += 1

    def _show_again(self, before: int) -> None:
        """Show the new outcomes of trials that were shown as failed and have been run again."""
        for number in sorted(self._shown_failed):
            trial = self.trials[number]
            outcome = self._seen(trial, before)
            if outcome is not None and outcome is trial.outcome:
                if not trial.is_outside:
                    self.proposer.tell_again(number, outcome)
                self._shown_failed.remove(number)

    def _seen(self, trial: QueuedTrial, before: int) -> TrialOutcome | None:
        """Return the outcome of a trial that the proposal of trial `before` must see.

        None if the proposal must wait for it.
        """
        has_seen_it_fail = before < self.retried.get(trial.number, 0)
        return TrialOutcome(TrialState.FAIL) if has_seen_it_fail else trial.outcome

    def _attempts(self, number: int, record: Record | None) -> int:
        """Return the number of the last attempt that was begun, whether or not it has a record."""
        asked = self.asked[number].attempt if number in self.asked else 0
        recorded = record.attempt if record else 0
        return max(asked, recorded)

    def _restored(self, number: int) -> QueuedTrial | None:
        record = self._latest.get(number)
        trial = self._prior(number) or self._known(number, record)
        if trial is None:
            return None
        trial.attempts = max(trial.attempts, self._attempts(number, record))
        trial.point = self.asked[number].point if number in self.asked else None
        if record is not None and record.ends_trial:
            self.close(trial, record)
        else:
            own = [one for one in self.records if one.trial == number]
            retried = [i for i, one in enumerate(own, 1) if one.key in self.retried_attempts]
            # Those since its last retry was asked for.
            trial.failures = failures_before(own[max(retried, default=0) :])
        return trial

    def _prior(self, number: int) -> QueuedTrial | None:
        prior = self.prior.get(number)
        if prior is None:
            return None
        self.proposer.show_prior(prior.proposal.origin, prior.point)
        return QueuedTrial(number, prior.proposal, prior.attempts, prior=prior)

    def _known(self, number: int, record: Record | None) -> QueuedTrial | None:
        if record is not None:
            proposal = proposal_of_record(record)
        elif (asked := self.asked.get(number)) is not None:
            proposal = self.proposer.at(asked.params, asked.origin)
        else:
            return None
        self.proposer.restore(proposal)
        return QueuedTrial(number, proposal)
