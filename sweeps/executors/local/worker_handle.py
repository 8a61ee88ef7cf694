"""The executor's handle on a worker process: its socket, its attempt, its end."""

from __future__ import annotations

import contextlib
import math
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

from sweeps.config.policies import FailureReason
from sweeps.executors.attempt import Attempt
from sweeps.executors.local.server_process import ServerProcess, ending, last_lines, printed_file
from sweeps.executors.messages import CHUNK_BYTES, Inbox
from sweeps.executors.protocol import Keep
from sweeps.experiment import TrialSpec
from sweeps.workspace.clock import Stopwatch

# Counting the kernel's kills for lack of memory: for a worker they look like any other kill -9.


COUNTERS = Path("/proc/vmstat")


def oom_kills() -> int:
    """Return how many processes of this machine the kernel has killed for lack of memory.

    Processes of other containers count as well. So if the number rises while a worker is killed, it
    is likely, not certain, that the worker was the one. 0 if the kernel does not count.
    """
    try:
        lines = COUNTERS.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


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
            shutil.rmtree(self.folder, ignore_errors=True)
        self.future.set_result(kept)
        return True


class WorkerHandle:
    """Holds one worker after another, each with a socket of its own; never blocks.

    Attributes:
        job: The running attempt; None without one.
        pid: Process id of the worker; None until the server has sent it.
        failures: How many workers in a row have ended without ever having a task.
        retry_at: When the next worker may be asked for (monotonic clock, seconds).
        idle_seconds: How long its workers were ready and had nothing to do.
        deadline: When its attempt takes too long (monotonic clock, seconds); infinity without one.
    """

    def __init__(self) -> None:
        self.job: Job | None = None
        self.pid: int | None = None
        self.failures = 0
        self.retry_at = 0.0
        self.idle_seconds = 0.0
        self.deadline = math.inf
        self.channel: socket.socket | None = None
        self._printed: BinaryIO | None = None
        self._idle_since: float | None = None
        self._tasks = 0
        self._unsent = bytearray()
        self._inbox = Inbox()
        self._oom_kills = 0

    @property
    def is_free(self) -> bool:
        """Whether its worker is ready and has nothing to do."""
        return self._idle_since is not None and self.pid is not None

    @property
    def tasks(self) -> int:
        """How many tasks its present worker was given."""
        return self._tasks

    @property
    def has_unsent(self) -> bool:
        """Whether there are bytes that its worker has not taken yet."""
        return bool(self._unsent)

    def ask(self, server: ServerProcess) -> socket.socket:
        """Ask the server for a worker; return the new socket, on which its `Hello` will come."""
        self.channel, theirs = socket.socketpair()
        self.channel.setblocking(False)
        self._printed = printed_file()
        with theirs:
            server.ask_for_worker(theirs, self._printed)
        return self.channel

    def rest(self) -> None:
        """Note that its worker is ready for a task."""
        self.job, self._idle_since, self.deadline = None, time.monotonic(), math.inf

    def begin(self, job: Job, limit_seconds: float) -> None:
        """Give its worker an attempt, which may take `limit_seconds`."""
        self._stop_resting()
        self.deadline = time.monotonic() + limit_seconds
        self._oom_kills = oom_kills()
        job.watch = Stopwatch()
        self.job = job
        self._tasks += 1
        self.send(job.frame)

    def send(self, frame: bytes) -> None:
        """Send a frame, or as much of it as the socket takes now."""
        self._unsent += frame
        self.flush()

    def flush(self) -> None:
        """Send as many of the unsent bytes as the socket takes now."""
        if self.channel is None:
            return
        # If the worker has ended, `receive` notices it.
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while self._unsent:
                sent = self.channel.send(memoryview(self._unsent)[:CHUNK_BYTES])
                del self._unsent[:sent]

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

    def lost(self, death: str, reason: FailureReason) -> Attempt | None:
        """Return the attempt that ended with the worker, as failed; None without an attempt."""
        if self.job is None:
            return None
        watch = self.job.watch
        return Attempt(
            self.job.spec,
            None,
            death,
            watch.started_at,
            watch.now_ms(),
            reason,
        )

    def death(self, code: int) -> tuple[str, FailureReason]:
        """Return how its worker ended, with its last lines, and the reason of the failure."""
        is_killed = code == -signal.SIGKILL and self.job is not None
        reason: FailureReason = "oom" if is_killed and oom_kills() > self._oom_kills else "crash"
        return f"the worker process {ending(code)}{self.last_lines()}", reason

    def last_lines(self) -> str:
        """Return the last lines that its worker printed, as a paragraph; empty without any."""
        return last_lines(self._printed) if self._printed else ""

    def shut(self) -> None:
        """Give its worker no more attempts, and end it in case it has only closed its socket."""
        self._stop_resting()
        if self.channel is not None:
            with contextlib.suppress(OSError):
                self.channel.shutdown(socket.SHUT_RDWR)

    def clear(self) -> None:
        """Release the worker, which ends if it has not yet; the next one may be asked for."""
        self._stop_resting()
        self.failures = 0 if self._tasks else self.failures + 1
        pause = min(_FIRST_PAUSE_SECONDS * 2**self.failures, _LONGEST_PAUSE_SECONDS)
        self.retry_at = time.monotonic() + (pause if self.failures else 0.0)
        for held in (self.channel, self._printed):
            if held is not None:
                held.close()
        self.channel = self._printed = self.pid = self.job = None
        self.deadline = math.inf
        self._tasks, self._unsent, self._inbox = 0, bytearray(), Inbox()

    def _stop_resting(self) -> None:
        if self._idle_since is not None:
            self.idle_seconds += time.monotonic() - self._idle_since
            self._idle_since = None
