"""Worker processes: as many handles as asked for, one attempt each, and a queue of waiting ones."""

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
"""A worker is replaced after so many attempts: what trainings leave in memory stays bounded."""


class WorkersExecutor:
    """Executor for `--workers N`. To be made in a thread that outlives it.

    A thread of its own owns the pool and waits for whatever happens there. What other threads want
    of it they leave in `_calls`.
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
            workers: How many worker processes.
            preload: What they need.
            listener: Told of attempts under way, in this executor's thread.
            note: Told, in that thread, if workers cannot be forked.
            tasks_per_worker: After how many attempts a worker is replaced.
            trial_timeout_seconds: How long an attempt may take before its worker is killed.
            folders: Where each attempt has a folder of its own; None without.
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
        """Let an attempt wait for a free worker; until it has one its future can be cancelled.

        It is kept in this executor's thread. See `Executor.submit`.
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
        """End all workers with everything they started; what they ran has no result."""
        self._call(self._end)
        self._thread.join()
        self._pool.close()
        self._selector.close()
        self._woken.close()
        self._wake.close()
        if self._folders is not None:
            with contextlib.suppress(OSError):  # there is none, or it holds what was cut off
                self._folders.rmdir()

    def seconds(self) -> Mapping[str, float]:
        """Return how long the first worker took to be ready, and how long workers were idle."""
        idle = sum(handle.idle_seconds for handle in self._pool.handles)
        return {"warm_up": self._pool.warm_up_seconds, "idle": idle}

    def _folder_of(self, spec: TrialSpec) -> Path | None:
        """Return a folder for an attempt, new each time: a cluster may begin one twice."""
        if self._folders is None:
            return None
        return self._folders / f"{spec.key}.{next(self._numbers)}"

    def _call(self, call: Callable[[], None]) -> bool:
        """Have the thread do something; return False if it has ended."""
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
        except BaseException:  # a waiting future must end, whatever happens here
            self._closed = traceback.format_exc()
        with self._lock:
            self._has_ended = True
        self._do_calls()
        self._fail([*self._waiting, *(handle.job for handle in self._pool.handles if handle.job)])

    def _pause(self) -> float | None:
        """Ask for the workers that are due; return the longest time to wait for what happens."""
        due = self._pool.ask_for_workers()
        if self._trial_timeout is None:
            return due
        return min(LOOK_SECONDS if due is None else due, self._pool.seconds_to_deadline())

    def _do_calls(self) -> None:
        while self._calls:
            self._calls.popleft()()

    def _assign(self) -> None:
        while self._waiting and (handle := next(self._pool.free_seats(), None)):
            job = self._waiting.popleft()
            if job.future.set_running_or_notify_cancel():
                self._pool.begin(handle, job)
                self._listener.started(job.spec)

    def _fail(self, jobs: list[Job]) -> None:
        for job in jobs:
            if job.future.running() or job.future.set_running_or_notify_cancel():
                job.future.set_exception(WorkersError(self._closed))
