"""The executor of worker processes: a fixed number of them, one attempt each, and a queue."""

from __future__ import annotations

import contextlib
import itertools
import math
import selectors
import signal
import socket
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal

from sweeps.config.policies import FailureReason
from sweeps.errors import WorkersError
from sweeps.executors.attempt import Attempt, Judge, Keep, Listener, itself
from sweeps.executors.checkpoint import CheckpointPlace
from sweeps.executors.local.fork_server import (
    ServerProcess,
    end_server,
    ending,
    last_lines,
    printed_file,
    start_server,
)
from sweeps.executors.messages import (
    CHUNK_BYTES,
    Ended,
    Epochs,
    Failed,
    Hello,
    Inbox,
    MessageError,
    Notice,
    Preloaded,
    Spent,
    Started,
    StopTask,
    Task,
    pack,
)
from sweeps.executors.preloading import Preload, environments
from sweeps.experiment import Stop, TrialSpec
from sweeps.workspace.clock import Stopwatch
from sweeps.workspace.files import remove
from sweeps.workspace.processes import oom_kills, why_killed

ANSWER_SECONDS: Final = 60.0
"""A fork server that has started no worker in so long, after it was asked, hangs. It answers at
once, unless it was stopped; what it imports before it is asked may take any time."""
GONE_SECONDS: Final = 10.0
"""How long the server may take to report the end of a worker that has closed its side. Then the
worker is taken for one that has only closed it, and is ended."""
_FIRST_PAUSE_SECONDS: Final = 0.05
_LONGEST_PAUSE_SECONDS: Final = 10.0


@dataclass
class Job:
    """An attempt between `submit` and its result.

    Attributes:
        frame: Its packed task.
        keep: Called with the ended attempt, to record it; see `Executor.submit`.
        folder: Folder of the attempt; None if its experiment writes no files.
        watch: Times the attempt from its beginning.
    """

    spec: TrialSpec
    frame: bytes
    keep: Keep
    folder: Path | None = None
    future: Future[Any] = field(default_factory=Future)
    watch: Stopwatch = field(default_factory=Stopwatch)

    def end(self, attempt: Attempt) -> bool:
        """Call `keep` on the attempt with its files, set the future, and return its success."""
        try:
            kept = self.keep(attempt.with_files_of(self.folder))
        except Exception as error:
            self.future.set_exception(error)
            return False
        if self.folder is not None:
            with contextlib.suppress(OSError):
                remove(self.folder)
        self.future.set_result(kept)
        return True


class WorkerHandle:
    """Holds one worker after another, each with a socket of its own; never blocks.

    Attributes:
        environment: What its workers' environment has beyond that of the fork server.
        job: The running attempt; None without one.
        pid: Process id of the worker; None until the server has sent it.
        tasks: How many tasks its present worker was given.
        unsent: Bytes that its worker has not taken yet.
        failures: How many workers in a row have ended without ever having a task.
        retry_at: When the next worker may be asked for (monotonic clock, seconds).
        idle_seconds: How long its workers were ready and had nothing to do.
        idle_since: Since when its present worker is ready (monotonic clock); None if it is not.
        deadline: When its attempt takes too long (monotonic clock, seconds); infinity without one.
        answer_by: When the server must have said that its worker has begun, or has ended
            (monotonic clock, seconds); infinity if it need not say anything.
        is_gone: Whether its worker has closed its side of the socket.
        is_spent: Whether its worker said that it is to get no more attempts.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self.job: Job | None = None
        self.pid: int | None = None
        self.failures = 0
        self.retry_at = 0.0
        self.idle_seconds = 0.0
        self.deadline = self.answer_by = math.inf
        self.is_gone = False
        self.channel: socket.socket | None = None
        self._printed: BinaryIO | None = None
        self.idle_since: float | None = None
        self.tasks = 0
        self.unsent = bytearray()
        self._inbox = Inbox()
        self._oom_kills = 0
        self.is_spent = False

    def ask(self, server: ServerProcess) -> socket.socket:
        """Ask the server for a worker; return the new socket, on which its `Hello` will come."""
        self.channel, theirs = socket.socketpair()
        self.channel.setblocking(False)
        self._printed = printed_file()
        with theirs:
            server.ask_for_worker(theirs, self._printed, self.environment)
        self.answer_by = time.monotonic() + ANSWER_SECONDS
        return self.channel

    def rest(self) -> None:
        """Note that its worker is ready for a task."""
        self.job, self.idle_since, self.deadline = None, time.monotonic(), math.inf

    def begin(self, job: Job, limit_seconds: float) -> None:
        """Give its worker an attempt, which may take `limit_seconds`."""
        self.stop_resting()
        self.deadline = time.monotonic() + limit_seconds
        self._oom_kills = oom_kills()
        job.watch = Stopwatch()
        self.job = job
        self.tasks += 1
        self.send(job.frame)

    def send(self, frame: bytes) -> None:
        """Send a frame, or as much of it as the socket takes now."""
        self.unsent += frame
        self.flush()

    def flush(self) -> None:
        """Send as many of the unsent bytes as the socket takes now."""
        if self.channel is None:
            return
        # If the worker has ended, `receive` notices it.
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while self.unsent:
                sent = self.channel.send(memoryview(self.unsent)[:CHUNK_BYTES])
                del self.unsent[:sent]

    def receive(self) -> Iterator[Any]:
        """Yield the messages that have arrived completely.

        Raises:
            EOFError: The worker has closed its side.
        """
        while self.channel is not None:
            try:
                piece = self.channel.recv(CHUNK_BYTES)
            except BlockingIOError:
                return
            except ConnectionError:
                piece = b""
            if not piece:
                raise EOFError
            yield from self._inbox.feed(piece)

    def why_killed(self, code: int) -> Literal["oom", "killed"] | None:
        """Return why a process of this exit code was killed while its attempt ran."""
        return why_killed(code, self._oom_kills)

    def last_lines(self) -> str:
        """Return the last lines that its worker printed, as a paragraph; empty without any."""
        return last_lines(self._printed) if self._printed else ""

    def clear(self) -> None:
        """Release the worker, which ends if it has not yet; the next one may be asked for."""
        self.stop_resting()
        self.failures = 0 if self.tasks else self.failures + 1
        pause = min(_FIRST_PAUSE_SECONDS * 2**self.failures, _LONGEST_PAUSE_SECONDS)
        self.retry_at = time.monotonic() + (pause if self.failures else 0.0)
        for held in (self.channel, self._printed):
            if held is not None:
                held.close()
        self.channel = self._printed = self.pid = self.job = None
        self.deadline, self.answer_by, self.is_gone = math.inf, math.inf, False
        self.tasks, self.unsent, self._inbox = 0, bytearray(), Inbox()
        self.is_spent = False

    def stop_resting(self) -> None:
        """Note that its worker is no longer ready for a task."""
        if self.idle_since is not None:
            self.idle_seconds += time.monotonic() - self.idle_since
            self.idle_since = None


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
        self.handles = [WorkerHandle(environment) for environment in environments(handles)]
        self._tasks_per_worker = tasks_per_worker
        self._timeout = trial_timeout_seconds
        self._looked_at = time.monotonic()
        self._preload, self._selector = preload, selector
        self._listener, self._note = listener, note
        # Handles for which the server has not yet sent the worker's process id.
        self._asked: deque[WorkerHandle] = deque()
        self._is_preloaded = self._has_lost = False
        self._may_stay = self._is_replaced = False
        self._began = time.monotonic()
        self._use(start_server(preload))

    def free_handles(self) -> Iterator[WorkerHandle]:
        """Yield the handles whose worker is ready for an attempt.

        After an attempt could not be recorded there are none: the next would be trained in vain.
        """
        ready = (one for one in self.handles if one.idle_since is not None and one.pid is not None)
        return ready if not self._has_lost else iter(())

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
        """End attempts that take too long, and their workers; replace a server that hangs.

        Nothing that an ended worker still sends is read.
        """
        now = time.monotonic()
        unheard, self._looked_at = now - self._looked_at, now
        for handle in self.handles:
            if unheard > 2 * LOOK_SECONDS:  # this process was suspended: its result may wait
                handle.deadline += unheard
                handle.answer_by += unheard
            if handle.deadline <= now and handle.pid is not None:
                self._end(
                    handle, f"it took longer than --trial-timeout {self._timeout:g} s", "timeout"
                )
            elif handle.answer_by <= now and handle.pid is not None:
                self._end(handle, "the worker process closed its socket", "crash")
        if any(handle.answer_by <= now for handle in self.handles):
            # Nobody of us has stopped it: for its attempts this is a kill from outside.
            said = f"the fork server did not answer for {ANSWER_SECONDS:g} s"
            self._replace_server(said, -signal.SIGKILL)

    def _end(self, handle: WorkerHandle, why: str, reason: FailureReason) -> None:
        pid = handle.pid
        self._lose(handle, why + handle.last_lines(), reason)
        if pid is not None:
            self._server.end_worker(pid)

    def watch_unsent(self) -> None:
        """Let the selector watch for writable sockets where a handle has unsent bytes."""
        for key in list(self._selector.get_map().values()):
            handle = next((s for s in self.handles if s.channel is key.fileobj), None)
            events = selectors.EVENT_READ
            if handle is not None and handle.unsent:
                events |= selectors.EVENT_WRITE
            if events != key.events:
                self._selector.modify(key.fileobj, events, key.data)

    def close(self) -> None:
        """End every worker and the server."""
        end_server(self._server, at_once=not self._is_preloaded, may_stay=self._may_stay)
        for handle in self.handles:
            handle.clear()

    def _use(self, server: ServerProcess) -> None:
        self._server = server
        self._selector.register(self._server.control, selectors.EVENT_READ, self._on_server)

    def _on_server(self) -> None:
        try:
            for message in self._server.receive():
                self._heed(message)
        except EOFError as ended:
            self._replace_server(str(ended), self._server.code)

    def _heed(self, message: Notice | Preloaded | Failed | Started | Ended) -> None:
        match message:
            case Notice(line=line):
                self._note(line)
            case Preloaded(spawns_because=reason):
                self._on_preloaded(reason)
            case Failed(reason=reason) if self._asked:
                self._lose(self._asked.popleft(), reason, "crash")
            case Failed() if self._server.is_forked:
                pass  # it ends, and a process of its own tries the same
            case Failed(reason=reason):
                self.broken = self.broken or reason
            case Started(pid=pid):
                handle = self._asked.popleft()
                handle.pid = pid
                if not handle.is_gone:
                    handle.answer_by = math.inf
            case Ended(pid=pid, code=code):
                for handle in [handle for handle in self.handles if handle.pid == pid]:
                    self._bury(handle, code)

    def _on_preloaded(self, spawns_because: str | None) -> None:
        self._is_preloaded = True
        self._may_stay = spawns_because is None and not self._is_replaced
        if spawns_because is not None:
            self._note(f"workers are spawned, not forked: {spawns_because}")

    def _replace_server(self, death: str, code: int) -> None:
        """Start another fork server; the workers of the dead one end by themselves.

        Args:
            death: How it ended, for messages.
            code: Its exit code.
        """
        self._selector.unregister(self._server.control)
        self._server.end(at_once=not self._is_preloaded)
        if not self._is_preloaded and not self._server.is_forked:
            self.broken = self.broken or f"{death}\n(while it made the experiment ready)"
            return
        self._is_preloaded = False
        self._asked.clear()
        for handle in self.handles:
            if handle.channel is not None:
                is_killed = handle.why_killed(code) == "killed"
                self._lose(handle, death, "killed" if is_killed else "crash")
        self._is_replaced = True  # its server ends with this thread
        self._use(ServerProcess(self._preload))

    def _on_handle(self, handle: WorkerHandle) -> None:
        channel = handle.channel
        handle.flush()
        try:
            for message in handle.receive():
                self._take(handle, message)
        except EOFError:
            # It gets no more attempts; the server will soon report how the worker ended.
            self._forget_channel(channel)
            handle.stop_resting()
            handle.is_gone, handle.answer_by = True, time.monotonic() + GONE_SECONDS
        except MessageError as error:
            self._end(handle, f"the worker process sent what is no message ({error})", "crash")

    def _take(self, handle: WorkerHandle, message: Any) -> None:
        if isinstance(message, Attempt):
            self._finish(handle, message)
        elif isinstance(message, Epochs) and handle.job is not None:
            for epoch, metrics in message.epochs:
                self._listener.epoch(handle.job.spec, epoch, metrics)
        elif isinstance(message, Spent):
            handle.is_spent = True
        elif isinstance(message, Hello):
            self.warm_up_seconds = self.warm_up_seconds or time.monotonic() - self._began
            handle.rest()

    def _finish(self, handle: WorkerHandle, attempt: Attempt) -> None:
        job = handle.job
        if job is None or job.spec.key != attempt.spec.key:
            return  # other code in that process wrote it
        handle.rest()
        if handle.is_spent or handle.tasks >= self._tasks_per_worker:
            self._forget_channel(handle.channel)
            handle.clear()
        self._record(job, attempt)

    def _record(self, job: Job, attempt: Attempt) -> None:
        self._has_lost = not job.end(attempt) or self._has_lost

    def _bury(self, handle: WorkerHandle, code: int) -> None:
        """Read the last messages of a dead worker, and free its handle for another."""
        with contextlib.suppress(EOFError, MessageError):
            for message in handle.receive():
                self._take(handle, message)
        if handle.channel is not None:  # it was not replaced after its last result
            death = f"the worker process {ending(code)}{handle.last_lines()}"
            self._lose(handle, death, handle.why_killed(code) or "crash")

    def _lose(self, handle: WorkerHandle, death: str, reason: FailureReason) -> None:
        job = handle.job
        self._forget_channel(handle.channel)
        handle.clear()
        if job is not None:
            began, now = job.watch.started_at, job.watch.now_ms()
            self._record(job, Attempt(job.spec, None, death, began, now, reason))
        if all(handle.failures >= MAX_FAILURES for handle in self.handles):
            why = f"worker processes end before they have trained anything: {death}"
            self.broken = self.broken or why

    def _forget_channel(self, channel: socket.socket | None) -> None:
        with contextlib.suppress(KeyError, ValueError):
            if channel is not None:
                self._selector.unregister(channel)


TASKS_PER_WORKER: Final = 100
"""A worker is replaced after this many attempts, so that leaks of trainings stay bounded."""


class WorkersExecutor:
    """Executor for `--workers N`; must be made in a thread that outlives it.

    A thread of its own owns the pool and waits for its events. Other threads leave their requests
    to it in `_calls`.
    """

    is_elsewhere = False

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
            note: Called with a line, in that thread, if workers cannot be forked, or if the
                experiment says why it takes long to warm up.
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
        self._selector.register(
            self._woken, selectors.EVENT_READ, lambda: self._woken.recv(CHUNK_BYTES)
        )
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
        self,
        spec: TrialSpec,
        judge: Judge | None = None,
        keep: Keep = itself,
        place: CheckpointPlace | None = None,
    ) -> Future[Any]:
        """Let an attempt wait for a free worker; until then its future can be cancelled.

        `keep` is called in this executor's thread. See `Executor.submit`.
        """
        # Numbered, because a cluster may begin an attempt twice.
        folder = self._folders and self._folders / f"{spec.key}.{next(self._numbers)}"
        task = Task(spec, judge, self._trial_timeout, folder, place)
        job = Job(spec, pack(task), keep, folder)
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

    def _call(self, call: Callable[[], None]) -> bool:
        """Let the executor's thread make a call; return False if the thread has ended."""
        with self._lock:
            if self._has_ended:
                return False
            self._calls.append(call)
            with contextlib.suppress(BlockingIOError):  # full: the thread wakes anyway
                self._wake.send(b"!")
            return True

    def _end(self) -> None:
        self._closed = self._closed or "the executor was closed"

    def _work(self) -> None:
        try:
            while self._closed is None:
                due = self._pool.ask_for_workers()
                first = min(handle.deadline for handle in self._pool.handles) - time.monotonic()
                pause = min(LOOK_SECONDS, math.inf if due is None else due, max(0.0, first))
                for key, _ in self._selector.select(pause):
                    key.data()
                self._do_calls()
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
