"""The loop of a sweep: opens trials, runs attempts, writes records, tells outcomes, ends."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import msgspec

from search_spaces.objectives import Objective
from sweeps.config.options import Limits
from sweeps.config.policies import FAILURES, Breaker, failure_of
from sweeps.config.sweep import SweepConfig
from sweeps.errors import StoreError
from sweeps.executors import Attempt, Executor
from sweeps.executors.checkpoint import CheckpointPlace, is_left, owner_of
from sweeps.experiment import OpenParameters, Stop, TrialSpec
from sweeps.experiments.script_results import score_of
from sweeps.progress import Progress
from sweeps.records import Longer, Record, RecordStore, confirmed_by
from sweeps.records.ranking import Values, covers, gains_of, worth_keeping
from sweeps.runner.budget import Budget
from sweeps.runner.control import ControlListener, StopRequest
from sweeps.runner.recording import TimeSplit, make_record
from sweeps.runner.replaying import CHECK, DeterminismCheck
from sweeps.runner.trial_queue import QueuedTrial, TrialQueue
from sweeps.study.proposals import Exhausted
from sweeps.study.samplers import TrialPruner, make_pruner, told_to
from sweeps.wording import printable


class StopRules:
    """Decides after each told trial, in trial order, whether the sweep goes on.

    If it does not, running trials still end and count. The number of workers decides how many these
    are, but not which trial ends the sweep.

    Attributes:
        reason: `target` or `stop_after` once no further trial may open, however the running ones
            end; None before.
    """

    def __init__(self, limits: Limits, objectives: Sequence[Objective]) -> None:
        self.reason: str | None = None
        self._limits = limits
        self._objectives = objectives
        self._deadline = time.monotonic() + (limits.timeout_seconds or float("inf"))
        self._front: list[Values] = []  # gains; with one objective, the gain of the best trial
        self._since_best = 0

    def tell(self, values: Values | None, *, is_earlier: bool = False) -> None:
        """Take the next trial in order, by its values; None if it has none.

        One that an earlier generation proposed does not count as one without improvement: it says
        nothing about the new space.
        """
        if self.reason is not None:
            return
        limits, gains = self._limits, None if values is None else gains_of(values, self._objectives)
        if gains is not None and not any(covers(known, gains) for known in self._front):
            self._front = [known for known in self._front if not covers(gains, known)]
            self._front.append(gains)
            self._since_best = 0
            # Only a single objective can have a target.
            if limits.target is not None and gains[0] >= self._objectives[0].gain(limits.target):
                self.reason = "target"
        else:
            self._since_best += not is_earlier
            if limits.stop_after is not None and self._since_best >= limits.stop_after:
                self.reason = "stop_after"

    def is_late(self) -> bool:
        """Whether the time is up: finished trials are still restored, but no trial begins."""
        return time.monotonic() >= self._deadline


KEEP_BEST: Final = 20


class WeightKeeper:
    """Deletes the weights of a trial once better trials have pushed it out of the best.

    The state after its last epoch goes with them; a replay makes the weights again. Baselines keep
    theirs, and so do the trainings of a confirmation, all of which `confirm --test` evaluates. With
    several objectives, the Pareto front and the best trials by the first objective keep theirs.
    Deleted weights are never needed again: a trial that is dominated, or has so many better ones,
    stays so.
    """

    def __init__(
        self, store: RecordStore, objectives: Sequence[Objective], *, keeps_all: bool = False
    ) -> None:
        self._store, self._objectives, self._keeps_all = store, objectives, keeps_all
        self._kept: list[Record] = []

    def add(self, record: Record) -> None:
        """Rank a record that was just written, or was found at the start."""
        is_baseline = record.origin.startswith("baseline ")
        if record.weights_sha256 is None or is_baseline or self._keeps_all:
            return
        if record.objective is None:
            self._store.drop_weights(record.key)
            return
        self._kept.append(msgspec.structs.replace(record))  # without its arrays
        kept = worth_keeping(self._kept, self._objectives, KEEP_BEST)
        keys = {one.key for one in kept}
        for dropped in (one for one in self._kept if one.key not in keys):
            self._store.drop_weights(dropped.key)
            self._store.drop_last_state(dropped.trial)
        self._kept = kept


WAKE_SECONDS: Final = 0.1
GRACE_SECONDS: Final = 3.0
"""After a signal, running trials have this long to reach the end of an epoch, where they stop. Then
they are ended without a record, and the next start runs them again."""


@dataclass
class Coordinator:
    """Runs one sweep until every trial has an outcome or something ends it.

    It is the listener of its executor, too, which may call it in any thread.

    Attributes:
        start_executor: Called when the first attempt is due, so that a sweep with nothing left to
            do never imports TensorFlow.
        on_record: Called with each new record after it is written.
        budget: What is left of a budget of time; None without one.
        expected: How many trials there will be, as the loop saw it last; displays may read it.
        breaker: Says why too many trials in a row have failed.
    """

    config: SweepConfig
    queue: TrialQueue
    store: RecordStore
    progress: Progress
    request: StopRequest
    control: ControlListener
    start_executor: Callable[[Coordinator], Executor]
    environment: dict[str, Any]
    on_record: Callable[[Record], None]
    budget: Budget | None = None
    expected: int = 0
    seconds: TimeSplit = field(default_factory=TimeSplit)

    def __post_init__(self) -> None:
        objectives = self.config.space.objectives
        self._rules = StopRules(self.config.limits, objectives)
        self.breaker = Breaker(self.config.failures.max_failures_in_row)
        self._running: dict[Future[Record], QueuedTrial] = {}
        self._again: deque[QueuedTrial] = deque()  # failed or withdrawn: another attempt is due
        self._executor: Executor | None = None
        self._is_confirming = confirmed_by(self.config.space.directory) is not None
        self._weights = WeightKeeper(self.store, objectives, keeps_all=self._is_confirming)
        for record in self.queue.records:
            self._weights.add(record)
        self._said: set[str] = set()
        self._check = DeterminismCheck(
            self.config.check_below_seconds, self.store, self.progress.note
        )
        self._says_score = not any(one.outcome == "complete" for one in self.queue.records)
        self._space_left = True
        self._stop_by: float | None = None
        self._trouble: StoreError | None = None

    def run(self) -> str | None:
        """Run the sweep.

        Returns:
            The reason if it ended before all trials had an outcome: `timeout`, `target`,
            `stop_after`, `budget`, `exhausted`, `interrupt`, `terminate`, `hangup` or `failures`
            (see `breaker`). None if all have one; `failures` even then, if the last failed.

        Raises:
            StoreError: The journal or a record cannot be written; what ran is recorded.
        """
        try:
            while self._fill() or self._running or self._is_pausing():
                self._check_if_idle()
                # Returns at least every WAKE_SECONDS, because a signal may come at any time.
                done, _ = wait(self._running, WAKE_SECONDS, return_when=FIRST_COMPLETED)
                if not self._running:
                    time.sleep(WAKE_SECONDS)  # paused
                for future in done:
                    self._collect(self._running.pop(future), future.result())
                self._check.conclude()
                if not self._end_those_that_should():
                    break
            self._finish_check()
        except StoreError as error:  # a record cannot be written, so training is in vain
            self._trouble = error
        finally:
            if self._executor is not None:
                self._executor.close()
                self.seconds.update(self._executor.seconds())
        for future in [f for f in self._running if f.done() and not f.exception()]:
            self._collect(self._running.pop(future), future.result())  # results of the last moment
        if self._trouble is not None:
            if self.request.reason is None:
                raise self._trouble
            self.progress.note(str(self._trouble))
        return self._stopped_by()

    def total(self) -> int:
        """Return how many trials the sweep gets: those asked for, and enqueued points beyond.

        A budget pays for so many, as far as is known now; once it is spent, no others follow.
        """
        opened = len(self.queue.trials)
        if self._is_spent() or (self.budget is not None and not self._space_left):
            return opened
        if self.budget is None:
            return self._wanted()
        return self.queue.total(max(opened, self.budget.trials or 0))

    def _wanted(self) -> int:
        """Return how many trials the sweep is to have, if nothing ends it before."""
        return self.queue.total(self.config.limits.trials)

    def started(self, spec: TrialSpec) -> None:
        """Show an attempt that begins to run; a check is not shown."""
        if spec.attempt != CHECK:
            self.progress.trial_started(spec, self.queue.trials[spec.trial].proposal.params)

    def epoch(self, spec: TrialSpec, epoch: int, metrics: Mapping[str, float]) -> None:
        """Show one epoch."""
        if spec.attempt != CHECK:
            self.progress.epoch(spec, epoch, metrics)

    def verdict_on(self, spec: TrialSpec) -> Stop | None:
        """Return the stop that a signal or `sweeps stop` asks of a trial; None without one."""
        is_cancelled = spec.trial in self.control.cancelled  # it counts as pruned, by hand
        return self._asked_to_stop() or (Stop("cancelled") if is_cancelled else None)

    def _asked_to_stop(self) -> Stop | None:
        if self.request.reason is None:
            return None
        self._say_once("stop", "stopping after this epoch; once more stops at once")
        return Stop(self.request.reason)

    def _say_once(self, what: str, line: str) -> None:
        if what not in self._said:
            self._said.add(what)
            self.progress.note(line)

    def _check_if_idle(self) -> None:
        """Begin the determinism check if a worker is idle, after all due attempts have begun."""
        is_idle = len(self._running) < self.config.parallelism.at_once
        is_asked = self.control.paused or self.request.reason is not None
        if self._executor is not None and is_idle and not is_asked:
            self._check.begin(self._executor)

    def _finish_check(self) -> None:
        """Make the determinism check now if no worker was idle before; a stop request skips it."""
        if self._trouble is not None or self._rules.is_late():
            return
        self._check_if_idle()
        while self._check.future is not None and self.request.reason is None:
            wait([self._check.future], WAKE_SECONDS)
            self._check.conclude()

    def _end_those_that_should(self) -> bool:
        """Withdraw waiting attempts once the sweep ends or is paused; end those that are stopped.

        If a target is reached or the time is up, running attempts still end normally.

        Returns:
            False if a running attempt has not ended `GRACE_SECONDS` after a signal.
        """
        if self.control.paused or not self._may_go_on() or self._rules.is_late():
            for future in [f for f in self._running if f.cancel()]:
                trial = self._running.pop(future)
                trial.attempts -= 1  # this attempt never began
                self._again.appendleft(trial)
        for spec in map(self._spec, self._running.values()):
            stop = self.verdict_on(spec)
            if stop is not None and self._executor is not None:
                self._executor.stop(spec, stop.reason)
        if self._asked_to_stop() is None:
            return True
        self._stop_by = self._stop_by or time.monotonic() + GRACE_SECONDS
        return time.monotonic() < self._stop_by

    def _is_pausing(self) -> bool:
        """Whether the sweep is paused and has trials left to run."""
        has_left = bool(self._again) or self._has_more()
        is_over = not self._may_go_on() or self._rules.is_late() or self._is_spent()
        return self.control.paused and has_left and not is_over

    def _stopped_by(self) -> str | None:
        if sum(trial.outcome is not None for trial in self.queue.trials) >= self._wanted():
            return FAILURES if self.breaker.cause() else None
        exhausted = None if self._space_left else "exhausted"
        spent = "budget" if self._is_spent() else None
        late = "timeout" if self._rules.is_late() else None
        return self.request.reason or self._end_reason() or exhausted or spent or late

    def _is_spent(self) -> bool:
        return self.budget is not None and not self.budget.pays(len(self._running))

    def _end_reason(self) -> str | None:
        """Return the reason for which the trials told so far end the sweep, None if it goes on."""
        return FAILURES if self.breaker.cause() else self._rules.reason

    def _may_go_on(self) -> bool:
        return self.request.reason is None and self._trouble is None and self._end_reason() is None

    def _fill(self) -> bool:
        """Begin attempts while there is room, retries first; return whether any was begun."""
        begun = False
        try:
            while self._again and self._has_room() and not self._rules.is_late():
                self._begin(self._again.popleft())
                begun = True
            while self._may_open():
                with self.seconds.timed("proposals"):
                    trial = self.queue.open_next()
                if trial.outcome is None:
                    self._begin(trial)
                    begun = True
                self._tell()
        except Exhausted:
            self._space_left = False
        except StoreError as error:
            self._trouble = error
        self.expected = self.total()
        return begun

    def _may_open(self) -> bool:
        """Whether the next trial may be opened; the first that trains starts the executor."""
        if not (self._has_room() and self._has_more() and self.queue.may_open()):
            return False
        if not self.queue.next_needs_training():
            return True  # when time or a budget is up, what has ended is still restored
        if self._rules.is_late() or self._is_spent():
            return False
        if self._executor is None:
            self._executor = self.start_executor(self)
        return self.request.reason is None  # somebody may have asked meanwhile

    def _has_more(self) -> bool:
        """Whether the sweep has a trial that was not opened yet."""
        return self._space_left and len(self.queue.trials) < self._wanted()

    def _has_room(self) -> bool:
        """Whether another attempt may begin: the sweep goes on, and the executor has room."""
        capacity = self._executor.capacity if self._executor else 1
        return self._may_go_on() and not self.control.paused and len(self._running) < capacity

    def _begin(self, trial: QueuedTrial) -> None:
        self.queue.begin(trial)
        assert self._executor is not None
        spec = self._spec(trial)
        place = self._checkpoint_place(spec)
        if trial.attempts == 1 and (longer := trial.proposal.longer) is not None:
            self.store.go_on_from(self._earlier(longer), spec.trial)
        if trial.attempts > 1 and (said := place.said()) is not None:
            is_seen = not (self._executor.is_elsewhere and said.startswith("goes on"))
            where = "" if is_seen else ", if its worker sees it"
            self.progress.note(f"trial {trial.number} {said}{where}")
        keep = partial(self._keep, trial)
        self._running[self._executor.submit(spec, self._pruner(trial), keep, place)] = trial

    def _keep(self, trial: QueuedTrial, attempt: Attempt) -> Record:
        """Write the record of an attempt that has ended, in a thread of the executor."""
        with self.seconds.timed("records"):
            record = make_record(self.config, self.environment, trial, attempt)
            record = self.store.write(record, attempt.files)
            if not is_left(record):
                self.store.drop_checkpoint(trial.number)
        if (why := attempt.unsaved) is not None:
            self._say_once(why, f"trial {trial.number} could not go on after a kill: {why}")
        return record

    def _earlier(self, longer: Longer) -> list[int]:
        """Return the same trial with fewer epochs, by number, the most epochs first."""
        others = [(one.proposal.longer, one.number) for one in self.queue.trials]
        same = [(one.epochs, n) for one, n in others if one and one.trial == longer.trial]
        fewer = sorted((one for one in same if one[0] < longer.epochs), reverse=True)
        return [*(number for _, number in fewer), longer.trial]

    def _checkpoint_place(self, spec: TrialSpec) -> CheckpointPlace:
        """Return the place of a trial's checkpoint, which only the same training finds."""
        # A training of a confirmation is never trained further: its last state is not kept.
        last = None if self._is_confirming else self.store.last_state_path(spec.trial)
        return CheckpointPlace(
            path=self.store.checkpoint_path(spec.trial),
            owner=owner_of(spec, self.config.data, self.environment),
            interval_seconds=self.config.failures.checkpoint_seconds,
            last=last,
        )

    def _spec(self, trial: QueuedTrial) -> TrialSpec:
        """Return the specification of a trial's current attempt."""
        return TrialSpec(
            sweep=self.store.folder.name,
            trial=trial.number,
            attempt=trial.attempts,
            seed=self.config.training_seed(trial.number, trial.proposal),
            config=dict(trial.proposal.config),
            open=OpenParameters(trial.proposal.params) if self.config.space.is_open else None,
        )

    def _pruner(self, trial: QueuedTrial) -> TrialPruner | None:
        """Return the pruner of a trial, with the trials told so far; None if the sweep has none."""
        pruner, metric = make_pruner(self.config.pruner), self.queue.epoch_metric
        if pruner is None or metric is None:
            return None
        direction = self.config.space.objective.direction
        seen = told_to(pruner, self.queue.proposer.sampler_view.finished())
        return TrialPruner(pruner, metric, direction, trial.number, seen)

    def _collect(self, trial: QueuedTrial, record: Record) -> None:
        self.seconds["training"] += (record.finished_at - record.started_at) / 1000
        if record.outcome == "failed":
            trial.failures.append(failure_of(record.reason, record.error))
        if record.ends_trial:
            self.control.ended(trial.number)
            self.queue.close(trial, record)
            self._tell()
        elif record.outcome == "failed":
            self._again.append(trial)
        self._weights.add(record)
        if self.budget is not None:
            before = self.budget.ended
            self.budget.took(record)
            # The first trials of all workers include their start-up; the next ones do not.
            if before < self.budget.ended == 2 * self.config.parallelism.at_once:
                for line in self.budget.lines():
                    self.progress.note(line)
        self._check.consider(record)
        if self._says_score and record.outcome == "complete" and record.trained is not None:
            self._says_score = False
            score = score_of(record.trained.info)  # of a script, where its number was read
            if score is not None:
                metric = self.config.space.objective.metric
                self.progress.note(printable(f"score: {metric} is read from {score}"))
        self.progress.trial_finished(record)
        self.on_record(record)

    def _tell(self) -> None:
        for trial in self.queue.tell_ended():
            values = trial.outcome.values if trial.outcome else None
            self._rules.tell(values, is_earlier=trial.prior is not None)
            self.breaker.tell(trial.failure)
