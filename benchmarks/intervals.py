"""Error rates of confirmations, on simulated finalists whose true accuracies are known.

The benchmark measures, for each number of folds, how often two equal finalists are told apart, how
often the interval of their difference covers 0, and how often a true lead is seen: one point
between two finalists, and one and a half among six. Our method (crossed variance of samples and
seeds) and the corrected resampled t-test see the same outcomes. With `unequal`, the fold effects of
one finalist are larger.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks.finalists import FOLDS_A_REPEAT, SAMPLES, simulated
from benchmarks.timing import at_least_one
from sweeps.confirm.intervals import Estimate, Outcomes, corrected_t_difference, crossed_difference

FOLDS = (8, 12, 16, 20)
TRAIN_SIZE = 3600
Method = Callable[[Outcomes, int, int], Estimate]
METHODS: Mapping[str, Method] = {
    "crossed": crossed_difference,
    "corrected t": lambda o, first, second: corrected_t_difference(o, first, second, TRAIN_SIZE),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument("--draws", type=at_least_one, default=1000, help="(default 1000)")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Simulate every number of folds."""
    rows = [row for folds in FOLDS for row in measure(folds, options.draws)]
    return {"draws": options.draws, "samples": SAMPLES, "folds": FOLDS_A_REPEAT, "rows": rows}


def measure(folds: int, draws: int) -> list[dict[str, Any]]:
    """Return a row for each method, with shares of the draws."""
    counts = {
        name: dict.fromkeys(("false", "unequal", "covers", "two", "six"), 0) for name in METHODS
    }
    random = np.random.default_rng(folds)
    for _ in range(draws):
        equal, unequal = (simulated(random, 0, 2, folds, unequal=u) for u in (False, True))
        two, six = simulated(random, 1.0, 2, folds), simulated(random, 1.5, 6, folds)
        for name, method in METHODS.items():
            found = counts[name]
            found["false"] += _is_ahead(method, equal)
            found["unequal"] += _is_ahead(method, unequal)
            low, high = method(equal, 0, 1).interval().ends
            found["covers"] += low <= 0 <= high
            found["two"] += two.leader == 0 and _is_ahead(method, two)
            found["six"] += six.leader == 0 and _is_ahead(method, six)
    return [
        {"folds": folds, "method": name, **{key: count / draws for key, count in found.items()}}
        for name, found in counts.items()
    ]


def _is_ahead(method: Method, outcomes: Outcomes) -> bool:
    """Whether a method calls the leader better than every other, as `comparison.decide` does."""
    leader = outcomes.leader
    others = (number for number in range(outcomes.finalists) if number != leader)
    return all(method(outcomes, leader, o).interval().low > 0 for o in others)


def table(result: dict[str, Any]) -> str:
    """Return Markdown."""
    lines = [
        f"{result['draws']} draws each, {result['samples']} samples, {result['folds']} folds",
        "",
        "| folds | interval | equal, called different | the same, unequal folds | covers 0 "
        "| lead of 1 point seen, 2 finalists | lead of 1.5, 6 finalists |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        shares = (row[key] for key in ("false", "unequal", "covers", "two", "six"))
        cells = " | ".join(f"{100 * share:.1f} %" for share in shares)
        lines.append(f"| {row['folds']} | {row['method']} | {cells} |")
    return "\n".join(lines)
