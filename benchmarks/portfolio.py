"""Portfolio of points of a shipped space, learned on data sets that are not digits20.

Trains the same random configurations on each data set of `benchmarks.tables.others`, with the
engine that ships, and chooses greedily those of which one is likely to be good on the next data
set (`sweeps.study.portfolio`). The check leaves each data set out in turn: a portfolio of the
others is tried on it, against the same number of random configurations. Regret is 0 for the best
configuration of a data set and 1 for the median one. Then the portfolio of `mlp` is judged on
digits20, from which it learned nothing: by the published table of 3000 configurations.

`--write` makes it the portfolio that ships with the space (`--learn-from shipped`).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.markdown import markdown
from benchmarks.options import cache_folder, whole_numbers
from benchmarks.tables import digits20, files, others
from sweeps.config.learning import SHIPPED
from sweeps.config.sweep import SPLIT_SEED
from sweeps.experiment import PreparedData, TrialSpec
from sweeps.experiments.loading import load_experiment
from sweeps.study.portfolio import greedy, regrets_of
from sweeps.study.proposals import training_seed

CACHE = Path("build") / "portfolio"
ROWS = 10
"""Configurations that are trained and kept together."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument(
        "--space", default=digits20.SPACE, help=f"that ships (default {digits20.SPACE})"
    )
    whole_numbers(
        parser, count=(100, "configurations a data set"),
        processes=(1, "that train side by side"),
    )  # fmt: skip
    parser.add_argument("--minutes", type=float, default=25.0,
                        help="begin no training after this time (default 25)")  # fmt: skip
    cache_folder(parser, CACHE)
    parser.add_argument("--write", action="store_true", help="ship the portfolio with the space")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Train what the cache lacks, choose, and check by leaving each data set out."""
    train_missing(options)
    values = read(options)
    names, space = list(others.DATA), digits20.space(options.space)
    (objective,) = space.objectives
    sign = 1 if objective.direction == "minimize" else -1
    regrets = np.transpose([regrets_of(sign * values[:, number]) for number in range(len(names))])
    tried_anyway = len(space.baselines)
    points = digits20.draw(len(values), options.space)
    chosen = chosen_among(regrets, tried_anyway)
    held_out = [left_out(regrets, number, tried_anyway) for number in range(len(names))]
    found = {
        "name": "portfolio" if options.space == digits20.SPACE else f"portfolio-{options.space}",
        "space": options.space,
        "metric": objective.metric,
        "data": [{"name": name, "digest": _data(options.cache, options.space, name).digest}
                 for name in names],
        "originals": [{"name": name, "digest": prepared(options.space, source).digest}
                      for name, source in others.ORIGINALS.items()],
        "configurations": len(values),
        "points": [
            {"params": points[row], "regrets": dict(zip(names, regrets[row].tolist(), strict=True)),
             "values": dict(zip(names, values[row].tolist(), strict=True))}
            for row in chosen
        ],
        "left_out": dict(zip(names, held_out, strict=True)),
        "mean": {key: float(np.mean([one[key] for one in held_out])) for key in held_out[0]},
    }  # fmt: skip
    if options.space == digits20.SPACE:
        found["digits20"] = on_digits20(chosen, tried_anyway)
    if options.write:
        found["written"] = write(found).name
    return found


def chosen_among(regrets: NDArray[np.float64], baselines: int) -> list[int]:
    """Return the rows of a portfolio; the first rows are baselines, which are tried anyway."""
    return [row + baselines for row in greedy(regrets[baselines:])]


def left_out(regrets: NDArray[np.float64], target: int, baselines: int) -> dict[str, float]:
    """Return the least regrets on one data set: with a portfolio of the others, and without."""
    chosen = chosen_among(np.delete(regrets, target, axis=1), baselines)
    return least_regrets(regrets[:, target], chosen, baselines)


def on_digits20(chosen: list[int], baselines: int) -> dict[str, float]:
    """Return the least regrets on digits20, whose table begins with the same configurations."""
    entropies = digits20.published("best_val_cross_entropy")
    own = regrets_of(entropies[:, : digits20.ON_THE_SPLIT].mean(axis=1))
    return {**least_regrets(own, chosen, baselines),
            "random_100": expected_least(own[baselines:], 100)}  # fmt: skip


def least_regrets(own: NDArray[np.float64], chosen: list[int], baselines: int) -> dict[str, float]:
    """Return the least regret of a portfolio, of its first point, and of others.

    Of as many `random` configurations, and of 25, it is the expected one, exactly. Baselines do not
    count among them.
    """
    return {
        "portfolio": float(own[chosen].min()),
        "first": float(own[chosen[0]]),
        "random": expected_least(own[baselines:], len(chosen)),
        "random_25": expected_least(own[baselines:], 25),
        "baselines": float(own[:baselines].min()),
        "points": len(chosen),
    }


def expected_least(values: NDArray[np.float64], drawn: int) -> float:
    """Return the expected least of `drawn` values without replacement."""
    ordered, count = np.sort(values), len(values)
    drawn = min(drawn, count)
    found, left = 0.0, 1.0
    for place, value in enumerate(ordered):
        chance = left * drawn / (count - place)
        found += chance * value
        left -= chance
        if left <= 0:
            break
    return float(found)


def train_missing(options: argparse.Namespace) -> None:
    """Train what is missing, round by round over the data sets."""
    end = time.monotonic() + 60 * options.minutes
    for name in others.DATA:
        others.written(options.cache, name)
    todo = [
        (options.cache, options.space, name, first, options.count, end)
        for first in range(0, options.count, ROWS)
        for name in others.DATA
        if not part(options.cache, options.space, name, first).exists()
    ]
    with get_context("spawn").Pool(options.processes, maxtasksperchild=5) as pool:
        for number, is_trained in enumerate(pool.imap_unordered(_train_part, todo), 1):
            if not is_trained:
                print(f"{options.minutes} minutes are over", file=sys.stderr)
                return
            print(f"{number} of {len(todo)} parts", file=sys.stderr, flush=True)


def _train_part(todo: tuple[Path, str, str, int, int, float]) -> bool:
    """Train some configurations on a data set, and keep what they reached; NaN if it diverged.

    Nothing is trained, and False returned, if the time is over.
    """
    cache, space, name, first, count, end = todo
    if time.monotonic() > end:
        return False
    own = digits20.space(space)
    experiment = load_experiment(own.experiment, None)
    points = digits20.draw(count, space)[first : first + ROWS]
    values = np.full(ROWS, np.nan)
    for offset, point in enumerate(points):
        row = first + offset
        spec = TrialSpec("portfolio", row, 1, training_seed(0, row), own.configuration(point))
        result = experiment.train(spec, _data(cache, space, name), lambda epoch, shown: None)
        values[offset] = result.metrics.get(own.objectives[0].metric, np.nan)
    files.save(part(cache, space, name, first), {"values": values})
    return True


def read(options: argparse.Namespace) -> NDArray[np.float64]:
    """Return (configurations, data sets) what was reached, of what all data sets have.

    Raises:
        RuntimeError: Nothing was trained on all of them.
    """
    rows: list[NDArray[np.float64]] = []
    for first in range(0, options.count, ROWS):
        paths = [part(options.cache, options.space, name, first) for name in others.DATA]
        if not all(path.exists() for path in paths):
            break
        values = [files.load(path)["values"] for path in paths]
        rows.append(np.transpose(values)[: options.count - first])
    if not rows:
        raise RuntimeError("portfolio: nothing is trained yet on all data sets; give more minutes")
    return np.concatenate(rows)


def part(cache: Path, space: str, name: str, first: int) -> Path:
    """Return the file of the configurations from `first` on."""
    return cache / "rows" / space / name / f"{first:05d}.npz"


@lru_cache(maxsize=1)
def _data(cache: Path, space: str, name: str) -> PreparedData:
    return prepared(space, str(others.written(cache, name)))


def prepared(space: str, source: str) -> PreparedData:
    """Return data as a sweep of a space has them."""
    return load_experiment(digits20.space(space).experiment, None).prepare(source, SPLIT_SEED)


def write(found: dict[str, Any]) -> Path:
    """Write the portfolio where `--learn-from shipped` finds it."""
    path = SHIPPED / f"{found['space']}.json"
    best = [min(one["regrets"], key=one["regrets"].get) for one in found["points"]]
    document = {
        "learned_from": [
            {"name": one["name"], "data": one["digest"], "trials": found["configurations"]}
            for one in found["data"]
        ]
        + [{"name": one["name"], "data": one["digest"]} for one in found["originals"]],
        "points": [
            {"source": f"{name} and others", "params": one["params"]}
            for name, one in zip(best, found["points"], strict=True)
        ],
    }
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return path


def table(result: dict[str, Any]) -> str:
    """Return Markdown: the regrets on each data set when a portfolio of the others is tried."""
    said = (
        f"{result['configurations']} configurations of {result['space']} on each data set; regret "
        "on the one that is left out, 0 = its best, 1 = its median"
    )
    rows = {
        **result["left_out"],
        "mean": result["mean"],
        **({"digits20, never used": result["digits20"]} if "digits20" in result else {}),
    }
    cells = (
        [name, f"{row['points']:g}",
         *(f"{row[key]:.3f}" for key in ("portfolio", "random", "random_25", "baselines"))]
        for name, row in rows.items()
    )  # fmt: skip
    heads = ["left out", "points", "best of the portfolio", "as many random", "25 random",
             "baselines"]  # fmt: skip
    return f"{said}\n\n{markdown(heads, cells, 'lr')}"
