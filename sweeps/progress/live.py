"""The live display of a terminal, and the progress bar of a notebook.

The coordinator's calls only note the event, so that drawing never delays a trial.
"""

from __future__ import annotations

import atexit
import html
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, TextIO, cast

from rich.console import Console, Group, RenderableType
from rich.constrain import Constrain
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sweeps.progress import Tallied
from sweeps.progress.lines import LossyStream
from sweeps.progress.tally import SHOWN_BEST, Tally
from sweeps.render.verdict import ended_line, ending_lines, failure_line, front_line
from sweeps.wording import broken, counted, format_metric, format_params, format_seconds

if TYPE_CHECKING:
    from sweeps.analysis.rows import TrialRow
    from sweeps.analysis.summary import Summary
    from sweeps.journal.events import Record
    from sweeps.progress.tally import RunningTrial


BAR_WIDTH = 24
SHOWN_RUNNING = 4
TURNS = "|/-\\"


def draw(tally: Tally, *, ended: bool, summary: Summary | None = None) -> RenderableType:
    """Return the display: a bar, the best trials, what runs, failures.

    Args:
        tally: The state of the sweep.
        ended: Whether the sweep has ended; if so, running trials and estimates are left out.
        summary: How it ended.
    """
    parts: list[RenderableType] = [_headline(tally, ended=ended)]
    if rows := tally.front[:SHOWN_BEST] or tally.leaders:
        parts.append(_best(tally, rows))
    if not (ended or tally.is_confirmation):
        parts += _current(tally)
    if not ended and (failures := tally.failures):
        parts.append(_line(failure_line(failures, tally.first_error), "bold red"))
    if summary is not None:
        parts.append(_line(ended_line(summary), ""))
    return Group(*parts)


def _headline(tally: Tally, *, ended: bool) -> RenderableType:
    facts = [tally.counted, "" if ended else tally.time_left()]
    name = "confirming" if tally.is_confirmation else tally.info.name
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True, max_width=24)
    grid.add_column(max_width=BAR_WIDTH)  # the only column that shrinks in a narrow terminal
    grid.add_column(no_wrap=True)
    bar = ProgressBar(total=max(tally.total, 1), completed=tally.done)
    grid.add_row(Text(name, style="bold"), bar, Text(", ".join(filter(None, facts))))
    return grid


def _best(tally: Tally, rows: Sequence[TrialRow]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    objectives = tally.info.objectives
    first = "on the front" if tally.info.has_front else "best so far"
    for name in (first, *(objective.metric for objective in objectives), "epochs", "seconds"):
        justify: Literal["left", "right"] = "left" if name == first else "right"
        # In a narrow terminal parameters are shortened, numbers are not.
        table.add_column(broken(name), justify=justify, no_wrap=True)
    is_taken = any(one.metric == "parameters" for one in objectives)  # the number of weights
    name = "configuration" if is_taken else "parameters"
    table.add_column(name)
    for place, row in enumerate(rows):
        is_best = place == 0 and not tally.info.has_front
        table.add_row(
            Text(f"baseline {row.baseline}" if row.baseline else f"trial {row.trial}"),
            *map(format_metric, row.values(objectives) or ()),
            str(row.epochs or ""),
            f"{row.seconds:.1f}",
            _line(format_params(row.params, separator=" "), "dim"),
            style="bold green" if is_best else "",
        )
    return table


def _current(tally: Tally) -> list[RenderableType]:
    """Return the lines about running trials, with a turning sign that shows that we are alive."""
    turn = TURNS[int(4 * time.monotonic()) % len(TURNS)]
    trials = list(tally.running.values())
    if not trials:
        is_over = tally.done >= tally.total
        return [_line(f"{turn} {'finishing' if is_over else 'waiting for the next trial'}", "dim")]
    lines: list[RenderableType] = [
        _line(f"{turn} {_trial_text(tally, trial)}", "cyan") for trial in trials[:SHOWN_RUNNING]
    ]
    hidden = len(trials) - SHOWN_RUNNING
    return [*lines, _line(f"  and {hidden} more running", "dim")] if hidden > 0 else lines


def _trial_text(tally: Tally, trial: RunningTrial) -> str:
    parts = [f"trial {trial.spec.trial}"]
    if trial.spec.attempt > 1:
        parts.append(f"attempt {trial.spec.attempt}")
    watched = tally.info.epoch_metric
    if trial.epochs:
        parts.append(f"epoch {trial.epochs}")
    if watched is not None and watched in trial.metrics:
        parts.append(f"{watched} {format_metric(trial.metrics[watched])}")
    parts += [format_seconds(tally.elapsed(trial)), format_params(trial.params)]
    return ", ".join(parts)


def _line(text: str, style: str) -> Text:
    """Return a line that is shortened, never wrapped."""
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


REFRESH_PER_SECOND = 5


class LiveDisplay(Tallied):
    """A bar, the best trials so far and the current ones. See `Progress`.

    Its lock guards the tally and is never held while rich is called, so the drawing thread and the
    coordinator cannot wait for each other.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._console = Console(
            file=cast("TextIO", LossyStream(stream)), highlight=False, markup=False, emoji=False
        )
        self._live: Live | None = None
        self._ended = False
        self._summary: Summary | None = None

    def started(self, tally: Tally) -> None:
        """Start the drawing thread; a sweep that follows another one is drawn in its place."""
        super().started(tally)
        if self._live is not None:
            return
        if tally.done and not tally.is_confirmation:
            done = f"{tally.done} of {counted(tally.total, 'trial')} done"
            self.note(f"{tally.info.name}: {done}, going on")
        self._live = Live(
            console=self._console,
            get_renderable=self._draw,
            refresh_per_second=REFRESH_PER_SECOND,
            # The output of an experiment scrolls above the display, unless it goes to a file.
            redirect_stdout=sys.stdout.isatty(),
        )
        atexit.register(self.close)
        self._live.start(refresh=True)

    def note(self, text: str) -> None:
        """Write the line above the display."""
        self._console.print(Text(text))

    def trials_ended(self, summary: Summary) -> None:
        """Draw the last state, without running trials and estimates."""
        with self._lock:
            self._summary = summary
        self.close()

    def close(self) -> None:
        """Draw once more and give the terminal back: cursor, stdout and stderr."""
        with self._lock:
            self._ended = True
        live, self._live = self._live, None
        if live is not None:
            try:
                live.stop()
            finally:  # a second Ctrl-C may interrupt `stop`
                self._console.show_cursor(True)
                atexit.unregister(self.close)

    def _draw(self) -> RenderableType:
        with self._lock:
            tally, summary = self._tally, self._summary
            drawn = draw(tally, ended=self._ended, summary=summary) if tally else Text()
        # Leave room for the "^C" that a terminal echoes: if it wrapped, the next redraw would be a
        # line off.
        return Constrain(drawn, max(self._console.width - 3, 1))


PAUSE_SECONDS: Final = 0.5
"""The least time between two drawings, since each is a message to the browser."""


class NotebookDisplay(Tallied):
    """A bar, the best trial so far and the last notes, in the output of a cell. See `Progress`.

    It is one output that is redrawn, since lines would pile up.
    """

    def __init__(self) -> None:
        from IPython.display import HTML, display

        super().__init__()
        self._html = HTML
        self._handle: Any = display(HTML(""), display_id=True)
        self._notes: list[str] = []
        self._drawn_at = 0.0

    def started(self, tally: Tally) -> None:
        """Show how much is done already."""
        super().started(tally)
        self._draw()

    def note(self, text: str) -> None:
        """Show the line below the bar."""
        self._notes.append(text)
        self._draw()

    def trial_finished(self, record: Record) -> None:
        """Move the bar."""
        super().trial_finished(record)
        if time.monotonic() - self._drawn_at > PAUSE_SECONDS:
            self._draw()

    def trials_ended(self, summary: Summary) -> None:
        """Show how the sweep ended, and which failures there were."""
        self._notes = ending_lines(summary)
        self._draw()

    def close(self) -> None:
        """Draw the last trials of a confirmation, which has no summary; the output stays."""
        self._draw()

    def _draw(self) -> None:
        with self._lock:
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
