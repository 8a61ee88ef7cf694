"""Lines that all outputs share: the verdict, the progress, the failures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sweeps.analysis.rows import STATES
from sweeps.analysis.summary import FRONT, how_confirmed
from sweeps.wording import counted, format_lead, format_metric, format_seconds

if TYPE_CHECKING:
    from search_spaces.objectives import Objective
    from sweeps.analysis.rows import TrialRow
    from sweeps.analysis.summary import Summary


def verdict_line(summary: Summary) -> str:
    """Return a line on the best trial against the best baseline, which claims no superiority."""
    if summary.has_front:
        return front_line(summary.front, summary.objectives)
    best, reference = summary.best, summary.reference
    if best is None:
        return "no trial completed, so there is no best trial"
    if reference is None:
        why = "none completed" if summary.baselines else "the sweep has none"
        compared = f"no baseline to compare with: {why}"
    elif best.trial == reference.trial:
        compared = f"which is the baseline {best.baseline}; no other trial scored better"
    else:
        lead = lead_over_baseline(summary, best, reference)
        compared = f"{lead} ({_objective(reference)})"
    value = f"{summary.metric} {_objective(best)} (trial {best.trial})"
    label, clause = how_confirmed(best, summary.champion)
    return f"{label}: {value}, {compared}{clause}"


def front_line(front: Sequence[TrialRow], objectives: Sequence[Objective]) -> str:
    """Return a line on the number of trials on a front, and the ranges of its objectives."""
    if not front:
        return "no trial completed, so there is no Pareto front"
    ranges = []
    for place, objective in enumerate(objectives):
        values = [worth[place] for row in front if (worth := row.values(objectives))]
        ends = dict.fromkeys(format_metric(end) for end in (min(values), max(values)))
        ranges.append(f"{objective.metric} {' to '.join(ends)}")
    return f"{counted(len(front), 'trial')} {FRONT}: {', '.join(ranges)}"


def values_line(row: TrialRow, objectives: Sequence[Objective]) -> str:
    """Return the values of a trial with their names; empty without."""
    values = row.values(objectives) or ()
    pairs = zip(objectives, values, strict=False)
    return ", ".join(f"{one.metric} {format_metric(value)}" for one, value in pairs)


def lead_over_baseline(summary: Summary, row: TrialRow, reference: TrialRow) -> str:
    """Return `+1.30 points against the baseline tutorial`, or `0.05 better than ...`."""
    lead = lead_of(summary, row, reference)
    joint = "against" if lead.endswith(" points") else "than"
    return f"{lead} {joint} the baseline {reference.baseline}"


def lead_of(summary: Summary, row: TrialRow, reference: TrialRow) -> str:
    """Return by how much a row is better than another; empty unless both are COMPLETE."""
    if row.objective is None or reference.objective is None:
        return ""
    return format_lead(summary.metric, summary.direction, row.objective, reference.objective)


def with_hints(commands: Mapping[str, str], width: int = 80) -> list[tuple[str, str]]:
    """Return commands to copy, indented, each with its hint, in one column if there is room.

    Where a line would be wider, its hint follows after three blanks, or is left out.
    """
    longest = max(map(len, commands), default=0)
    widest = max((len(hint) for hint in commands.values()), default=0)
    pad = longest if longest + widest + 5 <= width else 0
    return [
        (f"  {command:{pad}}", f"   {hint}" if len(command) + len(hint) + 5 <= width else "")
        for command, hint in commands.items()
    ]


def progress_line(summary: Summary) -> str:
    """Return `20 of 20 trials: 18 COMPLETE, 2 FAILED`, and what ended the sweep early."""
    words = {state: state for state in STATES} | {"WAITING": "to run again"}
    counts = ", ".join(f"{summary.counts[s]} {words[s]}" for s in STATES if summary.counts[s])
    line = f"{summary.done} of {counted(summary.asked, 'trial')}"
    line += f": {counts}" if counts else ""
    return f"{line}; stopped by {summary.stopped_by}" if summary.stopped_by else line


def ended_line(summary: Summary, which: str = "this start") -> str:
    """Return how far a sweep is, and how long its last start took, by the clock."""
    return f"{progress_line(summary)} ({which}: {format_seconds(summary.seconds)})"


def ending_lines(summary: Summary) -> list[str]:
    """Return how the trials ended, and which failures and retries there were."""
    failures = failure_line(summary.failures, summary.first_error)
    return [*filter(None, [ended_line(summary), failures, retry_line(summary.retried)])]


def failure_line(failures: Mapping[str, int], first_error: str | None) -> str:
    """Return `2 trials failed: error 1, diverged 1; first error: ...`, empty if none failed."""
    total = sum(failures.values())
    if not total:
        return ""
    line = f"{counted(total, 'trial')} failed: {_reasons(failures)}"
    return f"{line}; first error: {first_error}" if first_error else line


def retry_line(retried: Mapping[str, int]) -> str:
    """Return `3 failed attempts were tried again: crash 2, timeout 1`, empty without any."""
    total = sum(retried.values())
    if not total:
        return ""
    are = "were" if total > 1 else "was"
    return f"{counted(total, 'failed attempt')} {are} tried again: {_reasons(retried)}"


def _reasons(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in counts.items())


def _objective(row: TrialRow) -> str:
    return "" if row.objective is None else format_metric(row.objective)


def time_line(split: Mapping[str, float]) -> str:
    """Return what the time was spent on, the longest first; that of workers is summed over them."""
    longest = sorted(split.items(), key=lambda item: -item[1])
    parts = [f"{name.replace('_', ' ')} {format_seconds(s)}" for name, s in longest if s >= 0.05]
    return f"Time: {', '.join(parts)}" if parts else ""
