"""A journal as a file; see the package."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from sweeps.journal.events import Event, UnknownEventError, from_line, to_line
from sweeps.workspace.clock import now_ms
from sweeps.workspace.failpoints import reached
from sweeps.workspace.files import FormatError, NoFileError, open_file, sync_folder, unwritable
from sweeps.workspace.locks import wait_for_lock

FILE: Final = "journal.jsonl"
LONGEST_WAIT_SECONDS: Final = 20.0
"""An appender has the lock for as long as a sync takes."""


class Journal:
    """The events in the folder of one sweep; it may be used by several processes at once."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._size = 0  # so many bytes were looked at
        self._number = 0  # of the last event in them

    def append(self, *events: Event) -> None:
        """Write events, all with one sync; they are on disk when this returns.

        Raises:
            StoreError: They cannot be written; nothing of them is left.
        """
        reached("journal.begun")
        try:
            is_new = not self.path.exists()
            descriptor = os.open(
                self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644
            )
            try:
                wait_for_lock(descriptor, self.path, LONGEST_WAIT_SECONDS)
                self._append(descriptor, events)
            finally:
                os.close(descriptor)  # this releases the lock
            if is_new:
                sync_folder(self.path.parent)
        except OSError as error:
            raise unwritable(self.path, error) from error
        reached("journal.done")

    def _append(self, descriptor: int, events: tuple[Event, ...]) -> None:
        end = self._look(descriptor)
        now, host = now_ms(), socket.gethostname()
        lines = b"".join(
            to_line(msgspec.structs.replace(event, number=number, at=now, host=host))
            for number, event in enumerate(events, self._number + 1)
        )
        try:
            os.ftruncate(descriptor, end)  # what a killed process left of its last line
            written = end
            while written < end + len(lines):
                written += os.pwrite(descriptor, lines[written - end :], written)
            reached("journal.written")
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, end)
            raise
        self._size, self._number = end + len(lines), self._number + len(events)

    def _look(self, descriptor: int) -> int:
        """Learn the last number, from what others have added; return where the next line begins."""
        size = os.fstat(descriptor).st_size
        if size < self._size:
            self._size = 0  # it was deleted, or is another; the numbers go on
        added = os.pread(descriptor, size - self._size, self._size)
        lines, length = _lines(added)
        for line in lines:
            try:
                self._number = max(self._number, from_line(line).number)
            except (FormatError, UnknownEventError):
                self._number += 1
        self._size += length
        return self._size

    def read(self, report: Callable[[str], None]) -> list[Event]:
        """Return every whole event in order; none without a file.

        Args:
            report: Receives a line about each damaged one, and about each gap.

        Raises:
            UnknownEventError: One is of a kind that this version does not know.
            OSError: The file cannot be read.
        """
        try:
            with open_file(self.path) as file:
                content = file.read()
        except FileNotFoundError:
            return []
        except NoFileError as error:
            report(f"{self.path}: {error.strerror}")
            return []
        return list(self._whole(content, report))

    def _whole(self, content: bytes, report: Callable[[str], None]) -> Iterator[Event]:
        next_number = 1
        for line in _lines(content)[0]:
            try:
                event = from_line(line)
            except UnknownEventError as error:
                raise UnknownEventError(f"{self.path}: {error}") from None
            except FormatError as error:
                report(f"{self.path}: event {next_number} is damaged ({error}); left out")
                next_number += 1
                continue
            missing = event.number - next_number
            if missing > 0:
                report(f"{self.path}: {missing} events before event {event.number} are missing")
            next_number = event.number + 1
            yield event


def _lines(content: bytes) -> tuple[list[bytes], int]:
    """Return the lines of a journal, and where the next one is to begin.

    What stands after the last newline was cut off while it was written, and counts for nothing,
    unless no more than its newline is lost.
    """
    end = content.rfind(b"\n") + 1
    lines = [line for line in content[:end].split(b"\n") if line]
    for last in (content[end:], content[end:-1]):
        with suppress(FormatError):
            from_line(last)
            return [*lines, last], end + len(last)
    return lines, end
