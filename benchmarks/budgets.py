"""Sweeps with a budget of time, each in an empty home: when they end, and what they have found.

A space that is confirmed by itself is of use, so that the budget pays for start-up, search,
confirmation on fresh folds, and the report. The result is named after the spaces.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any, Final

from benchmarks.markdown import kept, markdown
from benchmarks.process_tree import run_sweeps
from sweeps.wording import format_seconds
from sweeps.workspace.clock import seconds_of

CASES: Final = ("mlp=3m",)
TOLERANCE: Final = 0.1
"""The share by which a sweep may end before or after its budget."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument("--cases", nargs="+", default=CASES, metavar="SPACE=BUDGET",
                        help=f"(default {' '.join(CASES)})")  # fmt: skip


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Run one sweep after the other."""
    cases = [case.partition("=") for case in options.cases]
    spaces = "-".join(space for space, _, _ in cases)
    rows = [_observed(space, budget) for space, _, budget in cases]
    return {"name": f"budgets-{spaces}", "rows": rows}


def _observed(space: str, budget: str) -> dict[str, Any]:
    from sweeps import load
    from sweeps.records import Conclusions

    with tempfile.TemporaryDirectory(prefix="budget-") as name:
        folder = Path(name)
        used = run_sweeps("run", space, "--budget", budget, "--quiet", folder=folder,
                          timeout_seconds=2 * seconds_of(budget) + 60)  # fmt: skip
        sweep = load(space, folder / "home")
        confirmed = Conclusions(sweep.home.store(sweep.info.id).folder).confirmed()
        verdict = confirmed.verdict if confirmed else None
        trials = sum(row.state == "COMPLETE" for row in sweep.rows())
    row = {
        "space": space,
        "budget": seconds_of(budget),
        "seconds": used.wall_seconds,
        "cpu_seconds": used.cpu_seconds,
        "complete": trials,
    }
    if verdict is None or verdict.quotable is None:
        return row
    quoted = verdict.quotable
    return row | {
        "finalists": len(verdict.standings),
        "folds": verdict.folds,
        "champion": verdict.recommended,
        "quoted": [quoted.value, quoted.low, quoted.high],
    }


def table(result: dict[str, Any]) -> str:
    """Return Markdown, a row a sweep."""
    rows = []
    for row in result["rows"]:
        off = row["seconds"] / row["budget"] - 1
        ended = f"{format_seconds(row['seconds'])} ({off:+.0%}: {kept(abs(off) <= TOLERANCE)})"
        confirmed = ["not confirmed", ""]
        if "quoted" in row:
            value, low, high = (f"{100 * share:.1f}" for share in row["quoted"])
            finalists = f"{row['finalists']} on {row['folds']} folds"
            confirmed = [f"{finalists}: {row['champion']}", f"{value} ({low} to {high})"]
        rows.append([row["space"], format_seconds(row["budget"]), ended, row["complete"],
                     *confirmed])  # fmt: skip
    heads = ["space", "budget", "ended after", "complete trials", "confirmed",
             "quoted accuracy, %"]  # fmt: skip
    return markdown(heads, rows)
