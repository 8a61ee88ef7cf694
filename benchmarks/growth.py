"""Milliseconds of CPU that a trial costs the framework, early and late in a long sweep, by stage.

The trials of `nothing.yaml` train nothing, in the calling process. Each figure is the mean of the
50 trials up to it. `sampler` is Optuna's own arithmetic (TPE looks at all earlier trials); all
other stages should cost the same at the end as at the start.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.markdown import kept, markdown
from benchmarks.options import names_option, whole_numbers
from benchmarks.process_tree import run_part

POINTS = (100, 1000, 2000, 5000)
WINDOW = 50
LIMIT = 1.3
"""Highest allowed cost at the last point, as a multiple of the first, without the sampler."""
AIMS = {"random": 3.0, "tpe": 4.0}
"""Milliseconds that a trial may cost at the last point without MLflow and Optuna's own `ask`."""
SAMPLERS = ("random", "tpe")
STAGES = ("sampler", "proposals", "journal", "records", "MLflow", "training", "rest")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    whole_numbers(parser, trials=(2000, ""))
    names_option(parser, "samplers", SAMPLERS)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Run one sweep for each sampler."""
    return {
        "trials": options.trials,
        "samplers": {name: measure(name, options.trials) for name in options.samplers},
    }


def measure(sampler: str, trials: int) -> dict[str, Any]:
    """Run a sweep; return milliseconds by point and stage, and their growth."""
    with tempfile.TemporaryDirectory(prefix="growth-") as folder:
        rows = run_part("benchmarks.stages", Path(folder), 60 + 2.0 * trials, sampler=sampler,
                        trials=trials)  # fmt: skip
    points = [*(point for point in POINTS if point < trials), trials]
    found = {str(point): _window(rows[max(0, point - WINDOW) : point]) for point in points}
    costs = [sum(stages.values()) - stages["sampler"] for stages in found.values()]
    return {"milliseconds": found, "growth": costs[-1] / costs[0]}


def table(result: dict[str, Any]) -> str:
    """Return a table for each sampler, and whether the limit is kept."""
    lines = ["ms of CPU per trial, means of the trials up to each point"]
    for sampler, measured in result["samplers"].items():
        points = measured["milliseconds"]
        rows = ([stage, *(f"{point[stage]:.2f}" for point in points.values())] for stage in STAGES)
        said = f"{[*points][-1]} / {next(iter(points))}: {measured['growth']:.2f}"
        verdict = f"({LIMIT}: {kept(measured['growth'] <= LIMIT)})"
        lines += ["", markdown([sampler, *points], rows, "lr")]
        lines += ["", f"all but the sampler, {said} {verdict}"]
        last = [*points.values()][-1]
        own = sum(last.values()) - last["sampler"] - last["MLflow"]
        aim = f"{AIMS[sampler]:g} ms: {kept(own <= AIMS[sampler])}"
        lines += [f"without MLflow too, at the last point: {own:.2f} ms ({aim})"]
    return "\n".join(lines)


def _window(rows: list[dict[str, float]]) -> dict[str, float]:
    """Return the mean milliseconds of each stage over these trials."""
    stages = {
        stage: 1000 * statistics.mean(row.get(stage, 0.0) for row in rows) for stage in STAGES
    }
    process = 1000 * statistics.mean(row["process"] for row in rows)
    return stages | {"rest": process - sum(stages.values())}
