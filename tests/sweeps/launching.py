"""Sweeps in processes of their own, forked from one that has imported everything already.

A real process each, with a session of its own, that can be killed like any other; but it starts
in milliseconds instead of the seconds that Optuna and MLflow take to import.
"""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from unittest.mock import patch

from sweeps import launch as _run  # noqa: F401
from sweeps.cli import main
from sweeps.executors.preloading import ENVIRONMENT
from sweeps.tracking.store import quiet

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload([__name__])
WAIT_SECONDS = 120

with quiet():  # imports MLflow
    pass
_THREADS = len(list(Path("/proc/self/task").iterdir()))
gc.collect()
gc.freeze()  # the copies need not look through all that was imported


class Launched:
    """A command `sweeps` that runs, or has ended."""

    def __init__(
        self,
        words: Sequence[str],
        environment: Mapping[str, str] | None = None,
        before: Sequence[Callable[[], object]] = (),
        *,
        hears_all: bool = False,
    ) -> None:
        """Start it.

        Args:
            words: Its arguments.
            environment: More variables.
            before: What it does to itself first; must be picklable.
            hears_all: Whether `stderr` has what it prints on stdout, too.
        """
        heard, said = multiprocessing.Pipe(duplex=False)
        arguments = (list(words), said, dict(environment or {}), list(before), hears_all)
        self._process = _SERVER.Process(target=_command, args=arguments)
        # Without threads: a fork would copy their locks.
        with patch.dict(os.environ, ENVIRONMENT):
            self._process.start()  # the first one starts the process that is forked
        said.close()
        self._heard = bytearray()
        self._reader = threading.Thread(target=self._read, args=(heard,))
        self._reader.start()

    def wait(self) -> int:
        """Return its exit code; negative if a signal ended it."""
        self._process.join(WAIT_SECONDS)
        assert self._process.exitcode is not None, f"it does not end: {self.stderr()}"
        self._reader.join(WAIT_SECONDS)
        return self._process.exitcode

    def is_alive(self) -> bool:
        return self._process.is_alive()

    def kill(self) -> None:
        """SIGKILL its process group."""
        assert self._process.pid is not None
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process itself."""
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def until_said(self, text: str) -> None:
        """Wait until stderr has this text."""
        end = time.monotonic() + WAIT_SECONDS
        while text not in self.stderr():
            assert time.monotonic() < end, self.stderr()
            assert self.is_alive(), self.stderr()
            time.sleep(0.02)

    @property
    def pid(self) -> int | None:
        return self._process.pid

    def stderr(self) -> str:
        return self._heard.decode()

    def _read(self, heard: Connection) -> None:
        with heard:
            while data := os.read(heard.fileno(), 65536):
                self._heard += data


def give_up_the_rights_of_root() -> None:
    """Let the modes of files count for root too: drop CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3, this process
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted and inheritable, twice 32 bits
    assert libc.capget(header, sets) == 0
    for position in range(2):
        sets[position] &= ~0b110
    assert libc.capset(header, sets) == 0


def _command(
    words: list[str],
    said: Connection,
    environment: dict[str, str],
    before: list[Callable[[], object]],
    hears_all: bool,
) -> None:
    assert _THREADS == 1, "a fork copies the locks that other threads hold, and not the threads"
    os.setsid()
    os.environ.update(environment)
    null = os.open(os.devnull, os.O_RDWR)
    out = said.fileno() if hears_all else null
    for descriptor, target in ((null, 0), (out, 1), (said.fileno(), 2)):
        os.dup2(descriptor, target)
    said.close()
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
    for act in before:
        act()
    sys.argv = ["sweeps", *words]
    main()
