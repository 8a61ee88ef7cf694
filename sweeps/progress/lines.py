"""Progress as lines: plain ones for people, JSON for scripts, or only failures."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TextIO

from search_spaces.objectives import in_words
from sweeps.analysis.summary import NOT_CONFIRMED, Summary
from sweeps.progress.stream import LossyStream
from sweeps.progress.tally import Tally
from sweeps.render.verdict import failure_line, progress_line, retry_line
from sweeps.wording import (
    counted,
    first_line,
    format_metric,
    format_params,
    format_seconds,
    plain_numbers,
)
from sweeps.workspace.clock import now_ms

if TYPE_CHECKING:
    from search_spaces.parameters import Value
    from sweeps.analysis.rows import TrialRow
    from sweeps.experiment import TrialSpec
    from sweeps.records.record import Record


# One line per trial, for logs, CI and terminals that cannot redraw.


class PlainLines:
    """Plain lines on a stream, each flushed at once. See `Progress`."""

    def __init__(self, stream: TextIO) -> None:
        self._out = LossyStream(stream)
        self._lock = threading.Lock()  # trials begin in a thread of the executor
        self._tally: Tally | None = None

    def started(self, tally: Tally) -> None:
        """Write the name of the sweep, its objectives, and how many trials are done already."""
        self._tally = tally
        self._out.line(
            f"sweep {tally.info.name}: {tally.done} of {tally.total} trials done; "
            f"{in_words(tally.info.objectives)}"
        )

    def note(self, text: str) -> None:
        """Write the line."""
        self._out.line(text)

    def trial_started(self, spec: TrialSpec, params: Mapping[str, Value]) -> None:
        """Note the trial in the tally, without a line."""
        with self._lock:
            if self._tally:
                self._tally.begin(spec, params)

    def epoch(self, spec: TrialSpec, epoch: int, metrics: Mapping[str, float]) -> None:
        """Write nothing: a line per epoch would hide those of the trials."""

    def trial_finished(self, record: Record) -> None:
        """Write the trial's line."""
        with self._lock:
            if self._tally:
                row = self._tally.finish(record)
                self._out.line(_trial_line(self._tally, row))

    def finished(self, summary: Summary) -> None:
        """Write how the trials ended, and which failures and retries there were."""
        self._out.line(f"{progress_line(summary)} ({format_seconds(summary.seconds)})")
        if summary.failures:
            self._out.line(failure_line(summary.failures, summary.first_error))
        if summary.retried:
            self._out.line(retry_line(summary.retried))

    def close(self) -> None:
        """Do nothing: every line is out already."""


def _trial_line(tally: Tally, row: TrialRow) -> str:
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
        f"[{tally.done}/{tally.total}] trial {row.trial} {state} {result}",
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
    return f"{NOT_CONFIRMED}: {format_metric(best.objective)} (trial {best.trial})"


class JsonLines:
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
        self._out = LossyStream(stream)
        self._aside = contextlib.ExitStack()
        self._tally: Tally | None = None

    def started(self, tally: Tally) -> None:
        """Write `started`."""
        self._aside.enter_context(contextlib.redirect_stdout(sys.stderr))
        self._tally, info = tally, tally.info
        self._event(
            "started",
            id=info.id,
            name=info.name,
            metric=info.metric,
            direction=info.direction,
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


class Quiet:
    """Failures only, once the sweep has ended (`--quiet`). See `Progress`."""

    def __init__(self, stream: TextIO) -> None:
        self._out = LossyStream(stream)

    def started(self, tally: Tally) -> None:
        """Write nothing."""

    def note(self, text: str) -> None:
        """Write nothing."""

    def trial_started(self, spec: TrialSpec, params: Mapping[str, Value]) -> None:
        """Write nothing."""

    def epoch(self, spec: TrialSpec, epoch: int, metrics: Mapping[str, float]) -> None:
        """Write nothing."""

    def trial_finished(self, record: Record) -> None:
        """Write nothing."""

    def finished(self, summary: Summary) -> None:
        """Write how many trials failed and why, if any did."""
        if summary.failures:
            self._out.line(failure_line(summary.failures, summary.first_error))

    def close(self) -> None:
        """Do nothing: there is nothing to give back."""
