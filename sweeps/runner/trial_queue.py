"""The trial queue of a sweep: trials are opened strictly in order, and told strictly in order.

Opening restores a trial that the journal or a record holds already (a resumed sweep), and proposes
any other. Trial n opens once trials 0 to n - `ask_ahead` have ended, so that its proposal sees
exactly their outcomes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Final

from optuna.distributions import json_to_distribution
from optuna.trial import TrialState

from search_spaces.objectives import Objective
from search_spaces.parameters import Value
from sweeps.config.policies import Failure, failures_before
from sweeps.journal import Asked
from sweeps.records import Record, RecordStore
from sweeps.records.enqueued import opened_at_retry, trials_in_all, waiting_points
from sweeps.study.points import Proposal
from sweeps.study.proposals import Proposer
from sweeps.study.sampler_view import TrialOutcome, trial_outcome

_FAILED: Final = TrialOutcome(TrialState.FAIL)


@dataclass(frozen=True)
class PriorTrial:
    """How a trial that an earlier generation proposed lies in the new space.

    Attributes:
        point: Its parameters there; None if it lies outside.
        obstacle: The reason it lies outside; empty if it does not.
    """

    point: Mapping[str, Value] | None
    obstacle: str = ""


@dataclass
class QueuedTrial:
    """One trial of the sweep.

    Attributes:
        attempts: How many attempts were begun.
        outcome: How it ended; None while it is open.
        shown: The outcome that the sampler was told last.
        prior: How it lies in the space, if an earlier generation proposed it.
        failures: Its failed attempts, in order; empty if it had ended before this start.
        point: Number of the enqueued point that it tries; None as a rule.
    """

    number: int
    proposal: Proposal
    attempts: int = 0
    outcome: TrialOutcome | None = None
    shown: TrialOutcome | None = None
    prior: PriorTrial | None = None
    failures: list[Failure] = field(default_factory=list)
    point: int | None = None

    @property
    def failure(self) -> Failure | None:
        """The last failure, if the trial has failed in this start; None otherwise."""
        has_failed = self.outcome is not None and self.outcome.state == TrialState.FAIL
        return self.failures[-1] if has_failed and self.failures else None


@dataclass
class TrialQueue:
    """The open, ended and told trials of a sweep.

    Attributes:
        store: Has the attempts that were asked for, enqueued points, and trials to be run again.
        records: Those from before this start, ordered by trial and attempt.
        epoch_metric: The metric that the pruner watches; None without a pruner.
        ask_ahead: How many trials may be in flight.
        in_order: Whether a proposal waits for the trials before it (reproducible), or sees whatever
            has ended.
        prior: The trials of earlier generations, which come first.
        fits: Whether an enqueued point is tried. One that does not lie in the space, because the
            sweep was extended meanwhile, waits until it does.
    """

    store: RecordStore
    proposer: Proposer
    records: Sequence[Record]
    objectives: Sequence[Objective]
    epoch_metric: str | None
    ask_ahead: int
    in_order: bool = True
    prior: Sequence[QueuedTrial] = ()
    fits: Callable[[Mapping[str, Value]], bool] = lambda params: False
    trials: list[QueuedTrial] = field(default_factory=list)
    _told: int = 0

    def __post_init__(self) -> None:
        self._latest = {r.trial: r for r in self.records}  # ordered by attempt: last one wins
        self._retried = opened_at_retry(self.store.state())
        self._unshown: list[QueuedTrial] = []  # the sampler does not know their last outcome yet

    def total(self, asked: int) -> int:
        """Return how many trials the sweep is to have in all, see `trials_in_all`."""
        return trials_in_all(self.store.state(), asked, len(self.trials), self.fits)

    def may_open(self) -> bool:
        """Whether all trials that the next proposal must see have ended, and few are in flight."""
        number, last = len(self.trials), len(self.trials) - self.ask_ahead
        if self.in_order:
            seen = [last, *(trial for trial in self._retried if trial < last)] if last >= 0 else []
            return all(self._seen(self.trials[trial], number) is not None for trial in seen)
        return sum(s.outcome is None for s in self.trials) < self.ask_ahead

    def next_needs_training(self) -> bool:
        """Whether the next trial has no outcome yet."""
        record = self._latest.get(len(self.trials))
        return record is None or not record.ends_trial

    def open_next(self) -> QueuedTrial:
        """Open the next trial: restore it with its outcome, or propose it.

        Raises:
            Exhausted: Every point of the space was tried.
        """
        number = len(self.trials)
        self._show_outcomes(before=number)
        record, asked = self._latest.get(number), self.store.state().asked.get(number)
        known = (asked or record) if self.proposer.is_open else (record or asked)
        if number < len(self.prior):
            trial = self.prior[number]
            assert trial.prior is not None
            self.proposer.show_prior(trial.proposal.origin, trial.prior.point)
        elif known is not None:
            trial = QueuedTrial(number, self.proposer.restore(known.origin, known.params))
        else:
            trial = self._proposed(number)
        if asked is not None:
            trial.attempts, trial.point = max(trial.attempts, asked.attempt), asked.point
        if record is not None:
            trial.attempts = max(trial.attempts, record.attempt)
            self._take_up(trial, record)
        self.trials.append(trial)
        self._unshown.append(trial)
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
        self.store.append(asked)

    def close(self, trial: QueuedTrial, record: Record) -> None:
        """Take the final record of a trial."""
        outcome = trial_outcome(record, self.objectives, self.epoch_metric)
        if self.proposer.is_open:
            asked = {n: json_to_distribution(d) for n, d in record.distributions.items()}
            outcome = replace(outcome, asked=(record.params, asked))
        # Only the pruner of its own generation can use what a pruner noted about a trial.
        trial.outcome = replace(outcome, pruner_attrs={}) if trial.prior else outcome

    def tell_ended(self) -> list[QueuedTrial]:
        """Return the ended trials before the first that is still open, each once, in order."""
        newly = list(takewhile(lambda one: one.outcome is not None, self.trials[self._told :]))
        self._told += len(newly)
        return newly

    def _show_outcomes(self, before: int) -> None:
        """Show the sampler view the outcomes that the proposal of trial `before` must see."""
        visible = before - self.ask_ahead + 1 if self.in_order else before
        unshown = []
        for trial in self._unshown:
            outcome = self._seen(trial, before) if trial.number < visible else None
            if outcome is not None and outcome is not trial.shown:
                trial.shown = outcome
                if trial.prior is None or trial.prior.point is not None:
                    self.proposer.tell(trial.number, outcome)
            if outcome is None or outcome is not trial.outcome:
                unshown.append(trial)
        self._unshown = unshown

    def _seen(self, trial: QueuedTrial, before: int) -> TrialOutcome | None:
        """Return the outcome of a trial that the proposal of trial `before` must see.

        None if the proposal must wait for it. What was proposed before a failed trial was run again
        has seen it fail.
        """
        has_seen_it_fail = before < self._retried.get(trial.number, 0)
        return _FAILED if has_seen_it_fail else trial.outcome

    def _proposed(self, number: int) -> QueuedTrial:
        waiting = next(waiting_points(self.store.state(), self.fits), None)
        if waiting is None:
            return QueuedTrial(number, self.proposer.propose())
        proposal = self.proposer.propose((waiting.origin, waiting.params))
        return QueuedTrial(number, proposal, point=waiting.point)

    def _take_up(self, trial: QueuedTrial, record: Record) -> None:
        """Close a trial with its last record, or count its failures since its last retry."""
        if record.ends_trial:
            self.close(trial, record)
            return
        own = [one for one in self.records if one.trial == trial.number]
        undone = self.store.state().undone
        retried = [count for count, one in enumerate(own, 1) if one.key in undone]
        trial.failures = failures_before(own[max(retried, default=0) :])
