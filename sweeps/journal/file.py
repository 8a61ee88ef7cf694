"""A journal as a file; see the package."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from sweeps.journal.events import Event, UnknownEventError, from_line, to_line
from sweeps.wording import counted
from sweeps.workspace.clock import now_ms
from sweeps.workspace.failpoints import reached
from sweeps.workspace.files import FormatError, NoFileError, open_file, sync_folder, unwritable
from sweeps.workspace.locks import wait_for_lock

FILE: Final = "journal.jsonl"
LONGEST_WAIT_SECONDS: Final = 20.0
"""An appender has the lock for as long as a sync takes."""

_Entry = Event | FormatError | UnknownEventError
"""What a line holds: an event, or why it holds none."""


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
        try:
            reached("journal.begun")
            is_new = not self._size or not self.path.exists()
            descriptor = os.open(
                self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644
            )
            try:
                if is_new:  # also one that a killed process has made; first, so that nothing is
                    sync_folder(self.path.parent)  # written if it fails
                wait_for_lock(descriptor, self.path, LONGEST_WAIT_SECONDS)
                self._append(descriptor, events)
            finally:
                os.close(descriptor)  # this releases the lock
            reached("journal.done")
        except OSError as error:
            raise unwritable(self.path, error) from error

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
        entries, length = _entries(added)
        for entry in entries:
            number = entry.number if isinstance(entry, Event) else self._number + 1
            self._number = max(self._number, number)
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
        for entry in _entries(content)[0]:
            if isinstance(entry, UnknownEventError):
                raise UnknownEventError(f"{self.path}: {entry}")
            if isinstance(entry, FormatError):
                report(f"{self.path}: event {next_number} is damaged ({entry}); left out")
                next_number += 1
                continue
            missing = entry.number - next_number
            if missing > 0:
                lost = counted(missing, "event")
                report(f"{self.path}: {lost} missing before event {entry.number}")
            next_number = entry.number + 1
            yield entry


def _entries(content: bytes) -> tuple[list[_Entry], int]:
    """Return the entries of a journal, a line each, and where the next line is to begin.

    What stands after the last newline was cut off while it was written, and counts for nothing,
    unless no more than its newline is lost.
    """
    end = content.rfind(b"\n") + 1
    entries: list[_Entry] = []
    after_damage = False
    for line in content[:end].split(b"\n"):
        entry = _entry(line) if line else None
        is_damaged = isinstance(entry, FormatError)
        # Two damaged lines without an empty one between them were one: a byte became a newline.
        if entry is not None and not (is_damaged and after_damage):
            entries.append(entry)
        after_damage = is_damaged
    for last in (content[end:], content[end:-1]):
        entry = _entry(last)
        if not isinstance(entry, FormatError):
            return [*entries, entry], end + len(last)
    return entries, end


def _entry(line: bytes) -> _Entry:
    try:
        return from_line(line)
    except (FormatError, UnknownEventError) as error:
        return error
