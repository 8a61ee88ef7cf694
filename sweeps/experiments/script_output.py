"""Runs a script and reads the lines that it prints.

The script prints into files, which are read as they grow. So the whole output is kept, whichever
process is killed.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from sweeps.records.kept_files import HEAD_BYTES, TAIL_BYTES
from sweeps.workspace.descendants import descendants, marked, signal_each

OUTPUT_VARIABLE: Final = "SWEEPS_OUTPUT"
_DEAF_TO_CTRL_C: Final = ("/bin/sh", "-c", 'trap "" INT; exec "$@"', "sh")
SHORTEST_PAUSE_SECONDS: Final = 0.01
LONGEST_PAUSE_SECONDS: Final = 0.2
"""Limits of the pause between two looks at the output; silence makes the pause longer."""
PATIENCE_SECONDS: Final = 3.0
"""How long a script that is told to end, and all that it started, may take before a kill."""
_POLITELY: Final = (signal.SIGTERM, signal.SIGKILL)
_LONGEST_LINE: Final = 1 << 20
"""A longer line is not read."""
_LINE_END: Final = re.compile(rb"[\r\n]")  # a progress bar ends its lines by the former
_PIECE_BYTES: Final = 1 << 16
_FREE_BYTES: Final = 1 << 22


class Printed:
    """A file into which a process prints, and which is read as it grows.

    Unlike a pipe, it keeps everything if a process is killed, and neither side waits for the other.
    The middle of a long file, which is not kept, gives its disk space back if the system can do
    that.
    """

    def __init__(self, path: Path, only: bytes) -> None:
        """Make the file; of its lines, those that begin with `only` are read."""
        self._only = only
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o666)
        self._read_to = self._freed_to = 0
        self._begun = b""

    def fileno(self) -> int:
        """Return the descriptor into which the process prints."""
        return self._file

    def close(self) -> None:
        """Close the file; it is not removed."""
        os.close(self._file)

    def new_lines(self) -> Iterator[list[str]]:
        """Yield the new whole lines, piece by piece."""
        while piece := os.pread(self._file, _PIECE_BYTES, self._read_to):
            self._read_to += len(piece)
            yield self._split(piece)

    def last_line(self) -> list[str]:
        """Return the last line if it has no line end; call it once the process has ended."""
        return self._split(b"\n")

    def free(self) -> None:
        """Free the disk space between head and tail."""
        begin = max(self._freed_to, HEAD_BYTES)
        end = os.fstat(self._file).st_size - TAIL_BYTES
        if end - begin >= _FREE_BYTES:
            _punch(self._file, begin, end - begin)
            self._freed_to = end

    def _split(self, piece: bytes) -> list[str]:
        *whole, self._begun = _LINE_END.split(self._begun + piece)
        if len(self._begun) > _LONGEST_LINE:
            self._begun = b"(too long)"
        lines = (line.strip() for line in whole)
        return [line.decode(errors="replace") for line in lines if line.startswith(self._only)]


def _punch(file: int, begin: int, length: int) -> None:
    """Make a hole in a file (Linux; elsewhere it keeps its space until the attempt ends)."""
    if sys.platform == "linux":
        keep_size_punch_hole = 3
        offsets = ctypes.c_int64(begin), ctypes.c_int64(length)
        ctypes.CDLL(None).fallocate(file, keep_size_punch_hole, *offsets)


class RunningScript:
    """A running script, which does not outlive its trial and ignores Ctrl-C meant for the sweep."""

    def __init__(
        self,
        command: Sequence[str],
        directory: Path | None,
        folder: Path,
        *,
        environment: Mapping[str, str | None],
        has_only_json: bool,
    ) -> None:
        """Prepare it; it starts on `with`.

        Args:
            command: Its words.
            directory: The folder in which it runs.
            folder: Its two files of output are made there; it writes its own into `output` there.
            environment: Variables that it gets beside those of this process; None takes one away.
            has_only_json: Whether only lines that may be JSON objects, of stdout, are read.
        """
        self._command, self._directory = command, directory
        self._folder, self._has_only_json = folder, has_only_json
        variables = {
            "PYTHONUNBUFFERED": "1",  # each line at once: epochs arrive, and a kill loses none
            **os.environ,
            **environment,
            OUTPUT_VARIABLE: str(folder / "output"),
        }
        self._environment = {name: said for name, said in variables.items() if said is not None}

    def __enter__(self) -> RunningScript:
        self._stdout = Printed(self._folder / "stdout.txt", b"{" if self._has_only_json else b"")
        self._stderr = Printed(self._folder / "stderr.txt", b"")
        self._process = subprocess.Popen(  # noqa: S603 - the command of the user's own space
            [*_DEAF_TO_CTRL_C, *self._command],
            cwd=self._directory,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=self._stdout.fileno(),
            stderr=self._stderr.fileno(),
        )
        return self

    def __exit__(self, *_: object) -> None:
        has_ended = self._process.poll() is not None
        self._end_all(*_POLITELY if has_ended else (signal.SIGKILL,))
        self._process.wait()
        self._stdout.close()
        self._stderr.close()

    def lines(self) -> Iterator[list[str]]:
        """Yield the new lines of its output, none after each look at it, until it has ended."""
        pause, has_ended = SHORTEST_PAUSE_SECONDS, False
        read = [self._stdout] if self._has_only_json else [self._stdout, self._stderr]
        while not has_ended:
            has_ended = self._has_ended_in(pause)  # first, so that its last output is read below
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            for file in read:
                for lines in file.new_lines():
                    pause = SHORTEST_PAUSE_SECONDS if lines else pause
                    yield lines
            self._stdout.free()
            self._stderr.free()
            yield []
        for file in read:
            yield file.last_line()

    def _has_ended_in(self, seconds: float) -> bool:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def wait(self) -> int:
        """Wait until it has ended; return its exit code."""
        return self._process.wait()

    def end(self) -> int:
        """End it and all that it started, by a kill if necessary; return its exit code."""
        self._end_all(*_POLITELY)
        return self._process.wait()

    def _end_all(self, *signals: signal.Signals) -> None:
        """Send signals, one after the other, to it and all that it started, until all have ended.

        On Linux, processes that have left its process tree are found by their environment.
        """
        pid = self._process.pid
        known = [] if self._process.poll() is not None else [pid, *descendants(pid)]
        for number in signals:
            signal_each({*known, *self._marked()}, number)
            end = time.monotonic() + PATIENCE_SECONDS
            while not (has_ended := self._have_ended()) and time.monotonic() < end:
                time.sleep(SHORTEST_PAUSE_SECONDS)
            if has_ended:
                return

    def _have_ended(self) -> bool:
        return self._process.poll() is not None and not self._marked()

    def _marked(self) -> list[int]:
        return marked(OUTPUT_VARIABLE, self._environment[OUTPUT_VARIABLE])
