"""What a script prints while it trains: a JSON line an epoch, and one with its result.

It prints into files, which are read as they grow: all of it is there whoever is killed.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from sweeps.experiment import OnEpoch, Stop
from sweeps.records.kept_files import HEAD_BYTES, TAIL_BYTES

_LONGEST_LINE: Final = 1 << 20
"""A longer line is none of ours."""
_PIECE_BYTES: Final = 1 << 16
_FREE_BYTES: Final = 1 << 22


class OutputError(ValueError):
    """A script printed a line that cannot be what it is meant to be, or did not print one."""


def listen(
    lines: Iterable[str], on_epoch: OnEpoch
) -> tuple[dict[str, list[float]], dict[str, float] | None, Stop | None]:
    """Take what a script says until it ends or is told to stop: history, result, verdict.

    Raises:
        OutputError: A line of JSON has something other than numbers, or other names than before.
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
    """Return the JSON object of a line, an empty one if it is anything else."""
    try:
        said = json.loads(line)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _numbers(values: Any, line: str, example: str) -> dict[str, float]:
    try:
        return {str(name): float(value) for name, value in values.items()}
    except (AttributeError, TypeError, ValueError):
        said = f"not a number for each name: {line.strip()[:200]}"
        raise OutputError(f"{said}; print it such as {example}") from None


class Printed:
    """A file that a process prints into itself, and which is read as it grows.

    So whatever is killed, all is there that was printed; and nobody waits for anybody. The middle
    of a long one, which nobody keeps, gives its room back where the system can do that.
    """

    def __init__(self, path: Path) -> None:
        """Make the file."""
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o666)
        self._read_to = self._freed_to = 0
        self._begun = b""

    def fileno(self) -> int:
        """Return the descriptor that the process prints to."""
        return self._file

    def close(self) -> None:
        """Let go of the file, which stays."""
        os.close(self._file)

    def new_lines(self) -> Iterator[str]:
        """Yield what has come and may be a line of JSON."""
        while piece := os.pread(self._file, _PIECE_BYTES, self._read_to):
            self._read_to += len(piece)
            yield from self._split(piece)

    def last_line(self) -> Iterator[str]:
        """Yield what came without an end of its line; the process has ended."""
        yield from self._split(b"\n")

    def free(self) -> None:
        """Give back the room of what is neither head nor tail."""
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
    """Make a hole in a file (Linux; elsewhere it keeps its room until the attempt ends)."""
    if sys.platform == "linux":
        keep_size_punch_hole = 3
        offsets = ctypes.c_int64(begin), ctypes.c_int64(length)
        ctypes.CDLL(None).fallocate(file, keep_size_punch_hole, *offsets)
