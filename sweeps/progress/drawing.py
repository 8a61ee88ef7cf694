"""A tally -> what the live display shows at this moment."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sweeps.report.numbers import broken, format_metric, format_params, format_seconds
from sweeps.report.slots import best_row
from sweeps.report.summary import NOT_CONFIRMED
from sweeps.report.trials import STATE_STYLES
from sweeps.report.verdict import difference_to, failure_line, front_count, front_reach

if TYPE_CHECKING:
    from sweeps.progress.tally import RunningTrial, Tally

BAR_WIDTH = 24
SHOWN_RUNNING = 4
TURNS = "|/-\\"


def draw(tally: Tally, *, ended: bool) -> RenderableType:
    """Return the display.

    Args:
        tally: What is known.
        ended: Whether the sweep has ended: nothing that is still to come is shown.
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
    """Name, bar, how many of how many, rate and time left."""
    facts = [f"{tally.done}/{tally.total}"]
    rate, left = tally.trials_per_minute(), tally.seconds_left()
    if rate is not None:
        facts.append(f"{rate:.1f} trials/min")
    if left and not ended:
        facts.append(f"about {format_seconds(left)} left")
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True, max_width=24)
    grid.add_column(max_width=BAR_WIDTH)  # the only one that gives way in a narrow terminal
    grid.add_column(no_wrap=True)
    bar = ProgressBar(total=max(tally.total, 1), completed=tally.done)
    grid.add_row(Text(tally.info.name, style="bold"), bar, Text("  ".join(facts)))
    return grid


def _best(tally: Tally) -> list[RenderableType]:
    """The best so far, where it comes from, its parameters; or how far the front reaches."""
    if tally.info.has_front:
        if not tally.front:
            return []
        reach = front_reach(tally.front, tally.info.objectives)
        return [_line(front_count(tally.front), "bold green"), _line(f"  {reach}", "green")]
    best = tally.best
    if best is None or best.objective is None:
        return []
    source = f"  trial {best.slot}"
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
    """The last trials to end, the latest at the bottom."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    objectives = tally.info.objectives
    metrics = [objective.metric for objective in objectives]
    for name in ("trial", "state", *metrics, "epochs", "seconds", ""):
        numeric = name not in {"state", ""}
        justify: Literal["left", "right"] = "right" if numeric else "left"
        # Remarks give way in a narrow terminal, numbers do not.
        table.add_column(broken(name), justify=justify, no_wrap=bool(name))
    for row in tally.recent:
        remark = row.origin if row.baseline else row.reason
        table.add_row(
            str(row.slot),
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
    """Trials in progress, each with its epoch; a sign of life either way."""
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
    parts = [f"trial {trial.spec.slot}"]
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
    """One line that is shortened, never wrapped."""
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")
