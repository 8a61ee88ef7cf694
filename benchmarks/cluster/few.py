"""The same sweep on a Dask cluster of one, two and four workers, as users have it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from benchmarks.cluster.processes import usual_cluster
from benchmarks.cluster.steady import spans_of, steady
from benchmarks.process_tree import plain_environment, run_tree

HOME = "home"
SWEEP = "scale"
SPACES = {
    "training": Path(__file__).parent.parent / "recipes" / "digits.yaml",
    "sleeping": Path(__file__).with_name("sleeping.yaml"),
}


def measure(kind: str, workers: int, trials: int, setting: str, folder: Path) -> dict[str, Any]:
    """Run one sweep of a kind in a new folder and return its steady state.

    Args:
        kind: `training` or `sleeping`.
        workers: Dask workers, each with a child that trains.
        trials: Of the sweep.
        setting: As `--set` takes it.
        folder: Where everything of it goes.
    """
    sweep = folder / "sweep"
    sweep.mkdir(parents=True)
    with usual_cluster(folder / "cluster", workers) as cluster:
        run_tree(
            [
                *(sys.executable, "-m", "sweeps", "run", str(SPACES[kind]), "--name", SWEEP),
                *("--home", HOME, "--trials", str(trials), "--set", setting, "--quiet"),
                *("--sampler", "random", "--ask-ahead", str(2 * workers), "--strict"),
                *("--executor", cluster.uri),
            ],
            folder=sweep,
            environment=plain_environment(),
            timeout_seconds=120 + 30 * trials,
        )
    return {"workers": workers, "trials": trials, **steady(spans_of(sweep / HOME, SWEEP), workers)}


def against_ideal(kind: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add `ideal` trials per second and the `ratio` to it.

    Sleeping trials need no core: ideal is one after another on every worker. Training trials need
    one each: ideal is one worker's rate, times the workers that have a core.
    """
    cores = len(os.sched_getaffinity(0))
    alone = rows[0]["per_second"] / rows[0]["workers"]
    compared = []
    for row in rows:
        ideal = row["workers"] / row["mean_seconds"]
        if kind == "training":
            ideal = alone * min(row["workers"], cores)
        compared.append({**row, "ideal": ideal, "ratio": row["per_second"] / ideal})
    return compared
