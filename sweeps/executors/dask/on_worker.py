"""Runs inside a Dask worker: gives attempts to child processes, and reports their epochs.

So an attempt on a cluster that crashes, hangs or is stopped ends alone, as on a single machine.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from distributed import Worker, get_worker

from sweeps.errors import WorkersError
from sweeps.executors.attempt import Attempt, Judge
from sweeps.executors.checkpoint import CheckpointPlace
from sweeps.executors.dask.fleet import differences
from sweeps.executors.local.executor import WorkersExecutor
from sweeps.executors.preloading import Preload
from sweeps.experiment import TrialSpec
from sweeps.workspace.files import remove
from sweeps.workspace.provenance import cpu_features, environment

PACE_SECONDS: Final = 1.0
"""Shortest time between two events with epochs of an attempt. With an event per epoch, the
scheduler of hundreds of workers would do little else."""


@dataclass
class _Unreported:
    """The epochs of an attempt that are not reported yet."""

    told_at: float
    waiting: list[tuple[int, Mapping[str, float]]] = field(default_factory=list)


@dataclass(frozen=True)
class Notifier:
    """Listener that reports starts to the coordinator at once, and epochs once a second.

    Attributes:
        worker: The Dask worker whose child processes it listens to.
        topic: Topic of Dask events that the coordinator listens to.
        clock: Monotonic clock, in seconds.
    """

    worker: Worker
    topic: str
    clock: Callable[[], float] = time.monotonic
    _epochs: dict[str, _Unreported] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def started(self, spec: TrialSpec) -> None:
        """Report that an attempt begins."""
        with self._lock:
            self._epochs[spec.key] = _Unreported(self.clock())
        self._tell({"key": spec.key, "features": cpu_features()})

    def epoch(self, spec: TrialSpec, epoch: int, metrics: Mapping[str, float]) -> None:
        """Report an epoch, or keep it until `PACE_SECONDS` after the last report."""
        now = self.clock()
        with self._lock:
            epochs = self._epochs.get(spec.key)
            if epochs is None:  # the same attempt, given to this worker twice, has ended already
                return
            epochs.waiting.append((epoch, dict(metrics)))
            if now - epochs.told_at < PACE_SECONDS:
                return
            waiting, epochs.waiting, epochs.told_at = epochs.waiting, [], now
        self._tell({"key": spec.key, "epochs": waiting})

    def ended(self, spec: TrialSpec) -> None:
        """Report the epochs that are left; called before the attempt is returned."""
        with self._lock:
            epochs = self._epochs.pop(spec.key, None)
        if epochs is not None and epochs.waiting:
            self._tell({"key": spec.key, "epochs": epochs.waiting})

    def _tell(self, event: Mapping[str, Any]) -> None:
        self.worker.log_event(self.topic, {**event, "worker": self.worker.address})


@dataclass(frozen=True)
class DaskJob:
    """Everything that a Dask worker needs for one attempt.

    Attributes:
        topic: Topic of Dask events for its start and its epochs.
        spec: The attempt.
        judge: Asked after each of its epochs.
        data_digest: SHA-256 (hex) of the pickled data it must be trained on.
        versions: The coordinator's versions; a worker with others refuses the attempt.
        timeout_seconds: How long it may take.
        place: The place of its checkpoint, which counts where the coordinator's files are seen.
        features: CPU features of the coordinator; what was trained without them goes on elsewhere
            with other last bits.
    """

    topic: str
    spec: TrialSpec
    judge: Judge | None
    data_digest: str
    versions: Mapping[str, str]
    timeout_seconds: float | None
    place: CheckpointPlace | None = None
    features: Sequence[str] = ()

    def place_here(self, *, writes_files: bool = False) -> CheckpointPlace | None:
        """Return the place of the checkpoint if it is of use on this machine, else None.

        A training that writes files, as a script, links its checkpoint to what it prints, which is
        on a disk of this machine.
        """
        place = self.place
        is_alike = [*self.features] == cpu_features() and not writes_files
        return place if place is not None and is_alike and place.is_here() else None


@dataclass(frozen=True)
class _Local:
    """The executor, the notifier and the folder of attempts of one coordinator on this worker."""

    executor: WorkersExecutor
    notifier: Notifier
    folder: Path | None


_here: dict[str, _Local] = {}
"""By the coordinator's topic."""
_lock: Final = threading.Lock()
_maker: Final = ThreadPoolExecutor(1, "sweeps-executor")
"""Its thread lives as long as this process: children of an executor die with the thread that made
it."""


@dataclass(frozen=True)
class CannotTrain:
    """The reason why a Dask worker cannot train any attempt."""

    text: str


def train(job: DaskJob, preload: Preload) -> Attempt | CannotTrain:
    """Train an attempt in a child process; Dask calls this in one of its worker's threads.

    It raises nothing: an exception whose traceback cannot be pickled would silently end Dask's
    client.
    """
    try:
        return _train(job, preload)
    except Exception as error:
        text = str(error) if isinstance(error, WorkersError) else f"{type(error).__name__}: {error}"
        return CannotTrain(f"Dask worker {get_worker().address}: {text}")


def _train(job: DaskJob, preload: Preload) -> Attempt:
    found = differences(job.versions)
    if found:
        raise WorkersError("; ".join(found))
    if hashlib.sha256(preload.data).hexdigest() != job.data_digest:
        raise WorkersError("the data arrived damaged")
    here = _started(job, preload)
    place = job.place_here(writes_files=preload.writes_files)
    try:
        attempt: Attempt = here.executor.submit(job.spec, job.judge, place=place).result()
    finally:
        here.notifier.ended(job.spec)
    return dataclasses.replace(attempt, environment=environment())


def stop(topic: str, spec: TrialSpec, reason: str) -> None:
    """Ask an attempt to end after its current epoch, if it runs on this Dask worker."""
    here = _here.get(topic)
    if here is not None:
        here.executor.stop(spec, reason)


def end(topic: str) -> None:
    """End the worker processes of a coordinator."""
    with _lock:
        here = _here.pop(topic, None)
    if here is None:
        return
    here.executor.close()
    if here.folder is not None:  # the files of attempts were returned with their results
        with suppress(OSError):
            remove(here.folder)


def _started(job: DaskJob, preload: Preload) -> _Local:
    worker = get_worker()
    with _lock:
        if job.topic not in _here:
            notifier = Notifier(worker, job.topic)
            folder = Path(worker.local_directory, job.topic) if preload.writes_files else None
            own = dataclasses.replace(preload, coordinator=os.getpid(), import_path=tuple(sys.path))
            executor = _maker.submit(
                WorkersExecutor,
                worker.state.nthreads,
                own,
                notifier,
                trial_timeout_seconds=job.timeout_seconds,
                folders=folder,
            ).result()
            _here[job.topic] = _Local(executor, notifier, folder)
        return _here[job.topic]
