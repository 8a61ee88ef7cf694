"""The comparison of searches that was registered before it was made: benchmarks/registered.md.

Its searches are those of `benchmarks.search`, and all of them; beside them stands the choice of
OptunaHub's AutoSampler. What was registered as an aim is tested, corrected for its number.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks import search
from benchmarks.markdown import interval, kept, markdown
from benchmarks.search import (
    GP,
    LAST,
    LEARNED,
    OURS,
    REFERENCE,
    SEARCHES,
    SEEDS,
    TPE,
    TPE_LEARNS,
    Name,
    compared,
    make_missing,
)

AUTO: Final = "what AutoSampler chooses"
SLOW: Final = (Name(GP, 1), Name(AUTO, 1))
SLOW_SEEDS: Final = 30
"""Of Optuna's Gaussian process, which takes its time."""
WORST: Final = 0.05
"""No table is to be worse by more."""
LEVEL: Final = 0.025
"""Of each one-sided test, after Holm's correction."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    search.add_common(parser)
    parser.add_argument("--slow-seeds", type=int, default=SLOW_SEEDS,
                        help="of Optuna's GPSampler, which needs PyTorch; 0: without it (default "
                        f"{SLOW_SEEDS})")  # fmt: skip


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Make the searches that the cache lacks, and compare all."""
    seeds = {name: min(options.seeds, options.slow_seeds) if name in SLOW else options.seeds
             for name in SEARCHES if name not in LAST}  # fmt: skip
    make_missing(options, seeds)
    if options.seeds == SEEDS:
        make_missing(options, last := dict.fromkeys(LAST, SEEDS))
        seeds |= last
    found = {name: search.regret_of(name, n, options) for name, n in seeds.items() if n}
    if Name(GP, 1) in found:
        by_task = zip(found[Name(GP, 1)], found[REFERENCE], strict=True)
        # OptunaHub's rule (its commit 257a04bc): TPE if a parameter is a choice or conditional.
        found[Name(AUTO, 1)] = np.stack([
            tpe[: len(gp)] if _has_choices(task, options.cache) else gp
            for task, (gp, tpe) in zip(options.tasks, by_task, strict=True)
        ])  # fmt: skip
    rows = [
        compared(found, name, against, family, at, options.tasks)
        for family, name, at in product(search.FAMILIES, found, search.AT)
        for against in compared_with(name)
        if name != against and against in found
        and set(search.FAMILIES[family]) & set(options.tasks)
    ]  # fmt: skip
    return {
        "tasks": list(options.tasks),
        "seeds": options.seeds,
        "slow_seeds": options.slow_seeds,
        "rows": rows,
        "aims": aims([row for row in rows if row["family"] == "all"]),
    }


def summarized(result: dict[str, Any]) -> dict[str, Any]:
    """Return what is published: single tables only where an aim is about them."""
    rows = [
        row
        if row["family"] == "all" and row["way"] == OURS and row["against"] == TPE
        else {key: value for key, value in row.items() if key != "by_task"}
        for row in result["rows"]
    ]
    return {**result, "rows": rows}


def compared_with(name: Name) -> list[Name]:
    """Return what a search is compared with; the first two are those of the aims."""
    found = [REFERENCE, Name(TPE, name.workers)]
    if name.way in (OURS, LEARNED):
        found += [Name(TPE_LEARNS, 1), Name(TPE_LEARNS, name.workers), Name(GP, 1), Name(AUTO, 1)]
    return list(dict.fromkeys(found))


def _has_choices(task: str, folder: Path) -> bool:
    return any(isinstance(axis, list) for axis in search.load(task, folder).axes.values())


def aims(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what was registered as an aim, with what became of it, the surest first."""
    judged = sorted(
        (row for row in rows if row["way"] == OURS and row["against"] == TPE),
        key=lambda row: row["p"],
    )
    found, corrected = [], 0.0
    for place, row in enumerate(judged):
        corrected = max(corrected, min(1.0, row["p"] * (len(judged) - place)))
        found.append(
            {key: row[key] for key in ("workers", "its_workers", "trials", "difference", "upper")}
            | {"p": row["p"], "corrected": corrected, "is_kept": corrected <= LEVEL}
            | {"worst": row["worst"], "no_table_worse": row["worst"]["difference"] <= WORST}
        )
    return found


def table(result: dict[str, Any], part: str = "all") -> str:
    """Return Markdown.

    Args:
        result: From `run`.
        part: `aims`: what was registered as an aim; `all`: every search on all tables, against
            Optuna's TPE with one worker; `two`: those with two workers at most.
    """
    if part == "aims":
        return _aims(result["aims"])
    few = (row for row in result["rows"] if part == "all" or row["workers"] <= 2)
    return _searches(few)


def _searches(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return a line a search: how its regret differs after fewer and after more trials."""
    found: dict[tuple[str, int], list[str]] = {}
    for row in rows:
        if (row["family"], row["against"], row["its_workers"]) == ("all", *REFERENCE):
            found.setdefault((row["way"], row["workers"]), []).append(interval(row, 3))
    heads = ["search", "workers", *(f"after {at} trials" for at in search.AT)]
    return markdown(heads, ([*name, *cells] for name, cells in found.items()))


def _aims(rows: Sequence[Mapping[str, Any]]) -> str:
    heads = ["workers", "against TPE with", "trials", "difference", "its upper limit",
             "p, corrected", "aim", "worst table", "aim"]  # fmt: skip
    return markdown(
        heads,
        (
            [row["workers"], f"{row['its_workers']} worker{'s' * (row['its_workers'] > 1)}",
             row["trials"], f"{row['difference']:+.4f}", f"{row['upper']:+.4f}",
             f"{row['corrected']:.4f}", kept(row["is_kept"]),
             f"{row['worst']['task']} {row['worst']['difference']:+.3f}",
             kept(row["no_table_worse"])]
            for row in rows
        ),
    )  # fmt: skip
