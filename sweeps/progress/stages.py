"""Shows the sweeps of a confirmation, which run one after the other, as one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from sweeps.progress import Mode, Progress, make_progress
from sweeps.progress.protocol import PassedOn
from sweeps.render.verdict import failure_line

if TYPE_CHECKING:
    from sweeps.analysis.summary import Summary
    from sweeps.progress.tally import Tally

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


class Stages(PassedOn):
    """Passes on what happens to one display, which begins once and ends once. See `Progress`."""

    def __init__(self, shown: Progress, total: int) -> None:
        super().__init__(shown)
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

    def finished(self, summary: Summary) -> None:
        """Say why the sweep ended early, and which failures there were."""
        if summary.stopped_by:
            self._shown.note(f"stopped by {summary.stopped_by}")
        if summary.failures:
            self._shown.note(failure_line(summary.failures, summary.first_error))

    def close(self) -> None:
        """Do nothing: other sweeps follow."""
