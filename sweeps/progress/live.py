"""The live display of a terminal: drawn by rich's own thread, at most five times a second.

The coordinator's calls only note the event, so that drawing never delays a trial.
"""

from __future__ import annotations

import atexit
import sys
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, TextIO, cast

from rich.console import Console, Group, RenderableType
from rich.constrain import Constrain
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sweeps.analysis.rows import best_row
from sweeps.analysis.summary import NOT_CONFIRMED
from sweeps.progress.stream import LossyStream
from sweeps.progress.tally import Tally
from sweeps.render.summaries import STATE_STYLES
from sweeps.render.verdict import difference_to, failure_line, front_count, front_reach
from sweeps.wording import broken, format_metric, format_params, format_seconds

if TYPE_CHECKING:
    from search_spaces.parameters import Value
    from sweeps.analysis.summary import Summary
    from sweeps.experiment import TrialSpec
    from sweeps.progress.tally import RunningTrial
    from sweeps.records.record import Record


# Draws the display from a tally.


BAR_WIDTH = 24
SHOWN_RUNNING = 4
TURNS = "|/-\\"


def draw(tally: Tally, *, ended: bool) -> RenderableType:
    """Return the display.

    Args:
        tally: The state of the sweep.
        ended: Whether the sweep has ended; if so, running trials and estimates are left out.
    """
    parts: list[RenderableType] = [_headline(tally, ended=ended)]
    if not ended:
        parts += _best(tally)
    if tally.recent:
        parts.append(_recent(tally))
    if not ended:
        parts += _current(tally)
        if failures := tally.failures:
            parts.append(_line(failure_line(failures, tally.first_error), "bold red"))
    return Group(*parts)


def _headline(tally: Tally, *, ended: bool) -> RenderableType:
    """Return the line with name, bar, done and total trials, rate and time left."""
    facts = [f"{tally.done}/{tally.total}"]
    rate, left = tally.trials_per_minute(), tally.seconds_left()
    if rate is not None:
        facts.append(f"{rate:.1f} trials/min")
    if left and not ended:
        facts.append(f"about {format_seconds(left)} left")
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True, max_width=24)
    grid.add_column(max_width=BAR_WIDTH)  # the only column that shrinks in a narrow terminal
    grid.add_column(no_wrap=True)
    bar = ProgressBar(total=max(tally.total, 1), completed=tally.done)
    grid.add_row(Text(tally.info.name, style="bold"), bar, Text("  ".join(facts)))
    return grid


def _best(tally: Tally) -> list[RenderableType]:
    """Return the lines about the best trial: value, origin, parameters; or about the front."""
    if tally.info.has_front:
        if not tally.front:
            return []
        reach = front_reach(tally.front, tally.info.objectives)
        return [_line(front_count(tally.front), "bold green"), _line(f"  {reach}", "green")]
    best = tally.best
    if best is None or best.objective is None:
        return []
    source = f"  trial {best.trial}"
    reference = best_row(tally.baselines, tally.info.direction)
    if best.baseline is not None:
        source += f", the baseline {best.baseline}"
    elif reference is not None:
        difference = difference_to(tally.info.metric, best, reference)
        source += f", {difference} against the baseline {reference.baseline}"
    value = f"{tally.info.metric} {format_metric(best.objective)}"
    return [
        _line(f"{NOT_CONFIRMED}: {value}", "bold green"),
        _line(source, "green"),
        _line(f"  {format_params(best.params)}", "dim"),
    ]


def _recent(tally: Tally) -> Table:
    """Return the table of the trials that ended last, the latest at the bottom."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    objectives = tally.info.objectives
    metrics = [objective.metric for objective in objectives]
    for name in ("trial", "state", *metrics, "epochs", "seconds", ""):
        numeric = name not in {"state", ""}
        justify: Literal["left", "right"] = "right" if numeric else "left"
        # In a narrow terminal remarks shrink, numbers do not.
        table.add_column(broken(name), justify=justify, no_wrap=bool(name))
    for row in tally.recent:
        remark = row.origin if row.baseline else row.reason
        table.add_row(
            str(row.trial),
            Text(row.state, style=STATE_STYLES[row.state]),
            *(
                map(format_metric, values)
                if (values := row.values(objectives))
                else [""] * len(metrics)
            ),
            str(row.epochs or ""),
            f"{row.seconds:.1f}",
            _line(remark, "dim"),
        )
    return table


def _current(tally: Tally) -> list[RenderableType]:
    """Return the lines about running trials, with a turning sign that shows that we are alive."""
    turn = TURNS[int(4 * time.monotonic()) % len(TURNS)]
    trials = list(tally.running.values())
    if not trials and tally.done >= tally.total:
        return []
    if not trials:
        return [_line(f"{turn} waiting for the next trial", "dim")]
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


class LiveDisplay:
    """A bar, the best so far, the last trials and the current one. See `Progress`.

    Its lock guards the tally and is never held while rich is called, so the drawing thread and the
    coordinator cannot wait for each other.
    """

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=cast("TextIO", LossyStream(stream)), highlight=False)
        self._lock = threading.RLock()  # re-entrant: a signal handler may call too
        self._tally: Tally | None = None
        self._live: Live | None = None
        self._ended = False

    def started(self, tally: Tally) -> None:
        """Start the drawing thread."""
        self._tally = tally
        if tally.done:
            self.note(f"{tally.info.name}: {tally.done} of {tally.total} trials done, going on")
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
        """Draw the last state, without running trials and estimates."""
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
            finally:  # a second Ctrl-C may interrupt `stop`
                self._console.show_cursor(True)
                atexit.unregister(self.close)

    def _draw(self) -> RenderableType:
        with self._lock:
            drawn = draw(self._tally, ended=self._ended) if self._tally else Text()
        # Leave room for the "^C" that a terminal echoes: if it wrapped, the next redraw would be a
        # line off.
        return Constrain(drawn, max(self._console.width - 3, 1))
