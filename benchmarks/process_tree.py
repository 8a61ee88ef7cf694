"""Runs commands, and watches each with all processes that it starts through /proc.

The tree consists of all processes that descend from the command or belong to its session, so that a
fork server and its workers stay in it after the process that started them has ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

POLL_SECONDS = 0.2
"""Time between two polls. The CPU time of a process after the last poll that saw it is missed."""
MEMORY_SECONDS = 2.0
"""Usual time between two readings of memory, for which the kernel walks the page tables."""
HERE = "127.0.0.1"
PATIENCE_SECONDS = 120
"""Time after which a server that does not answer is given up."""
_TICKS = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


@dataclass(frozen=True)
class Process:
    """One process at one moment.

    Attributes:
        depth: Its depth in the tree: 0 for the command itself, 1 for its children, ...
        cpu_seconds: User and system time so far.
        command: Its command line, words separated by blanks.
    """

    pid: int
    parent: int
    depth: int
    started: int
    cpu_seconds: float
    command: str

    def memory_bytes(self, kind: str = "Pss") -> int:
        """Return its memory; 0 once it has ended.

        Args:
            kind: `Rss` (all resident pages) or `Pss` (pages shared by n processes count 1/n).
        """
        with contextlib.suppress(OSError):
            for line in (_PROC / str(self.pid) / "smaps_rollup").read_text().splitlines():
                if line.startswith(f"{kind}:"):
                    return int(line.split()[1]) * 1024
        return 0

    def descriptors(self) -> int:
        """Return how many file descriptors it has open; 0 once it has ended."""
        with contextlib.suppress(OSError):
            return len(list((_PROC / str(self.pid) / "fd").iterdir()))
        return 0


@dataclass(frozen=True)
class Usage:
    """Time and memory that a command and its descendants used.

    Attributes:
        started_at: Start of the command, seconds since the epoch (UTC).
        wall_seconds: Time from start to end of the command.
        cpu_seconds: User and system time of all processes.
        peak_bytes: Peak memory of the whole tree; shared pages count once.
    """

    started_at: float
    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int


def processes(root: int) -> list[Process]:
    """Return the living processes of the tree of `root`, parents first."""
    stats = [stat for path in _PROC.glob("[0-9]*") if (stat := _stat(path))]
    found: dict[int, Process] = {}
    waiting = sorted(stats, key=lambda stat: stat[0] != root)
    while True:
        members = [s for s in waiting if s[0] == root or s[1] in found or s[2] == root]
        if not members:
            return list(found.values())
        # Children of members first; a process whose parent has ended counts as the root's child.
        ready = [s for s in members if s[0] == root or s[1] in found] or members
        for pid, parent, _, started, cpu in ready:
            depth = 0 if pid == root else found[parent].depth + 1 if parent in found else 1
            found[pid] = Process(pid, parent, depth, started, cpu, _command(pid))
        waiting = [s for s in waiting if s[0] not in found]


def cpu_seconds_of(root: int) -> float:
    """Return the user and system time of the living processes of a tree so far."""
    return sum(process.cpu_seconds for process in processes(root))


def plain_environment() -> dict[str, str]:
    """Return this process's environment with our packages, without variables that alter a sweep."""
    left_out = {"MLFLOW_TRACKING_URI", "GITHUB_STEP_SUMMARY"}
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    return kept | {"PYTHONPATH": str(Path(__file__).parent.parent)}


def run_tree(
    command: Sequence[str],
    *,
    folder: Path,
    timeout_seconds: float,
    on_poll: Callable[[int], None] = lambda pid: None,
    memory_seconds: float = MEMORY_SECONDS,
) -> Usage:
    """Run a command to its end, in `plain_environment`, and end all processes of its tree.

    Args:
        command: Program and arguments.
        folder: Working folder.
        timeout_seconds: Time after which the tree is killed.
        on_poll: Called with the command's process id at every poll.
        memory_seconds: Time between two readings of memory.

    Raises:
        RuntimeError: The command failed or took too long; the message has the end of its output.
    """
    log = folder / "output.log"
    started_at, clock = time.time(), time.monotonic()
    child = _started(command, log)
    try:
        cpu, peak = _watch(child, clock + timeout_seconds, on_poll, memory_seconds)
        is_late = child.poll() is None
    finally:
        wall = time.monotonic() - clock
        kill_tree(child.pid)
        code = child.wait()
    if code != 0:
        tail = log.read_text(errors="replace")[-2000:]
        how = f"took more than {timeout_seconds:g} s" if is_late else f"ended with {code}"
        raise RuntimeError(f"{' '.join(command)} {how}:\n{tail}")
    return Usage(started_at, wall, cpu, peak)


def _started(command: Sequence[str], log: Path, **settings: str) -> subprocess.Popen[bytes]:
    """Start a command, as a session of its own, in the folder of the file that it prints into."""
    with log.open("wb") as output:
        return subprocess.Popen(
            command,
            cwd=log.parent,
            env={**plain_environment(), **settings},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def run_part(module: str, folder: Path, timeout_seconds: float, **asked: Any) -> Any:
    """Run a module that calls `answer` in a folder, see `run_tree`; return what it answers."""
    file = folder / "answer.json"
    command = [sys.executable, "-m", module, json.dumps(asked), str(file)]
    run_tree(command, folder=folder, timeout_seconds=timeout_seconds)
    return json.loads(file.read_text(encoding="utf-8"))


def answer(main: Callable[..., object]) -> None:
    """Be what `run_part` starts: answer what is asked for with what `main` returns."""
    asked, file = sys.argv[1:]
    Path(file).write_text(json.dumps(main(**json.loads(asked))), encoding="utf-8")


def free_port() -> int:
    """Return the number of a port of this machine that nobody listens on."""
    with socket.create_server((HERE, 0)) as free:
        port: int = free.getsockname()[1]
        return port


@contextlib.contextmanager
def in_background(
    command: Sequence[str], folder: Path, port: int = 0, **settings: str
) -> Iterator[int]:
    """Run a module until the block ends, and kill its tree then; yield its process id.

    Args:
        command: Module and arguments.
        folder: Is made; it works there, and leaves `output.log`.
        port: Where it takes connections before this yields, if it is a server.
        **settings: Variables of its environment beside the usual ones.

    Raises:
        RuntimeError: The server has ended, or does not answer after a while.
    """
    folder.mkdir(parents=True)
    log = folder / "output.log"
    child = _started([sys.executable, "-m", *command], log, **settings)
    try:
        end = time.monotonic() + PATIENCE_SECONDS
        while port and not _answers(port):
            if child.poll() is not None or time.monotonic() > end:
                tail = log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{' '.join(command)} does not answer:\n{tail}")
            time.sleep(0.05)
        yield child.pid
    finally:
        kill_tree(child.pid)
        child.wait()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HERE, port)) == 0


def run_sweeps(*words: str, folder: Path, timeout_seconds: float, **watched: Any) -> Usage:
    """Run `sweeps` with these words in a folder, whose `home` is its home; see `run_tree`."""
    command = [sys.executable, "-m", "sweeps", *words, "--home", "home"]
    return run_tree(command, folder=folder, timeout_seconds=timeout_seconds, **watched)


def records_of(home: Path, name: str) -> list[Any]:
    """Return the records of a sweep, in the order in which their trials began."""
    from sweeps import load

    sweep = load(name, home)
    records = sweep.home.store(sweep.info.id).read_all()
    return sorted(records, key=lambda record: record.started_at)


def _watch(
    child: subprocess.Popen[bytes],
    end: float,
    on_poll: Callable[[int], None],
    memory_seconds: float,
) -> tuple[float, int]:
    cpu: dict[tuple[int, int], float] = {}
    peak, next_memory = 0, 0.0
    while child.poll() is None and time.monotonic() < end:
        tree = processes(child.pid)
        for process in tree:
            cpu[process.pid, process.started] = process.cpu_seconds
        if time.monotonic() >= next_memory:
            peak = max(peak, sum(process.memory_bytes() for process in tree))
            next_memory = time.monotonic() + memory_seconds
        on_poll(child.pid)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(POLL_SECONDS)
    return sum(cpu.values()), peak


def kill_tree(root: int) -> None:
    """Kill all processes of a tree."""
    for process in processes(root):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)


def _stat(folder: Path) -> tuple[int, int, int, int, float] | None:
    """Return process id, parent, session, start (ticks since boot) and CPU seconds."""
    try:
        text = (folder / "stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(") ")[2].split()  # the name before may hold blanks and brackets
    if fields[0] == "Z":
        return None
    cpu = (int(fields[11]) + int(fields[12])) / _TICKS
    return int(folder.name), int(fields[1]), int(fields[3]), int(fields[19]), cpu


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        words = (_PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
        return b" ".join(words).decode(errors="replace").strip()
    return ""
