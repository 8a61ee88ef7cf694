"""The messages between coordinator, fork server and workers, framed on a socket.

A frame is a mark, the length of a pickle, its checksum, and the pickle; the peers are our own
processes. A peer that dies within a frame leaves it incomplete, and an incomplete frame is never
read. Bytes that a training writes to its worker's socket by mistake have no such header, and are
never unpickled.
"""

from __future__ import annotations

import pickle
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sweeps.executors.attempt import Judge
from sweeps.executors.checkpoint import CheckpointPlace
from sweeps.experiment import Stop, TrialSpec

_MARK: Final = b"\xffmsg"
_HEADER: Final = struct.Struct("!4sQI")
CHUNK_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class Task:
    """Coordinator to worker: train this attempt."""

    spec: TrialSpec
    judge: Judge | None
    timeout_seconds: float | None = None
    """When the worker prints its stack, because the coordinator is about to end it."""
    folder: Path | None = None
    """The folder to make for this attempt; None if its experiment writes no files."""
    place: CheckpointPlace | None = None
    """The place of the trial's checkpoint; None: nothing is saved."""


@dataclass(frozen=True)
class StopTask:
    """Coordinator to worker: end the attempt of that key after its current epoch."""

    key: str
    stop: Stop


@dataclass(frozen=True)
class Epochs:
    """Worker to coordinator: the epochs that have ended since the last message, in order."""

    key: str
    epochs: Sequence[tuple[int, Mapping[str, float]]]


@dataclass(frozen=True)
class Hello:
    """Worker to coordinator: ready for a task."""


@dataclass(frozen=True)
class Spent:
    """Worker to coordinator, before an attempt that failed: a later one would fail in me, too."""


@dataclass(frozen=True)
class Notice:
    """Server to coordinator: a line for the user, while the experiment warms up."""

    line: str


@dataclass(frozen=True)
class Preloaded:
    """Server to coordinator: ready to start workers, by a fork unless `spawns_because` is given."""

    spawns_because: str | None


@dataclass(frozen=True)
class Failed:
    """Server to coordinator: no worker can be started, for this reason."""

    reason: str


@dataclass(frozen=True)
class Started:
    """Server to coordinator: process id of a worker; answers the oldest open request for one."""

    pid: int


@dataclass(frozen=True)
class Ended:
    """Server to coordinator: a worker has ended; `code` below 0 is minus the signal's number."""

    pid: int
    code: int


def pack(message: Any) -> bytes:
    """Return a message as one frame."""
    payload = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    return _HEADER.pack(_MARK, len(payload), zlib.crc32(payload)) + payload


class MessageError(Exception):
    """The bytes that arrived are no message: something else wrote to the socket."""


class Inbox:
    """Puts frames together from the pieces that arrive."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, piece: bytes) -> Iterator[Any]:
        """Take a piece and yield the messages that are complete with it.

        Raises:
            MessageError: The bytes are no frame.
        """
        self._bytes += piece
        while self._bytes:
            if not _MARK.startswith(self._bytes[: len(_MARK)]):
                raise MessageError(f"it began with {bytes(self._bytes[:40])!r}")
            if len(self._bytes) < _HEADER.size:
                return
            _, size, checksum = _HEADER.unpack_from(self._bytes)
            end = _HEADER.size + size
            if len(self._bytes) < end:
                return
            frame = bytes(memoryview(self._bytes)[_HEADER.size : end])
            if zlib.crc32(frame) != checksum:
                raise MessageError(f"its checksum is wrong: {frame[:40]!r}")
            del self._bytes[:end]
            try:
                message = pickle.loads(frame)  # noqa: S301 - from a process of our own
            except Exception as error:
                raise MessageError(f"{type(error).__name__}: {error}") from None
            yield message
