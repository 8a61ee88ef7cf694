"""Time of a two-trial `smoke` sweep in a new home, against importing TensorFlow, which it must do.

Both are whole processes, timed in turn.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.timing import Timing, at_least_one, time_commands
from benchmarks.timing import table as timing_table

FACTOR = 1.6
EXTRA_SECONDS = 6.0
IMPORT = "import tensorflow"
SWEEP = "sweeps run smoke --trials 2"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument("--runs", type=at_least_one, default=3, help="timed runs (default 3)")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Time both commands; every sweep has a home of its own."""
    sweeps = str(Path(sys.executable).with_name("sweeps"))
    sweep = f'exec {sweeps} run smoke --trials 2 --strict --quiet --home "$(mktemp -d -p .)"'
    commands = {IMPORT: [sys.executable, "-c", "import tensorflow"], SWEEP: ["sh", "-c", sweep]}
    with tempfile.TemporaryDirectory(prefix="smoke-") as folder:
        timings = time_commands(commands, runs=options.runs, folder=Path(folder))
    return {
        "runs": options.runs,
        "load": round(os.getloadavg()[0], 2),
        "timings": [timing.as_json() for timing in timings],
    }


def table(result: dict[str, Any]) -> str:
    """Return both times, and whether the sweep keeps its limit."""
    timings = [Timing(t["name"], tuple(t["seconds"])) for t in result["timings"]]
    middle = {timing.name: statistics.median(timing.seconds) for timing in timings}
    limit = FACTOR * middle[IMPORT] + EXTRA_SECONDS
    verdict = "kept" if middle[SWEEP] <= limit else "missed"
    return (
        f"{result['runs']} runs after a warm-up, load {result['load']} at the end\n\n"
        f"{timing_table(timings)}\n\n"
        f"Limit {FACTOR} x import + {EXTRA_SECONDS:.0f} s = {limit:.1f} s (medians): {verdict}"
    )
