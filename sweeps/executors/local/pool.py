"""The worker handles of an executor, and the fork server that gives them workers.

The executor's thread owns the pool; it waits for all sockets at once, never for a single one.
"""

from __future__ import annotations

import contextlib
import math
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

from sweeps.config.policies import FailureReason
from sweeps.executors.attempt import Attempt
from sweeps.executors.local.server_process import ServerProcess
from sweeps.executors.local.worker_handle import Job, WorkerHandle
from sweeps.executors.messages import (
    Ended,
    Epochs,
    Failed,
    Hello,
    MessageError,
    Preloaded,
    Started,
    StopTask,
    pack,
)
from sweeps.executors.preloading import Preload
from sweeps.executors.protocol import Listener
from sweeps.experiment import Stop

PRINTING_SECONDS: Final = 0.3
"""Time that a worker has to print its stack, after its attempt took too long."""
LOOK_SECONDS: Final = 1.0
"""Longest time between two looks at the deadlines, unless this process is suspended."""
MAX_FAILURES: Final = 5
"""A handle gives up after this many workers in a row have ended without ever having a task."""


class Pool:
    """Keeps a worker in every handle: starts workers, replaces ended ones, hands out results.

    Attributes:
        broken: Why no worker can be started any more; None while one can.
        warm_up_seconds: Seconds until the first worker was ready.
    """

    def __init__(
        self,
        handles: int,
        tasks_per_worker: int,
        trial_timeout_seconds: float | None,
        preload: Preload,
        selector: selectors.BaseSelector,
        listener: Listener,
        note: Callable[[str], None],
    ) -> None:
        """Start the server; returns at once. See `WorkersExecutor` for the arguments."""
        self.broken: str | None = None
        self.warm_up_seconds = 0.0
        self.handles = [WorkerHandle() for _ in range(handles)]
        self._tasks_per_worker = tasks_per_worker
        self._timeout = trial_timeout_seconds
        self._looked_at = time.monotonic()
        self._preload, self._selector = preload, selector
        self._listener, self._note = listener, note
        # Handles for which the server has not yet sent the worker's process id.
        self._asked: deque[WorkerHandle] = deque()
        self._is_preloaded = self._has_lost = False
        self._began = time.monotonic()
        self._start_server()

    def free_handles(self) -> Iterator[WorkerHandle]:
        """Yield the handles whose worker is ready for an attempt.

        After an attempt could not be recorded there are none: the next would be trained in vain.
        """
        return (handle for handle in self.handles if handle.is_free and not self._has_lost)

    def stop(self, key: str, stop: Stop) -> None:
        """Tell a running attempt to end after its current epoch."""
        for handle in self.handles:
            if handle.job is not None and handle.job.spec.key == key:
                handle.send(pack(StopTask(key, stop)))

    def ask_for_workers(self) -> float | None:
        """Ask for the workers that are due; return the seconds until the next one is due."""
        if not self._is_preloaded or self.broken:
            return None
        now, pauses = time.monotonic(), []
        for handle in self.handles:
            if handle.channel is not None or handle.failures >= MAX_FAILURES:
                continue
            if handle.retry_at > now:
                pauses.append(handle.retry_at - now)
                continue
            channel = handle.ask(self._server)
            self._asked.append(handle)
            self._selector.register(channel, selectors.EVENT_READ, partial(self._on_handle, handle))
        return min(pauses, default=None)

    def begin(self, handle: WorkerHandle, job: Job) -> None:
        """Give a handle's worker an attempt."""
        handle.begin(job, math.inf if self._timeout is None else self._timeout + PRINTING_SECONDS)

    def end_overdue(self) -> None:
        """End attempts that take too long, and their workers; nothing they still send is read."""
        now = time.monotonic()
        unheard, self._looked_at = now - self._looked_at, now
        for handle in self.handles:
            if unheard > 2 * LOOK_SECONDS:  # this process was suspended: its result may wait
                handle.deadline += unheard
            if handle.deadline <= now and handle.pid is not None:
                pid, text = handle.pid, f"it took longer than --trial-timeout {self._timeout:g} s"
                self._lose(handle, text + handle.last_lines(), "timeout")
                self._server.end_worker(pid)

    def seconds_to_deadline(self) -> float:
        """Return the seconds until the first attempt takes too long; never below 0."""
        return max(0.0, min(handle.deadline for handle in self.handles) - time.monotonic())

    def watch_unsent(self) -> None:
        """Let the selector watch for writable sockets where a handle has unsent bytes."""
        for key in list(self._selector.get_map().values()):
            handle = next((s for s in self.handles if s.channel is key.fileobj), None)
            events = selectors.EVENT_READ
            if handle is not None and handle.has_unsent:
                events |= selectors.EVENT_WRITE
            if events != key.events:
                self._selector.modify(key.fileobj, events, key.data)

    def close(self) -> None:
        """End every worker and the server."""
        self._server.end(at_once=not self._is_preloaded)
        for handle in self.handles:
            handle.clear()

    def _start_server(self) -> None:
        self._server = ServerProcess(self._preload)
        self._selector.register(self._server.control, selectors.EVENT_READ, self._on_server)

    def _give_up(self, reason: str) -> None:
        self.broken = self.broken or reason

    def _on_server(self) -> None:
        try:
            for message in self._server.receive():
                self._heed(message)
        except EOFError as ended:
            self._replace_server(str(ended))

    def _heed(self, message: Preloaded | Failed | Started | Ended) -> None:
        match message:
            case Preloaded(spawns_because=reason):
                self._is_preloaded = True
                if reason is not None:
                    self._note(f"workers are spawned, not forked: {reason}")
            case Failed(reason=reason) if self._asked:
                self._lose(self._asked.popleft(), reason, "crash")
            case Failed(reason=reason):
                self._give_up(reason)
            case Started(pid=pid):
                self._asked.popleft().pid = pid
            case Ended(pid=pid, code=code):
                for handle in [handle for handle in self.handles if handle.pid == pid]:
                    self._bury(handle, code)

    def _replace_server(self, death: str) -> None:
        """Start another fork server; the workers of the dead one end by themselves."""
        self._selector.unregister(self._server.control)
        self._server.end(at_once=not self._is_preloaded)
        if not self._is_preloaded:
            self._give_up(f"{death}\n(while it made the experiment ready)")
            return
        self._is_preloaded = False
        self._asked.clear()
        for handle in self.handles:
            if handle.channel is not None:
                self._lose(handle, death, "crash")
        self._start_server()

    def _on_handle(self, handle: WorkerHandle) -> None:
        channel = handle.channel
        handle.flush()
        try:
            for message in handle.receive():
                self._take(handle, message)
        except EOFError:
            # The server will soon report how the worker ended.
            self._forget_channel(channel)
            handle.shut()
        except MessageError as error:
            said = f"the worker process sent what is no message ({error}){handle.last_lines()}"
            pid = handle.pid
            self._lose(handle, said, "crash")
            if pid is not None:
                self._server.end_worker(pid)

    def _take(self, handle: WorkerHandle, message: Any) -> None:
        if isinstance(message, Attempt):
            self._finish(handle, message)
        elif isinstance(message, Epochs):
            self._show(handle, message)
        elif isinstance(message, Hello):
            self.warm_up_seconds = self.warm_up_seconds or time.monotonic() - self._began
            handle.rest()

    def _show(self, handle: WorkerHandle, message: Epochs) -> None:
        if handle.job is None:
            return
        for epoch, metrics in message.epochs:
            self._listener.epoch(handle.job.spec, epoch, metrics)

    def _finish(self, handle: WorkerHandle, attempt: Attempt) -> None:
        job = handle.job
        if job is None or job.spec.key != attempt.spec.key:
            return  # other code in that process wrote it
        handle.rest()
        if handle.tasks >= self._tasks_per_worker:
            self._forget_channel(handle.channel)
            handle.clear()
        self._end(job, attempt)

    def _end(self, job: Job, attempt: Attempt) -> None:
        self._has_lost = not job.end(attempt) or self._has_lost

    def _bury(self, handle: WorkerHandle, code: int) -> None:
        """Read the last messages of a dead worker, and free its handle for another."""
        with contextlib.suppress(EOFError, MessageError):
            for message in handle.receive():
                self._take(handle, message)
        if handle.channel is not None:  # it was not replaced after its last result
            self._lose(handle, *handle.death(code))

    def _lose(self, handle: WorkerHandle, death: str, reason: FailureReason) -> None:
        lost = handle.lost(death, reason)
        job = handle.job
        self._forget_channel(handle.channel)
        handle.clear()
        if job is not None and lost is not None:
            self._end(job, lost)
        if all(handle.failures >= MAX_FAILURES for handle in self.handles):
            self._give_up(f"worker processes end before they have trained anything: {death}")

    def _forget_channel(self, channel: socket.socket | None) -> None:
        with contextlib.suppress(KeyError, ValueError):
            if channel is not None:
                self._selector.unregister(channel)
