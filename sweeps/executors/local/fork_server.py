"""The fork server: a process that imports the experiment once, and then forks workers.

It never sees the user's `__main__`, imports the experiment as it is when its executor starts, and
ends with it. It has no threads, so it can be forked safely. See the package for the rest.

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
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final, NoReturn

from sweeps.errors import UsageError
from sweeps.executors.local.worker import be_worker
from sweeps.executors.messages import (
    CHUNK_BYTES,
    Ended,
    Failed,
    Inbox,
    Notice,
    Preloaded,
    Started,
    pack,
)
from sweeps.executors.preloading import (
    ENVIRONMENT,
    Preload,
    die_with_parent,
    read_preload,
    why_not_fork,
)
from sweeps.experiment import Experiment, PreparedData, begin_only_training
from sweeps.workspace.processes import adopt_orphans, children, marked, signal_each

BOOT: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from sweeps.executors.local.{module} import main; main()"
)
"""Boot code that imports our packages from the place where the coordinator found them."""

START: Final = b"w"
"""Request for a worker, with its two descriptors; length and JSON of its environment follow."""
LENGTH_BYTES: Final = 4
KILL: Final = b"k"
"""Request to kill a worker or another server, whose process id follows."""
PID_BYTES: Final = 4
SERVER: Final = b"b"
"""Request for another server, with three descriptors: its preload, its socket and its output."""
REST: Final = b"r"
"""Request to end all workers and go on; answered by `Preloaded`."""

_SPAWNED_SOCKET: Final = 3


class ForkServer:
    """Starts and kills workers, and other servers, on request; reaps those that end."""

    def __init__(self, control: socket.socket, experiment: Experiment, data: PreparedData) -> None:
        self._control = control
        self._experiment: Experiment | None = experiment
        self._data: PreparedData | None = data
        self._workers: set[int] = set()
        self._servers: set[int] = set()  # of them those that are servers
        self._preloaded = children(os.getpid())
        self._ending = False
        self._signals, self._wake = socket.socketpair()
        self._wake.setblocking(False)
        signal.set_wakeup_fd(self._wake.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._on_sigterm)

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
        # SIGTERM, not SIGKILL: the resource tracker of multiprocessing ignores it, and tidies up.
        signal_each(self._preloaded, signal.SIGTERM)

    def _serve(self, *, spawn: bool) -> None:
        try:
            request, descriptors, _, _ = socket.recv_fds(self._control, 1, 3)
        except ConnectionError:
            request, descriptors = b"", []
        if not request:
            self._ending = True
            return
        if request == KILL:
            self._kill(int.from_bytes(self._control.recv(PID_BYTES, socket.MSG_WAITALL)))
            return
        if request == REST:
            self._end_workers()
            self._experiment = self._data = None  # it starts no worker any more
            with Path(os.devnull).open("rb") as nothing:
                os.dup2(nothing.fileno(), 0)  # the preload, another copy of the data
            self._send(Preloaded(None))
            return
        own = {} if request == SERVER else self._environment()
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)  # processes of a training must not hold them
        try:
            if request == SERVER:
                pid = os.fork() or self._become_server(*descriptors)
                self._servers.add(pid)
            else:
                pid = self._spawn(own, *descriptors) if spawn else self._fork(own, *descriptors)
        except OSError as error:  # no memory, too many processes: the handle tries again later
            self._send(Failed(f"a worker process could not be started: {error}"))
        else:
            self._workers.add(pid)
            self._send(Started(pid))
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _environment(self) -> dict[str, str]:
        length = int.from_bytes(self._control.recv(LENGTH_BYTES, socket.MSG_WAITALL))
        own: dict[str, str] = json.loads(self._control.recv(length, socket.MSG_WAITALL) or b"{}")
        return own

    def _kill(self, pid: int) -> None:
        if pid in self._workers:  # else it was reaped, and another process may have its id
            kill_group(pid)
            os.kill(pid, signal.SIGKILL)  # it may not lead its group yet

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
            self._leave(printed)
            os.environ.update(own)
            assert self._experiment is not None
            assert self._data is not None
            code = be_worker(channel, self._experiment, self._data)
            sys.stderr.flush()
        finally:
            os._exit(code)

    def _become_server(self, preload: int, control: int, printed: int) -> NoReturn:
        code = 1
        try:
            os.setsid()
            self._leave(printed)
            os.dup2(preload, 0)
            os.close(preload)
            code = be_server(socket.socket(fileno=control))
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _leave(self, printed: int) -> None:
        """Give up, in a forked process, what belongs to this server; print to another file."""
        die_with_parent(signal.SIGKILL)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for mine in (self._control, self._signals, self._wake):
            mine.close()
        os.dup2(printed, 1)
        os.dup2(printed, 2)
        os.close(printed)

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
        number = signal.SIGKILL
        for pid in list(self._workers):
            reaped, status = os.waitpid(pid, os.WNOHANG)
            if reaped:
                self._workers.discard(pid)
                kill_group(pid)  # the processes that it had started
                self._send(Ended(pid, os.waitstatus_to_exitcode(status)))
                # The resource tracker of a server tidies up now; what stays is killed next time.
                number = signal.SIGTERM if pid in self._servers else number
                self._servers.discard(pid)
        for pid in self._end_orphans(number):
            os.waitpid(pid, os.WNOHANG)  # if it has not ended yet, SIGCHLD comes later

    def _end_orphans(self, number: signal.Signals = signal.SIGKILL) -> set[int]:
        """Signal and return orphans of ended workers; children of living workers stay theirs."""
        orphans = children(os.getpid()) - self._workers - self._preloaded
        signal_each(orphans, number)
        return orphans

    def _end_workers(self) -> None:
        for pid in self._workers:
            self._kill(pid)
        for pid in self._workers:
            os.waitpid(pid, 0)
        self._workers.clear()
        while orphans := self._end_orphans():  # each may leave its own children
            for pid in orphans:
                os.waitpid(pid, 0)

    def _on_sigterm(self, *_: Any) -> None:
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
    control = socket.socket(fileno=int(sys.argv[2]))
    control.set_inheritable(False)
    if os.getppid() != read_preload(0).coordinator:
        return
    code = be_server(control)
    if code:
        sys.exit(code)  # the coordinator ends processes that the experiment may have started
    os._exit(0)  # exit handlers of the experiment must not delay the end


def be_server(control: socket.socket) -> int:
    """Load the preload of descriptor 0, and serve until the coordinator has gone.

    Returns:
        The exit code of the process: 1 if the experiment cannot be made ready.
    """
    adopt_orphans()
    begin_only_training()
    preload = read_preload(0)
    try:
        server = ForkServer(
            control, *preload.load(lambda line: control.sendall(pack(Notice(line))))
        )
    except BaseException as error:
        tail = "".join(traceback.format_exception(error))[-4000:]
        why = (
            f"experiment {preload.experiment!r} cannot be made ready in a worker process: "
            f"{type(error).__name__}: {error}\n\n{tail}"
        )
        if isinstance(error, UsageError):
            why = f"{error} (in a worker process; --workers 0 trains in the calling one)"
        control.sendall(pack(Failed(why)))
        return 1
    del preload  # it holds a copy of the data
    die_with_parent(signal.SIGTERM)  # from now on the server ends its workers first
    server.run()
    return 0


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

    def __init__(self, preload: Preload, parent: ServerProcess | None = None) -> None:
        """Start it, a new process unless a parent forks it; returns at once.

        Raises:
            EOFError: The parent has ended.
        """
        self.control, theirs = socket.socketpair()
        self._inbox = Inbox()
        self._heard: list[Any] = []  # while it rests
        self._printed = printed_file()
        self._mark = uuid.uuid4().hex
        self._process: subprocess.Popen[bytes] | _Forked
        with theirs, preload.to_file() as file:
            try:
                if parent is None:
                    number = theirs.fileno()
                    boot = BOOT.format(module="fork_server")
                    self._process = subprocess.Popen(  # noqa: S603 - our own code, no shell
                        [sys.executable, "-c", boot, json.dumps(sys.path), str(number)],
                        stdin=file,
                        stdout=self._printed,
                        stderr=self._printed,
                        pass_fds=[number],
                        env={**os.environ, **ENVIRONMENT, MARK: self._mark},
                        start_new_session=True,
                    )
                else:
                    self._process = _Forked(parent, file, theirs, self._printed)
            except BaseException:
                self.control.close()
                self._printed.close()
                raise
        self.control.setblocking(False)

    @property
    def is_forked(self) -> bool:
        """Whether another server has forked it."""
        return isinstance(self._process, _Forked)

    @property
    def code(self) -> int:
        """Its exit code, once `receive` has noticed its end; 0 if nobody knows it."""
        return self._process.returncode or 0

    def rest(self) -> bool:
        """End its workers and let it wait for `one_fork_server`; return whether it does."""
        if self.is_forked:
            return False
        try:
            self.control.send(REST)
            rests = self.answer(lambda one: isinstance(one, Preloaded), _END_SECONDS) is not None
        except (OSError, EOFError):
            return False
        self._heard.clear()  # of workers that it has ended: no later request is answered by it
        return rests

    def answer(self, wanted: Callable[[Any], bool], seconds: float | None = None) -> Any:
        """Return the first message that is wanted, while it rests; None if none comes in time.

        Raises:
            EOFError: The server has ended.
        """
        end = None if seconds is None else time.monotonic() + seconds
        while True:
            for message in self._heard:
                if wanted(message):
                    self._heard.remove(message)
                    return message
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                return None
            if select.select([self.control], [], [], left)[0]:
                self._heard += self.receive()

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

    def kill(self) -> None:
        """Kill it; its handle notices, and what it has started is ended with the handle."""
        if isinstance(self._process, _Forked):
            self._process.kill()
        else:
            kill_group(self._process.pid)

    def end(self, *, at_once: bool) -> None:
        """End the server, all its workers, and every process that they started.

        One that has no workers yet is killed `at_once`: it could not react before the experiment
        is imported.
        """
        self.control.close()
        try:
            self._process.wait(0 if at_once else _END_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()
        if self._process.returncode:  # it was killed, so processes of workers may be left
            signal_each(marked(MARK, self._mark), signal.SIGKILL)
        self._printed.close()


class _Forked:
    """A fork server that another one has forked, with what is needed of `subprocess.Popen`.

    What a killed one leaves comes to the other one, which ends it.
    """

    def __init__(
        self, parent: ServerProcess, preload: BinaryIO, control: socket.socket, printed: BinaryIO
    ) -> None:
        """Ask for it; raises EOFError if the parent has ended, or does not answer."""
        self._parent = parent
        self.returncode: int | None = None
        files = [preload.fileno(), control.fileno(), printed.fileno()]
        with contextlib.suppress(OSError):  # it has gone: `answer` says so
            socket.send_fds(parent.control, [SERVER], files)
        answer = parent.answer(lambda one: isinstance(one, Started | Failed), _END_SECONDS)
        self.pid: int = getattr(answer, "pid", 0)
        if not self.pid:
            raise EOFError("the fork server cannot fork another one")

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit code once it has ended.

        Raises:
            subprocess.TimeoutExpired: It has not in time.
        """
        if self.returncode is None:
            try:
                ended = self._parent.answer(
                    lambda one: isinstance(one, Ended) and one.pid == self.pid, timeout
                )
            except (EOFError, OSError, ValueError):  # with its parent
                self.returncode = -signal.SIGKILL
                return self.returncode
            if ended is None:
                raise subprocess.TimeoutExpired("fork server", timeout or 0)
            self.returncode = int(ended.code)
        return self.returncode

    def kill(self) -> None:
        """Let its parent kill it; kill a parent that hangs, too: its own end kills what is left."""
        self._parent.end_worker(self.pid)
        try:
            self.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._parent.kill()


class _Kept(threading.local):
    """The server that stays for the executors of a command, in its thread; None until one rests.

    Linux ends a server with the thread that has started it.
    """

    depth = 0
    server: ServerProcess | None = None


_kept: Final = _Kept()


@contextlib.contextmanager
def one_fork_server() -> Iterator[None]:
    """Let the executors that are started inside share the imports of the first one's server."""
    _kept.depth += 1
    try:
        yield
    finally:
        _kept.depth -= 1
        if not _kept.depth and _kept.server is not None:
            server, _kept.server = _kept.server, None
            server.end(at_once=False)


def start_server(preload: Preload) -> ServerProcess:
    """Return a new fork server: forked from the one that was kept, or else a new process."""
    if _kept.server is not None:
        try:
            return ServerProcess(preload, _kept.server)
        except EOFError:
            server, _kept.server = _kept.server, None
            server.end(at_once=True)
    return ServerProcess(preload)


def end_server(server: ServerProcess, *, at_once: bool, may_stay: bool) -> None:
    """End a server, or let it rest for the next executor of the command.

    Args:
        server: The server.
        at_once: See `ServerProcess.end`.
        may_stay: Whether others can be forked from it.
    """
    if server is _kept.server:
        return
    try:
        if _kept.depth and _kept.server is None and may_stay and not at_once and server.rest():
            _kept.server = server
            return
    except BaseException:  # Ctrl-C: the server ends when its socket is closed
        server.control.close()
        raise
    server.end(at_once=at_once)


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
