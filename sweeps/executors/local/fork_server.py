"""The fork server: a process that imports the experiment once, and then forks workers.

It is private to one executor: it never sees the user's `__main__`, always imports the experiment as
it is now, and ends with its executor. It has no threads, so it can be forked safely. If the
experiment starts threads (`why_not_fork`), this server spawns the workers instead.

It is started as `python -c BOOT IMPORT_PATH SOCKET`; descriptor 0 holds the `Preload`.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, Final, NoReturn

from sweeps.errors import UsageError
from sweeps.executors.local.worker import be_worker
from sweeps.executors.messages import CHUNK_BYTES, Ended, Failed, Inbox, Preloaded, Started, pack
from sweeps.executors.preloading import (
    ENVIRONMENT,
    Preload,
    die_with_parent,
    read_preload,
    why_not_fork,
)
from sweeps.experiment import Experiment, PreparedData, begin_only_training
from sweeps.workspace.descendants import adopt_orphans, children, marked, signal_each

BOOT: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from sweeps.executors.local.{module} import main; main()"
)
"""Boot code that imports our packages from the place where the coordinator found them."""

START: Final = b"w"
"""Request for a worker, with its two descriptors; length and JSON of its environment follow."""
LENGTH_BYTES: Final = 4
KILL: Final = b"k"
"""Request to kill a worker, whose process id follows."""
PID_BYTES: Final = 4

_SPAWNED_SOCKET: Final = 3


class ForkServer:
    """Starts and kills workers on request, and reaps those that end."""

    def __init__(self, control: socket.socket, experiment: Experiment, data: PreparedData) -> None:
        self._control = control
        self._experiment, self._data = experiment, data
        self._workers: set[int] = set()
        self._preloaded = children(os.getpid())
        self._ending = False
        self._signals, self._wake = socket.socketpair()
        self._wake.setblocking(False)
        signal.set_wakeup_fd(self._wake.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._end)

    def run(self) -> None:
        """Serve until the coordinator has gone."""
        reason = why_not_fork()
        sys.stdout.flush()  # a fork would repeat what the experiment has printed
        self._send(Preloaded(reason))
        while not self._ending:
            ready, _, _ = select.select([self._control, self._signals], [], [])
            if self._signals in ready:
                self._signals.recv(4096)
                self._reap()
            if self._control in ready:
                self._serve(spawn=reason is not None)
        self._end_workers()

    def _serve(self, *, spawn: bool) -> None:
        try:
            request, descriptors, _, _ = socket.recv_fds(self._control, 1, 2)
        except ConnectionError:
            request, descriptors = b"", []
        if not request:
            self._ending = True
            return
        if request == KILL:
            self._kill(int.from_bytes(self._control.recv(PID_BYTES, socket.MSG_WAITALL)))
            return
        length = int.from_bytes(self._control.recv(LENGTH_BYTES, socket.MSG_WAITALL))
        own = json.loads(self._control.recv(length, socket.MSG_WAITALL) or b"{}")
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)  # processes of a training must not hold them
        try:
            pid = self._spawn(own, *descriptors) if spawn else self._fork(own, *descriptors)
        except OSError as error:  # no memory, too many processes: the handle tries again later
            self._send(Failed(f"a worker process could not be started: {error}"))
        else:
            self._workers.add(pid)
            self._send(Started(pid))
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _kill(self, pid: int) -> None:
        if pid in self._workers:  # else it was reaped, and another process may have its id
            kill_group(pid)

    def _fork(self, own: Mapping[str, str], channel: int, printed: int) -> int:
        pid = os.fork()
        if pid == 0:
            self._become_worker(own, channel, printed)
        with contextlib.suppress(OSError):  # the child does it as well; the first one succeeds
            os.setpgid(pid, pid)
        return pid

    def _become_worker(self, own: Mapping[str, str], channel: int, printed: int) -> NoReturn:
        code = 1
        try:
            os.setpgid(0, 0)
            die_with_parent(signal.SIGKILL)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for mine in (self._control, self._signals, self._wake):
                mine.close()
            os.dup2(printed, 1)
            os.dup2(printed, 2)
            os.close(printed)
            os.environ.update(own)
            code = be_worker(channel, self._experiment, self._data)
            sys.stderr.flush()
        finally:
            os._exit(code)

    def _spawn(self, own: Mapping[str, str], channel: int, printed: int) -> int:
        return os.posix_spawn(
            sys.executable,
            [sys.executable, "-c", BOOT.format(module="worker"), sys.argv[1], str(_SPAWNED_SOCKET)],
            {**os.environ, **own},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, channel, _SPAWNED_SOCKET),
                (os.POSIX_SPAWN_DUP2, printed, 1),
                (os.POSIX_SPAWN_DUP2, printed, 2),
            ],
            setpgroup=0,
        )

    def _reap(self) -> None:
        for pid in list(self._workers):
            reaped, status = os.waitpid(pid, os.WNOHANG)
            if reaped:
                self._workers.discard(pid)
                kill_group(pid)  # the processes that it had started
                self._send(Ended(pid, os.waitstatus_to_exitcode(status)))
        for pid in self._kill_orphans():
            os.waitpid(pid, os.WNOHANG)  # if it has not ended yet, SIGCHLD comes later

    def _kill_orphans(self) -> set[int]:
        """Kill and return the orphans of ended workers; children of living workers stay theirs."""
        orphans = children(os.getpid()) - self._workers - self._preloaded
        signal_each(orphans, signal.SIGKILL)
        return orphans

    def _end_workers(self) -> None:
        for pid in self._workers:
            kill_group(pid)
        for pid in self._workers:
            os.waitpid(pid, 0)
        self._workers.clear()
        while orphans := self._kill_orphans():  # each may leave its own children
            for pid in orphans:
                os.waitpid(pid, 0)
        # SIGTERM, not SIGKILL: the resource tracker of multiprocessing ignores it, and tidies up.
        signal_each(self._preloaded, signal.SIGTERM)

    def _end(self, *_: Any) -> None:
        self._ending = True

    def _send(self, message: Any) -> None:
        try:
            self._control.sendall(pack(message))
        except OSError:
            self._ending = True  # the coordinator has gone


def kill_group(leader: int) -> None:
    """Kill a process group, if any process is left in it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def main() -> None:
    """Run the fork server in this process."""
    die_with_parent(signal.SIGKILL)  # also during an import that takes seconds
    adopt_orphans()
    preload = read_preload(0)
    control = socket.socket(fileno=int(sys.argv[2]))
    control.set_inheritable(False)
    if os.getppid() != preload.coordinator:
        return
    begin_only_training()
    try:
        experiment, data = preload.load()
    except BaseException as error:
        control.sendall(pack(Failed(_why(error, preload))))
        sys.exit(1)  # the coordinator ends processes that the experiment may have started
    del preload  # it holds a copy of the data
    die_with_parent(signal.SIGTERM)  # from now on the server ends its workers first
    ForkServer(control, experiment, data).run()
    os._exit(0)  # exit handlers of the experiment must not delay the end


def _why(error: BaseException, preload: Preload) -> str:
    if isinstance(error, UsageError):
        return f"{error} (in a worker process; --workers 0 trains in the calling one)"
    tail = "".join(traceback.format_exception(error))[-4000:]
    return (
        f"experiment {preload.experiment!r} cannot be made ready in a worker process: "
        f"{type(error).__name__}: {error}\n\n{tail}"
    )


# The coordinator's handle on its fork server: starts it, asks for workers, receives, ends it.


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

    def ask_for_worker(
        self, channel: socket.socket, printed: BinaryIO, environment: Mapping[str, str]
    ) -> None:
        """Ask for one worker on this socket, which prints to this file; answered by `Started`.

        Args:
            channel: The worker's end of its socket.
            printed: The file.
            environment: What its environment has beyond that of the server.
        """
        own = json.dumps(dict(environment)).encode()
        request = [START, len(own).to_bytes(LENGTH_BYTES), own]
        with contextlib.suppress(OSError):  # it has gone: `receive` says so
            socket.send_fds(self.control, request, [channel.fileno(), printed.fileno()])

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
