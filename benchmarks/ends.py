"""What a sweep takes beside its epochs: until the first training, in each, and after the last.

A search of 40 trials as a script starts it, in a new home each round, with its default workers.
Beside it a process that imports TensorFlow and Keras, and ends.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.process_tree import plain_environment, run_tree
from benchmarks.timing import at_least_one

IMPORT: Final = "import keras, tensorflow"
START_SECONDS: Final = 1.0
"""What may pass before the first training, beyond the import alone."""
AROUND_MS: Final = 30
"""What a trial may take in its worker outside the training of its epochs."""
END_SECONDS: Final = 1.5
"""What may pass between the last training and the prompt."""
FIRST: Final = 10
"""Trials that come first trace graphs, and are left out of what is outside the epochs."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument("--space", default="mlp", help="(default mlp)")
    parser.add_argument("--trials", type=at_least_one, default=40, help="(default 40)")
    parser.add_argument("--repeats", type=at_least_one, default=5, help="rounds (default 5)")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Import, and run the sweep, round by round."""
    if options.trials <= FIRST:
        raise RuntimeError(f"ends: give more than {FIRST} trials; the first ones are left out")
    rounds = []
    for number in range(options.repeats):
        with tempfile.TemporaryDirectory(prefix="ends-") as folder:
            rounds.append(measured(options.space, options.trials, Path(folder)))
        print(f"round {number + 1}: {rounds[-1]}", file=sys.stderr, flush=True)
    return {"space": options.space, "trials": options.trials, "rounds": rounds}


def measured(space: str, trials: int, folder: Path) -> dict[str, float]:
    """Return seconds until the first training and after the last one, and ms around each."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", IMPORT], check=True, cwd=folder, env=plain_environment())
    importing = time.perf_counter() - began
    used = run_tree(
        [sys.executable, "-m", "sweeps", "run", space, "--trials", str(trials), "--no-confirm",
         "--home", "home"],
        folder=folder, environment=plain_environment(), timeout_seconds=120 + 10 * trials,
    )  # fmt: skip
    records = recorded(folder / "home", space)
    around = [
        one.finished_at - one.started_at - 1000 * one.result.timings["train_seconds"]
        for one in records[FIRST:]
    ]
    return {
        "importing": importing,
        "start": min(one.started_at for one in records) / 1000 - used.started_at,
        "around": statistics.median(around),
        "end": used.started_at + used.wall_seconds - max(one.finished_at for one in records) / 1000,
        "whole": used.wall_seconds,
    }


def recorded(home: Path, space: str) -> list[Any]:
    """Return the records of the trainings of a sweep, in the order in which they began."""
    from sweeps import load

    sweep = load(space, home)
    records = sweep.home.store(sweep.info.id).read_all()
    return sorted((one for one in records if one.result), key=lambda one: one.started_at)


def table(result: dict[str, Any]) -> str:
    """Return Markdown, a row a part of the sweep, and what was asked of it."""
    rounds = result["rounds"]
    found = {name: [one[name] for one in rounds] for name in rounds[0]}
    late = [one["start"] - one["importing"] for one in rounds]

    def row(said: str, values: list[float], digits: int, limit: float | None = None) -> str:
        middle = statistics.median(values)
        kept = "" if limit is None else f"{limit:g}: {'kept' if middle <= limit else 'missed'}"
        each = ", ".join(f"{value:.{digits}f}" for value in values)
        return f"| {said} | {middle:.{digits}f} | {each} | {kept} |"

    return "\n".join([
        f"{result['trials']} trials of `{result['space']}`",
        "",
        "| | median | each round | asked |",
        "|---|---:|---|---|",
        row("the whole command, s", found["whole"], 1),
        row("a process that imports TensorFlow and Keras, s", found["importing"], 2),
        row("until the first training begins, s", found["start"], 2),
        row("beyond the import, s", late, 2, START_SECONDS),
        row("of a trial in its worker, outside its epochs, ms", found["around"], 0, AROUND_MS),
        row("from the end of the last training to the prompt, s", found["end"], 2, END_SECONDS),
    ])  # fmt: skip
