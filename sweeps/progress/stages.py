"""Shows the sweeps of a confirmation, which run one after the other, as one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from sweeps.progress import Mode, Progress, make_progress
from sweeps.render.verdict import failure_line

if TYPE_CHECKING:
    from search_spaces.parameters import Value
    from sweeps.analysis.summary import Summary
    from sweeps.experiment import TrialSpec
    from sweeps.progress.tally import Tally
    from sweeps.records.record import Record

_EACH: Final = frozenset({"json", "quiet"})
"""Modes in which each sweep is shown for itself: a script knows its events by the sweep's name."""


@contextmanager
def as_one(progress: Mode | Progress, total: int) -> Iterator[Mode | Progress]:
    """Show sweeps with so many trials in all as one, in one bar or count.

    Args:
        progress: How they are shown.
        total: Their trials, those of earlier starts included.

    Yields:
        The display that each of them is to be given.
    """
    if not isinstance(progress, str) or progress in _EACH:
        yield progress
        return
    shown = make_progress(progress)
    try:
        yield Stages(shown, total)
    finally:
        shown.close()


class Stages:
    """Passes on what happens to one display, which begins once and ends once. See `Progress`."""

    def __init__(self, shown: Progress, total: int) -> None:
        self._shown = shown
        self._total = total
        self._last: Tally | None = None
        self._skipped = 0

    def skip(self, trials: int) -> None:
        """Count the trials of a sweep that is whole already, and does not begin."""
        self._skipped += trials

    def grow(self, trials: int) -> None:
        """Count so many trials more, which follow."""
        self._total += trials

    def started(self, tally: Tally) -> None:
        """Let the display count on from the sweep before."""
        tally.follow(self._last, self._total, self._skipped)
        self._skipped = 0
        self._last = tally
        self._shown.started(tally)

    def note(self, text: str) -> None:
        """Pass it on."""
        self._shown.note(text)

    def trial_started(self, spec: TrialSpec, params: Mapping[str, Value]) -> None:
        """Pass it on."""
        self._shown.trial_started(spec, params)

    def epoch(self, spec: TrialSpec, epoch: int, metrics: Mapping[str, float]) -> None:
        """Pass it on."""
        self._shown.epoch(spec, epoch, metrics)

    def trial_finished(self, record: Record) -> None:
        """Pass it on."""
        self._shown.trial_finished(record)

    def finished(self, summary: Summary) -> None:
        """Say why the sweep ended early, and which failures there were."""
        if summary.stopped_by:
            self._shown.note(f"stopped by {summary.stopped_by}")
        if summary.failures:
            self._shown.note(failure_line(summary.failures, summary.first_error))

    def close(self) -> None:
        """Do nothing: other sweeps follow."""
