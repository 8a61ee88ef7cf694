"""What a second worker is worth, and whether the sweep or the machine keeps it from being two.

A sweep at random with one worker, and with two: trials a second in the steady part. Beside it
processes with nothing around them, one and then two, which train the same trials one after another:
what two of them do at once is what the machine has to give.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path
from queue import Empty
from typing import Any, Final
from unittest.mock import patch

from benchmarks.cluster.steady import spans_of, steady
from benchmarks.process_tree import plain_environment, run_tree
from benchmarks.timing import at_least_one
from sweeps.executors.preloading import ENVIRONMENT

SPACE: Final = Path(__file__).parent / "recipes" / "digits.yaml"
SWEEP: Final = "workers"
FIRST: Final = 5
"""Trials that a bare process trains before it is timed: they trace graphs."""
PATIENCE: Final = 600
"""Seconds that bare processes may take."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument("--trials", type=at_least_one, default=80, help="of a sweep (default 80)")
    parser.add_argument("--repeats", type=at_least_one, default=2, help="rounds (default 2)")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Run sweeps and bare processes, round by round."""
    rows = []
    for repeat in range(options.repeats):
        with tempfile.TemporaryDirectory(prefix="workers-") as folder:
            homes = [Path(folder) / f"{workers}" for workers in (1, 2)]
            swept = [sweep_with(n, options.trials, home) for n, home in enumerate(homes, 1)]
            bare = [bare_with(n, homes[0]) for n in (1, 2)]
        rows.append({"sweep": swept, "bare": bare})
        print(f"round {repeat + 1}", file=sys.stderr, flush=True)
    return {"trials": options.trials, "rows": rows,
            "ratios": {kind: [row[kind][1] / row[kind][0] for row in rows]
                       for kind in ("sweep", "bare")}}  # fmt: skip


def sweep_with(workers: int, trials: int, folder: Path) -> float:
    """Run a sweep in a new folder; return its trials a second in the steady part."""
    folder.mkdir()
    run_tree(
        [sys.executable, "-m", "sweeps", "run", str(SPACE), "--name", SWEEP, "--home", "home",
         "--trials", str(trials), "--workers", str(workers), "--quiet", "--strict"],
        folder=folder, environment=plain_environment(), timeout_seconds=120 + 10 * trials,
    )  # fmt: skip
    return steady(spans_of(folder / "home", SWEEP), workers)["per_second"]


def bare_with(processes: int, folder: Path) -> float:
    """Let so many processes train the trials of a sweep, each all; return trials a second."""
    context = get_context("spawn")
    barrier, ends = context.Barrier(processes), context.Queue()
    started = [context.Process(target=_train, args=(folder / "home", barrier, ends))
               for _ in range(processes)]  # fmt: skip
    with patch.dict(os.environ, ENVIRONMENT):  # as workers have it
        for process in started:
            process.start()
    try:
        found: list[tuple[float, float, int]] = [ends.get(timeout=PATIENCE) for _ in started]
    except Empty:
        raise RuntimeError("workers: a bare process has not trained its trials") from None
    finally:
        for process in started:
            process.kill()
            process.join()
    began = min(one[0] for one in found)
    return sum(one[2] for one in found) / (max(one[1] for one in found) - began)


def _train(home: Path, barrier: Any, ends: Any) -> None:
    from sweeps import load
    from sweeps.config.sweep import SPLIT_SEED
    from sweeps.experiment import begin_only_training
    from sweeps.experiments.loading import load_experiment

    begin_only_training()
    sweep = load(SWEEP, home)
    experiment = load_experiment(sweep.info.experiment, None)
    data = experiment.prepare(None, SPLIT_SEED)
    specs = [record.spec for record in sweep.home.store(sweep.info.id).read_all()]

    def train(some: Sequence[Any]) -> None:
        for spec in some:
            experiment.train(spec, data, lambda epoch, values: None)

    train(specs[:FIRST])
    barrier.wait()
    began = time.time()
    train(specs[FIRST:])
    ends.put((began, time.time(), len(specs) - FIRST))


def table(result: dict[str, Any]) -> str:
    """Return Markdown: trials a second, and what the second is worth, each round."""
    lines = [
        f"{result['trials']} trials; trials a second of one, of two, and the ratio, each round",
        "",
        "| | one | two | two / one |",
        "|---|---|---|---|",
    ]
    for kind, name in (("sweep", "workers of a sweep"), ("bare", "bare processes")):
        one, two = (", ".join(f"{row[kind][n]:.2f}" for row in result["rows"]) for n in (0, 1))
        ratios = ", ".join(f"{ratio:.2f}" for ratio in result["ratios"][kind])
        lines.append(f"| {name} | {one} | {two} | {ratios} |")
    return "\n".join(lines)
