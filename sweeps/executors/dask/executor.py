"""Executor for `--executor dask://...`: Dask distributes the attempts, by value, and no files."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import time
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Any, Final

from distributed import KilledWorker

from sweeps.config.policies import Parallelism
from sweeps.errors import WorkersError
from sweeps.executors.attempt import Attempt
from sweeps.executors.dask import on_worker
from sweeps.executors.dask.fleet import Fleet, mixed_note, places, versions
from sweeps.executors.preloading import Preload
from sweeps.executors.protocol import Judge, Keep, Listener, itself
from sweeps.experiment import TrialSpec
from sweeps.workspace.clock import now_ms

LOOK_SECONDS: Final = 2.0
"""How often the workers are counted."""
TAKERS: Final = 8
"""How many results are fetched and kept at once: each waits for the network, then for the disk."""


class DaskExecutor:
    """Runs attempts on the workers of a Dask cluster, as many at once as these have threads.

    A worker that dies has its attempt run by another one: Dask does that, and since an attempt is
    a function of its spec, the first result that comes is the result; such repeats are counted.
    """

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
        """Connect, and have the data sent once.

        Args:
            fleet: Where.
            preload: What workers need; paths in it mean nothing there.
            listener: Told of attempts under way, in a thread of Dask's.
            note: Told, in any thread, what is worth a line.
            ask_ahead: How many attempts the coordinator has under way at most.
            trial_timeout_seconds: How long an attempt may take before its process is killed.

        Raises:
            UsageError: The scheduler does not answer.
        """
        began = time.monotonic()
        self._listener, self._note = listener, note
        self._cluster = fleet.cluster
        self._is_mixed = fleet.is_mixed
        self._told = Parallelism(fleet.places, ask_ahead)
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
        self._preload = self._client.scatter(preload, hash=False)
        self._places, self._counted_at = fleet.places, time.monotonic()
        self._warm_up_seconds = time.monotonic() - began

    @property
    def capacity(self) -> int:
        """Twice what the workers there are now train at once: some wait for whoever is free."""
        if time.monotonic() - self._counted_at > LOOK_SECONDS:
            self._count()
        return 2 * max(self._places, 1)

    def submit(
        self, spec: TrialSpec, judge: Judge | None = None, keep: Keep = itself
    ) -> Future[Any]:
        """Have Dask find a worker for an attempt. See `Executor.submit`."""
        future: Future[Any] = Future()
        self._running[spec.key] = (spec, future)
        job = on_worker.Job(self._topic, spec, judge, self._digest, self._versions, self._timeout)
        try:
            remote = self._client.submit(
                on_worker.train,
                job,
                self._preload,
                key=f"{self._topic}-{spec.key}",
                pure=False,
                priority=-spec.slot,  # in the order of the slots, also when one is run again
                resources=dict(self._cluster.resources) or None,
            )
        except Exception as error:  # such as: its client has noticed before we have
            self._running.pop(spec.key, None)
            raise self._trouble(error) from error
        future.add_done_callback(lambda ended: remote.cancel() if ended.cancelled() else None)
        # Dask calls back in one thread for all: whoever waited there would hold up every result.
        remote.add_done_callback(lambda ended: self._take(ended, spec, future, keep))
        return future

    def stop(self, spec: TrialSpec, reason: str) -> None:
        """Ask a running attempt to end after its current epoch, wherever it runs."""
        with contextlib.suppress(OSError, TimeoutError):  # its worker has just gone
            self._client.run(on_worker.stop, self._topic, spec, reason, on_error="ignore")

    def close(self) -> None:
        """End the worker processes of this executor; Dask's own go on."""
        with contextlib.suppress(Exception):  # the scheduler may be gone: nothing to be ended there
            self._client.run(on_worker.end, self._topic, on_error="ignore")
        self._takers.shutdown(wait=False, cancel_futures=True)
        self._client.close()
        if self._repeats:
            self._note(
                f"cluster: attempts begun again since their worker had gone: {self._repeats}; the "
                "first result of each counts"
            )
        for _, future in list(self._running.values()):
            _fail(future, "the executor was closed")

    def seconds(self) -> Mapping[str, float]:
        """Return how long connecting and sending the data took."""
        return {"warm_up": self._warm_up_seconds}

    def _count(self) -> None:
        """Look how many workers there are; say so if more than ever would have no work."""
        self._counted_at = time.monotonic()
        try:
            now = sum(places(self._client, self._cluster.resources).values())
        except Exception:  # the scheduler may be gone: that is for those to say who wait for it
            return
        self._places = now
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
            if self._where.get(key) == worker:  # else it was given up there
                for epoch, metrics in told["epochs"]:
                    self._listener.epoch(spec, epoch, metrics)
            return
        self._look_at(worker, told["features"])
        self._where[key] = worker
        if future.running():
            self._repeats += 1
        elif future.set_running_or_notify_cancel():
            self._listener.started(spec)

    def _look_at(self, worker: str, features: list[str]) -> None:
        """Say so, once, when a worker that has come since is another kind of machine."""
        mixed = None if self._is_mixed else mixed_note({worker: features})
        if mixed:
            self._is_mixed = True
            self._note(mixed)

    def _take(self, remote: Any, spec: TrialSpec, future: Future[Any], keep: Keep) -> None:
        with contextlib.suppress(RuntimeError):  # closed meanwhile
            self._takers.submit(self._end, remote, spec, future, keep)

    def _end(self, remote: Any, spec: TrialSpec, future: Future[Any], keep: Keep) -> None:
        """Fetch the first result of an attempt and have it kept, in a thread of ours."""
        self._running.pop(spec.key, None)
        self._where.pop(spec.key, None)
        if future.done() or not (future.running() or future.set_running_or_notify_cancel()):
            return
        try:
            future.set_result(keep(self._attempt(remote, spec)))
        except BaseException as error:
            future.set_exception(error)

    def _attempt(self, remote: Any, spec: TrialSpec) -> Attempt:
        if remote.status == "finished":
            try:
                result: Attempt | on_worker.Trouble = remote.result()
            except Exception as error:  # while it was fetched; Dask has several words for it
                raise self._trouble(error) from error
            if isinstance(result, on_worker.Trouble):
                raise WorkersError(result.text)
            return result
        if remote.status != "error":
            raise self._gone(f"the attempt is {remote.status}")
        failed = remote.exception()
        if isinstance(failed, KilledWorker):
            text = f"the workers that had it died, {failed.allowed_failures + 1} in a row"
            now = now_ms()
            return Attempt(spec, None, text, now, now, "crash")
        raise failed

    def _trouble(self, error: Exception) -> WorkersError:
        """Return how an error of Dask's is said: that the scheduler has gone only if it has."""
        text = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}".removesuffix(
            ": "
        )
        is_lost = isinstance(error, OSError | TimeoutError | CancelledError)
        if is_lost or self._client.status != "running":
            return self._gone(text)
        return WorkersError(f"the Dask cluster at {self._cluster.asked} fails: {text}")

    def _gone(self, why: str) -> WorkersError:
        return WorkersError(f"the Dask scheduler at {self._cluster.asked} has gone ({why})")


def _fail(future: Future[Any], why: str) -> None:
    if future.done():
        return
    if future.running() or future.set_running_or_notify_cancel():
        future.set_exception(WorkersError(why))
