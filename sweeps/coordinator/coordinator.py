"""The loop: open slots, run attempts, make records, tell outcomes, hand over to MLflow."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from sweeps.config import SweepConfig
from sweeps.coordinator.attempts import pruner_of, spec_of
from sweeps.coordinator.determinism import DeterminismCheck
from sweeps.coordinator.failures import FAILURES, Breaker, failure_of
from sweeps.coordinator.ledger import Ledger, Slot
from sweeps.coordinator.recording import Recorder
from sweeps.coordinator.signals import StopRequest
from sweeps.coordinator.stopping import StopRules
from sweeps.coordinator.time_split import TimeSplit
from sweeps.coordinator.watch import CANCELLED, Watch
from sweeps.coordinator.weights import WeightKeeper
from sweeps.errors import StoreError
from sweeps.executors import Executor
from sweeps.experiment import TrialSpec
from sweeps.progress import Progress
from sweeps.records import Hunches, Record, RecordStore
from sweeps.study.proposals import Exhausted

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
    ledger: Ledger
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
        for record in self.ledger.records:
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
        return self.hunches.total(self.config.limits.trials, len(self.ledger.slots))

    def failure_cause(self) -> str | None:
        """Return why so many trials in a row failed that the sweep had to end, None otherwise."""
        return self._breaker.cause()

    def _check_if_idle(self) -> None:
        """Begin the check if a worker has nothing to do, now that all that may begin has begun."""
        is_busy = len(self._running) >= self.config.parallelism.at_once
        is_asked = self.watch.helm.paused or self.request.reason is not None
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
        if self.watch.helm.paused:
            for future in [f for f in self._running if f.cancel()]:
                slot = self._running.pop(future)
                slot.attempts -= 1  # it was never begun
                self._again.appendleft(slot)
        for slot in self._running.values():
            if self._executor is not None and slot.number in self.watch.helm.cancelled:
                self._executor.stop(self._spec(slot), CANCELLED)

    def _is_pausing(self) -> bool:
        """Whether nothing runs, and something would if the sweep were not paused."""
        has_more = self._space_left and len(self.ledger.slots) < self.total()
        return (
            self.watch.helm.paused
            and bool(self._again or has_more)
            and self._may_go_on()
            and not self._rules.is_late()
        )

    def _stopped_by(self) -> str | None:
        if sum(slot.outcome is not None for slot in self.ledger.slots) >= self.total():
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
                    slot = self.ledger.open_next()
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
            and self._is_asked_for(len(self.ledger.slots))
            and self.ledger.may_open()
            and not (self._rules.is_late() and self.ledger.next_needs_training())
            and self._ready()
        )

    def _is_asked_for(self, slot: int) -> bool:
        """Whether there is to be such a slot; hunches only add to those that were asked for."""
        return slot < self.config.limits.trials or slot < self.total()

    def _has_room(self) -> bool:
        """Whether another attempt may begin, as far as those before it go."""
        capacity = self._executor.capacity if self._executor else 1
        is_full = len(self._running) >= capacity
        return self._may_go_on() and not is_full and not self.watch.helm.paused

    def _may_go_on(self) -> bool:
        return self.request.reason is None and self._trouble is None and self._end_reason() is None

    def _ready(self) -> bool:
        """Whether nobody asked to stop, also not while the executor was being started."""
        if self._executor is None and self.ledger.next_needs_training():
            self._executor = self.start_executor()
        return self.request.reason is None

    def _begin(self, slot: Slot) -> bool:
        """Begin the next attempt, unless the study cannot take its number."""
        slot.attempts += 1
        if slot.attempts > 1:
            try:
                self.ledger.study.count_attempt(slot.number, slot.attempts)
            except StoreError as error:
                self._trouble = error
                return False
        spec = self._spec(slot)
        assert self._executor is not None
        self.watch.expect(spec, slot.proposal.params)
        pruner = pruner_of(self.config, self.ledger, slot)
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
            self.watch.helm.ended(slot.number)
            with self.seconds.timed("study"):
                self.ledger.close(slot, record)
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
            told = self.ledger.tell_ended()
        except StoreError as error:
            self._trouble = error
            return
        for slot in told:
            values = slot.outcome.values if slot.outcome else None
            self._rules.tell(values, is_earlier=slot.carried is not None)
            self._breaker.tell(slot.failure)
