"""Runs a script and reads its output: a JSON line per epoch, and one with its result.

The script prints into files, which are read as they grow. So the whole output is kept, whichever
process is killed.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from sweeps.experiment import OnEpoch, Stop
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
"""A longer line is not read as JSON."""
_PIECE_BYTES: Final = 1 << 16
_FREE_BYTES: Final = 1 << 22


class OutputError(ValueError):
    """A script printed a JSON line with wrong content, or did not print a line that it must."""


def listen(
    lines: Iterable[str], on_epoch: OnEpoch
) -> tuple[dict[str, list[float]], dict[str, float] | None, Stop | None]:
    """Read the lines of a script until it ends, or until `on_epoch` stops it.

    Args:
        lines: Lines that may be JSON.
        on_epoch: Receives the epoch, from 0, and its metrics; may return a `Stop`.

    Returns:
        The history (values per epoch by metric, NaN for those that are not finite), the result
        (None without one), and the `Stop` of `on_epoch` (None if the script ended by itself).

    Raises:
        OutputError: A JSON line has something other than numbers, or other names than before.
    """
    history: dict[str, list[float]] = {}
    metrics: dict[str, float] | None = None
    count = 0
    for line in lines:
        said = _object(line)
        if "result" in said:
            metrics = _numbers(said["result"], line, '{"result": {"accuracy": 0.93}}')
        elif "epoch" in said:
            values = {k: v for k, v in said.items() if k != "epoch"}
            values = _numbers(values, line, '{"epoch": 1, "loss": 0.52}')
            if count and values.keys() != history.keys():
                raise OutputError(
                    f"epoch {count + 1} has {', '.join(values)}, those before {', '.join(history)};"
                    " print the same names after each epoch"
                )
            for name, value in values.items():
                known = value if math.isfinite(value) else math.nan
                history.setdefault(name, []).append(known)
            stop = on_epoch(count, values)
            count += 1
            if stop is not None:
                return history, metrics, stop
    return history, metrics, None


def _object(line: str) -> dict[str, Any]:
    """Return the JSON object in a line; an empty one if the line is anything else."""
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):  # the latter if it is nested too deep
        return {}
    return said if isinstance(said, dict) else {}


def _number(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError(value)
    return float(value)


def _numbers(values: Any, line: str, example: str) -> dict[str, float]:
    try:
        return {str(name): _number(value) for name, value in values.items()}
    except (AttributeError, TypeError, ValueError, OverflowError):
        said = f"not a number for each name: {line.strip()[:200]}"
        raise OutputError(f"{said}; print it such as {example}") from None


class Printed:
    """A file into which a process prints, and which is read as it grows.

    Unlike a pipe, it keeps everything if a process is killed, and neither side waits for the other.
    The middle of a long file, which is not kept, gives its disk space back if the system can do
    that.
    """

    def __init__(self, path: Path) -> None:
        """Make the file."""
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o666)
        self._read_to = self._freed_to = 0
        self._begun = b""

    def fileno(self) -> int:
        """Return the descriptor into which the process prints."""
        return self._file

    def close(self) -> None:
        """Close the file; it is not removed."""
        os.close(self._file)

    def new_lines(self) -> Iterator[str]:
        """Yield the new whole lines that begin with `{`."""
        while piece := os.pread(self._file, _PIECE_BYTES, self._read_to):
            self._read_to += len(piece)
            yield from self._split(piece)

    def last_line(self) -> Iterator[str]:
        """Yield the last line if it has no line end; call it once the process has ended."""
        yield from self._split(b"\n")

    def free(self) -> None:
        """Free the disk space between head and tail."""
        begin = max(self._freed_to, HEAD_BYTES)
        end = os.fstat(self._file).st_size - TAIL_BYTES
        if end - begin >= _FREE_BYTES:
            _punch(self._file, begin, end - begin)
            self._freed_to = end

    def _split(self, piece: bytes) -> Iterator[str]:
        *whole, self._begun = (self._begun + piece).split(b"\n")
        for line in whole:
            text = line.strip()
            if text.startswith(b"{"):
                yield text.decode(errors="replace")
        if len(self._begun) > _LONGEST_LINE:
            self._begun = b"(too long)"


def _punch(file: int, begin: int, length: int) -> None:
    """Make a hole in a file (Linux; elsewhere it keeps its space until the attempt ends)."""
    if sys.platform == "linux":
        keep_size_punch_hole = 3
        offsets = ctypes.c_int64(begin), ctypes.c_int64(length)
        ctypes.CDLL(None).fallocate(file, keep_size_punch_hole, *offsets)


class RunningScript:
    """A running script, which does not outlive its trial and ignores Ctrl-C meant for the sweep."""

    def __init__(
        self, command: Sequence[str], directory: Path | None, folder: Path, output: Path
    ) -> None:
        self._command, self._directory = command, directory
        self._folder = folder
        self._environment = {
            "PYTHONUNBUFFERED": "1",  # each line at once: epochs arrive, and a kill loses none
            **os.environ,
            OUTPUT_VARIABLE: str(output),
        }

    def __enter__(self) -> RunningScript:
        self._stdout = Printed(self._folder / "stdout.txt")
        self._stderr = Printed(self._folder / "stderr.txt")
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

    def lines(self) -> Iterator[str]:
        """Yield the lines of its output that may be JSON, until it has ended."""
        pause, has_ended = SHORTEST_PAUSE_SECONDS, False
        while not has_ended:
            has_ended = self._has_ended_in(pause)  # first, so that its last output is read below
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            for line in self._stdout.new_lines():
                pause = SHORTEST_PAUSE_SECONDS
                yield line
            self._stdout.free()
            self._stderr.free()
        yield from self._stdout.last_line()

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
