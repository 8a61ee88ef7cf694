"""The loop: open trials, run attempts, make records, tell outcomes, hand over to MLflow."""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from search_spaces.objectives import Objective
from search_spaces.parameters import Value
from sweeps.config.options import Limits
from sweeps.config.sweep import SweepConfig
from sweeps.errors import StoreError
from sweeps.executors import Executor
from sweeps.experiment import Stop, TrialSpec
from sweeps.progress import Progress
from sweeps.records import Hunches, Record, RecordStore, confirmed_by
from sweeps.records.ranking import Values, covers, gains_of, worth_keeping
from sweeps.runner.control import ControlListener, StopRequest
from sweeps.runner.determinism import DeterminismCheck, is_check
from sweeps.runner.failures import FAILURES, Breaker, failure_of
from sweeps.runner.recording import Recorder, TimeSplit
from sweeps.runner.trial_queue import Slot, TrialQueue
from sweeps.study.proposals import Exhausted
from sweeps.study.pruning import TrialPruner
from sweeps.study.samplers import make_pruner
from sweeps.study.seeds import training_seed

# Gives an attempt at a slot its specification and its pruner's view.


def spec_of(config: SweepConfig, sweep_id: str, slot: Slot) -> TrialSpec:
    """Return the attempt that a slot is at now."""
    return TrialSpec(
        sweep=sweep_id,
        slot=slot.number,
        attempt=slot.attempts,
        seed=training_seed(config.seed, slot.number),
        config=slot.prior.config if slot.prior else config.received(slot.proposal),
    )


def pruner_of(config: SweepConfig, queue: TrialQueue, slot: Slot) -> TrialPruner | None:
    """Return what judges a slot's epochs by the trials told before it; None without a pruner."""
    pruner, metric = make_pruner(config.pruner), queue.epoch_metric
    if pruner is None or metric is None:
        return None
    direction = config.space.objective.direction
    return TrialPruner(
        pruner, metric, direction, slot.number, queue.proposer.sampler_view.finished()
    )


# When a sweep ends before all its slots: time, target, no improvement. Judged in slot order.
#
# No slot opens from then on, and those that wait for a worker are withdrawn. Those that run by then
# end normally and count: how many they are depends on the number of workers, which slot ends the
# sweep does not.


class StopRules:
    """Says after each told slot whether to go on."""

    def __init__(self, limits: Limits, objectives: Sequence[Objective]) -> None:
        self._limits = limits
        self._objectives = objectives
        self._deadline = time.monotonic() + (limits.timeout_seconds or float("inf"))
        self._front: list[Values] = []  # gains; with one objective that of the best
        self._since_best = 0

    def tell(self, values: Values | None, *, is_earlier: bool = False) -> None:
        """Take the next slot in order.

        Args:
            values: One an objective; None if it has none.
            is_earlier: Whether an earlier generation proposed it: that says nothing about whether
                the new space brings improvement.
        """
        gains = None if values is None else gains_of(values, self._objectives)
        if gains is not None and not any(covers(known, gains) for known in self._front):
            self._front = [known for known in self._front if not covers(gains, known)]
            self._front.append(gains)
            self._since_best = 0
        else:
            self._since_best += not is_earlier

    def reason(self) -> str | None:
        """Return `target` or `stop_after` if no further slot may open, else None."""
        limits = self._limits
        if self._reached(limits.target):
            return "target"
        if limits.stop_after is not None and self._since_best >= limits.stop_after:
            return "stop_after"
        return None

    def is_late(self) -> bool:
        """Whether the time is up: finished slots are still restored, but no trial begins."""
        return time.monotonic() >= self._deadline

    def _reached(self, target: float | None) -> bool:
        """Whether the one objective is as good as that; with several no target is taken."""
        if target is None or not self._front:
            return False
        return self._front[0][0] >= self._objectives[0].gain(target)


# Tells the terminal of running trials, and running trials of Ctrl-C.


CANCELLED: Final = "cancelled"
"""Why a trial ended that somebody has cancelled; it counts as pruned, by hand."""


class Watch:
    """Listens to the executor, in whichever thread it speaks."""

    def __init__(self, progress: Progress, request: StopRequest, listener: ControlListener) -> None:
        self.progress = progress
        self.request = request
        self.listener = listener
        self._params: dict[str, Mapping[str, Value]] = {}
        self._said = False

    def expect(self, spec: TrialSpec, params: Mapping[str, Value]) -> None:
        """Note the sampled parameters of an attempt that will start."""
        self._params[spec.key] = params

    def started(self, spec: TrialSpec) -> None:
        """Show an attempt that begins to run; a check is not shown."""
        if is_check(spec):
            return
        self.progress.trial_started(spec, self._params.pop(spec.key, {}))

    def epoch(self, spec: TrialSpec, epoch: int, metrics: Mapping[str, float]) -> None:
        """Show one epoch."""
        if is_check(spec):
            return
        self.progress.epoch(spec, epoch, metrics)

    def asked_to_stop(self) -> Stop | None:
        """Return what a signal asks of every running trial; None while there was none."""
        if self.request.reason is None:
            return None
        if not self._said:
            self._said = True
            self.progress.note("stopping after this epoch; once more stops at once")
        return Stop(self.request.reason)

    def verdict_on(self, spec: TrialSpec) -> Stop | None:
        """Return what is asked of one running trial, by a signal or by `sweeps cancel`."""
        is_cancelled = spec.slot in self.listener.cancelled
        return self.asked_to_stop() or (Stop(CANCELLED) if is_cancelled else None)


# Which weights stay on disk: the baselines' and those of the best trials; replay re-makes any.
#
# Of a confirmation all stay: if its sweep is tested, the test part scores every training.


KEEP_BEST: Final = 20


class WeightKeeper:
    """Drops weights from trials that are no longer among the best, as better ones arrive.

    With several objectives those of the Pareto front are kept, and of the best by the first one.
    What is dropped once is never wanted again: whoever is dominated, or behind so many, stays so.
    """

    def __init__(
        self, store: RecordStore, objectives: Sequence[Objective], directory: Path | None = None
    ) -> None:
        self._store = store
        self._keeps_all = confirmed_by(directory) is not None
        self._objectives = objectives
        self._kept: list[Record] = []

    def add(self, record: Record) -> None:
        """Rank a record that has just been written (or was found at the start)."""
        is_baseline = record.origin.startswith("baseline ")
        if record.weights_sha256 is None or is_baseline or self._keeps_all:
            return
        if record.objective is None:
            self._store.drop_weights(record.spec.key)
            return
        result = record.result and dataclasses.replace(record.result, arrays={}, weights=None)
        self._kept.append(dataclasses.replace(record, result=result))  # the numbers will do
        if len(self._kept) > KEEP_BEST:
            kept = worth_keeping(self._kept, self._objectives, KEEP_BEST)
            keys = {one.spec.key for one in kept}
            for dropped in (one for one in self._kept if one.spec.key not in keys):
                self._store.drop_weights(dropped.spec.key)
            self._kept = kept


WAKE_SECONDS: Final = 0.1
GRACE_SECONDS: Final = 3.0
"""How long running trials have for the epoch at which they hear of a signal; then they are ended
unrecorded, and the next start runs them again."""


@dataclass
class Coordinator:
    """Runs one sweep until every slot has an outcome or something ends it.

    Attributes:
        start_executor: Called when the first attempt is due: a sweep with nothing left to do
            never pays for importing TensorFlow.
        on_record: Called with each new record once it is safe.
    """

    config: SweepConfig
    sweep_id: str
    queue: TrialQueue
    hunches: Hunches
    store: RecordStore
    progress: Progress
    request: StopRequest
    watch: Watch
    start_executor: Callable[[], Executor]
    environment: Mapping[str, Any]
    on_record: Callable[[Record], None]
    seconds: TimeSplit = field(default_factory=TimeSplit)

    def __post_init__(self) -> None:
        objectives = self.config.space.objectives
        self._rules = StopRules(self.config.limits, objectives)
        self._breaker = Breaker(self.config.failures.max_failures_in_row)
        self._running: dict[Future[Record], Slot] = {}
        self._again: deque[Slot] = deque()  # failed, and to be tried again
        self._executor: Executor | None = None
        self._weights = WeightKeeper(self.store, objectives, self.config.space.directory)
        for record in self.queue.records:
            self._weights.add(record)
        self._recorder = Recorder(self.config, self.store, self.environment, self.seconds)
        self._check = DeterminismCheck(
            self.config.check_below_seconds, self.store, self.progress.note
        )
        self._space_left = True
        self._stop_by: float | None = None
        self._trouble: StoreError | None = None

    def run(self) -> str | None:
        """Run the sweep.

        Returns:
            What ended it before all slots had an outcome (`timeout`, `target`, `stop_after`,
            `exhausted`, `interrupt`, `terminate`), or None; `failures` (see `failure_cause`) also
            if the last slots of all are those that failed.

        Raises:
            StoreError: The study cannot be written, though what ran is recorded; or records cannot.
        """
        try:
            while self._fill() or self._running or self._is_pausing():
                self._check_if_idle()
                # Wakes now and then: signals ask for the end at any time.
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
            self._collect(self._running.pop(future), future.result())  # kept at the last moment
        if self._trouble is not None:
            if self.request.reason is None:
                raise self._trouble
            self.progress.note(str(self._trouble))
        return self._stopped_by()

    def total(self) -> int:
        """Return how many trials there are to be: those asked for, and hunches beyond."""
        return self.hunches.total(self.config.limits.trials, len(self.queue.slots))

    def failure_cause(self) -> str | None:
        """Return why so many trials in a row failed that the sweep had to end, None otherwise."""
        return self._breaker.cause()

    def _check_if_idle(self) -> None:
        """Begin the check if a worker has nothing to do, now that all that may begin has begun."""
        is_busy = len(self._running) >= self.config.parallelism.at_once
        is_asked = self.watch.listener.paused or self.request.reason is not None
        if self._executor is not None and not is_busy and not is_asked:
            self._check.begin(self._executor)

    def _finish_check(self) -> None:
        """Have the check made that found no idle worker; whoever wants the end does not wait."""
        if self._executor is None or self._trouble is not None or self._rules.is_late():
            return
        if self.request.reason is None:
            self._check.begin(self._executor)
        while self._check.future is not None and self.request.reason is None:
            wait([self._check.future], WAKE_SECONDS)
            self._check.conclude()

    def _end_those_that_should(self) -> bool:
        """Withdraw waiting attempts once the sweep ends; after a signal, stop running ones too.

        What runs when a target is reached, or the time is up, still ends normally.

        Returns:
            False once a running attempt has not heeded a signal for too long.
        """
        stop = self.watch.asked_to_stop()
        if stop or self._trouble or self._end_reason() or self._rules.is_late():
            for future in [f for f in self._running if f.cancel()]:
                del self._running[future]
        if stop is None:
            self._steer()
            return True
        assert self._executor is not None
        self._stop_by = self._stop_by or time.monotonic() + GRACE_SECONDS
        for slot in self._running.values():
            self._executor.stop(self._spec(slot), stop.reason)
        return time.monotonic() < self._stop_by

    def _steer(self) -> None:
        """Do what other processes ask for: withdraw what waits, end single trials."""
        if self.watch.listener.paused:
            for future in [f for f in self._running if f.cancel()]:
                slot = self._running.pop(future)
                slot.attempts -= 1  # it was never begun
                self._again.appendleft(slot)
        for slot in self._running.values():
            if self._executor is not None and slot.number in self.watch.listener.cancelled:
                self._executor.stop(self._spec(slot), CANCELLED)

    def _is_pausing(self) -> bool:
        """Whether nothing runs, and something would if the sweep were not paused."""
        has_more = self._space_left and len(self.queue.slots) < self.total()
        return (
            self.watch.listener.paused
            and bool(self._again or has_more)
            and self._may_go_on()
            and not self._rules.is_late()
        )

    def _stopped_by(self) -> str | None:
        if sum(slot.outcome is not None for slot in self.queue.slots) >= self.total():
            return FAILURES if self._breaker.cause() else None
        exhausted = None if self._space_left else "exhausted"
        late = "timeout" if self._rules.is_late() else None
        return self.request.reason or self._end_reason() or exhausted or late

    def _end_reason(self) -> str | None:
        """Return what the slots told so far end the sweep for, None if it goes on."""
        return FAILURES if self._breaker.cause() else self._rules.reason()

    def _fill(self) -> bool:
        """Try again, then open slots, while there is room; return whether an attempt was begun."""
        begun = False
        while self._again and self._has_room() and not self._rules.is_late():
            begun = self._begin(self._again.popleft()) or begun
        while self._may_begin():
            try:
                with self.seconds.timed("proposals"):
                    slot = self.queue.open_next()
            except Exhausted:
                self._space_left = False
            except StoreError as error:
                self._trouble = error
            else:
                begun = (slot.outcome is None and self._begin(slot)) or begun
            self._tell()
        return begun

    def _may_begin(self) -> bool:
        return (
            self._space_left
            and self._has_room()
            and self._is_asked_for(len(self.queue.slots))
            and self.queue.may_open()
            and not (self._rules.is_late() and self.queue.next_needs_training())
            and self._ready()
        )

    def _is_asked_for(self, slot: int) -> bool:
        """Whether there is to be such a slot; hunches only add to those that were asked for."""
        return slot < self.config.limits.trials or slot < self.total()

    def _has_room(self) -> bool:
        """Whether another attempt may begin, as far as those before it go."""
        capacity = self._executor.capacity if self._executor else 1
        is_full = len(self._running) >= capacity
        return self._may_go_on() and not is_full and not self.watch.listener.paused

    def _may_go_on(self) -> bool:
        return self.request.reason is None and self._trouble is None and self._end_reason() is None

    def _ready(self) -> bool:
        """Whether nobody asked to stop, also not while the executor was being started."""
        if self._executor is None and self.queue.next_needs_training():
            self._executor = self.start_executor()
        return self.request.reason is None

    def _begin(self, slot: Slot) -> bool:
        """Begin the next attempt, unless the study cannot take its number."""
        slot.attempts += 1
        if slot.attempts > 1:
            try:
                self.queue.study.count_attempt(slot.number, slot.attempts)
            except StoreError as error:
                self._trouble = error
                return False
        spec = self._spec(slot)
        assert self._executor is not None
        self.watch.expect(spec, slot.proposal.params)
        pruner = pruner_of(self.config, self.queue, slot)
        future = self._executor.submit(spec, pruner, partial(self._recorder.keep, slot))
        self._running[future] = slot
        return True

    def _spec(self, slot: Slot) -> TrialSpec:
        return spec_of(self.config, self.sweep_id, slot)

    def _collect(self, slot: Slot, record: Record) -> None:
        self.seconds["training"] += (record.finished_at - record.started_at) / 1000
        if record.outcome == "failed":
            slot.failures.append(failure_of(record.reason, record.error))
        if record.ends_slot:
            self.watch.listener.ended(slot.number)
            with self.seconds.timed("study"):
                self.queue.close(slot, record)
                self._tell()
        elif record.outcome == "failed":
            self._again.append(slot)
        self._weights.add(record)
        self._check.consider(record)
        self.progress.trial_finished(record)
        self.on_record(record)

    def _tell(self) -> None:
        if self._trouble is not None:
            return
        try:
            told = self.queue.tell_ended()
        except StoreError as error:
            self._trouble = error
            return
        for slot in told:
            values = slot.outcome.values if slot.outcome else None
            self._rules.tell(values, is_earlier=slot.prior is not None)
            self._breaker.tell(slot.failure)
