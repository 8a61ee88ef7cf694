"""What a script prints while it trains: a JSON line an epoch, and one with its result.

All of it is written to files as it comes, so that it is there also if whoever listens is killed;
of a long one its head and its tail are kept.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Final

from sweeps.experiment import OnEpoch, Stop

HEAD_BYTES: Final = 64 * 1024
TAIL_BYTES: Final = 128 * 1024
"""Of what a script prints: its first bytes are kept, and at least so many of its last."""
_LONGEST_LINE: Final = 1 << 20
"""A longer line is none of ours."""
_SILENCE_SECONDS: Final = 1.0
"""So long nothing comes from a script that has ended: what it left behind holds its stdout."""


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


class Log:
    """A file that a stream is written to as it comes: whole at any time, and never large."""

    def __init__(self, path: Path) -> None:
        """Remember where; the file is made once something comes."""
        self._path = path
        self._file: IO[bytes] | None = None
        self._size = self._left_out = self._tail_at = 0

    def write(self, data: bytes) -> None:
        """Add to it; a disk that takes no more costs the log, not the trial."""
        with contextlib.suppress(OSError):
            if self._file is None:
                self._file = self._path.open("wb", buffering=0)
            self._file.write(data)
            self._size += len(data)
            if self._size > HEAD_BYTES + 2 * TAIL_BYTES:
                self._shorten()

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()

    def _shorten(self) -> None:
        """Put a file with head and tail in its place."""
        content = self._path.read_bytes()
        tail = content[-TAIL_BYTES:]
        begin = self._tail_at or HEAD_BYTES
        self._left_out += len(content) - len(tail) - begin
        said = f"\n... {self._left_out} bytes are left out here ...\n".encode()
        head = content[:HEAD_BYTES] + said
        shorter = self._path.with_name(f".{self._path.name}.tmp")
        shorter.write_bytes(head + tail)
        shorter.replace(self._path)
        self.close()
        self._file = self._path.open("ab", buffering=0)
        self._size, self._tail_at = len(head) + len(tail), len(head)


class Streams:
    """Reads what a process prints, in threads of its own, so that it never waits for us."""

    def __init__(self, stdout: IO[bytes], stderr: IO[bytes], folder: Path) -> None:
        """Begin to read.

        Args:
            stdout: The process's.
            stderr: The same.
            folder: Where `stdout.txt` and `stderr.txt` go.
        """
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._read, args=(stdout, folder / "stdout.txt", self._take)),
            threading.Thread(target=self._read, args=(stderr, folder / "stderr.txt", None)),
        ]
        self._begun = b""
        for thread in self._threads:
            thread.daemon = True
            thread.start()

    def lines(self, has_ended: Callable[[], bool]) -> Iterator[str]:
        """Yield what may be a line of JSON, until the stream has ended.

        Args:
            has_ended: Whether the process has; what it left behind may hold the stream open.
        """
        while True:
            try:
                line = self._lines.get(timeout=_SILENCE_SECONDS)
            except queue.Empty:
                if has_ended():
                    return
                continue
            if line is None:
                return
            yield line

    def finish(self) -> None:
        """Wait until everything is written that a process which has ended left in its pipes."""
        for thread in self._threads:
            thread.join(_SILENCE_SECONDS)

    def _read(self, stream: IO[bytes], path: Path, take: Callable[[bytes], None] | None) -> None:
        log = Log(path)
        try:
            while piece := os.read(stream.fileno(), 1 << 16):
                log.write(piece)
                if take is not None:
                    take(piece)
        finally:
            log.close()
            stream.close()
            if take is not None:
                take(b"\n")
                self._lines.put(None)

    def _take(self, piece: bytes) -> None:
        *whole, self._begun = (self._begun + piece).split(b"\n")
        for line in whole:
            text = line.strip()
            if text.startswith(b"{"):
                self._lines.put(text.decode(errors="replace"))
        if len(self._begun) > _LONGEST_LINE:
            self._begun = b"(too long)"
