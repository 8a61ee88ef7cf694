"""A journal as a file; see the package."""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from io import BufferedReader
from pathlib import Path
from typing import Final, Protocol

import msgspec

from sweeps.journal.events import (
    BY,
    Common,
    Event,
    Record,
    ShortRecord,
    UnknownEventError,
    from_line,
    parted,
    to_line,
)
from sweeps.wording import counted
from sweeps.workspace.clock import now_ms
from sweeps.workspace.failpoints import reached
from sweeps.workspace.files import (
    FormatError,
    NoFileError,
    open_file,
    sync_folder,
    unwritable,
    write_atomically,
)
from sweeps.workspace.locks import is_at, wait_for_lock

FILE: Final = "journal.jsonl"
LONGEST_WAIT_SECONDS: Final = 20.0
"""An appender has the lock for as long as a sync takes."""
_TAIL: Final = 64
"""So many bytes tell a file that has grown from another one."""
_TIMES: Final = 2
"""So often it is told what attempts have in common."""
MOST_FILE_BYTES: Final = 2**31 - 4096
"""No larger journal is read: the system gives no more at once. Some 500,000 trials with curves have
room."""

_Entry = Event | FormatError | UnknownEventError
"""What a line holds: an event, or why it holds none."""


class Remote(Protocol):
    """A database that has the journal, of which the file is a copy."""

    def exchange(self, after: int, make: Callable[[int], Sequence[bytes]]) -> Sequence[bytes]:
        """Add lines to the journal in one transaction.

        Args:
            after: Number of the last event in the copy.
            make: Returns the lines to be added, for the number of the last event there.

        Returns:
            All lines there after the number, in order, those that were added included.

        Raises:
            LeaseLost: Another process has taken over the sweep.
            StoreError: The database is away; nothing was added.
        """
        ...

    def send(self, path: Path, content: bytes) -> None:
        """Store a file of the sweep; it is there when this returns.

        Raises:
            LeaseLost: Another process has taken over the sweep.
            StoreError: The database is away.
        """
        ...

    def drop(self, paths: Sequence[Path]) -> None:
        """Delete files of the sweep there; errors are those of `send`."""
        ...


class Journal:
    """The events in the folder of one sweep; it may be used by several processes at once.

    Attributes:
        path: The file.
        remote: The database that it is a copy of; None as a rule.
        damage: A line about each event that is damaged, and about each gap, of those taken so far.
        damaged: The number of each of these events; of a gap, that of the event behind it.
        deletions: How often it was deleted meanwhile, and written anew.
        changes: How often another program has changed or replaced what was read here.
    """

    _kept_open: BufferedReader | None = None  # so that it can be written anew if it is deleted

    def __init__(self, folder: Path, remote: Remote | None = None) -> None:
        self.path, self.remote = folder / FILE, remote
        self.damage: list[str] = []
        self.damaged: list[int] = []
        self.deletions = self.changes = 0
        self._turn = threading.RLock()
        self._forget()

    def _forget(self) -> None:
        self.damage.clear()
        self.damaged.clear()
        self._waiting: list[_Entry] = []  # looked at, and not taken
        self._size = 0  # so many bytes were looked at
        self._number = 0  # of the last event in them
        self._taken = 0  # number of the last event that was taken
        self._whole_number = 0  # of the last one of them that was whole
        self._common: dict[str, Common] = {}  # what attempts have in common, by its digest
        self._told: Counter[str] = Counter()  # how often each was read
        self._state: tuple[int, ...] = ()  # what tells the file from itself before a change
        self._tail = b""  # the last of the bytes that were looked at
        self._is_anew = True

    def __del__(self) -> None:
        if self._kept_open is not None:
            self._kept_open.close()

    def append(self, *events: Event) -> None:
        """Write events, all with one sync; they are on disk when this returns.

        A file that was deleted meanwhile is written anew first.

        Raises:
            StoreError: They cannot be written; nothing of them is left.
            TooLongError: One has no room in a line; nothing was written.
            LeaseLost: Another process has taken over the sweep.
        """
        with self._turn:
            try:
                reached("journal.begun")
                self._append_locked(events)
                reached("journal.done")
            except OSError as error:
                raise unwritable(self.path, error) from error

    def fetch(self) -> None:
        """Copy what others have added to the database.

        Raises:
            StoreError: The database is away, or the copy cannot be written.
        """
        if self.remote is not None:
            self.append()

    def _append_locked(self, events: Sequence[Event]) -> None:
        is_there = self.path.exists()
        if self._kept_open is not None and not is_there:
            self._restore(self._kept_open)
        is_new = not (is_there and self._size)
        descriptor = os.open(
            self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644
        )
        try:
            if is_new:  # also one that a killed process has made; first, so that nothing is
                sync_folder(self.path.parent)  # written if it fails
            wait_for_lock(descriptor, self.path, LONGEST_WAIT_SECONDS)
            reached("journal.opened")
            is_at_path = is_at(self.path, descriptor)
            if is_at_path:
                self._append(descriptor, events)
                self._keep_open(descriptor)
        finally:
            os.close(descriptor)  # this releases the lock
        if not is_at_path:  # it was deleted or replaced while another had the lock
            self._append_locked(events)

    def _keep_open(self, descriptor: int) -> None:
        """Keep the file that was written; one that it has replaced is never written anew."""
        kept = self._kept_open
        if kept is not None and not os.path.sameopenfile(kept.fileno(), descriptor):
            kept.close()
            kept = None
        self._kept_open = kept or open_file(self.path)

    def _restore(self, deleted: BufferedReader) -> None:
        """Write a deleted file anew, from the one that this process has kept open."""
        deleted.seek(0)
        write_atomically(self.path, deleted.read(), "restored")
        self.deletions += 1
        self._forget()

    def _append(self, descriptor: int, events: Sequence[Event]) -> None:
        self._look(descriptor)
        now, host = now_ms(), socket.gethostname()

        def make(last: int) -> list[bytes]:
            numbered = (
                msgspec.structs.replace(event, number=number, at=now, host=host, by=BY)
                for number, event in enumerate(self._in_lines(events), last + 1)
            )
            return [to_line(event) for event in numbered]

        if self.remote is None:
            made = make(self._number)
            self._look(descriptor)  # again: another program may change it while they are made, and
            self._write(descriptor, made)  # after they are written nothing would tell
        elif self._is_damaged():  # the database has it whole
            lines = self.remote.exchange(0, make)
            write_atomically(self.path, b"".join(lines), "restored")
            self._forget()
            if self._kept_open is not None:
                self._kept_open.close()
                self._kept_open = None
        else:
            self._write(descriptor, self.remote.exchange(self._number, make))

    def _in_lines(self, events: Sequence[Event]) -> Iterator[Event]:
        """Yield events as they are written: before an attempt what it has in common with others."""
        told = self._told.copy()
        for event in events:
            if not isinstance(event, Record):
                yield event
                continue
            common, rest = parted(event)
            while told[rest.common] < _TIMES:
                told[rest.common] += 1
                yield common
            yield rest

    def _write(self, descriptor: int, added: Sequence[bytes]) -> None:
        if not added:
            return
        end, lines = self._size, b"".join(added)
        try:
            os.ftruncate(descriptor, end)  # what a killed process left of its last line
            written = end
            while written < end + len(lines):
                written += os.pwrite(descriptor, lines[written - end :], written)
            reached("journal.written")
            self._state = _state(descriptor)  # a change while it is synced is noticed, too
            os.fsync(descriptor)
            reached("journal.synced")
        except OSError:
            os.ftruncate(descriptor, end)
            raise
        self._look(descriptor)

    def _look(self, descriptor: int) -> None:
        """Read what was added; `_size` is then where the next line begins."""
        state = _state(descriptor)
        before, is_same = self._number, state[:1] == self._state[:1]
        is_changed = state[1:2] == self._state[1:2] and state != self._state
        tail = os.pread(descriptor, len(self._tail), self._size - len(self._tail))
        if not is_same or is_changed or tail != self._tail:
            self.changes += self._size > 0
            self._forget()  # it was deleted, changed, or is another
        if state[1] > MOST_FILE_BYTES:
            raise OSError(errno.EFBIG, "it has more than 2 GB")
        added = os.pread(descriptor, state[1] - self._size, self._size)
        entries, length = _entries(added)
        for entry in entries:
            number = entry.number if isinstance(entry, Event) else self._number + 1
            self._number = max(self._number, number)
            if isinstance(entry, ShortRecord) and entry.common in self._common:
                entry.complete(self._common[entry.common])
            elif isinstance(entry, Common):
                self._common[entry.digest] = entry
                self._told[entry.digest] += 1
        if self.remote is None and (is_same or not state[1]):
            self._number = max(self._number, before)  # they go on: what is lost is a gap
        self._waiting += entries
        self._size += length
        self._tail = (self._tail + added[max(0, length - _TAIL) : length])[-_TAIL:]
        self._state = state

    def last(self) -> int:
        """Return the number of the last event in the file; 0 without one."""
        with self._turn, suppress(OSError), open_file(self.path) as file:
            self._look(file.fileno())
            return self._number
        return 0

    def take(self) -> tuple[list[Event], bool]:
        """Return the whole events that were not taken before, and whether the file is another.

        If it is, as at the first call, they are all events of the journal.

        Raises:
            UnknownEventError: One is of a kind that this version does not know.
            OSError: The file cannot be read.
        """
        with self._turn:
            if self._has_all():
                return [], False
            try:
                with open_file(self.path) as file:
                    self._look(file.fileno())
            except FileNotFoundError:
                if self._kept_open is None or not self.path.parent.is_dir():
                    self._forget()
                    return [], True
                self._look(self._kept_open.fileno())  # deleted; the next append writes it anew
            except NoFileError as error:
                self._forget()
                self._report(0, error.strerror)
                return [], True
            if self.remote is not None and self._is_damaged():
                self.append()  # this replaces the copy
                with open_file(self.path) as file:
                    self._look(file.fileno())
            is_anew, self._is_anew = self._is_anew, False
            waiting, self._waiting = self._waiting, []
            return [event for entry in waiting if (event := self._whole(entry))], is_anew

    def _has_all(self) -> bool:
        """Whether the file is as it was when all that is in it was taken."""
        with suppress(OSError):
            return not (self._is_anew or self._waiting) and _state(self.path) == self._state
        return False

    def _is_damaged(self) -> bool:
        """Whether one of the events that were not taken is damaged or missing."""
        return any(
            isinstance(entry, FormatError) or (isinstance(entry, Event) and entry.number != number)
            for number, entry in enumerate(self._waiting, self._taken + 1)
        )

    def _whole(self, entry: _Entry) -> Event | None:
        if isinstance(entry, UnknownEventError):
            self._forget()  # so that the next call says it again
            raise UnknownEventError(f"{self.path}: {entry}")
        if isinstance(entry, FormatError):
            self._taken += 1
            what = f"event {self._taken} is damaged ({entry}); left out"
            self._report(self._taken, what)
            return None
        missing = entry.number - self._taken - 1
        if missing > 0:
            lost = counted(missing, "event")
            self._report(entry.number, f"{lost} missing before event {entry.number}")
        elif entry.number <= self._whole_number:
            order = f"event {entry.number} stands after event {self._whole_number}"
            self._report(entry.number, f"{order}; two have written it at once")
        self._taken = self._whole_number = entry.number
        return entry

    def _report(self, number: int, what: str) -> None:
        self.damage.append(f"{self.path}: {what}")
        self.damaged.append(number)

    def read(self, report: Callable[[str], None]) -> list[Event]:
        """Return every whole event in order; none without a file.

        Args:
            report: Receives a line about each damaged one, and about each gap.

        Raises:
            UnknownEventError: One is of a kind that this version does not know.
            OSError: The file cannot be read.
        """
        journal = Journal(self.path.parent)
        events, _ = journal.take()
        for line in journal.damage:
            report(line)
        return events


def _state(file: int | Path) -> tuple[int, ...]:
    """Return inode, size and time of the last change of a file, or of an open one."""
    status = os.fstat(file) if isinstance(file, int) else file.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _entries(content: bytes) -> tuple[list[_Entry], int]:
    """Return the entries of a journal, a line each, and where the next line is to begin.

    What stands after the last newline was cut off while it was written, and counts for nothing,
    unless no more than its newline is lost.
    """
    view, entries = memoryview(content), list[_Entry]()  # no line is copied
    begin, after_damage = 0, False
    while (end := content.find(b"\n", begin)) >= 0:
        entry = _entry(view[begin:end]) if end > begin else None
        is_damaged = isinstance(entry, FormatError)
        # Two damaged lines without an empty one between them were one: a byte became a newline.
        if entry is not None and not (is_damaged and after_damage):
            entries.append(entry)
        begin, after_damage = end + 1, is_damaged
    for last in (view[begin:], view[begin:-1]) if begin < len(content) else ():
        entry = _entry(last)
        if not isinstance(entry, FormatError):
            return [*entries, entry], begin + len(last)
    return entries, begin


def _entry(line: memoryview) -> _Entry:
    try:
        return from_line(line)
    except (FormatError, UnknownEventError) as error:
        return error
