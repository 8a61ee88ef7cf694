"""The live display of a terminal: drawn by rich's own thread, at most five times a second.

The coordinator's calls only note what happened; drawing never holds up a trial.
"""

from __future__ import annotations

import atexit
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TextIO, cast

from rich.console import Console, RenderableType
from rich.constrain import Constrain
from rich.live import Live
from rich.text import Text

from sweeps.progress.drawing import draw
from sweeps.progress.stream import LossyStream
from sweeps.progress.tally import Tally

if TYPE_CHECKING:
    from search_spaces.parameters import Value
    from sweeps.experiment import TrialSpec
    from sweeps.records.record import Record, SweepInfo
    from sweeps.report.summary import Summary

REFRESH_PER_SECOND = 5


class LiveDisplay:
    """A bar, the best so far, the last trials and the current one. See `Progress`.

    The one lock guards the tally and is never held while rich is called, so the drawing thread and
    the coordinator cannot wait for each other.
    """

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=cast("TextIO", LossyStream(stream)), highlight=False)
        self._lock = threading.RLock()  # re-entrant: a signal handler may call too
        self._tally: Tally | None = None
        self._live: Live | None = None
        self._ended = False

    def started(
        self,
        info: SweepInfo,
        total: int,
        done: Sequence[Record],
        longest_seconds: float | None = None,
    ) -> None:
        """Begin to draw."""
        self._tally = Tally(info, total, done, longest_seconds=longest_seconds)
        if self._tally.done:
            self.note(f"{info.name}: {self._tally.done} of {total} trials done, going on")
        self._live = Live(
            console=self._console,
            get_renderable=self._draw,
            refresh_per_second=REFRESH_PER_SECOND,
            # Output of an experiment scrolls above the display, unless it goes to a file.
            redirect_stdout=sys.stdout.isatty(),
        )
        atexit.register(self.close)
        self._live.start(refresh=True)

    def note(self, text: str) -> None:
        """Write the line above the display."""
        self._console.print(Text(text))

    def trial_started(self, spec: TrialSpec, params: Mapping[str, Value]) -> None:
        """Show the trial as the current one."""
        with self._lock:
            if self._tally:
                self._tally.begin(spec, params)

    def epoch(self, spec: TrialSpec, epoch: int, metrics: Mapping[str, float]) -> None:
        """Show the epoch the next time the display is drawn."""
        with self._lock:
            if self._tally:
                self._tally.epoch(spec, epoch, metrics)

    def trial_finished(self, record: Record) -> None:
        """Move the trial to the table."""
        with self._lock:
            if self._tally:
                self._tally.finish(record)

    def finished(self, summary: Summary) -> None:
        """Draw the last state, without what only matters while trials run."""
        del summary  # the caller prints it below
        self.close()

    def close(self) -> None:
        """Draw once more and give the terminal back: cursor, stdout and stderr."""
        with self._lock:
            self._ended = True
        live, self._live = self._live, None
        if live is not None:
            try:
                live.stop()
            finally:  # a second Ctrl-C may cut the first short
                self._console.show_cursor(True)
                atexit.unregister(self.close)

    def _draw(self) -> RenderableType:
        with self._lock:
            drawn = draw(self._tally, ended=self._ended) if self._tally else Text()
        # Room for the "^C" a terminal echoes: it must not wrap, or the next redraw is a line off.
        return Constrain(drawn, max(self._console.width - 3, 1))
