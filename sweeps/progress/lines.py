"""Progress as lines: plain ones for people, JSON for scripts, only failures; a sweep's log.

The log has a line for each attempt, with its parameters and the whole error, for each note, for
each start and end, whatever is shown meanwhile; those of a confirmation stand in the log of the
sweep that it confirms. An attempt that was recorded, but not logged before a kill, is logged by the
next start. The log is removed and archived with the sweep, and neither shared nor needed.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

from search_spaces.objectives import in_words
from sweeps.analysis.rows import trial_row
from sweeps.progress import PassedOn, Progress, Tallied
from sweeps.progress.tally import Tally, params_of
from sweeps.records.conclusions import FINALIST, FOLD
from sweeps.render.verdict import (
    ending_lines,
    failure_line,
    time_line,
    values_line,
    verdict_line,
)
from sweeps.wording import (
    counted,
    first_line,
    format_metric,
    format_params,
    format_seconds,
    plain_numbers,
    printable,
)
from sweeps.workspace.addresses import in_text
from sweeps.workspace.clock import now_ms
from sweeps.workspace.files import read_file

if TYPE_CHECKING:
    from io import TextIOWrapper

    from search_spaces.parameters import Value
    from sweeps.analysis.rows import TrialRow
    from sweeps.analysis.summary import Summary
    from sweeps.experiment import TrialSpec
    from sweeps.journal.events import Record
    from sweeps.records.sweep import SweepInfo


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


PAUSE_SECONDS: Final = 10.0
"""The least time between two lines that only say how far the sweep is."""
TENTH: Final = 10
"""A sweep has at most so many of these lines, if none takes longer than `BEAT_SECONDS`."""
BEAT_SECONDS: Final = 300.0
"""After this time without a line the next trial gets one: some CI ends a job that is silent."""
WIDTH: Final = 80


class PlainLines(Tallied):
    """Plain lines on a stream, each flushed at once. See `Progress`.

    A line says that there is a new best trial, that an attempt failed, or, now and then, how far
    the sweep is.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        verbose: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the stream; if `verbose`, every trial gets a line."""
        super().__init__()
        self._out = LossyStream(stream)
        self._verbose = verbose
        self._clock = clock
        self._said_at = (0.0, 0)  # when, and how many trials were done

    def started(self, tally: Tally) -> None:
        """Write the name of the sweep, its objectives, and how many trials are done already."""
        if self._tally is None:
            self._out.line(
                f"confirming: {tally.counted} done"
                if tally.is_confirmation
                else f"sweep {tally.info.name}: {tally.counted} done; "
                f"{in_words(tally.info.objectives)}"
            )
            self._said_at = self._clock(), tally.done
        super().started(tally)

    def note(self, text: str) -> None:
        """Write the line."""
        self._out.line(text)

    def trial_finished(self, record: Record) -> None:
        """Write a line, if there is something to say."""
        with self._lock:
            tally = self._tally
            if tally is None:
                return
            before = _leading(tally)
            row = tally.finish(record)
            if self._verbose:
                facts = (trial_line(row, tally.info), _best_text(tally), tally.time_left())
                self._out.line(f"[{tally.done}/{tally.total}] {', '.join(filter(None, facts))}")
            elif row.error or row.state == "FAILED":
                self._out.line(f"[{tally.done}/{tally.total}] {_failed_line(row)}")
            elif row in _leading(tally) and row not in before:
                for line in _best_lines(tally, row):
                    self._out.line(line)
            elif self._is_due(tally):
                begin = "confirming: " if tally.is_confirmation else ""
                facts = (f"{begin}{tally.counted}", _best_text(tally), tally.time_left())
                self._out.line(", ".join(filter(None, facts)))
            else:
                return
            self._said_at = self._clock(), tally.done

    def _is_due(self, tally: Tally) -> bool:
        if tally.done >= tally.total:
            return tally.is_confirmation  # the end of a search is said in a line of its own
        since, more = self._clock() - self._said_at[0], tally.done - self._said_at[1]
        return since >= (PAUSE_SECONDS if TENTH * more >= tally.total else BEAT_SECONDS)

    def trials_ended(self, summary: Summary) -> None:
        """Write how the trials ended, and which failures and retries there were."""
        for line in ending_lines(summary):
            self._out.line(line)


def trial_line(row: TrialRow, info: SweepInfo) -> str:
    """Return all that one line can say of an attempt."""
    values = values_line(row, info.objectives)
    parts = [
        f"trial {row.trial} {row.state} {values}" if values else _failed_line(row),
        counted(row.epochs, "epoch") if row.epochs else "",
        format_seconds(row.seconds),
        row.origin if row.baseline else "",
        format_params(params_of(row), separator=" "),
    ]
    return ", ".join(filter(None, parts))


def _failed_line(row: TrialRow) -> str:
    is_retried = row.state == "WAITING" and row.error is not None
    state = "to be tried again after" if is_retried else row.state
    why = f"{row.reason}: {first_line(row.error)}" if row.error else row.reason
    who = f"trial {row.trial}"
    if FINALIST in row.params:
        who = f"training of {row.params[FINALIST]} on fold {row.params.get(FOLD)}"
    return f"{who} {state} {why}"


def _leading(tally: Tally) -> list[TrialRow]:
    return tally.front or tally.leaders[:1]


def _best_lines(tally: Tally, row: TrialRow) -> list[str]:
    values = f": {values_line(row, tally.info.objectives)}"
    if not tally.info.has_front:  # the first line of the sweep names its metric
        values = f" {format_metric(row.objective or 0.0)}"
    who = f"baseline {row.baseline}" if row.baseline else f"trial {row.trial}"
    begin = f"[{tally.done}/{tally.total}] "
    left = f", {left}" if (left := tally.time_left()) else ""
    indent = " " * len(begin)
    params = format_params(params_of(row), separator=" ")
    wrapped = textwrap.wrap(
        params, WIDTH, initial_indent=indent, subsequent_indent=indent,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    what = "on the front so far" if tally.info.has_front else "best so far"
    return [f"{begin}{what}{values} ({who}){left}", *wrapped]


def _best_text(tally: Tally) -> str:
    if tally.info.has_front:
        return f"{counted(len(tally.front), 'trial')} on the front so far" if tally.front else ""
    best = tally.best
    if best is None or best.objective is None:
        return ""
    return f"best so far {format_metric(best.objective)} (trial {best.trial})"


class JsonLines(Tallied):
    """One JSON object per event on stdout, for scripts (`--json`). See `Progress`.

    Every object has `event` and `time` (milliseconds since the epoch, UTC). The others by event:

    - `started`: `id`, `name`, `metric`, `direction` (of the first objective), `objectives`,
      `total`, `done`
    - `note`: `text`
    - `trial_started`: `trial`, `attempt`, `seed`, `params`
    - `epoch`: `trial`, `attempt`, `epoch` (from 0), `metrics`
    - `trial_finished`: the keys of `analysis.rows.TrialRow` (`attempts` is this attempt's number;
      `state` is WAITING if the trial is to be run again), `done`, `total`
    - `finished`: `summary`, with the keys of `analysis.summary.Summary.to_dict`; the last event

    Numbers that JSON lacks (NaN, infinity) are null. New keys may be added; these stay. The output
    of an experiment goes to stderr meanwhile, so that stdout has nothing else.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._out = LossyStream(stream)
        self._aside = contextlib.ExitStack()

    def started(self, tally: Tally) -> None:
        """Write `started`."""
        self._aside.enter_context(contextlib.redirect_stdout(sys.stderr))
        super().started(tally)
        info = tally.info
        self._event(
            "started",
            **{key: getattr(info, key) for key in ("id", "name", "metric", "direction")},
            objectives=[asdict(objective) for objective in info.objectives],
            total=tally.total,
            done=tally.done,
        )

    def note(self, text: str) -> None:
        """Write `note`."""
        self._event("note", text=text)

    def trial_started(self, spec: TrialSpec, params: Mapping[str, Value]) -> None:
        """Write `trial_started`."""
        self._event(
            "trial_started",
            trial=spec.trial,
            attempt=spec.attempt,
            seed=spec.seed,
            params=dict(params),
        )

    def epoch(self, spec: TrialSpec, epoch: int, metrics: Mapping[str, float]) -> None:
        """Write `epoch`."""
        self._event(
            "epoch", trial=spec.trial, attempt=spec.attempt, epoch=epoch, metrics=dict(metrics)
        )

    def trial_finished(self, record: Record) -> None:
        """Write `trial_finished`."""
        if self._tally:
            row = self._tally.finish(record)
            counts = {"done": self._tally.done, "total": self._tally.total}
            self._event("trial_finished", **row.to_dict(), **counts)

    def finished(self, summary: Summary) -> None:
        """Write `finished`."""
        self._event("finished", summary=summary.to_dict())

    def close(self) -> None:
        """Give stdout back."""
        self._aside.close()

    def _event(self, event: str, **values: Any) -> None:
        entry = {"event": event, "time": now_ms(), **values}
        self._out.line(json.dumps(plain_numbers(entry), allow_nan=False))


class Quiet(Progress):
    """Failures only, once the sweep has ended (`--quiet`). See `Progress`."""

    def __init__(self, stream: TextIO) -> None:
        self._out = LossyStream(stream)

    def trials_ended(self, summary: Summary) -> None:
        """Write how many trials failed and why, if any did."""
        if summary.failures:
            self._out.line(failure_line(summary.failures, summary.first_error))


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
        best = verdict_line(summary) if summary.best or summary.front else ""
        for line in filter(None, [*ending_lines(summary), best, time_line(summary.time_split)]):
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
        attempt = f", attempt {record.attempt}" if record.attempt > 1 else ""
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
