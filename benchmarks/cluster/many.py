"""A sweep on a crowded cluster: how busy it is kept, and what its coordinator spends on a trial."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.cluster.steady import spans_of, steady
from benchmarks.process_tree import (
    HERE,
    PATIENCE_SECONDS,
    cpu_seconds_of,
    free_port,
    in_background,
    run_part,
)

HOME = "home"
SWEEP = "sleeping"
A_PROCESS = 50
"""Dask workers in one process."""


@dataclass(frozen=True)
class CrowdedCluster:
    """A Dask scheduler and workers on this machine.

    Attributes:
        address: Host and port of the scheduler.
        scheduler: Its process id.
        workers: The ids of the processes in which the workers are.
    """

    address: str
    scheduler: int
    workers: list[int]

    def cpu_seconds(self) -> dict[str, float]:
        """Return user and system time so far: of `scheduler`, and of all `workers`."""
        return {
            "scheduler": cpu_seconds_of(self.scheduler),
            "workers": sum(map(cpu_seconds_of, self.workers)),
        }


@contextmanager
def crowded_cluster(folder: Path, workers: int) -> Iterator[CrowdedCluster]:
    """Start a cluster with many workers a process, which train in it (see `here.py`); kill it.

    Raises:
        RuntimeError: The workers are not there after a while.
    """
    from distributed import Client

    kind: type = Client  # untyped
    port = free_port()
    address = f"{HERE}:{port}"
    command = ["distributed.cli.dask_scheduler", "--host", HERE, "--port", str(port),
               "--no-dashboard"]  # fmt: skip
    with ExitStack() as stack:
        scheduler = stack.enter_context(in_background(command, folder / "scheduler", port))
        pids = []
        for first in range(0, workers, A_PROCESS):
            count = str(min(A_PROCESS, workers - first))
            command = ["benchmarks.cluster.many_workers", f"tcp://{address}", count]
            pids.append(stack.enter_context(in_background(command, folder / f"workers-{first}")))
        try:
            with kind(f"tcp://{address}", timeout=PATIENCE_SECONDS, set_as_default=False) as client:
                client.wait_for_workers(workers, timeout=PATIENCE_SECONDS)
        except (OSError, TimeoutError) as error:
            logs = sorted(folder.glob("*/output.log"))
            tails = "\n".join(f"{path.parent.name}: {path.read_text()[-1000:]}" for path in logs)
            raise RuntimeError(f"no cluster of {workers} workers: {error}\n{tails}") from None
        yield CrowdedCluster(address, scheduler, pids)


def measure(wanted: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Run one sweep on a cluster of its own, in a new folder.

    Args:
        wanted: `workers`, `trials`, `seconds` (of a trial, mean), `sampler`, `ask_ahead`,
            `tracking` (whether MLflow gets runs).
        folder: Where everything of it goes.
    """
    sweep = folder / "sweep"
    sweep.mkdir(parents=True)
    workers, trials = wanted["workers"], wanted["trials"]
    with crowded_cluster(folder / "cluster", workers) as cluster:
        before = cluster.cpu_seconds()
        asked = {**wanted, "executor": f"dask://{cluster.address}"}
        watched = run_part("benchmarks.cluster.coordinator", sweep, 300 + trials, wanted=asked)
        used = {role: seconds - before[role] for role, seconds in cluster.cpu_seconds().items()}
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
