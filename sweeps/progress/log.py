"""Keeps the whole output of a sweep in a file beside its records, whatever is shown meanwhile.

It has a line for each attempt, with its parameters and the whole error, for each note, for each
start and end; those of a confirmation stand in the log of the sweep that it confirms. It is removed
and archived with the sweep, and neither shared nor needed.
"""

from __future__ import annotations

import os
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

if TYPE_CHECKING:
    from io import TextIOWrapper

    from sweeps.analysis.summary import Summary
    from sweeps.progress.tally import Tally
    from sweeps.records.record import Record, SweepInfo

LOG, EARLIER_LOG = "sweep.log", "sweep.log.1"
"""The log of a sweep, and the part of it that was full before."""
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

    def keep_in(self, folder: Path) -> Path:
        """Begin to write into the folder of a sweep; return the path of the log."""
        self._path = path = folder / LOG
        waiting, self._waiting = self._waiting or [], None
        self._open()
        for lines in waiting:
            self._write(lines)
        return path

    def started(self, tally: Tally) -> None:
        """Log the sweep, and how many trials are done already."""
        self._info = tally.info
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
            attempt = f", attempt {record.spec.attempt}" if record.spec.attempt > 1 else ""
            self._line(trial_line(trial_row([record]), self._info) + attempt, record.error or "")
        self._shown.trial_finished(record)

    def finished(self, summary: Summary) -> None:
        """Log how the sweep ended, and where its time went."""
        self._line(ended_line(summary))
        if summary.best or summary.front:
            self._line(verdict_line(summary))
        pending = summary.tracking_pending
        others = [
            failure_line(summary.failures, summary.first_error),
            retry_line(summary.retried),
            f"{counted(pending, 'run')} not in MLflow: {summary.tracking_error}" if pending else "",
            *summary.deleted,
            *time_lines(summary.time_split),
        ]
        for line in filter(None, others):
            self._line(line)
        self._shown.finished(summary)

    def close(self) -> None:
        """End the log, and give the terminal back."""
        if self._file is not None:
            self._give_up()
        self._shown.close()

    def _line(self, text: str, more: str = "") -> None:
        """Write a line with its time, and indented ones below it."""
        now = datetime.now(UTC).astimezone()
        line = f"{now:%Y-%m-%d %H:%M:%S} {_clean(text)}\n"
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


def _clean(line: str) -> str:
    """Return a line without secrets in addresses and without characters that move the cursor."""
    text = printable(line.rstrip())
    bare = text.lstrip()
    return text[: len(text) - len(bare)] + in_text(bare)
