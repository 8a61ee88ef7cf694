"""Dask clusters of 200 and 1000 workers: how busy they are kept, and what a trial costs.

The workers share processes and sleep in them, since as many children do not fit into the memory.
Coordinator, journal, sampler and MLflow are the real ones, and results are as large as those of the
digits.

CPU time of a trial is that of the whole sweep; MLflow's is counted a run, since runs lag behind.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.cluster import many
from benchmarks.cluster.steady import steady_range
from benchmarks.machine import need
from benchmarks.markdown import markdown
from benchmarks.options import names_option, whole_numbers

SAMPLERS = ("random", "tpe")
MANY = 1000
"""Workers of the crowd."""
CROWD_SECONDS = 20.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    whole_numbers(parser, workers=(200, "many"), trials=(1200, ""))
    parser.add_argument("--seconds", type=float, nargs="*", default=(3.5, 20.0),
                        help="mean of a trial (default 3.5 20; none: leave it out)")  # fmt: skip
    names_option(parser, "samplers", SAMPLERS)
    parser.add_argument("--crowd", type=int, default=MANY, metavar="WORKERS",
                        help="with trials of 20 s (default 1000; 0: leave it out)")  # fmt: skip


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Run one sweep after the other, each on a cluster of its own."""
    need("distributed", "cluster")
    loads = [os.getloadavg()[0]]
    for case in cases(options):  # before anything is measured
        steady_range(case["trials"], case["workers"])
    crowds = []
    with tempfile.TemporaryDirectory(prefix="scale-") as name:
        folder = Path(name)
        for number, wanted in enumerate(cases(options)):
            crowds.append(many.measure(wanted, folder / f"many-{number}"))
            loads.append(os.getloadavg()[0])
            said = f"{_name(crowds[-1])}: {crowds[-1]['per_second']:.1f} trials/s"
            print(f"{said} (load {loads[-1]:.1f})", file=sys.stderr)
    return {"loads": [round(load, 1) for load in loads], "many": crowds}


def cases(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the sweeps on many workers: one a sampler and length, one without MLflow, a crowd."""
    found = [
        {"sampler": sampler, "seconds": seconds, "tracking": True}
        for seconds in options.seconds
        for sampler in options.samplers
    ]
    if found:
        found.insert(1, {**found[0], "tracking": False})
    size = {"workers": options.workers, "trials": options.trials, "ask_ahead": 2 * options.workers}
    crowd = {
        "workers": options.crowd,
        "trials": 5 * options.crowd,
        "ask_ahead": options.crowd * 6 // 5,
        "sampler": "random",
        "seconds": CROWD_SECONDS,
        "tracking": True,
    }
    return [*({**size, **case} for case in found), *([crowd] if options.crowd else [])]


def table(result: dict[str, Any]) -> str:
    """Return Markdown: how busy workers were, and the CPU time of a trial."""
    rows = (
        [_name(row), row["trials"], f"{row['per_second']:.1f} of {row['ideal']:.1f}",
         f"{row['busy']:.0%}", f"{row['coordinator_ms']:.1f}",
         ", ".join(f"{row['stages'].get(s, 0):.1f}" for s in ("sampler", "journal", "records")),
         *([f"{row['run_ms']:.1f}", row["pending"]] if row["tracking"] else ["-", "-"]),
         f"{row['scheduler_ms']:.1f}"]
        for row in result["many"]
    )  # fmt: skip
    heads = ["workers, sampler, mean trial", "trials", "trials/s, of ideal", "workers busy",
             "coordinator, ms", "of it sampler, journal, records", "an MLflow run, ms", "runs left",
             "scheduler, ms"]  # fmt: skip
    return markdown(heads, rows)


def _name(row: dict[str, Any]) -> str:
    away = "" if row["tracking"] else ", no MLflow"
    return f"{row['workers']} workers, {row['sampler']}, {row['seconds']:g} s{away}"
