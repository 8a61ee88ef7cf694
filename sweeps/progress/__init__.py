"""Shows a person or a script the progress of a running sweep: live, as lines, or not at all.

`make_progress` chooses the display. All displays follow one protocol, `Progress`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Literal, TextIO, get_args

from sweeps.progress.protocol import PassedOn, Progress
from sweeps.render.verdict import failure_line

if TYPE_CHECKING:
    from sweeps.analysis.summary import Summary
    from sweeps.progress.tally import Tally

__all__ = ["Mode", "Progress", "make_progress"]


Mode = Literal["auto", "plain", "verbose", "json", "quiet"]


def make_progress(mode: Mode | Progress) -> Progress:
    """Return the display of a sweep's progress.

    Args:
        mode: `auto` (a bar in a notebook, a live display if stderr is a terminal, else as `plain`),
            `plain` (lines on stderr: new bests, failures, now and then how far the sweep is),
            `verbose` (one line per trial on stderr), `json` (one object per event on stdout) or
            `quiet` (failures only, on stderr). A display is returned as it is.

    Raises:
        ValueError: Another mode was given.
    """
    if not isinstance(mode, str):
        return mode
    if mode not in get_args(Mode):
        raise ValueError(f"progress mode {mode!r} is none of {', '.join(get_args(Mode))}")
    if mode == "json":
        from sweeps.progress.lines import JsonLines

        return JsonLines(sys.stdout)
    if mode == "quiet":
        from sweeps.progress.lines import Quiet

        return Quiet(sys.stderr)
    if mode == "auto" and _in_notebook():
        from sweeps.progress.live import NotebookDisplay

        return NotebookDisplay()
    if mode == "auto" and _can_redraw(sys.stderr):
        from sweeps.progress.live import LiveDisplay

        return LiveDisplay(sys.stderr)
    from sweeps.progress.lines import PlainLines

    return PlainLines(sys.stderr, verbose=mode == "verbose")


def _in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return hasattr(shell, "kernel")


def _can_redraw(stream: TextIO) -> bool:
    """Whether the stream is a terminal that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM", "").lower() not in {"dumb", "unknown"}


# Shows the sweeps of a confirmation, which run one after the other, as one.


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
