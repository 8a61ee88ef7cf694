"""Worker processes: as many seats as asked for, one attempt each, and a queue of waiting ones.

One thread owns seats, server and queue; it waits for all their sockets at once and never for a
single one. What other threads want of it they leave in `_calls`.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, Final

from sweeps.executors.attempt import Attempt
from sweeps.executors.messages import Ended, Epochs, Failed, Preloaded, Started, StopTask, Task, pack
from sweeps.executors.preloading import Preload
from sweeps.executors.protocol import Judge, Listener
from sweeps.executors.seat import Job, Seat
from sweeps.executors.server_process import ServerProcess
from sweeps.experiment import Stop, TrialSpec

TASKS_PER_WORKER: Final = 100
"""A worker is replaced after so many attempts, so that what trainings leave in memory is bounded."""

MAX_FAILURES: Final = 5
"""A seat gives up when so many workers in a row ended without ever having had a task."""


class WorkersError(RuntimeError):
    """No worker can be started; the message says why."""


class WorkersExecutor:
    """Executor for `--workers N`. To be made in a thread that outlives it."""

    def __init__(  # noqa: PLR0913
        self,
        workers: int,
        preload: Preload,
        listener: Listener,
        note: Callable[[str], None] = lambda text: None,
        *,
        tasks_per_worker: int = TASKS_PER_WORKER,
    ) -> None:
        """Start the fork server; returns at once.

        Args:
            workers: How many worker processes.
            preload: What they need.
            listener: Told of attempts under way, in this executor's thread.
            note: Told if workers cannot be forked.
            tasks_per_worker: After how many attempts a worker is replaced.
        """
        self.capacity = 2 * workers
        self._preload, self._listener, self._note = preload, listener, note
        self._tasks_per_worker = tasks_per_worker
        self._seats = [Seat() for _ in range(workers)]
        self._asked: deque[Seat] = deque()  # seats whose worker the server has not yet named
        self._waiting: deque[Job] = deque()
        self._calls: deque[Callable[[], None]] = deque()
        self._broken: str | None = None
        self._is_preloaded = self._is_closing = False
        self._began, self._warm_up_seconds = time.monotonic(), 0.0
        self._woken, self._wake = socket.socketpair()
        self._wake.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._woken, selectors.EVENT_READ, self._on_wake)
        self._server = ServerProcess(preload)
        self._selector.register(self._server.control, selectors.EVENT_READ, self._on_server)
        self._thread = threading.Thread(target=self._work, name="sweeps-workers", daemon=True)
        self._thread.start()

    def submit(self, spec: TrialSpec, judge: Judge | None = None) -> Future[Attempt]:
        """Let an attempt wait for a free worker; until it has one its future can be cancelled."""
        job = Job(spec, pack(Task(spec, judge)), Future())
        self._waiting.append(job)
        self._call(lambda: None)
        if not self._thread.is_alive():
            self._break(self._broken or "the executor was closed")
        return job.future

    def stop(self, spec: TrialSpec, reason: str) -> None:
        """Ask a running attempt to end after its current epoch."""
        self._call(lambda: self._stop(spec.key, Stop(reason)))

    def close(self) -> None:
        """End all workers with everything they started; what they ran has no result."""
        if self._thread.is_alive():
            self._call(self._end)
            self._thread.join()
        self._server.end()
        for seat in self._seats:
            seat.clear()
        self._selector.close()
        self._woken.close()
        self._wake.close()

    def seconds(self) -> Mapping[str, float]:
        """Return how long the first worker took to be ready, and how long workers were idle."""
        idle = sum(seat.idle_seconds for seat in self._seats)
        return {"warm_up": self._warm_up_seconds, "idle": idle}

    def _call(self, call: Callable[[], None]) -> None:
        self._calls.append(call)
        with contextlib.suppress(BlockingIOError, OSError):  # full: it will wake anyway
            self._wake.send(b"!")

    def _end(self) -> None:
        self._is_closing = True

    def _work(self) -> None:
        try:
            while not self._is_closing:
                for key, _ in self._selector.select(self._ask_for_workers()):
                    key.data()
                while self._calls:
                    self._calls.popleft()()
                self._assign()
                self._watch_unsent()
        except BaseException:  # a waiting future must end, whatever happens here
            self._break(traceback.format_exc())
        finally:
            self._break("the executor was closed")

    def _on_wake(self) -> None:
        self._woken.recv(4096)

    # The server

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
                self._lose(self._asked.popleft(), reason)
            case Failed(reason=reason):
                self._break(reason)
            case Started(pid=pid):
                self._asked.popleft().pid = pid
            case Ended(pid=pid, code=code):
                for seat in [seat for seat in self._seats if seat.pid == pid]:
                    self._bury(seat, code)

    def _replace_server(self, death: str) -> None:
        """Start another server; the workers of the one that has gone end by themselves."""
        self._selector.unregister(self._server.control)
        self._server.end()
        if not self._is_preloaded:
            self._break(f"{death}\n(while it made the experiment ready)")
            return
        self._is_preloaded = False
        self._asked.clear()
        for seat in self._seats:
            self._lose(seat, death)
        self._server = ServerProcess(self._preload)
        self._selector.register(self._server.control, selectors.EVENT_READ, self._on_server)

    # The seats

    def _ask_for_workers(self) -> float | None:
        """Ask for the workers that are due; return in how many seconds the next one is."""
        if not self._is_preloaded or self._broken:
            return None
        now, pauses = time.monotonic(), []
        for seat in self._seats:
            if seat.channel is not None or seat.failures >= MAX_FAILURES:
                continue
            if seat.retry_at > now:
                pauses.append(seat.retry_at - now)
                continue
            seat.ask(self._server)
            self._asked.append(seat)
            self._selector.register(seat.channel, selectors.EVENT_READ, self._reader(seat))
        return min(pauses, default=None)

    def _reader(self, seat: Seat) -> Callable[[], None]:
        return lambda: self._on_seat(seat)

    def _on_seat(self, seat: Seat) -> None:
        channel = seat.channel
        seat.flush()
        try:
            for message in seat.receive():
                self._take(seat, message)
        except EOFError:
            # The server says how it ended, and soon.
            self._forget_channel(channel)
            seat.shut()

    def _take(self, seat: Seat, message: Any) -> None:
        if isinstance(message, Attempt):
            self._finish(seat, message)
        elif isinstance(message, Epochs):
            self._show(seat, message)
        else:
            self._warm_up_seconds = self._warm_up_seconds or time.monotonic() - self._began
            seat.rest()

    def _show(self, seat: Seat, message: Epochs) -> None:
        if seat.job is None:
            return
        for epoch, metrics in message.epochs:
            stop = self._listener.epoch(seat.job.spec, epoch, metrics)
            if stop is not None:
                seat.send(pack(StopTask(message.key, stop)))

    def _finish(self, seat: Seat, attempt: Attempt) -> None:
        job = seat.job
        assert job is not None
        seat.rest()
        if seat.tasks >= self._tasks_per_worker:
            self._forget_channel(seat.channel)
            seat.clear()
        job.future.set_result(attempt)

    def _bury(self, seat: Seat, code: int) -> None:
        """Take what a dead worker had still sent, and let its seat have another."""
        with contextlib.suppress(EOFError):
            for message in seat.receive():
                self._take(seat, message)
        if seat.channel is not None:  # not replaced after its last result
            self._lose(seat, seat.death(code))

    def _lose(self, seat: Seat, death: str) -> None:
        lost = seat.crashed(death)
        job = seat.job
        self._forget_channel(seat.channel)
        seat.clear()
        if job is not None and lost is not None:
            job.future.set_result(lost)
        if all(seat.failures >= MAX_FAILURES for seat in self._seats):
            self._break(f"worker processes end before they have trained anything: {death}")

    def _forget_channel(self, channel: socket.socket | None) -> None:
        with contextlib.suppress(KeyError, ValueError):
            if channel is not None:
                self._selector.unregister(channel)

    # The attempts

    def _assign(self) -> None:
        if self._broken:
            self._break(self._broken)
        for seat in self._seats:
            while seat.is_free and self._waiting:
                job = self._waiting.popleft()
                if job.future.set_running_or_notify_cancel():
                    seat.begin(job)
                    self._listener.started(job.spec)

    def _watch_unsent(self) -> None:
        """Wait until a socket takes more, for those seats that have more."""
        for key in list(self._selector.get_map().values()):
            seat = next((s for s in self._seats if s.channel is key.fileobj), None)
            events = selectors.EVENT_READ
            if seat is not None and seat.has_unsent:
                events |= selectors.EVENT_WRITE
            if events != key.events:
                self._selector.modify(key.fileobj, events, key.data)

    def _stop(self, key: str, stop: Stop) -> None:
        for seat in self._seats:
            if seat.job is not None and seat.job.spec.key == key:
                seat.send(pack(StopTask(key, stop)))

    def _break(self, reason: str) -> None:
        """End every attempt, those to come included: nothing can run any more."""
        self._broken = self._broken or reason
        jobs = [*self._waiting, *(seat.job for seat in self._seats if seat.job)]
        self._waiting.clear()
        for job in jobs:
            if not job.future.done() and (
                job.future.running() or job.future.set_running_or_notify_cancel()
            ):
                job.future.set_exception(WorkersError(self._broken))

