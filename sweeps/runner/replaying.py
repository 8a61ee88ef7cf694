"""Trains a recorded trial again, from its record alone, and compares it epoch by epoch."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import numpy as np

from sweeps.errors import StoreError, UsageError
from sweeps.executors import Attempt, Executor, InProcessExecutor, Nobody
from sweeps.executors.preloading import Preload, make_preload
from sweeps.experiment import Experiment, PreparedData, Stop, TrialResult, TrialSpec
from sweeps.experiments.code import load_same, unrecorded_package
from sweeps.experiments.loading import experiment_folder
from sweeps.journal.events import Checked
from sweeps.records import Record, RecordError, RecordStore, SweepInfo, is_same_data, source_of
from sweeps.records.arrays import pack_arrays
from sweeps.workspace.provenance import ONEDNN, changed_versions, cpu_features

TOLERANCE: Final = 0.05
"""Largest accepted difference, as a share of the number or of 1, whichever is larger, if versions
or processor differ: there the same training rounds differently, and differences grow from epoch to
epoch."""


@dataclass(frozen=True)
class ReplayDifference:
    """A number or an array that the second training gave differently.

    Attributes:
        what: `val_loss, epoch 3`, or the name of a metric or an array.
        recorded: The number in the record; None for an array.
        now: The number of the second training; None for an array.
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
        surroundings: Versions, dependencies and processor features that differ, one line each.
        differences: Numbers and arrays that are not equal to the bit.
        beyond: The differences larger than `TOLERANCE`; arrays are not judged by it.
        is_restored: Whether its weights were equal and were stored again.
        unrecorded: The package whose code was not recorded with the trial; usually empty.
    """

    record: Record = field(repr=False)
    result: TrialResult = field(repr=False)
    surroundings: Sequence[str]
    differences: Sequence[ReplayDifference]
    beyond: Sequence[ReplayDifference]
    is_restored: bool = False
    unrecorded: str = ""

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
    """The judge of a second training: ends it after the same epoch as the first.

    Attributes:
        epoch: From 0.
        stop: What ended the first training from outside; None if nothing did.
    """

    epoch: int
    stop: Stop | None
    notes: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, epoch: int, metrics: Mapping[str, float]) -> Stop | None:
        return self.stop if epoch >= self.epoch else None


def replay(
    record: Record,
    experiment: Experiment,
    data: PreparedData,
    worker: Preload | None = None,
    sweep: str = "",
) -> Replayed:
    """Train a recorded trial again and compare it.

    A trial that was stopped from outside, such as a pruned one, is stopped after the same epoch.

    Args:
        record: The record of the trial, with its arrays.
        experiment: The experiment of its sweep.
        data: The data it was trained on; the digests are compared.
        worker: What a worker needs that is to train it; None: it is trained in this process.
        sweep: Id of its sweep.

    Raises:
        UsageError: The record holds nothing to compare with, the data differ, or the training
            ended without a result.
    """
    is_whole = record.outcome == "complete"  # a script may report no epoch, only its result
    if record.result is None or not (record.result.history or is_whole):
        raise UsageError(f"trial {record.trial} {record.reason}: no epoch to be compared with")
    if not is_same_data(data, record.data):
        raise UsageError(f"trial {record.trial} was trained on other data; name them by --data")
    recorded = record.result
    stop = Stop(recorded.stop_reason) if recorded.outcome == "stopped" else None

    executor: Executor
    if worker is None:
        executor = InProcessExecutor(experiment, data, Nobody(), lambda spec: None)
    else:
        from sweeps.executors.local.executor import WorkersExecutor

        executor = WorkersExecutor(1, worker, Nobody())
    try:
        attempt: Attempt = executor.submit(
            record.spec(sweep), _StopAfter(record.epochs - 1, stop)
        ).result()
    finally:
        executor.close()
    if (result := attempt.result) is None:
        raise UsageError(f"trial {record.trial} cannot be trained again: {attempt.error}")
    differences = compare(record, result)
    beyond = [difference for difference in differences if _is_beyond(difference)]
    return Replayed(record, result, _surroundings(record), differences, beyond)


def compare(record: Record, now: TrialResult) -> list[ReplayDifference]:
    """Return the differences between a recorded trial and its second training, without durations.

    Args:
        record: The record of the trial, with its arrays and a result.
        now: The result of the second training.
    """
    assert record.result is not None
    return [*_numbers(record.result, now), *_arrays(record, now)]


def replay_recorded(
    store: RecordStore,
    info: SweepInfo,
    record: Record,
    source: str | None = None,
    *,
    restore: bool = False,
) -> Replayed:
    """Train a recorded trial again with its experiment and its data, and compare it.

    A worker trains it, with the threads and the environment of the first training. If it differs,
    it may have been trained without workers, so it is trained in this process, too.

    Args:
        store: The records of its sweep.
        info: Its sweep.
        record: The record of the trial, with its arrays.
        source: Source of its data; None for the experiment's own.
        restore: Whether its weights are stored again if they are equal.

    Raises:
        UsageError: Its experiment or its data cannot be loaded, or have changed.
    """
    experiment = load_same(store, info, record)
    try:
        seed = int(record.data.get("info", {}).get("split_seed", 0))
        prepared = experiment.prepare(source or source_of(record.data), seed)
    except (ValueError, OSError) as error:
        raise UsageError(f"its data: {error}") from None
    worker = None
    if not info.experiment.startswith("__main__:"):  # defined in a notebook: no worker can have it
        folder = experiment_folder(info, store.folder.parent)
        worker = make_preload(info.experiment, folder, prepared, [__name__])
    replayed = replay(record, experiment, prepared, worker, info.id)
    if worker is not None and not (replayed.is_bit_equal or replayed.surroundings):
        here = replay(record, experiment, prepared, sweep=info.id)
        replayed = here if here.is_bit_equal else replayed
    unrecorded = unrecorded_package(store, info, record)
    replayed = dataclasses.replace(replayed, unrecorded=unrecorded)
    weights = replayed.result.weights
    if not restore or weights is None or digest_of(replayed.result) != record.weights_sha256:
        return replayed
    store.keep_file(store.weights_path(record.key), pack_arrays(weights), "weights")
    return dataclasses.replace(replayed, is_restored=True)


def _numbers(recorded: TrialResult, now: TrialResult) -> Iterator[ReplayDifference]:
    if (recorded.outcome, recorded.stop_reason) != (now.outcome, now.stop_reason):
        ends = (f"{r.outcome} ({r.stop_reason})" for r in (recorded, now))
        yield ReplayDifference("the end, recorded {}, now {},".format(*ends))
    for name, before in recorded.history.items():  # what is measured since then is no difference
        if name.endswith("_seconds"):
            continue
        after = now.history.get(name, [])
        if len(before) != len(after):
            yield ReplayDifference(f"epochs of {name}", len(before), len(after))
        for epoch, pair in enumerate(zip(before, after, strict=False), 1):
            if not _is_same(*pair):
                yield ReplayDifference(f"{name}, epoch {epoch}", *pair)
    for name in recorded.metrics:
        if not name.endswith("_seconds"):
            pair = recorded.metrics[name], now.metrics.get(name, float("nan"))
            if not _is_same(*pair):
                yield ReplayDifference(name, *pair)


def _arrays(record: Record, now: TrialResult) -> Iterator[ReplayDifference]:
    assert record.result is not None
    for name, array in record.result.arrays.items():
        after = now.arrays.get(name)
        kinds = {array.dtype.kind, after.dtype.kind} if after is not None else set()
        # NumPy asks no text for NaN.
        if after is None or not np.array_equal(array, after, equal_nan=kinds <= {"f", "c"}):
            yield ReplayDifference(name)
    if record.weights_sha256 is not None and digest_of(now) != record.weights_sha256:
        yield ReplayDifference("weights")


def digest_of(result: TrialResult) -> str | None:
    """Return the SHA-256 (hex) of a result's weights, as in a record; None without weights."""
    if result.weights is None:
        return None
    return hashlib.sha256(pack_arrays(result.weights)).hexdigest()


def _is_same(first: float, second: float) -> bool:
    return first == second or (first != first and second != second)  # noqa: PLR0124 - NaN


def _is_beyond(difference: ReplayDifference) -> bool:
    if difference.recorded is None or difference.now is None:
        return difference.what.startswith("the end")
    off = abs(difference.recorded - difference.now)
    return not off <= TOLERANCE * max(1.0, abs(difference.recorded))


def _surroundings(record: Record) -> list[str]:
    """Return, one line each, the versions and processor features that are not as recorded."""
    lines = changed_versions(record.environment)
    then = set(record.environment.get("cpu", {}).get("features", ()))
    changed = sorted(then.symmetric_difference(cpu_features()) - {ONEDNN})  # that has a line
    if changed:
        lines.append(f"another processor: it differs in {', '.join(changed)}")
    return lines


CHECK: Final = 0
"""Attempt number that the experiment sees in a check; the attempts at trials count from 1."""
_SHOWN: Final = 3


def is_check(spec: TrialSpec) -> bool:
    """Whether a training is such a check; checks are not shown."""
    return spec.attempt == CHECK


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

        Args:
            below_seconds: The trial must have taken less than this; 0 switches the check off.
            store: The records of the sweep.
            note: Is called with a line if the second training differs or fails.
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
        """Compare the second training with the first, once it has ended, and record the outcome.

        If the second training has no result, or cannot be compared, a line says so; the sweep goes
        on.
        """
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
    if not differences:
        return None
    numbers = [one for one in differences if not math.isnan(one.size)]
    others = [one.what for one in differences if math.isnan(one.size)]
    parts = []
    if numbers:
        largest = max(numbers, key=lambda one: one.size)
        names = list(dict.fromkeys(one.what.partition(", epoch")[0] for one in numbers))
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        count = "1 number" if len(numbers) == 1 else f"{len(numbers)} numbers"
        parts.append(
            f"{count} ({', '.join(names[:_SHOWN])}{more}; most, by {largest.size:.3g}, "
            f"{largest.what}: {largest.recorded!r} and {largest.now!r})"
        )
    return "; ".join([*parts, *(["; ".join(others)] if others else [])])
