"""Trains a recorded trial again, from its record alone, and compares it epoch by epoch."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import msgspec
import numpy as np

from sweeps.capabilities import SupportsEngines
from sweeps.errors import StoreError, UsageError
from sweeps.executors import Attempt, Executor, InProcessExecutor, Nobody
from sweeps.executors.preloading import Preload, make_preload
from sweeps.experiment import Experiment, PreparedData, Stop, TrialResult
from sweeps.experiments.code import PreparedAgain, load_same, unrecorded_package
from sweeps.experiments.loading import experiment_folder
from sweeps.journal.events import Checked
from sweeps.records import Record, RecordError, RecordStore, SweepInfo
from sweeps.records.arrays import pack_arrays
from sweeps.wording import counted
from sweeps.workspace.provenance import ONEDNN, changed_versions, cpu_features

TOLERANCE: Final = 0.05
"""Largest accepted difference, as a share of the number or of 1, whichever is larger, if versions
or processor differ: there the same training rounds differently, and differences grow from epoch to
epoch."""
_END: Final = "the end"


@dataclass(frozen=True)
class ReplayDifference:
    """A number or an array that the second training gave differently.

    Attributes:
        what: `val_loss, epoch 3`, or the name of a metric or an array.
        recorded: The number in the record; None for an array, as `now`.
    """

    what: str
    recorded: float | None = None
    now: float | None = None

    @property
    def size(self) -> float:
        """Absolute difference of the numbers; infinite if one of them is NaN, NaN for arrays."""
        if self.recorded is None or self.now is None:
            return math.nan
        apart = abs(self.recorded - self.now)
        return math.inf if math.isnan(apart) else apart

    @property
    def is_beyond(self) -> bool:
        """Whether it is larger than `TOLERANCE`; arrays are not judged by it."""
        if self.recorded is None:
            return self.what.startswith(_END)
        largest = TOLERANCE * max(1.0, abs(self.recorded))
        return not math.isfinite(self.size) or self.size > largest

    def __str__(self) -> str:
        if self.recorded is None or self.now is None:
            return f"{self.what} differs"
        return f"{self.what}: recorded {self.recorded!r}, now {self.now!r}"


@dataclass(frozen=True)
class Replayed:
    """A trial that was trained again.

    Attributes:
        record: The record of the trial.
        result: The result of the second training.
        differences: Numbers and arrays that are not equal to the bit.
        is_restored: Whether its weights were equal and were stored again.
        unrecorded: The package whose code was not recorded with the trial; usually empty.
    """

    record: Record = field(repr=False)
    result: TrialResult = field(repr=False)
    differences: Sequence[ReplayDifference]
    is_restored: bool = False
    unrecorded: str = ""

    @cached_property
    def surroundings(self) -> list[str]:
        """Versions, dependencies and processor features that differ now, one line each."""
        recorded = self.record.environment
        lines = changed_versions(recorded)
        then = set(recorded.get("cpu", {}).get("features", ()))
        changed = sorted(then.symmetric_difference(cpu_features()) - {ONEDNN})  # that has a line
        if changed:
            lines.append(f"another processor: it differs in {', '.join(changed)}")
        return lines

    @property
    def beyond(self) -> list[ReplayDifference]:
        """The differences larger than `TOLERANCE`."""
        return [difference for difference in self.differences if difference.is_beyond]

    def largest(self) -> dict[str, ReplayDifference]:
        """Return the largest difference of each number, or of its epochs, by its name."""
        found: dict[str, ReplayDifference] = {}
        for one in self.differences:
            name = one.what.partition(", epoch")[0]
            if not math.isnan(one.size) and (name not in found or one.size > found[name].size):
                found[name] = one
        return found

    @property
    def is_bit_equal(self) -> bool:
        """Whether every number is the same to the bit."""
        return not self.differences

    @property
    def succeeded(self) -> bool:
        """Whether it is bit-equal or, with other versions or processor, within the tolerance."""
        return self.is_bit_equal or (bool(self.surroundings) and not self.beyond)


@dataclass
class _StopAfter:
    """The judge of a second training: ends it after the same epoch (from 0) as the first."""

    epoch: int
    stop: Stop | None
    notes: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, epoch: int, metrics: Mapping[str, float]) -> Stop | None:
        return self.stop if epoch >= self.epoch else None


def _judge_of(record: Record) -> _StopAfter:
    """Return what ends a second training where the first was stopped from outside, if it was."""
    result, stop = record.trained, None
    if result is not None and result.outcome == "stopped":
        stop = Stop(result.stop_reason)
    return _StopAfter(record.epochs - 1, stop)


def replay(
    record: Record,
    experiment: Experiment,
    data: PreparedData,
    worker: Preload | None = None,
    sweep: str = "",
) -> Replayed:
    """Train a recorded trial again and compare it.

    A trial that was stopped from outside, such as a pruned one, is stopped after the same epoch.
    It is trained by a worker that gets `worker`; without that, in this process. The record has its
    arrays.

    Raises:
        UsageError: The record holds nothing to compare with, or the training ended without a
            result.
    """
    is_whole = record.outcome == "complete"  # a script may report no epoch, only its result
    if record.result is None or not (record.result.history or is_whole):
        raise UsageError(f"trial {record.trial} {record.reason}: no epoch to be compared with")
    executor: Executor
    if worker is None:
        executor = InProcessExecutor(
            experiment, data, Nobody(), lambda spec: None, configs=[record.config]
        )
    else:
        from sweeps.executors.local.executor import WorkersExecutor

        executor = WorkersExecutor(1, worker, Nobody())
    with closing(executor):
        attempt: Attempt = executor.submit(record.spec(sweep), _judge_of(record)).result()
    if attempt.result is None:
        raise UsageError(f"trial {record.trial} cannot be trained again: {attempt.error}")
    return Replayed(record, attempt.result, compare(record, attempt.result))


def replay_by(
    engine: str, store: RecordStore, info: SweepInfo, record: Record, source: str | None = None
) -> Replayed:
    """Train a recorded trial again by another engine, in this process, and compare it.

    For the arguments see `replay_recorded`.

    Raises:
        UsageError: Its experiment or its data cannot be loaded, or the engine cannot train it.
    """
    experiment = load_same(store, info, record, to_train=True)
    if not isinstance(experiment, SupportsEngines) or engine not in experiment.engines:
        able = ", ".join(getattr(experiment, "engines", ())) or "none"
        raise UsageError(
            f"--engine {engine}: experiment {info.experiment_name} repeats a training by {able}"
        )
    data = PreparedAgain(lambda: experiment, source=source).of(record)
    try:
        result = experiment.train_by(engine, record.spec(info.id), data, _judge_of(record))
    except ValueError as error:
        raise UsageError(f"--engine {engine}: trial {record.trial}: {error}") from None
    return Replayed(record, result, compare(record, result))


def compare(record: Record, now: TrialResult) -> list[ReplayDifference]:
    """Return the differences between a recorded trial, with its arrays, and a second training.

    Durations are not compared.
    """
    recorded = record.result
    assert recorded is not None
    differences = list(_numbers(recorded, now))
    for name, array in recorded.arrays.items():
        after = now.arrays.get(name)
        kinds = {array.dtype.kind, after.dtype.kind} if after is not None else set()
        # NumPy asks no text for NaN.
        if after is None or not np.array_equal(array, after, equal_nan=kinds <= {"f", "c"}):
            differences.append(ReplayDifference(name))
    if record.weights_sha256 is not None and digest_of(now) != record.weights_sha256:
        differences.append(ReplayDifference("weights"))
    return differences


def replay_recorded(
    store: RecordStore,
    info: SweepInfo,
    record: Record,
    source: str | None = None,
    *,
    restore: bool = False,
    workers: int = 1,
) -> Replayed:
    """Train a recorded trial again with its experiment and its data, and compare it.

    A worker trains it, with the threads and the environment of the first training. If it differs,
    it may have been trained without workers, so it is trained in this process, too; what no other
    process can have, only in this.

    Args:
        store: The records of its sweep.
        info: Its sweep.
        record: Its record, with arrays.
        source: Source of its data; None: as recorded, or the experiment's own.
        restore: Whether its weights are stored again if they are equal.
        workers: 0: this process trains it, and no other.

    Raises:
        UsageError: Its experiment or its data cannot be loaded, or have changed.
    """
    experiment = load_same(store, info, record, to_train=True)
    data = PreparedAgain(lambda: experiment, source=source).of(record)
    worker = None
    if workers:
        folder = experiment_folder(info, store.folder.parent)
        with contextlib.suppress(UsageError):  # no other process can have it: this one trained it
            worker = make_preload(
                info.experiment, folder, data, [__name__], configs=[record.config]
            )
    replayed = replay(record, experiment, data, worker, info.id)
    if worker is not None and not (replayed.is_bit_equal or replayed.surroundings):
        here = replay(record, experiment, data, sweep=info.id)
        replayed = here if here.is_bit_equal else replayed
    weights, is_restored = replayed.result.weights, False
    if restore and weights is not None and digest_of(replayed.result) == record.weights_sha256:
        store.keep_file(store.weights_path(record.key), pack_arrays(weights), "weights")
        is_restored = True
    unrecorded = unrecorded_package(store, info, record)
    return dataclasses.replace(replayed, is_restored=is_restored, unrecorded=unrecorded)


def _numbers(recorded: TrialResult, now: TrialResult) -> Iterator[ReplayDifference]:
    if (recorded.outcome, recorded.stop_reason) != (now.outcome, now.stop_reason):
        ends = [f"{r.outcome} ({r.stop_reason})" for r in (recorded, now)]
        yield ReplayDifference(f"{_END}, recorded {ends[0]}, now {ends[1]},")
    for name, before in recorded.history.items():  # what is measured since then is no difference
        if name.endswith("_seconds"):
            continue
        after = now.history.get(name, [])
        if len(before) != len(after):
            yield ReplayDifference(f"epochs of {name}", len(before), len(after))
        for epoch, pair in enumerate(zip(before, after, strict=False), 1):
            if not _is_same(*pair):
                yield ReplayDifference(f"{name}, epoch {epoch}", *pair)
    for name, value in recorded.metrics.items():
        again = now.metrics.get(name, math.nan)
        if not name.endswith("_seconds") and not _is_same(value, again):
            yield ReplayDifference(name, value, again)


def digest_of(result: TrialResult) -> str | None:
    """Return the SHA-256 (hex) of a result's weights, as in a record; None without weights."""
    if result.weights is None:
        return None
    return hashlib.sha256(pack_arrays(result.weights)).hexdigest()


def _is_same(first: float, second: float) -> bool:
    return first == second or (first != first and second != second)  # noqa: PLR0124 - NaN


CHECK: Final = 0
"""Attempt number that the experiment sees in a check; the attempts at trials count from 1."""
_SHOWN: Final = 3


class DeterminismCheck:
    """The check that a trial's seed decides its result: made once, stored as an event.

    The first complete trial is trained again, on a worker that would be idle or after the last
    trial. That is no attempt: it has no record and no run, and no proposal depends on it.

    Attributes:
        future: The second training; None before it begins and after it was compared.
    """

    def __init__(
        self, below_seconds: float, store: RecordStore, note: Callable[[str], None]
    ) -> None:
        """Find out whether the check is still to be made.

        The trial must have taken less than `below_seconds`; 0 switches the check off. `note` gets a
        line if the second training differs or fails.
        """
        self.future: Future[Attempt] | None = None
        self._below_seconds, self._store, self._note = below_seconds, store, note
        self._is_wanted = below_seconds > 0 and store.state().checked is None
        self._trial: Record | None = None

    def consider(self, record: Record) -> None:
        """Choose the first complete trial, unless it took too long: then there is no check."""
        if self._is_wanted and record.outcome == "complete":
            self._is_wanted = False
            if record.seconds < self._below_seconds:
                self._trial = msgspec.structs.replace(record)  # its arrays are on disk

    def begin(self, executor: Executor) -> None:
        """Begin the second training, if it is due."""
        if self._trial is not None and self.future is None:
            self.future = executor.submit(
                dataclasses.replace(self._trial.spec(self._store.folder.name), attempt=CHECK)
            )

    def conclude(self) -> None:
        """Compare the second training with the first, once it has ended, and record the outcome."""
        if self.future is None or not self.future.done() or self._trial is None:
            return
        future, trial = self.future, self._trial
        self.future = self._trial = None
        if future.cancelled() or future.exception() is not None:
            return  # the executor has gone
        attempt, what = future.result(), f"trial {trial.trial}"
        if attempt.result is None:
            why = (attempt.error or attempt.reason).strip().partition("\n")[0]
            self._note(f"{what} could not be trained a second time, to compare it: {why}")
            return
        try:
            found = compare(self._store.read(trial.key), attempt.result)
            checked = Checked(trial.trial, _in_words(found))
            if checked.differs:
                self._note(f"reproducible=false: {checked.differs}")
            self._store.append(checked)
        except (RecordError, StoreError) as error:
            self._note(f"{what} was trained a second time, which cannot be recorded: {error}")


def _in_words(differences: Sequence[ReplayDifference]) -> str | None:
    """Return the differences in one line; None if there are none."""
    numbers = [one for one in differences if not math.isnan(one.size)]
    parts = []
    if numbers:
        largest = max(numbers, key=lambda one: one.size)
        names = list(dict.fromkeys(one.what.partition(", epoch")[0] for one in numbers))
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        parts.append(
            f"{counted(len(numbers), 'number')} ({', '.join(names[:_SHOWN])}{more}; most, by "
            f"{largest.size:.3g}, {largest.what}: {largest.recorded!r} and {largest.now!r})"
        )
    parts += [one.what for one in differences if math.isnan(one.size)]
    return "; ".join(parts) or None
