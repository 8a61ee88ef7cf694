"""A worker process: trains the tasks that arrive on its socket, one after another.

It leads a process group of its own. It ends, with every process that it started, as soon as the
coordinator closes the socket or is killed, even in the middle of a training.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import queue
import resource
import select
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from sweeps.executors.attempt import run_attempt
from sweeps.executors.messages import (
    CHUNK_BYTES,
    Epochs,
    Hello,
    Inbox,
    Spent,
    StopTask,
    Task,
    pack,
)
from sweeps.executors.preloading import die_with_parent, read_preload
from sweeps.experiment import Experiment, PreparedData, Stop, begin_only_training
from sweeps.workspace.processes import adopt_orphans

SHOW_SECONDS: Final = 0.1
"""Shortest time between two messages about epochs; they are only for display."""


class Worker:
    """The worker's side of its socket: a thread reads, the main thread trains and writes."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()
        self._stops: dict[str, Stop] = {}
        self._unsent: list[tuple[int, Mapping[str, float]]] = []
        self._sent_at = 0.0
        self._limits = _limits()

    def run(self, experiment: Experiment, data: PreparedData) -> None:
        """Train until the process is ended."""
        threading.Thread(target=self._read, name="sweeps-reader", daemon=True).start()
        self._send(Hello())
        while True:
            task = self._tasks.get()
            self._train(task, experiment, data)
            # The output belongs to this attempt; a crash of the next one must not show it.
            with contextlib.suppress(OSError):  # a training may have closed the file
                os.ftruncate(2, 0)

    def _train(self, task: Task, experiment: Experiment, data: PreparedData) -> None:
        key = task.spec.key

        def on_epoch(epoch: int, metrics: Mapping[str, float]) -> Stop | None:
            self._unsent.append((epoch, dict(metrics)))
            # They may wait: a socket that is full must not make the training wait.
            is_due = time.monotonic() - self._sent_at >= SHOW_SECONDS
            if is_due and select.select([], [self._channel], [], 0)[1]:
                self._send_epochs(key)
            return self._stops.get(key)

        if task.timeout_seconds is not None:  # even if native code never releases the GIL
            faulthandler.dump_traceback_later(task.timeout_seconds, file=2)
        try:
            attempt = run_attempt(
                experiment, task.spec, data, on_epoch, task.judge, task.folder, task.place
            )
        finally:
            faulthandler.cancel_dump_traceback_later()
        self._send_epochs(key)
        if attempt.result is None and _limits() != self._limits:
            self._send(Spent())
        self._send(attempt)
        self._stops.pop(key, None)

    def _send_epochs(self, key: str) -> None:
        if self._unsent:
            self._send(Epochs(key, self._unsent))
            self._unsent, self._sent_at = [], time.monotonic()

    def _send(self, message: Any) -> None:
        self._channel.sendall(pack(message))

    def _read(self) -> None:
        try:
            inbox = Inbox()
            while piece := self._channel.recv(CHUNK_BYTES):
                for message in inbox.feed(piece):
                    self._take(message)
        except ConnectionError:
            pass
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os.killpg(os.getpid(), signal.SIGKILL)

    def _take(self, message: Task | StopTask) -> None:
        if isinstance(message, Task):
            self._tasks.put(message)
        else:
            self._stops[message.key] = message.stop


def _limits() -> list[tuple[int, int]]:
    """Return the limits that the system sets to this process, which a training may have lowered."""
    numbers = {value for name, value in vars(resource).items() if name.startswith("RLIMIT_")}
    return [resource.getrlimit(number) for number in sorted(numbers)]


def be_worker(channel: int, experiment: Experiment, data: PreparedData) -> int:
    """Train the tasks of a socket in this process, until the process must end.

    Args:
        channel: Descriptor of the socket to the coordinator; 1 and 2 go to a file already.
        experiment: The experiment that trains.
        data: The data it trains on.

    Returns:
        The exit code of the process, after a `SystemExit`, another error, or a lost coordinator.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the coordinator decides when to stop
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    faulthandler.enable(file=2)
    adopt_orphans()  # so that the fork server knows which worker they belonged to
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    try:
        Worker(socket.socket(fileno=channel)).run(experiment, data)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except ConnectionError:
        return 0  # the coordinator has gone
    except BaseException:
        traceback.print_exc()
    return 1


def main() -> None:
    """Run a worker in this process, which was spawned and gets the arguments of the fork server."""
    die_with_parent(signal.SIGKILL)
    channel = int(sys.argv[2])
    os.set_inheritable(channel, False)
    begin_only_training()
    # The server has warmed up before it started this process, and has said what there is to say.
    experiment, data = read_preload(0).load(lambda line: None)
    code = be_worker(channel, experiment, data)
    sys.stderr.flush()
    os._exit(code)
