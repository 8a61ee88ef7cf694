"""Keeps the state of a running sweep in little memory; displays are drawn from it."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

from sweeps.analysis.rows import TrialRow, best_row, front_rows, trial_row, trial_rows
from sweeps.records.conclusions import confirmed_by
from sweeps.wording import first_line

if TYPE_CHECKING:
    from search_spaces.parameters import Value
    from sweeps.experiment import TrialSpec
    from sweeps.records.record import Record, SweepInfo

RECENT = 5


@dataclass
class RunningTrial:
    """An attempt in progress.

    Attributes:
        spec: The attempt.
        params: Its sampled parameters.
        started_at: When it began, by the tally's clock, in seconds.
        epochs: Number of epochs done so far.
        metrics: Metrics of the last epoch.
    """

    spec: TrialSpec
    params: Mapping[str, Value]
    started_at: float
    epochs: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)


class Tally:
    """Counts, best trial so far, last trials, rate and time left of one sweep.

    Attributes:
        info: The sweep.
        total: Number of trials asked for.
        best: Best COMPLETE trial so far, baselines included. None with several objectives, and in a
            confirmation, whose answer is no single training.
        front: COMPLETE trials on the Pareto front so far, the best by the first objective first;
            empty with one objective.
        baselines: Trials that tried a baseline.
        recent: The last attempts to end, oldest first.
        running: Attempts in progress, by their spec's key.
        failures: FAILED trials by reason.
        first_error: First line of the first error seen.
    """

    def __init__(
        self,
        info: SweepInfo,
        total: int,
        done: Sequence[Record],
        *,
        longest_seconds: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.info = info
        self.total = total
        self._longest_seconds = longest_seconds
        self._began = clock()
        self._has_best = not (info.has_front or confirmed_by(info.directory))
        self.running: dict[str, RunningTrial] = {}
        self._clock = clock
        self._rows = {row.trial: row for row in trial_rows(done)}
        by_end = sorted(self._rows.values(), key=lambda row: row.finished_at)
        self.recent: deque[TrialRow] = deque(by_end, maxlen=RECENT)
        self.front = front_rows(by_end, info.objectives) if info.has_front else []
        self.best = best_row(by_end, info.direction) if self._has_best else None
        self._first_start: float | None = None
        self._ended_here = 0

    @property
    def done(self) -> int:
        """Number of trials with an outcome."""
        return sum(row.state != "WAITING" for row in self._rows.values())

    @property
    def baselines(self) -> list[TrialRow]:
        """Trials that tried a baseline, in trial order."""
        return [self._rows[s] for s in sorted(self._rows) if self._rows[s].baseline is not None]

    @property
    def failures(self) -> dict[str, int]:
        """Number of FAILED trials by reason, most frequent first."""
        failed = (row.reason for row in self._rows.values() if row.state == "FAILED")
        return dict(Counter(failed).most_common())

    @property
    def first_error(self) -> str | None:
        """First line of the error of the failed trial with the lowest number."""
        failed = (self._rows[s] for s in sorted(self._rows) if self._rows[s].state == "FAILED")
        return next((first_line(row.error) for row in failed if row.error), None)

    def begin(self, spec: TrialSpec, params: Mapping[str, Value]) -> None:
        """Note an attempt that begins now."""
        now = self._clock()
        self._first_start = self._first_start or now
        self.running[spec.key] = RunningTrial(spec, params, now)

    def epoch(self, spec: TrialSpec, epoch: int, metrics: Mapping[str, float]) -> None:
        """Note the epoch (from 0) that an attempt has finished."""
        trial = self.running.get(spec.key)
        if trial is not None:
            trial.epochs, trial.metrics = epoch + 1, metrics

    def finish(self, record: Record) -> TrialRow:
        """Note an attempt that has ended, and return its row."""
        self.running.pop(record.spec.key, None)
        row = trial_row([record])
        self._rows[row.trial] = row
        self.recent.append(row)
        if self.info.has_front:
            self.front = front_rows([row, *self.front], self.info.objectives)
        elif self._has_best:
            self.best = best_row([row, *([self.best] if self.best else [])], self.info.direction)
        self._ended_here += row.state != "WAITING"
        return row

    def elapsed(self, trial: RunningTrial) -> float:
        """Return the seconds since an attempt began."""
        return self._clock() - trial.started_at

    def trials_per_minute(self) -> float | None:
        """Return the rate since the first trial of this start began; None before one has ended."""
        if self._first_start is None or not self._ended_here:
            return None
        return 60 * self._ended_here / max(self._clock() - self._first_start, 1e-3)

    def seconds_left(self) -> float | None:
        """Estimate the time left from the median trial and the number of trials at once.

        None before a trial is recorded. Failed trials, which are short, count only if there are no
        others. After `longest_seconds` no trial begins; those under way then still end.
        """
        ended = [row for row in self._rows.values() if row.state != "WAITING"]
        usual = [row.seconds for row in ended if row.state != "FAILED"]
        seconds = usual or [row.seconds for row in ended]
        if not seconds:
            return None
        typical = median(seconds)
        under_way = sum(min(self.elapsed(t), typical) for t in self.running.values())
        work = max(self.total - len(ended), 0) * typical - under_way
        left = max(work, 0.0) / max(len(self.running), 1)
        if self._longest_seconds is None:
            return left
        until_late = max(self._began + self._longest_seconds - self._clock(), 0.0)
        return min(left, until_late + typical)
