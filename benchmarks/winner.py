"""Retraining of a sweep's best trial and its baselines on fresh seeds: was the lead chance?

The best observed value of a sweep has a selection bias. Here each configuration is trained again
with seeds that the sweep never used, on the same split. Differences seed by seed are tested with
Student's t.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from search_spaces.parameters import Value
from sweeps.interval import Interval

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

    if options.seeds < 2:
        raise RuntimeError(f"--seeds {options.seeds}: give 2 or more, to see what chance does")
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
        gain = gain_over(first[1], values)
        verdict = "beyond chance" if gain.is_told_apart else "not beyond chance"
        lines.append(
            f"gain over {name}: {gain.value:.4f} "
            f"(95 %: {gain.low:.4f} to {gain.high:.4f}), {verdict}"
        )
    return "\n".join(lines)


def gain_over(best: Sequence[float], baseline: Sequence[float]) -> Interval:
    """Return the mean difference of trainings under the same seeds, two or more, by Student's t."""
    from scipy.stats import t

    gains = [one - other for one, other in zip(best, baseline, strict=True)]
    error = statistics.stdev(gains) / math.sqrt(len(gains))
    return Interval.around(statistics.mean(gains), float(t.ppf(0.975, len(gains) - 1)) * error)


def _train(
    experiment: Any, config: Mapping[str, Value], data: Any, seed: int, metric: str
) -> float:
    from sweeps.experiment import TrialSpec

    spec = TrialSpec("fresh seeds", 0, 1, seed, config)
    return float(experiment.train(spec, data, lambda epoch, metrics: None).metrics[metric])
