"""Time of the commands that only print something.

They are compared with an empty Python, and with the imports that validating a space cannot avoid.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.timing import Timing, at_least_one, time_commands
from benchmarks.timing import table as timing_table

LIMIT_SECONDS = 0.7
SWEEPS = str(Path(sys.executable).with_name("sweeps"))
COMMANDS: dict[str, list[str]] = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import optuna, pydantic, yaml, typer, rich": [
        sys.executable,
        "-c",
        "import optuna, pydantic, yaml, typer, rich",
    ],
    "import sweeps": [sys.executable, "-c", "import sweeps"],
    "sweeps --help": [SWEEPS, "--help"],
    "sweeps plan smoke": [SWEEPS, "plan", "smoke"],
    "sweeps plan mlp": [SWEEPS, "plan", "mlp"],
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument("--runs", type=at_least_one, default=10, help="timed runs (default 10)")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Time every command in an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        timings = time_commands(COMMANDS, runs=options.runs, folder=Path(folder))
    return {
        "runs": options.runs,
        "load": round(os.getloadavg()[0], 2),
        "limit_seconds": LIMIT_SECONDS,
        "timings": [timing.as_json() for timing in timings],
    }


def table(result: dict[str, Any]) -> str:
    """Return the table, and whether each command keeps to the limit."""
    timings = [Timing(t["name"], tuple(t["seconds"])) for t in result["timings"]]
    late = [t.name for t in timings if t.name.startswith("sweeps") and t.median > LIMIT_SECONDS]
    verdict = f"over it: {', '.join(late)}" if late else "kept by every command"
    heading = f"{result['runs']} runs after a warm-up, load {result['load']} at the end"
    return f"{heading}\n\n{timing_table(timings)}\n\nLimit {LIMIT_SECONDS} s (median): {verdict}"
