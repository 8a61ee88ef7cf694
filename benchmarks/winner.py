"""Retraining of a sweep's best trial and its baselines on fresh seeds: was the lead chance?

The best observed value of a sweep has a selection bias. Here each configuration is trained again
with seeds that the sweep never used, on the same split. The means are compared with the variation
of the baseline's own values.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Mapping
from typing import Any

from search_spaces.parameters import Value

FIRST_FRESH_SEED = 2**31
"""First seed used here; it is above every seed of a trial, which has 31 bits."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument("name", help="name of a finished sweep")
    parser.add_argument("--home", help="where the sweep lies (default mlruns)")
    parser.add_argument("--seeds", type=int, default=5, help="fresh seeds (default 5)")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Train the best trial and the baselines once for each seed."""
    from sweeps import load
    from sweeps.config.sweep import SPLIT_SEED
    from sweeps.experiments.loading import load_experiment

    sweep = load(options.name, options.home)
    experiment = load_experiment(sweep.info.experiment, sweep.directory)
    data = experiment.prepare(sweep.info.data["name"], SPLIT_SEED)
    experiment.warm_up()
    best = sweep.best()
    rows = [row for row in sweep.rows() if row.baseline is not None]
    contenders = {"best observed": best.record.spec.config}
    contenders |= {row.origin: sweep.trial(row.trial).record.spec.config for row in rows}
    values = {
        name: [
            _train(experiment, config, data, FIRST_FRESH_SEED + n, sweep.info.metric)
            for n in range(options.seeds)
        ]
        for name, config in contenders.items()
    }
    return {
        "sweep": sweep.name,
        "metric": sweep.info.metric,
        "trial": best.number,
        "values": values,
    }


def table(result: dict[str, Any]) -> str:
    """Return mean, smallest and largest value of each contender."""
    lines = [
        f"{result['metric']} of sweep {result['sweep']!r}, trial {result['trial']}, fresh seeds"
    ]
    for name, values in result["values"].items():
        mean, low, high = statistics.mean(values), min(values), max(values)
        lines.append(
            f"{name:<28} mean {mean:.4f}  from {low:.4f} to {high:.4f} (range {high - low:.4f})"
        )
    first, *baselines = result["values"].items()
    for name, values in baselines:
        gain = statistics.mean(first[1]) - statistics.mean(values)
        spread = max(values) - min(values)
        verdict = "more" if gain > spread else "not more"
        lines.append(f"gain over {name}: {gain:.4f}, {verdict} than its range {spread:.4f}")
    return "\n".join(lines)


def _train(
    experiment: Any, config: Mapping[str, Value], data: Any, seed: int, metric: str
) -> float:
    from sweeps.experiment import TrialSpec

    spec = TrialSpec("fresh seeds", 0, 1, seed, config)
    return float(experiment.train(spec, data, lambda epoch, metrics: None).metrics[metric])
