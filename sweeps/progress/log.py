"""Keeps the whole output of a sweep in a file beside its records, whatever is shown meanwhile.

It has a line for each attempt, with its parameters and the whole error, for each note, for each
start and end; those of a confirmation stand in the log of the sweep that it confirms. An attempt
that was recorded, but not logged before a kill, is logged by the next start. The log is removed and
archived with the sweep, and neither shared nor needed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from search_spaces.objectives import in_words
from sweeps.analysis.rows import trial_row
from sweeps.progress import PassedOn, Progress
from sweeps.progress.lines import trial_line
from sweeps.render.verdict import (
    ended_line,
    failure_line,
    retry_line,
    time_lines,
    verdict_line,
)
from sweeps.wording import counted, printable
from sweeps.workspace.addresses import in_text
from sweeps.workspace.clock import now_ms
from sweeps.workspace.files import read_file

if TYPE_CHECKING:
    from io import TextIOWrapper

    from sweeps.analysis.summary import Summary
    from sweeps.progress.tally import Tally
    from sweeps.records.record import Record, SweepInfo

LOG, EARLIER_LOG = "sweep.log", "sweep.log.1"
"""The log of a sweep, and the part of it that was full before."""
_STAMP: Final = len("2026-11-29 04:42:13 ")
_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
MOST_BYTES: Final = 4 * 2**20
"""Size at which a log is put aside, in place of the one that was put aside before."""


class Logged(PassedOn):
    """A display, and the log that is written beside it. See `Progress`.

    A log that cannot be written, on a full disk or in a folder that was deleted, is given up.
    """

    def __init__(self, shown: Progress) -> None:
        super().__init__(shown)
        self._waiting: list[str] | None = []  # lines from before the sweep had a folder
        self._path: Path | None = None
        self._file: TextIOWrapper | None = None
        self._info: SweepInfo | None = None
        self._earlier: list[str] = []  # lines of earlier starts

    def keep_in(self, folder: Path) -> Path:
        """Begin to write into the folder of a sweep; return the path of the log."""
        self._path = path = folder / LOG
        waiting, self._waiting = self._waiting or [], None
        self._earlier = [*_lines(path.with_name(EARLIER_LOG)), *_lines(path)]
        self._open()
        for lines in waiting:
            self._write(lines)
        return path

    def started(self, tally: Tally) -> None:
        """Log the attempts that a kill kept out, the sweep, and how many trials are done."""
        self._info = tally.info
        for record in self._missing(tally.recorded):
            self._attempt(record)
        self._line(
            f"{tally.info.name} ({tally.info.id}): {tally.counted} done; "
            f"{in_words(tally.info.objectives)}"
        )
        self._shown.started(tally)

    def note(self, text: str) -> None:
        """Log and show the line."""
        self._line(text)
        self._shown.note(text)

    def trial_finished(self, record: Record) -> None:
        """Log the attempt with its parameters, and the whole error."""
        if self._info is not None:
            self._attempt(record)
        self._shown.trial_finished(record)

    def trials_ended(self, summary: Summary) -> None:
        """Log how the trials ended, and where the time went."""
        self._line(ended_line(summary))
        if summary.best or summary.front:
            self._line(verdict_line(summary))
        failures = failure_line(summary.failures, summary.first_error)
        for line in filter(None, [failures, retry_line(summary.retried)]):
            self._line(line)
        for line in time_lines(summary.time_split):
            self._line(line)
        self._shown.trials_ended(summary)

    def finished(self, summary: Summary) -> None:
        """Log what MLflow lacks, and what was deleted."""
        if pending := summary.tracking_pending:
            self._line(f"{counted(pending, 'run')} not in MLflow: {summary.tracking_error}")
        for line in summary.deleted:
            self._line(line)
        self._shown.finished(summary)

    def close(self) -> None:
        """End the log, and give the terminal back."""
        if self._file is not None:
            self._give_up()
        self._shown.close()

    def _missing(self, records: Sequence[Record]) -> Iterator[Record]:
        """Yield the attempts without a line, of those that ended since the log begins."""
        if not self._earlier:
            return
        begins, known = self._earlier[0][: _STAMP - 1], {line[_STAMP:] for line in self._earlier}
        for record in records:
            if _stamp(record.finished_at) >= begins and _clean(self._text(record)) not in known:
                yield record

    def _text(self, record: Record) -> str:
        assert self._info is not None
        attempt = f", attempt {record.spec.attempt}" if record.spec.attempt > 1 else ""
        return trial_line(trial_row([record]), self._info) + attempt

    def _attempt(self, record: Record) -> None:
        self._line(self._text(record), record.error or "")

    def _line(self, text: str, more: str = "") -> None:
        """Write a line with its time, and indented ones below it."""
        line = f"{_stamp(now_ms())} {_clean(text)}\n"
        line += "".join(f"    {_clean(one)}\n" for one in more.splitlines())
        self._write(line)

    def _write(self, lines: str) -> None:
        if self._waiting is not None:
            self._waiting.append(lines)
            return
        if self._file is None:
            return
        try:
            if self._file.tell() > MOST_BYTES:
                self._file.close()
                self._open()
            self._file.write(lines)
            self._file.flush()
        except (OSError, ValueError):
            self._give_up()

    def _open(self) -> None:
        assert self._path is not None
        try:
            if self._path.exists() and self._path.stat().st_size > MOST_BYTES:
                self._path.replace(self._path.with_name(EARLIER_LOG))
            # A pipe or a link that somebody put there is not written to.
            descriptor = os.open(self._path, _FLAGS, 0o666)
            self._file = os.fdopen(descriptor, "a", encoding="utf-8", errors="backslashreplace")
        except OSError:
            self._file = None

    def _give_up(self) -> None:
        file, self._file = self._file, None
        try:
            if file is not None:
                file.close()
        except OSError:
            pass  # what it could not write any more


def _lines(path: Path) -> list[str]:
    """Return the lines of a log; none if it is not there, or is no file."""
    try:
        return read_file(path).decode("utf-8", "replace").splitlines()
    except OSError:
        return []


def _stamp(ms: int) -> str:
    """Return a time, in milliseconds since the epoch, as it stands before a line."""
    return f"{datetime.fromtimestamp(ms / 1000, UTC).astimezone():%Y-%m-%d %H:%M:%S}"


def _clean(line: str) -> str:
    """Return a line without secrets in addresses and without characters that move the cursor."""
    text = printable(line.rstrip())
    bare = text.lstrip()
    return text[: len(text) - len(bare)] + in_text(bare)
