"""A sweep on a crowded cluster: how busy it is kept, and what its coordinator spends on a trial."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.cluster.processes import crowded_cluster
from benchmarks.cluster.steady import spans_of, steady, steady_range
from benchmarks.process_tree import plain_environment, run_tree

HOME = "home"
SWEEP = "sleeping"
A_PROCESS = 50
"""Dask workers in one process."""
STAGES = ("sampler", "proposals", "study", "records", "Dask", "events", "MLflow", "rest")


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
            environment=plain_environment(),
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
        **costs(watched["rows"], workers),
        **{f"{role}_ms": 1000 * seconds / trials for role, seconds in used.items()},
        "pending": watched["pending"],
    }


def costs(rows: list[dict[str, Any]], workers: int) -> dict[str, Any]:
    """Return what a trial of the steady part cost the coordinator, in milliseconds.

    Returns:
        `stages`: CPU by stage; `coordinator_ms`: all of it but MLflow's; `run_ms`: CPU of one run
        in MLflow, 0 if there was none; `runs_per_second`; `wall_ms`: what was waited for, too;
        `main_delay_ms`: how long the main thread waited for a core.
    """
    first, last = steady_range(len(rows), workers)
    trials, begin, end = last - first, rows[first], rows[last]
    inside = [row["stages"] for row in rows[first + 1 : last + 1]]
    names = {name for stages in inside for name in stages}
    spent = {n: 1000 * sum(stages.get(n, 0.0) for stages in inside) / trials for n in names}
    process = spent.pop("process") - spent.pop("start", 0.0)
    runs, mlflow = end["runs"] - begin["runs"], spent.get("MLflow", 0.0)
    return {
        "stages": {**spent, "rest": process - sum(spent.values())},
        "coordinator_ms": process - mlflow,
        "run_ms": mlflow * trials / runs if runs else 0.0,
        "runs_per_second": runs / (end["at"] - begin["at"]),
        "wall_ms": {n: 1000 * (s - begin["wall"][n]) / trials for n, s in end["wall"].items()},
        "main_delay_ms": 1000 * (end["main_delay"] - begin["main_delay"]) / trials,
    }


def capacities(row: dict[str, Any]) -> dict[str, float]:
    """Return how many trials a second each part has CPU time for, the smallest first.

    Coordinator and scheduler are one Python process each, so one core is all that they can use;
    MLflow's thread shares the coordinator's.
    """
    found = {
        "coordinator": 1000 / row["coordinator_ms"],
        "scheduler": 1000 / row["scheduler_ms"],
    }
    if row["run_ms"]:
        found["coordinator, MLflow keeping up"] = 1000 / (row["coordinator_ms"] + row["run_ms"])
    return dict(sorted(found.items(), key=lambda item: item[1]))
