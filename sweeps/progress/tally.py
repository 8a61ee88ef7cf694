"""Keeps the state of a running sweep in little memory; displays are drawn from it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Final

from sweeps.analysis.rows import TrialRow, best_rows, front_rows, trial_row, trial_rows
from sweeps.records.conclusions import FOLD, confirmed_by
from sweeps.wording import counted, first_line, format_roughly

if TYPE_CHECKING:
    from search_spaces.parameters import Value
    from sweeps.experiment import TrialSpec
    from sweeps.journal.events import Record
    from sweeps.records.sweep import SweepInfo

SHOWN_BEST: Final = 5
"""Trials of which a display shows that they lead."""
_WEIGHT: Final = 4
"""How many measured pauses between two ends the length of a typical trial counts for."""


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


class Pace:
    """Estimates how much time passes from the end of one trial to that of the next.

    It is measured from the first end in this start on, whatever runs at once: dividing by the
    number of trials that run at the moment would double it each time one has ended and the next
    has not begun. While few have ended, a typical trial by the most that ran at once counts too.
    """

    def __init__(self) -> None:
        self._usual: list[float] = []  # of failed trials, which are short, only without others
        self._failed: list[float] = []
        self._at_once = 1
        self._ends = 0
        self._first_end = self._last_end = 0.0

    def knows(self, row: TrialRow) -> None:
        """Take the length of a trial that has an outcome."""
        if row.state != "WAITING":
            (self._failed if row.state == "FAILED" else self._usual).append(row.seconds)

    def runs(self, at_once: int) -> None:
        """Take the number of trials that run now."""
        self._at_once = max(self._at_once, at_once)

    def ended(self, row: TrialRow, now: float) -> None:
        """Take a trial that has an outcome now."""
        if not self._ends:
            self._first_end = self._last_end = now
        if row.state != "FAILED" or not self._usual:
            self._ends += 1
            self._last_end = now

    @property
    def typical_seconds(self) -> float:
        """The median length of a trial; 0 before one is known."""
        return median(self._usual or self._failed or [0.0])

    def seconds_for(self, trials: int, now: float) -> float | None:
        """Return the time until so many more trials have ended; None before one has, here."""
        if not self._ends:
            return None
        expected = self.typical_seconds / self._at_once
        passed = self._last_end - self._first_end
        one = (_WEIGHT * expected + passed) / (_WEIGHT + self._ends - 1)
        return max(one * trials - min(now - self._last_end, one), 0.0)


class Tally:
    """Counts, best trials so far, and time left of one sweep, or of the parts of a confirmation.

    Attributes:
        info: The sweep.
        is_confirmation: Whether its trials are the trainings of a confirmation, the answer of which
            is no single one.
        leaders: The best COMPLETE trials so far, the best first, baselines included. Empty with
            several objectives, and in a confirmation.
        front: COMPLETE trials on the Pareto front so far, the best by the first objective first;
            empty with one objective.
        recorded: The attempts of earlier starts.
        running: Attempts in progress, by their spec's key.
        failures: FAILED trials by reason.
        first_error: First line of the first error seen.
    """

    def __init__(
        self,
        info: SweepInfo,
        total: int | Callable[[], int],
        done: Sequence[Record],
        *,
        longest_seconds: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.info, self.recorded = info, done
        self.is_confirmation = confirmed_by(info.directory) is not None
        self._total: Callable[[], int] = total if callable(total) else lambda: total
        self._longest_seconds = longest_seconds
        self._began = clock()
        self.running: dict[str, RunningTrial] = {}
        self._clock = clock
        self._rows = {row.trial: row for row in trial_rows(done)}
        self._others: Sequence[Tally] = ()
        self._is_part = False
        self._skipped = 0
        self._pace = Pace()
        for row in self._rows.values():
            self._pace.knows(row)
        self.front = front_rows(self._rows.values(), info.objectives) if info.has_front else []
        self._has_best = not (info.has_front or self.is_confirmation)
        rows = self._rows.values() if self._has_best else ()
        self.leaders = best_rows(rows, info.direction, SHOWN_BEST)

    def follow(self, others: Sequence[Tally], total: int, skipped: int = 0) -> None:
        """Count on from other sweeps, whose trials are of the same kind and took as long.

        Args:
            others: Their tallies, the last one at the end; none for the first of several.
            total: The trials of all of them.
            skipped: Those of sweeps that were whole before.
        """
        self._others, self._total, self._is_part = others, lambda: total, True
        self._skipped = skipped
        for earlier in others[-1:]:
            for row in self._rows.values():
                earlier._pace.knows(row)
            self._pace = earlier._pace

    @property
    def total(self) -> int:
        """Number of trials asked for, in all starts; more if points were enqueued meanwhile."""
        if self._is_part:
            return self._total()
        begun = (trial.spec.trial for trial in list(self.running.values()))
        return max(self._total(), *(1 + trial for trial in (*begun, *self._rows)), 0)

    @property
    def done(self) -> int:
        """Number of trials with an outcome."""
        return self._skipped + sum(row.state != "WAITING" for row in self._all_rows())

    def _all_rows(self) -> Iterator[TrialRow]:
        for one in (*self._others, self):
            yield from (one._rows[trial] for trial in sorted(one._rows))

    @property
    def counted(self) -> str:
        """The number of trials that are done, such as `3 of 20 trials`."""
        noun = "training" if self.is_confirmation else "trial"
        return f"{self.done} of {counted(self.total, noun)}"

    @property
    def best(self) -> TrialRow | None:
        """The best COMPLETE trial so far; None if there are no leaders."""
        return self.leaders[0] if self.leaders else None

    @property
    def failures(self) -> dict[str, int]:
        """Number of FAILED trials by reason, most frequent first."""
        failed = Counter(row.reason for row in self._all_rows() if row.state == "FAILED")
        return dict(failed.most_common())

    @property
    def first_error(self) -> str | None:
        """First line of the error of the failed trial with the lowest number."""
        failed = (row for row in self._all_rows() if row.state == "FAILED")
        return next((first_line(row.error) for row in failed if row.error), None)

    def begin(self, spec: TrialSpec, params: Mapping[str, Value]) -> None:
        """Note an attempt that begins now."""
        self.running[spec.key] = RunningTrial(spec, params, self._clock())
        self._pace.runs(len(self.running))

    def epoch(self, spec: TrialSpec, epoch: int, metrics: Mapping[str, float]) -> None:
        """Note the epoch (from 0) that an attempt has finished."""
        trial = self.running.get(spec.key)
        if trial is not None:
            trial.epochs, trial.metrics = epoch + 1, metrics

    def finish(self, record: Record) -> TrialRow:
        """Note an attempt that has ended, and return its row."""
        self.running.pop(record.key, None)
        row = trial_row([record])
        self._rows[row.trial] = row
        if self.info.has_front:
            self.front = front_rows([row, *self.front], self.info.objectives)
        elif self._has_best:
            others = (one for one in self.leaders if one.trial != row.trial)
            self.leaders = best_rows([row, *others], self.info.direction, SHOWN_BEST)
        if row.state != "WAITING":
            self._pace.knows(row)
            self._pace.ended(row, self._clock())
        return row

    def elapsed(self, trial: RunningTrial) -> float:
        """Return the seconds since an attempt began."""
        return self._clock() - trial.started_at

    def seconds_left(self) -> float | None:
        """Estimate the time left; None before a trial has ended in this start.

        After `longest_seconds` no trial begins; those under way then still end.
        """
        left = self._pace.seconds_for(max(self.total - self.done, 0), self._clock())
        if left is None or self._longest_seconds is None:
            return left
        until_late = max(self._began + self._longest_seconds - self._clock(), 0.0)
        return min(left, until_late + self._pace.typical_seconds)

    def time_left(self) -> str:
        """Return `about a minute left`; empty before a trial has ended, and at the end."""
        left = self.seconds_left()
        return f"{format_roughly(left)} left" if left and self.done < self.total else ""


def params_of(row: TrialRow) -> dict[str, Value]:
    """Return the parameters of a trial under the names that people read."""
    return {"fold" if name == FOLD else name: value for name, value in row.params.items()}
