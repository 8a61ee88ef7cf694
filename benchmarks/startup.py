"""Time of the commands that only print something.

They are compared with an empty Python, and with the imports that validating a space cannot avoid.
Whole processes are timed from the outside, as a person waiting for them would.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.markdown import markdown
from benchmarks.options import whole_numbers

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


def time_commands(
    commands: Mapping[str, Sequence[str]], *, runs: int, folder: Path | None = None
) -> dict[str, list[float]]:
    """Return seconds of commands, timed in turn, so that a slow moment hits them all.

    Args:
        commands: Arguments of the commands by name. Each runs once beforehand, for the disk cache.
        runs: Number of timed rounds, at least 1.
        folder: Working folder of the commands.

    Raises:
        RuntimeError: A command failed; the message has the end of its output.
    """
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for round_ in range(runs + 1):
        for name, command in commands.items():
            started = time.perf_counter()
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            duration = time.perf_counter() - started
            if done.returncode != 0:
                output = (done.stdout + done.stderr)[-2000:]
                raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{output}")
            if round_ > 0:
                seconds[name].append(duration)
    return seconds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    whole_numbers(parser, runs=(10, "timed"))


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Time every command in an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        seconds = time_commands(COMMANDS, runs=options.runs, folder=Path(folder))
    return {
        "runs": options.runs,
        "load": round(os.getloadavg()[0], 2),
        "limit_seconds": LIMIT_SECONDS,
        "seconds": seconds,
    }


def table(result: dict[str, Any]) -> str:
    """Return the table, and whether each command keeps to the limit."""
    middle = {name: statistics.median(times) for name, times in result["seconds"].items()}
    rows = (
        [name, *(f"{s:.2f}" for s in (min(times), middle[name], max(times)))]
        for name, times in result["seconds"].items()
    )
    late = [name for name in middle if name.startswith("sweeps") and middle[name] > LIMIT_SECONDS]
    verdict = f"over it: {', '.join(late)}" if late else "kept by every command"
    return "\n\n".join([
        f"{result['runs']} runs after a warm-up, load {result['load']} at the end",
        markdown(["command", "min s", "median s", "max s"], rows, "lr"),
        f"Limit {LIMIT_SECONDS} s (median): {verdict}",
    ])  # fmt: skip
