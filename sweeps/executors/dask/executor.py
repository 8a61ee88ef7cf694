"""Executor for `--executor dask://...`: Dask distributes attempts by value.

No files need to be shared. Where workers see the home, long trials leave their checkpoints in it.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Any, Final

from distributed import KilledWorker

from sweeps.config.policies import Parallelism
from sweeps.errors import WorkersError
from sweeps.executors.attempt import Attempt, Judge, Keep, Listener, itself
from sweeps.executors.checkpoint import CheckpointPlace
from sweeps.executors.dask import on_worker
from sweeps.executors.dask.fleet import (
    ALLOWED_FAILURES,
    Fleet,
    mixed_note,
    versions,
    worker_slots,
)
from sweeps.executors.preloading import Preload
from sweeps.experiment import TrialSpec
from sweeps.workspace.clock import now_ms
from sweeps.workspace.provenance import cpu_features

LOOK_SECONDS: Final = 2.0
"""How often the workers are counted."""
TAKERS: Final = 8
"""Threads that fetch and record results: each waits for the network, then for the disk."""
_LOST: Final = ("cancelled", "lost")
_PAUSE_SECONDS: Final = 0.2


class DaskExecutor:
    """Runs attempts on the workers of a Dask cluster, as many at once as these have threads.

    If a worker dies, Dask gives its attempt to another one; such repeats are counted. An attempt is
    a function of its specification, so the first result that arrives counts.
    """

    is_elsewhere = True

    def __init__(
        self,
        fleet: Fleet,
        preload: Preload,
        listener: Listener,
        note: Callable[[str], None] = lambda text: None,
        *,
        ask_ahead: int,
        trial_timeout_seconds: float | None = None,
    ) -> None:
        """Connect, and send the data once.

        Args:
            fleet: The cluster and its workers.
            preload: Everything that workers need; its paths are not valid there.
            listener: Told of running attempts, in a thread of Dask's.
            note: Called, in any thread, with each line worth showing.
            ask_ahead: Largest number of attempts that the coordinator has in flight.
            trial_timeout_seconds: How long an attempt may take before its process is killed.

        Raises:
            UsageError: The scheduler does not answer.
        """
        began = time.monotonic()
        self._listener, self._note = listener, note
        self._cluster = fleet.cluster
        self._is_mixed = fleet.is_mixed
        self._told = Parallelism(fleet.worker_slots, ask_ahead)
        self._timeout = trial_timeout_seconds
        self._topic = f"sweeps-{secrets.token_hex(8)}"
        self._digest = hashlib.sha256(preload.data).hexdigest()
        self._versions = versions()
        self._running: dict[str, tuple[TrialSpec, Future[Any]]] = {}
        self._takers = ThreadPoolExecutor(TAKERS, "sweeps-taker")
        self._where: dict[str, str] = {}
        self._repeats = 0
        self._client = fleet.cluster.connect()
        self._client.subscribe_topic(self._topic, self._hear)
        self._to_send, self._sending = preload, threading.Lock()
        self._preload = self._client.scatter(preload, hash=False)
        self._worker_slots, self._counted_at = fleet.worker_slots, time.monotonic()
        self._warm_up_seconds = time.monotonic() - began

    @property
    def capacity(self) -> int:
        """Twice what the present workers train at once, so that no free worker has to wait."""
        if time.monotonic() - self._counted_at > LOOK_SECONDS:
            self._count()
        return 2 * max(self._worker_slots, 1)

    def submit(
        self,
        spec: TrialSpec,
        judge: Judge | None = None,
        keep: Keep = itself,
        place: CheckpointPlace | None = None,
    ) -> Future[Any]:
        """Give an attempt to Dask, which finds a worker. See `Executor.submit`."""
        future: Future[Any] = Future()
        self._running[spec.key] = (spec, future)
        job = on_worker.DaskJob(
            self._topic,
            spec,
            judge,
            self._digest,
            self._versions,
            self._timeout,
            place,
            cpu_features(),
        )
        self._send(job, future, keep)
        return future

    def _send(self, job: on_worker.DaskJob, future: Future[Any], keep: Keep, lost: int = 0) -> None:
        """Give an attempt to Dask, whose worker has died with all its data so often before."""
        spec = job.spec
        try:
            remote = self._client.submit(
                on_worker.train,
                job,
                self._preload,
                key=f"{self._topic}-{spec.key}-{secrets.token_hex(4)}",  # it may be sent again
                pure=False,
                priority=-spec.trial,  # in trial order, also when a trial is run again
                resources=dict(self._cluster.resources) or None,
            )
        except Exception as error:  # the client may have noticed a lost scheduler before us
            self._running.pop(spec.key, None)
            raise self._trouble(error) from error
        future.add_done_callback(lambda ended: remote.cancel() if ended.cancelled() else None)

        def take(ended: Any) -> None:
            with contextlib.suppress(RuntimeError):  # the executor was closed meanwhile
                self._takers.submit(self._end, ended, job, future, keep, lost)

        # Dask makes all callbacks in one thread: waiting there would delay every result.
        remote.add_done_callback(take)

    def _send_again(
        self, remote: Any, job: on_worker.DaskJob, future: Future[Any], keep: Keep, lost: int
    ) -> None:
        """Send an attempt again whose data, or whose result, died with the worker that had them.

        Raises:
            WorkersError: The scheduler has gone.
        """
        remote.cancel()  # Dask itself may have found a way to run it again
        is_told = False
        while not future.done():
            if self._client.status != "running":
                raise self._gone("no worker is left")
            with self._sending, contextlib.suppress(OSError, TimeoutError, CancelledError):
                if self._preload.status in _LOST:
                    self._preload = self._client.scatter(
                        self._to_send, hash=False, timeout=LOOK_SECONDS
                    )
                break
            if not is_told:
                is_told = True
                self._note("cluster: no worker is left; trials wait for one")
            time.sleep(_PAUSE_SECONDS)  # a worker that is just dying refuses at once
        if not future.done():
            self._send(job, future, keep, lost)

    def stop(self, spec: TrialSpec, reason: str) -> None:
        """Ask a running attempt to end after its current epoch, wherever it runs."""
        with contextlib.suppress(OSError, TimeoutError):  # its worker may just have gone
            self._client.run(on_worker.stop, self._topic, spec, reason, on_error="ignore")

    def close(self) -> None:
        """End the worker processes of this executor; Dask's own processes go on."""
        with contextlib.suppress(Exception):  # without a scheduler there is nothing to end
            self._client.run(on_worker.end, self._topic, on_error="ignore")
        self._takers.shutdown(wait=False, cancel_futures=True)
        self._client.close()
        if self._repeats:
            self._note(
                f"cluster: attempts begun again since their worker had gone: {self._repeats}; the "
                "first result of each counts"
            )
        for _, future in list(self._running.values()):
            if future.running() or (not future.done() and future.set_running_or_notify_cancel()):
                future.set_exception(WorkersError("the executor was closed"))

    def seconds(self) -> Mapping[str, float]:
        """Return the seconds that connecting and sending the data took."""
        return {"warm_up": self._warm_up_seconds}

    def _count(self) -> None:
        self._counted_at = time.monotonic()
        try:
            now = sum(worker_slots(self._client, self._cluster.resources).values())
        except Exception:  # the scheduler may be gone: waiting futures report that
            return
        self._worker_slots = now
        found = Parallelism(now, self._told.ask_ahead)
        if found.idle > self._told.idle:
            self._told = found
            self._note(f"workers: {found}")

    def _hear(self, event: tuple[float, Mapping[str, Any]]) -> None:
        _, told = event
        key, worker = told["key"], told["worker"]
        spec, future = self._running.get(key, (None, None))
        if spec is None or future is None or future.done():
            return
        if "epochs" in told:
            if self._where.get(key) == worker:  # else Dask has given the attempt to another worker
                for epoch, metrics in told["epochs"]:
                    self._listener.epoch(spec, epoch, metrics)
            return
        # A worker that joined later may be another kind of machine, which is said once.
        mixed = None if self._is_mixed else mixed_note({worker: told["features"]})
        if mixed:
            self._is_mixed = True
            self._note(mixed)
        self._where[key] = worker
        if future.running():
            self._repeats += 1
        elif future.set_running_or_notify_cancel():
            self._listener.started(spec)

    def _end(
        self, remote: Any, job: on_worker.DaskJob, future: Future[Any], keep: Keep, lost: int
    ) -> None:
        """Fetch the first result of an attempt and call `keep`, in a thread of ours."""
        spec = job.spec
        try:
            if future.done():
                return
            try:
                attempt = self._attempt(remote, spec)
            except _LostError as error:
                # One that did not begin has had no part in the death of its worker.
                lost += self._where.pop(spec.key, None) is not None
                if lost <= ALLOWED_FAILURES:
                    self._send_again(remote, job, future, keep, lost)
                    return
                attempt = _crashed(spec, str(error))
            if future.running() or future.set_running_or_notify_cancel():
                future.set_result(keep(attempt))
        except BaseException as error:
            if not future.done():
                future.set_exception(error)
        finally:
            if future.done():
                self._running.pop(spec.key, None)
                self._where.pop(spec.key, None)

    def _attempt(self, remote: Any, spec: TrialSpec) -> Attempt:
        if remote.status == "finished":
            try:
                result: Attempt | on_worker.CannotTrain = remote.result()
            except Exception as error:  # lost while it was fetched; Dask raises several types
                if isinstance(error, CancelledError) and self._client.status == "running":
                    raise _LostError("the worker that had trained it died") from error
                raise self._trouble(error) from error
            if isinstance(result, on_worker.CannotTrain):
                raise WorkersError(result.text)
            return result
        if remote.status in _LOST and self._client.status == "running":
            raise _LostError("the workers that had it died with its data")
        if remote.status != "error":
            raise self._gone(f"the attempt is {remote.status}")
        failed = remote.exception()
        if isinstance(failed, KilledWorker):
            return _crashed(
                spec, f"the workers that had it died, {failed.allowed_failures + 1} in a row"
            )
        raise failed

    def _trouble(self, error: Exception) -> WorkersError:
        """Return our error for one of Dask's: a lost scheduler, or a failing cluster."""
        text = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}".removesuffix(
            ": "
        )
        is_lost = isinstance(error, OSError | TimeoutError | CancelledError)
        if is_lost or self._client.status != "running":
            return self._gone(text)
        return WorkersError(f"the Dask cluster at {self._cluster.asked} fails: {text}")

    def _gone(self, why: str) -> WorkersError:
        return WorkersError(f"the Dask scheduler at {self._cluster.asked} has gone ({why})")


class _LostError(Exception):
    """Data or a result died with the worker that had them; the cluster goes on."""


def _crashed(spec: TrialSpec, why: str) -> Attempt:
    now = now_ms()
    return Attempt(spec, None, why, now, now, "crash")
