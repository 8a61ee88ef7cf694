"""Exit codes, the first that applies: 129/130/143 interrupted, 2 usage, 1 failed, 3 tracking, 0."""

from __future__ import annotations

import shlex
from typing import Final

from sweeps.analysis.summary import Summary
from sweeps.wording import counted

OK: Final = 0
FAILED: Final = 1
TRACKING_INCOMPLETE: Final = 3
WHOLE: Final = frozenset({OK, TRACKING_INCOMPLETE})
"""Exit codes of a command that did all that it was asked for."""
INTERRUPTED: Final = {"interrupt": 130, "terminate": 143, "hangup": 129}


def exit_code(summary: Summary, *, strict: bool, fail_under: float | None) -> int:
    """Return the exit code of a run.

    Args:
        summary: How it ended.
        strict: Whether a failed trial fails the run.
        fail_under: Worst acceptable best objective: a lower bound when it is maximised, an upper
            bound when it is minimised.
    """
    if summary.stopped_by in INTERRUPTED:
        return INTERRUPTED[summary.stopped_by]
    if failure(summary, strict, fail_under):
        return FAILED
    return TRACKING_INCOMPLETE if summary.tracking_pending or summary.deleted else OK


def failure(summary: Summary, strict: bool, fail_under: float | None) -> str | None:
    """Return why the run has failed: too many trials did, `--strict`, `--fail-under`."""
    if summary.failure_cause or summary.all_failed:
        return _too_many(summary)
    failed = summary.counts["FAILED"]
    if strict and failed:
        return f"{failed} of {counted(summary.done, 'trial')} failed (--strict)"
    if fail_under is None:
        return None
    best = summary.best.objective if summary.best else None
    if best is None:
        return "no trial is complete, so --fail-under cannot be met"
    worse = best < fail_under if summary.direction == "maximize" else best > fail_under
    return _against_bound(summary, best, fail_under, "") if worse else None


def gate_line(summary: Summary, strict: bool, fail_under: float | None) -> str | None:
    """Return `failed: ...` or `passed: ...`, and what that was applied to; None without a gate.

    An interrupted run has decided nothing.
    """
    if summary.stopped_by in INTERRUPTED:
        return None
    if reason := failure(summary, strict, fail_under):
        return f"failed: {reason}"
    said = ["no trial failed (--strict)"] if strict else []
    best = summary.best.objective if summary.best else None
    if fail_under is not None and best is not None:
        said.append(_against_bound(summary, best, fail_under, "not "))
    return f"passed: {'; '.join(said)}" if said else None


def _against_bound(summary: Summary, best: float, bound: float, no: str) -> str:
    """Say on which side of the bound the best is, of which metric, and which side is good."""
    side, good = ("below", "higher") if summary.direction == "maximize" else ("above", "lower")
    text = f"best {summary.metric} {best:.4g} is {no}{side} the bound {bound:g} (--fail-under; "
    text += f"{good} is better"
    if "accuracy" in summary.metric and side == "below" and 0 <= best <= 1 < bound <= 100:
        text += f"; if it is a share from 0 to 1, no trial reaches {bound:g}: write {bound / 100:g}"
    return f"{text})"


def _too_many(summary: Summary) -> str:
    """Say that too many trials failed in a row, or all, and what to do."""
    again = f"`sweeps retry {shlex.quote(summary.name)}`"
    if summary.failure_cause:
        return (
            f"{summary.failure_cause}; mend the cause, have them run again ({again}), and repeat "
            "the command to go on (--max-failures-in-row N allows more, 0 any number)"
        )
    reasons = ", ".join(f"{reason} {count}" for reason, count in summary.failures.items())
    some = "the only trial" if summary.done == 1 else f"all {summary.done} trials"
    if summary.first_error is None:
        return f"{some} failed ({reasons})"
    return (
        f"{some} failed ({reasons}), the first with: {summary.first_error}; mend the cause, then "
        f"{again}"
    )
