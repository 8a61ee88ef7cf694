"""Dask clusters: 1, 2 and 4 workers against the ideal, and what 200 and 1000 workers cost.

A few workers run as users have them: one process each, whose child trains. Trials that train use
the cores of this machine; trials that sleep need none. Many workers share processes and sleep in
them, since as many children do not fit into the memory. Coordinator, records, study and MLflow are
the real ones, and results are as large as those of the digits.

The CPU time that a trial costs gives the length of trials that keeps 1000 workers busy, if
coordinator and scheduler had a core each; here they share two cores with everything else.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.cluster import few, many
from benchmarks.cluster.steady import steady_range
from benchmarks.timing import at_least_one

FEW = (1, 2, 4)
SAMPLERS = ("random", "tpe")
MANY = 1000
"""Workers of the crowd, and of what is computed from the costs of a trial."""
CROWD_SECONDS = 20.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument("--few", type=at_least_one, nargs="*", default=FEW, metavar="WORKERS",
                        help="(default 1 2 4; none: leave it out)")  # fmt: skip
    parser.add_argument("--few-trials", type=at_least_one, default=40,
                        help="that train; a worker gets 30 that sleep (default 40)")  # fmt: skip
    parser.add_argument("--epochs", type=at_least_one, default=40, help="of them (default 40)")
    parser.add_argument("--workers", type=at_least_one, default=200, help="many (default 200)")
    parser.add_argument("--trials", type=at_least_one, default=1200, help="(default 1200)")
    parser.add_argument("--seconds", type=float, nargs="*", default=(3.5, 20.0),
                        help="mean of a trial (default 3.5 20; none: leave it out)")  # fmt: skip
    parser.add_argument("--samplers", nargs="+", choices=SAMPLERS, default=SAMPLERS)
    parser.add_argument("--crowd", type=int, default=MANY, metavar="WORKERS",
                        help="with trials of 20 s (default 1000; 0: leave it out)")  # fmt: skip


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure a few workers, then many."""
    if find_spec("distributed") is None:
        raise RuntimeError("scale: Dask is not installed: pip install -e '.[cluster]'")
    loads = [os.getloadavg()[0]]
    for case in cases(options):  # before anything is measured
        steady_range(case["trials"], case["workers"])
    rows: dict[str, list[dict[str, Any]]] = {"training": [], "sleeping": []}
    crowds = []
    with tempfile.TemporaryDirectory(prefix="scale-") as name:
        folder = Path(name)
        for kind, found in rows.items():
            for workers in options.few:
                trials = options.few_trials if kind == "training" else 30 * workers
                setting = f"epochs={options.epochs}" if kind == "training" else "seconds=1"
                place = folder / f"{kind}-{workers}"
                found.append(few.measure(kind, workers, trials, setting, place))
                _say(f"{workers} workers, {kind}: {found[-1]['per_second']:.2f} trials/s")
        for number, wanted in enumerate(cases(options)):
            crowds.append(many.measure(wanted, folder / f"many-{number}"))
            loads.append(os.getloadavg()[0])
            _say(f"{_name(crowds[-1])}: {crowds[-1]['per_second']:.1f} trials/s")
    compared = {kind: few.against_ideal(kind, found) for kind, found in rows.items() if found}
    return {"loads": [round(load, 1) for load in loads], "few": compared, "many": crowds}


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
    """Return Markdown: few workers, many workers, the cost of a trial, and the consequence."""
    lines = [f"load average, from start to end: {', '.join(str(x) for x in result['loads'])}"]
    if result["few"]:
        lines += ["", *_few(result["few"])]
    if result["many"]:
        lines += ["", *_many(result["many"]), "", *_stages(result["many"]), ""]
        lines += [_verdict(row) for row in result["many"]]
    return "\n".join(lines)


def _few(kinds: dict[str, list[dict[str, Any]]]) -> list[str]:
    lines = [
        "| trials   | workers | trials/s | ideal | ratio | workers busy |",
        "|----------|--------:|---------:|------:|------:|-------------:|",
    ]
    for kind, rows in kinds.items():
        lines += [
            f"| {kind} | {row['workers']:7} | {row['per_second']:8.2f} | {row['ideal']:5.2f} "
            f"| {row['ratio']:5.2f} | {row['busy']:12.1%} |"
            for row in rows
        ]
    return lines


def _many(rows: list[dict[str, Any]]) -> list[str]:
    return [
        "busy: in the steady part, and from first to last",
        "",
        "| sweep | trials/s | ideal | busy | overall | MLflow runs/s | runs left |",
        "|-------|---------:|------:|-----:|--------:|--------------:|----------:|",
        *(
            f"| {_name(row)} | {row['per_second']:.1f} | {row['ideal']:.1f} | {row['busy']:.1%} "
            f"| {row['busy_overall']:.1%} | {row['runs_per_second']:.1f} "
            f"| {row['pending'] if row['tracking'] else '-'} |"
            for row in rows
        ),
    ]


def _stages(rows: list[dict[str, Any]]) -> list[str]:
    """Return CPU time by stage; MLflow's is counted a run, since runs lag behind trials."""
    stages = [stage for stage in many.STAGES if stage != "MLflow"]
    heads = [*stages, "coordinator", "an MLflow run", "scheduler", "workers", "loop", "no core"]
    lines = [
        "ms of CPU a trial, means of the sweep; `loop` is the wall time of the coordinator's main "
        "thread, in `no core` of which it waited for one",
        "",
        f"| sweep | {' | '.join(heads)} |",
        f"|---|{'---:|' * len(heads)}",
    ]
    for row in rows:
        loop = sum(row["wall_ms"][part] for part in ("propose", "submit", "tell"))
        cells = [row["stages"].get(stage, 0.0) for stage in stages]
        cells += [row[f"{part}_ms"] for part in ("coordinator", "run", "scheduler", "workers")]
        cells += [loop, row["main_delay_ms"]]
        lines.append(f"| {_name(row)} | {' | '.join(f'{cell:.1f}' for cell in cells)} |")
    return lines


def _verdict(row: dict[str, Any]) -> str:
    parts = [
        f"{part} {rate:.0f} trials/s ({MANY} workers: trials of {MANY / rate:.0f} s)"
        for part, rate in many.capacities(row).items()
    ]
    return f"{_name(row)}: CPU for {'; '.join(parts)}"


def _name(row: dict[str, Any]) -> str:
    away = "" if row["tracking"] else ", no MLflow"
    return f"{row['workers']} workers, {row['sampler']}, {row['seconds']:g} s{away}"


def summarized(result: dict[str, Any]) -> dict[str, Any]:
    """Return what is published: the tables of the page, and the figures of its text."""
    heads = ["workers, sampler, mean trial", "trials", "trials/s, of ideal", "workers busy",
             "coordinator, ms", "of it sampler, study, records", "an MLflow run, ms",
             "scheduler, ms"]  # fmt: skip
    rows = [
        [
            _name(row),
            row["trials"],
            f"{row['per_second']:.1f} of {row['ideal']:.1f}",
            f"{100 * row['busy']:.0f} %",
            f"{row['coordinator_ms']:.1f}",
            ", ".join(f"{row['stages'].get(s, 0):.1f}" for s in ("sampler", "study", "records")),
            f"{row['run_ms']:.1f}" if row["tracking"] else "-",
            f"{row['scheduler_ms']:.1f}",
        ]
        for row in result["many"]
    ]
    shares = {kind: [f"{row['ratio']:.2f}" for row in rows] for kind, rows in result["few"].items()}
    workers = [str(row["workers"]) for row in next(iter(result["few"].values()), [])]
    few_rows = [list(row) for row in zip(workers, *shares.values(), strict=True)]
    few_heads = ["workers on two cores, share of the ideal", *(f"trials of {k}" for k in shares)]
    return {
        **result,
        "tables": {"many": [heads, *rows], "few": [few_heads, *few_rows]},
        "figures": _figures(result["many"]),
    }


def _figures(rows: list[dict[str, Any]]) -> dict[str, Any]:
    def span(values: list[float]) -> list[float]:
        return [min(values), max(values)]

    random = [1000 / row["coordinator_ms"] for row in rows if row["sampler"] == "random"]
    tpe = [1000 / row["coordinator_ms"] for row in rows if row["sampler"] == "tpe"]
    both = [MANY * (row["coordinator_ms"] + row["run_ms"]) / 1000 for row in rows
            if row["tracking"] and row["sampler"] == "random"]  # fmt: skip
    crowds = [row for row in rows if row["workers"] == MANY]
    found = {
        "coordinator_random": span(random) if random else None,
        "coordinator_tpe": min(tpe, default=None),
        "scheduler": span([1000 / row["scheduler_ms"] for row in rows]) if rows else None,
        "seconds_for_1000": span([MANY / rate for rate in random]) if random else None,
        "seconds_with_mlflow": max(both, default=None),
        "busy_crowd": crowds[0]["busy"] if crowds else None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _say(text: str) -> None:
    print(f"{text} (load {os.getloadavg()[0]:.1f})", file=sys.stderr)
