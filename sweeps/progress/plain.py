"""One line a trial, for logs, CI and terminals that cannot redraw."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TextIO

from search_spaces.objectives import in_words
from sweeps.progress.stream import LossyStream
from sweeps.progress.tally import Tally
from sweeps.report.numbers import (
    counted,
    first_line,
    format_metric,
    format_params,
    format_seconds,
)
from sweeps.report.summary import NOT_CONFIRMED
from sweeps.report.verdict import failure_line, progress_line, retry_line

if TYPE_CHECKING:
    from search_spaces.parameters import Value
    from sweeps.experiment import TrialSpec
    from sweeps.records.record import Record, SweepInfo
    from sweeps.report.slots import SlotRow
    from sweeps.report.summary import Summary


class PlainLines:
    """Plain lines on a stream, each flushed at once. See `Progress`."""

    def __init__(self, stream: TextIO) -> None:
        self._out = LossyStream(stream)
        self._lock = threading.Lock()  # trials begin in a thread of the executor
        self._tally: Tally | None = None

    def started(
        self,
        info: SweepInfo,
        total: int,
        done: Sequence[Record],
        longest_seconds: float | None = None,
    ) -> None:
        """Say what is run, and how much of it is done already."""
        self._tally = Tally(info, total, done, longest_seconds=longest_seconds)
        self._out.line(
            f"sweep {info.name}: {self._tally.done} of {total} trials done; "
            f"{in_words(info.objectives)}"
        )

    def note(self, text: str) -> None:
        """Write the line."""
        self._out.line(text)

    def trial_started(self, spec: TrialSpec, params: Mapping[str, Value]) -> None:
        """Take note, without a line."""
        with self._lock:
            if self._tally:
                self._tally.begin(spec, params)

    def epoch(self, spec: TrialSpec, epoch: int, metrics: Mapping[str, float]) -> None:
        """Say nothing: a line an epoch would bury the trials."""

    def trial_finished(self, record: Record) -> None:
        """Write the trial's line."""
        with self._lock:
            if self._tally:
                row = self._tally.finish(record)
                self._out.line(_trial_line(self._tally, row))

    def finished(self, summary: Summary) -> None:
        """Say how the trials ended, and what failed."""
        self._out.line(f"{progress_line(summary)} ({format_seconds(summary.seconds)})")
        if summary.failures:
            self._out.line(failure_line(summary.failures, summary.first_error))
        if summary.retried:
            self._out.line(retry_line(summary.retried))

    def close(self) -> None:
        """Do nothing: every line is out already."""


def _trial_line(tally: Tally, row: SlotRow) -> str:
    objectives = tally.info.objectives
    values = row.values(objectives)
    result = (
        ", ".join(f"{o.metric} {format_metric(v)}" for o, v in zip(objectives, values, strict=True))
        if values is not None
        else f"{row.reason}: {first_line(row.error)}"
        if row.error
        else row.reason
    )
    is_retried = row.state == "WAITING" and row.error is not None
    state = "to be tried again after" if is_retried else row.state
    parts = [
        f"[{tally.done}/{tally.total}] trial {row.slot} {state} {result}",
        f"{row.epochs} epochs" if row.epochs else "",
        format_seconds(row.seconds),
        row.origin if row.baseline else "",
        format_params(row.params, separator=" "),
        _best_text(tally),
    ]
    left = tally.seconds_left()
    if left:
        parts.append(f"about {format_seconds(left)} left")
    return ", ".join(filter(None, parts))


def _best_text(tally: Tally) -> str:
    if tally.info.has_front:
        return f"{counted(len(tally.front), 'trial')} on the front so far" if tally.front else ""
    best = tally.best
    if best is None or best.objective is None:
        return ""
    return f"{NOT_CONFIRMED}: {format_metric(best.objective)} (trial {best.slot})"
