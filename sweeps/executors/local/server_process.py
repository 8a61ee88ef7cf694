"""The coordinator's handle on its fork server: starts it, asks for workers, receives, ends it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

from sweeps.executors.local.fork_server import BOOT, KILL, PID_BYTES, START, kill_group
from sweeps.executors.messages import CHUNK_BYTES, Inbox
from sweeps.executors.preloading import ENVIRONMENT, Preload
from sweeps.workspace.descendants import marked, signal_each

MARK: Final = "SWEEPS_FORK_SERVER"
"""Environment variable that marks a fork server and all its descendants."""
_END_SECONDS: Final = 3.0
_LAST_LINES: Final = 40
_LAST_BYTES: Final = 4000


class ServerProcess:
    """One running fork server, in a session of its own: the terminal's Ctrl-C does not reach it.

    It must be made in a thread that outlives it: Linux treats the end of that thread as the end of
    the coordinator.
    """

    def __init__(self, preload: Preload) -> None:
        self.control, theirs = socket.socketpair()
        self._inbox = Inbox()
        self._printed = printed_file()
        self._mark = uuid.uuid4().hex
        with theirs, preload.to_file() as file:
            self._process = _start(file, theirs, self._printed, self._mark)
        self.control.setblocking(False)

    def ask_for_worker(self, channel: socket.socket, printed: BinaryIO) -> None:
        """Ask for one worker on this socket, which prints to this file; answered by `Started`."""
        with contextlib.suppress(OSError):  # it has gone: `receive` says so
            socket.send_fds(self.control, [START], [channel.fileno(), printed.fileno()])

    def end_worker(self, pid: int) -> None:
        """Ask the server to kill a worker with its process group.

        Only the server, which reaps it, knows that no other process has the id by now.
        """
        with contextlib.suppress(OSError):
            self.control.send(KILL + pid.to_bytes(PID_BYTES))

    def receive(self) -> Iterator[Any]:
        """Yield the messages that have arrived.

        Raises:
            EOFError: The server has ended; the message says how.
        """
        try:
            piece = self.control.recv(CHUNK_BYTES)
        except BlockingIOError:
            return
        except ConnectionError:
            piece = b""
        if not piece:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_SECONDS)
            code = self._process.returncode
            raise EOFError(f"the fork server {ending(code or 0)}{last_lines(self._printed)}")
        yield from self._inbox.feed(piece)

    def end(self, *, at_once: bool) -> None:
        """End the server, all its workers, and every process that they started.

        Args:
            at_once: Whether the server has no workers yet. Then it is killed: it could not react
                before the experiment is imported, and has no workers to end.
        """
        self.control.close()
        try:
            self._process.wait(0 if at_once else _END_SECONDS)
        except subprocess.TimeoutExpired:
            kill_group(self._process.pid)
            self._process.wait()
        if self._process.returncode:  # it was killed, so processes of workers may be left
            signal_each(marked(MARK, self._mark), signal.SIGKILL)
        self._printed.close()


def _start(
    preload: BinaryIO, control: socket.socket, printed: BinaryIO, mark: str
) -> subprocess.Popen[bytes]:
    number = control.fileno()
    return subprocess.Popen(  # noqa: S603 - our own code, no shell
        [
            sys.executable,
            "-c",
            BOOT.format(module="fork_server"),
            json.dumps(sys.path),
            str(number),
        ],
        stdin=preload,
        stdout=printed,
        stderr=printed,
        pass_fds=[number],
        env={**os.environ, **ENVIRONMENT, MARK: mark},
        start_new_session=True,
    )


def printed_file() -> BinaryIO:
    """Return an unnamed file for the output of a process, opened for appending."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    fcntl.fcntl(file, fcntl.F_SETFL, fcntl.fcntl(file, fcntl.F_GETFL) | os.O_APPEND)
    return file


def last_lines(printed: BinaryIO) -> str:
    """Return the last lines that a process printed, as a paragraph; empty if there are none."""
    size = os.fstat(printed.fileno()).st_size
    tail = os.pread(printed.fileno(), _LAST_BYTES, max(0, size - _LAST_BYTES))
    lines = tail.decode(errors="replace").strip().splitlines()[-_LAST_LINES:]
    return "\n\nIts last lines:\n" + "\n".join(lines) if lines else ""


def ending(code: int) -> str:
    """Return how a process ended: `was killed by SIGKILL`, `ended with exit code 3`."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = " (out of memory?)" if -code == signal.SIGKILL else ""
    return f"was killed by {name}{hint}"
