"""The executor of worker processes: a fixed number of them, one attempt each, and a queue."""

from __future__ import annotations

import contextlib
import itertools
import selectors
import socket
import threading
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final

from sweeps.errors import WorkersError
from sweeps.executors.local.pool import LOOK_SECONDS, Pool
from sweeps.executors.local.worker_handle import Job
from sweeps.executors.messages import Task, pack
from sweeps.executors.preloading import Preload
from sweeps.executors.protocol import Judge, Keep, Listener, itself
from sweeps.experiment import Stop, TrialSpec

TASKS_PER_WORKER: Final = 100
"""A worker is replaced after this many attempts, so that leaks of trainings stay bounded."""


class WorkersExecutor:
    """Executor for `--workers N`; must be made in a thread that outlives it.

    A thread of its own owns the pool and waits for its events. Other threads leave their requests
    to it in `_calls`.
    """

    def __init__(
        self,
        workers: int,
        preload: Preload,
        listener: Listener,
        note: Callable[[str], None] = lambda text: None,
        *,
        tasks_per_worker: int = TASKS_PER_WORKER,
        trial_timeout_seconds: float | None = None,
        folders: Path | None = None,
    ) -> None:
        """Start the fork server; returns at once.

        Args:
            workers: Number of worker processes.
            preload: Everything the workers need before their first attempt.
            listener: Told of running attempts, in this executor's thread.
            note: Called with a line, in that thread, if workers cannot be forked.
            tasks_per_worker: Number of attempts after which a worker is replaced.
            trial_timeout_seconds: How long an attempt may take before its worker is killed.
            folders: Folder that gets a folder for each attempt; None if attempts write no files.
        """
        self._folders, self._numbers = folders, itertools.count(1)
        self.capacity = 2 * workers
        self._listener = listener
        self._waiting: deque[Job] = deque()
        self._calls: deque[Callable[[], None]] = deque()
        self._closed: str | None = None  # why
        self._has_ended = False
        self._lock = threading.Lock()
        self._woken, self._wake = socket.socketpair()
        self._wake.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._woken, selectors.EVENT_READ, self._on_wake)
        self._trial_timeout = trial_timeout_seconds
        self._pool = Pool(
            workers,
            tasks_per_worker,
            trial_timeout_seconds,
            preload,
            self._selector,
            listener,
            note,
        )
        self._thread = threading.Thread(target=self._work, name="sweeps-workers", daemon=True)
        self._thread.start()

    def submit(
        self, spec: TrialSpec, judge: Judge | None = None, keep: Keep = itself
    ) -> Future[Any]:
        """Let an attempt wait for a free worker; until then its future can be cancelled.

        `keep` is called in this executor's thread. See `Executor.submit`.
        """
        folder = self._folder_of(spec)
        job = Job(spec, pack(Task(spec, judge, self._trial_timeout, folder)), keep, folder)
        if not self._call(lambda: self._waiting.append(job)):
            self._fail([job])
        return job.future

    def stop(self, spec: TrialSpec, reason: str) -> None:
        """Ask a running attempt to end after its current epoch."""
        self._call(lambda: self._pool.stop(spec.key, Stop(reason)))

    def close(self) -> None:
        """End all workers and every process they started; running attempts have no result."""
        self._call(self._end)
        self._thread.join()
        self._pool.close()
        self._selector.close()
        self._woken.close()
        self._wake.close()
        if self._folders is not None:
            with contextlib.suppress(OSError):  # not there, or not empty after a cut-off attempt
                self._folders.rmdir()

    def seconds(self) -> Mapping[str, float]:
        """Return the seconds until the first worker was ready, and those that workers were idle."""
        idle = sum(handle.idle_seconds for handle in self._pool.handles)
        return {"warm_up": self._pool.warm_up_seconds, "idle": idle}

    def _folder_of(self, spec: TrialSpec) -> Path | None:
        """Return a new folder for an attempt, numbered because a cluster may begin one twice."""
        if self._folders is None:
            return None
        return self._folders / f"{spec.key}.{next(self._numbers)}"

    def _call(self, call: Callable[[], None]) -> bool:
        """Let the executor's thread make a call; return False if the thread has ended."""
        with self._lock:
            if self._has_ended:
                return False
            self._calls.append(call)
            with contextlib.suppress(BlockingIOError):  # full: the thread wakes anyway
                self._wake.send(b"!")
            return True

    def _on_wake(self) -> None:
        self._woken.recv(4096)

    def _end(self) -> None:
        self._closed = self._closed or "the executor was closed"

    def _work(self) -> None:
        try:
            while self._closed is None:
                for key, _ in self._selector.select(self._pause()):
                    key.data()
                self._do_calls()
                if self._trial_timeout is not None:
                    self._pool.end_overdue()
                self._assign()
                self._pool.watch_unsent()
                self._closed = self._closed or self._pool.broken
        except BaseException:  # waiting futures must end, whatever happens here
            self._closed = traceback.format_exc()
        with self._lock:
            self._has_ended = True
        self._do_calls()
        self._fail([*self._waiting, *(handle.job for handle in self._pool.handles if handle.job)])

    def _pause(self) -> float | None:
        """Ask for the workers that are due; return the longest time to wait for an event."""
        due = self._pool.ask_for_workers()
        if self._trial_timeout is None:
            return due
        return min(LOOK_SECONDS if due is None else due, self._pool.seconds_to_deadline())

    def _do_calls(self) -> None:
        while self._calls:
            self._calls.popleft()()

    def _assign(self) -> None:
        while self._waiting and (handle := next(self._pool.free_handles(), None)):
            job = self._waiting.popleft()
            if job.future.set_running_or_notify_cancel():
                self._pool.begin(handle, job)
                self._listener.started(job.spec)

    def _fail(self, jobs: list[Job]) -> None:
        for job in jobs:
            if job.future.running() or job.future.set_running_or_notify_cancel():
                job.future.set_exception(WorkersError(self._closed))
