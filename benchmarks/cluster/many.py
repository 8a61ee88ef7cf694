"""A sweep on a crowded cluster: how busy it is kept, and what its coordinator spends on a trial."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.cluster.processes import crowded_cluster
from benchmarks.cluster.steady import spans_of, steady
from benchmarks.process_tree import run_tree

HOME = "home"
SWEEP = "sleeping"
A_PROCESS = 50
"""Dask workers in one process."""


def measure(wanted: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Run one sweep on a cluster of its own, in a new folder.

    Args:
        wanted: `workers`, `trials`, `seconds` (of a trial, mean), `sampler`, `ask_ahead`,
            `tracking` (whether MLflow gets runs).
        folder: Where everything of it goes.
    """
    sweep, output = folder / "sweep", folder / "rows.json"
    sweep.mkdir(parents=True)
    workers, trials = wanted["workers"], wanted["trials"]
    with crowded_cluster(folder / "cluster", workers, A_PROCESS) as cluster:
        before = cluster.cpu_seconds()
        asked = json.dumps({**wanted, "executor": cluster.uri})
        run_tree(
            [sys.executable, "-m", "benchmarks.cluster.coordinator", asked, str(output)],
            folder=sweep,
            timeout_seconds=300 + trials,
        )
        used = {role: seconds - before[role] for role, seconds in cluster.cpu_seconds().items()}
    watched = json.loads(output.read_text(encoding="utf-8"))
    kept = steady(spans_of(sweep / HOME, SWEEP), workers)
    return {
        **wanted,
        **kept,
        "ideal": workers / kept["mean_seconds"],
        "ratio": kept["per_second"] * kept["mean_seconds"] / workers,
        **costs(watched["rows"]),
        **{f"{role}_ms": 1000 * seconds / trials for role, seconds in used.items()},
        "pending": watched["pending"],
    }


def costs(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what a trial cost the coordinator, in milliseconds: means of the whole sweep.

    Of the whole, since its loop proposes hundreds of trials, then takes in as many results: any
    part of a sweep may hold more of the one than of the other.

    Returns:
        `stages`: CPU by stage; `coordinator_ms`: all of it but MLflow's; `run_ms`: CPU of one run
        in MLflow, 0 if there was none; `runs_per_second`.
    """
    trials, end = len(rows), rows[-1]
    inside = [row["stages"] for row in rows]
    names = {name for stages in inside for name in stages}
    spent = {n: 1000 * sum(stages.get(n, 0.0) for stages in inside) / trials for n in names}
    process = spent.pop("process") - spent.pop("start", 0.0)
    runs, mlflow = end["runs"], spent.get("MLflow", 0.0)
    return {
        "stages": {**spent, "rest": process - sum(spent.values())},
        "coordinator_ms": process - mlflow,
        "run_ms": mlflow * trials / runs if runs else 0.0,
        "runs_per_second": runs / end["seconds"],
    }
