"""A text stream that never ends a sweep: it drops text that cannot be written."""

from __future__ import annotations

import os
import threading
from typing import TextIO


class LossyStream:
    """Wraps stdout or stderr; after the first failure to write it drops everything silently.

    It has the methods of a text file that rich and our own writers use.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lost = False
        self._lock = threading.RLock()  # re-entrant: a signal handler may write as well

    @property
    def encoding(self) -> str:
        """Encoding of the wrapped stream."""
        return self._stream.encoding

    def isatty(self) -> bool:
        """Whether the wrapped stream is a terminal."""
        return not self._stream.closed and self._stream.isatty()

    def fileno(self) -> int:
        """Return the file descriptor of the wrapped stream."""
        return self._stream.fileno()

    def write(self, text: str) -> int:
        """Write text, or drop it once the stream is lost; return its length."""
        with self._lock:
            if not self._lost:
                try:
                    self._stream.write(text)
                except (OSError, ValueError):  # ValueError: the stream was closed
                    self._lose()
        return len(text)

    def flush(self) -> None:
        """Flush the wrapped stream."""
        with self._lock:
            if not self._lost:
                try:
                    self._stream.flush()
                except (OSError, ValueError):
                    self._lose()

    def line(self, text: str) -> None:
        """Write one whole line and flush it."""
        with self._lock:
            self.write(f"{text}\n")
            self.flush()

    def _lose(self) -> None:
        """Send the rest of the buffer to the null device, or Python would exit with status 120.

        See the note on SIGPIPE in the documentation of Python's `signal`.
        """
        self._lost = True
        try:
            descriptor = self._stream.fileno()
            nowhere = os.open(os.devnull, os.O_WRONLY)
        except (OSError, ValueError):
            return
        os.dup2(nowhere, descriptor)
        os.close(nowhere)
