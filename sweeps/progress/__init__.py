"""Shows a person or a script the progress of a running sweep: live, as lines, or not at all.

`make_progress` chooses the display. All displays follow one protocol, `Progress`.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Literal, TextIO, get_args

from sweeps.render.verdict import failure_line

if TYPE_CHECKING:
    from search_spaces.parameters import Value
    from sweeps.analysis.summary import Summary
    from sweeps.experiment import TrialSpec
    from sweeps.journal.events import Record
    from sweeps.progress.tally import Tally

__all__ = ["Mode", "Progress", "make_progress"]


class Progress:
    """A display that the coordinator calls in the order of these methods; `note` at any time.

    A display derives from it and has the methods that it needs; the others do nothing.

    `note`, `trial_started` and `epoch` may be called in another thread than the rest.

    No method raises because its output cannot be written: a closed pipe or a lost terminal never
    ends a sweep.
    """

    def started(self, tally: Tally) -> None:
        """A sweep begins or resumes.

        Args:
            tally: The trials that are done already. It belongs to the display from now on, which
                keeps it up to date.
        """

    def note(self, text: str) -> None:
        """There is something worth knowing, in one line, such as a baseline that was left out."""

    def trial_started(self, spec: TrialSpec, params: Mapping[str, Value]) -> None:
        """An attempt begins with these sampled parameters."""

    def epoch(self, spec: TrialSpec, epoch: int, metrics: Mapping[str, float]) -> None:
        """An epoch (from 0) has ended. This must be cheap: up to 70 calls per second and trial."""

    def trial_finished(self, record: Record) -> None:
        """An attempt has ended and its record is safe."""

    def trials_ended(self, summary: Summary) -> None:
        """No further trial follows, for whatever reason; MLflow lacks the end of the sweep yet."""

    def finished(self, summary: Summary) -> None:
        """The sweep is over, and the summary says what MLflow lacks."""

    def close(self) -> None:
        """Give the terminal back; may be called at any time, and more than once."""


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
    from sweeps.progress.lines import JsonLines, PlainLines, Quiet

    if mode == "json":
        return JsonLines(sys.stdout)
    if mode == "quiet":
        return Quiet(sys.stderr)
    if mode == "auto" and (_in_notebook() or can_redraw(sys.stderr)):
        from sweeps.progress.live import LiveDisplay, NotebookDisplay

        return NotebookDisplay() if _in_notebook() else LiveDisplay(sys.stderr)
    return PlainLines(sys.stderr, verbose=mode == "verbose")


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return hasattr(shell, "kernel")


def can_redraw(stream: TextIO) -> bool:
    """Whether the stream is a terminal that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM", "").lower() not in {"dumb", "unknown"}


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


class Tallied(Progress):
    """Keeps the tally of a sweep, from which it is drawn. See `Progress`."""

    def __init__(self) -> None:
        # Trials begin in a thread of the executor; re-entrant, since a signal handler may call.
        self._lock = threading.RLock()
        self._tally: Tally | None = None

    def started(self, tally: Tally) -> None:
        """Take the tally."""
        with self._lock:
            self._tally = tally

    def trial_started(self, spec: TrialSpec, params: Mapping[str, Value]) -> None:
        """Note that it runs."""
        with self._lock:
            if self._tally:
                self._tally.begin(spec, params)

    def epoch(self, spec: TrialSpec, epoch: int, metrics: Mapping[str, float]) -> None:
        """Note the epoch."""
        with self._lock:
            if self._tally:
                self._tally.epoch(spec, epoch, metrics)

    def trial_finished(self, record: Record) -> None:
        """Note its end."""
        with self._lock:
            if self._tally:
                self._tally.finish(record)


class PassedOn(Progress):
    """Passes on what happens to a display, for those that change a part of it. See `Progress`."""

    def __init__(self, shown: Progress) -> None:
        self._shown = shown

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


class Stages(PassedOn):
    """Passes on what happens to one display, which begins once and ends once. See `Progress`.

    `finished` and `close` do nothing, since other sweeps follow.
    """

    def __init__(self, shown: Progress, total: int) -> None:
        super().__init__(shown)
        self._total = total
        self._begun: dict[str, Tally] = {}
        self._whole: dict[str, int] = {}

    def skip(self, sweep: str, trials: int) -> None:
        """Count the trials of a sweep, by its id, that is whole already, and does not begin."""
        if sweep not in self._begun:
            self._whole[sweep] = trials

    def grow(self, trials: int) -> None:
        """Count so many trials more, which follow."""
        self._total += trials

    def started(self, tally: Tally) -> None:
        """Let the display count on from the sweep before."""
        for counted in (self._begun, self._whole):  # it began before, with fewer trials
            counted.pop(tally.info.id, None)
        tally.follow([*self._begun.values()], self._total, sum(self._whole.values()))
        self._begun[tally.info.id] = tally
        self._shown.started(tally)

    def trials_ended(self, summary: Summary) -> None:
        """Say why the sweep ended early, and which failures there were."""
        if summary.stopped_by:
            self._shown.note(f"stopped by {summary.stopped_by}")
        if summary.failures:
            self._shown.note(failure_line(summary.failures, summary.first_error))
