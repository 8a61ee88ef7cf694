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

from benchmarks.markdown import kept, markdown
from benchmarks.options import whole_numbers
from benchmarks.process_tree import plain_environment, records_of, run_sweeps

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
    whole_numbers(parser, trials=(40, ""), repeats=(5, "rounds"))


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
    used = run_sweeps("run", space, "--trials", str(trials), "--no-confirm", folder=folder,
                      timeout_seconds=120 + 10 * trials)  # fmt: skip
    records = [one for one in records_of(folder / "home", space) if one.result]
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


def table(result: dict[str, Any]) -> str:
    """Return Markdown, a row a part of the sweep, and what was asked of it."""
    rounds = result["rounds"]
    found = {name: [one[name] for one in rounds] for name in rounds[0]}
    late = [one["start"] - one["importing"] for one in rounds]

    def row(said: str, values: list[float], digits: int, limit: float | None = None) -> list[str]:
        middle = statistics.median(values)
        verdict = "" if limit is None else f"{limit:g}: {kept(middle <= limit)}"
        each = ", ".join(f"{value:.{digits}f}" for value in values)
        return [said, f"{middle:.{digits}f}", each, verdict]

    rows = [
        row("the whole command, s", found["whole"], 1),
        row("a process that imports TensorFlow and Keras, s", found["importing"], 2),
        row("until the first training begins, s", found["start"], 2),
        row("beyond the import, s", late, 2, START_SECONDS),
        row("of a trial in its worker, outside its epochs, ms", found["around"], 0, AROUND_MS),
        row("from the end of the last training to the prompt, s", found["end"], 2, END_SECONDS),
    ]
    text = markdown(["", "median", "each round", "asked"], rows)
    return f"{result['trials']} trials of `{result['space']}`\n\n{text}"
