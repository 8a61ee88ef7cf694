"""A worker process as its executor sees it: its socket, its attempt, its end."""

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

# Whether the kernel killed a process for want of memory, which looks like any other kill -9.


COUNTERS = Path("/proc/vmstat")


def oom_kills() -> int:
    """Return how many processes of this machine the kernel has killed for want of memory.

    Those of other containers count as well: a rise while a worker was killed makes it likely, not
    certain, that it was the one. 0 where the kernel does not say.
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
    """An attempt on its way.

    Attributes:
        frame: Its packed task.
        keep: Makes it safe once it has ended.
        folder: Its own; None if its experiment writes no files.
        watch: Times it from its begin on.
    """

    spec: TrialSpec
    frame: bytes
    keep: Keep
    folder: Path | None = None
    future: Future[Any] = field(default_factory=Future)
    watch: Stopwatch = field(default_factory=Stopwatch)

    def end(self, attempt: Attempt) -> bool:
        """Keep the attempt with its files and hand it out; return whether it is kept."""
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
    """Holds one worker after the other, each with a socket of its own. Never blocks.

    Attributes:
        job: The attempt under way.
        pid: Process id of the worker; None until the server has said it.
        failures: How many workers in a row have ended without having had a task.
        retry_at: When the next worker may be asked for (monotonic clock).
        idle_seconds: How long its workers were ready and had nothing to do.
        deadline: When its attempt takes too long (monotonic clock); infinity without one.
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
        """Whether something waits until its worker reads again."""
        return bool(self._unsent)

    def ask(self, server: ServerProcess) -> socket.socket:
        """Ask for a worker, and return the new socket on which its `Hello` will come."""
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
        """Give its worker an attempt, which may take so long."""
        self._stop_resting()
        self.deadline = time.monotonic() + limit_seconds
        self._oom_kills = oom_kills()
        job.watch = Stopwatch()
        self.job = job
        self._tasks += 1
        self.send(job.frame)

    def send(self, frame: bytes) -> None:
        """Send a frame, or as much of it as the worker takes now."""
        self._unsent += frame
        self.flush()

    def flush(self) -> None:
        """Send more of what is unsent."""
        if self.channel is None:
            return
        # A worker that has gone reads nothing; its end is noticed where it is read from.
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while self._unsent:
                sent = self.channel.send(memoryview(self._unsent)[:CHUNK_BYTES])
                del self._unsent[:sent]

    def receive(self) -> Iterator[Any]:
        """Yield what has arrived whole.

        Raises:
            EOFError: The worker has ended its side.
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
        """Return the attempt that ended with its worker, None if it had none."""
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
        """Say how its worker ended and what it printed last, and for which reason."""
        is_killed = code == -signal.SIGKILL and self.job is not None
        reason: FailureReason = "oom" if is_killed and oom_kills() > self._oom_kills else "crash"
        return f"the worker process {ending(code)}{self.last_lines()}", reason

    def last_lines(self) -> str:
        """Return what its worker printed last, as a paragraph."""
        return last_lines(self._printed) if self._printed else ""

    def shut(self) -> None:
        """Give its worker no more, and have it end if it only closed its socket."""
        self._stop_resting()
        if self.channel is not None:
            with contextlib.suppress(OSError):
                self.channel.shutdown(socket.SHUT_RDWR)

    def clear(self) -> None:
        """Let go of the worker, which ends if it has not yet; the next may be asked for."""
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
