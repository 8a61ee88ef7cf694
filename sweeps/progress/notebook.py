"""A progress bar in a notebook: one output that is redrawn, since lines would pile up."""

from __future__ import annotations

import html
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from sweeps.progress.tally import Tally
from sweeps.render.verdict import failure_line, front_line, progress_line
from sweeps.wording import format_metric, format_params, format_seconds

if TYPE_CHECKING:
    from search_spaces.parameters import Value
    from sweeps.analysis.summary import Summary
    from sweeps.experiment import TrialSpec
    from sweeps.records.record import Record

PAUSE_SECONDS: Final = 0.5
"""The least time between two drawings, since each is a message to the browser."""


class NotebookDisplay:
    """A bar, the best trial so far and the last notes, in the output of a cell. See `Progress`."""

    def __init__(self) -> None:
        from IPython.display import HTML, display

        self._html = HTML
        self._handle: Any = display(HTML(""), display_id=True)
        self._lock = threading.Lock()  # trials begin in a thread of the executor
        self._tally: Tally | None = None
        self._notes: list[str] = []
        self._drawn_at = 0.0

    def started(self, tally: Tally) -> None:
        """Show how much is done already."""
        with self._lock:
            self._tally = tally
            self._draw()

    def note(self, text: str) -> None:
        """Show the line below the bar."""
        with self._lock:
            self._notes.append(text)
            self._draw()

    def trial_started(self, spec: TrialSpec, params: Mapping[str, Value]) -> None:
        """Note the trial in the tally; the bar does not show it yet."""
        with self._lock:
            if self._tally:
                self._tally.begin(spec, params)

    def epoch(self, spec: TrialSpec, epoch: int, metrics: Mapping[str, float]) -> None:
        """Do nothing: epochs are not shown."""

    def trial_finished(self, record: Record) -> None:
        """Move the bar."""
        with self._lock:
            if self._tally:
                self._tally.finish(record)
                if time.monotonic() - self._drawn_at > PAUSE_SECONDS:
                    self._draw()

    def finished(self, summary: Summary) -> None:
        """Show how the sweep ended, and which failures there were."""
        with self._lock:
            self._notes = [f"{progress_line(summary)} ({format_seconds(summary.seconds)})"]
            if summary.failures:
                self._notes.append(failure_line(summary.failures, summary.first_error))
            self._draw()

    def close(self) -> None:
        """Draw the last trials of a confirmation, which has no summary; the output stays."""
        with self._lock:
            self._draw()

    def _draw(self) -> None:
        self._drawn_at = time.monotonic()
        parts = [_bar(self._tally)] if self._tally else []
        parts += [f"<div>{html.escape(note)}</div>" for note in self._notes[-3:]]
        if self._handle is not None:
            self._handle.update(self._html("".join(parts)))


def _bar(tally: Tally) -> str:
    name = "confirming" if tally.is_confirmation else tally.info.name
    facts = [f"{name}: {tally.counted}", *filter(None, [tally.time_left()])]
    if tally.info.has_front and tally.front:
        facts.append(front_line(tally.front, tally.info.objectives))
    if tally.best is not None and tally.best.objective is not None:
        value, trial = format_metric(tally.best.objective), tally.best.trial
        params = format_params(tally.best.params, separator=" ")
        facts.append(f"best observed {tally.info.metric} {value} (trial {trial}: {params})")
    total = max(tally.total, 1)
    bar = f'<progress value="{tally.done}" max="{total}" style="width: 60%"></progress>'
    return f"<div>{bar}</div><div>{html.escape('; '.join(facts))}</div>"
