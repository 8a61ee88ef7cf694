"""Seconds until a search has chosen a good net: ours as it ships against its peers, on `mlp`.

A trial's seconds do not say how soon a good configuration is found. Here every recipe of
`throughput` searches the space `mlp` with its own sampler, round by round, on the same cores. What
it would choose after each trial (ours by cross-entropy, as `mlp` does, the others by validation
accuracy) is trained again on fresh folds, the same for all. A configuration is good if its accuracy
there is within `NEAR` points of the best that was found by any recipe in any round. A recipe has
arrived when what it chooses is good and stays so.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.markdown import markdown
from benchmarks.options import names_option, whole_numbers
from benchmarks.recipes.command import Search
from benchmarks.tables import digits20
from benchmarks.throughput import CORES, NAMES, run_recipe, save_digits
from search_spaces.parameters import Value
from sweeps.config.sweep import SPLIT_SEED
from sweeps.experiment import TrialSpec
from sweeps.experiments.loading import load_experiment

TRIALS: Final = {"ours": 100, "expert": 80, "usual-2": 40, "tuner-2": 40}
ASKED: Final = {"usual-2": 25, "expert": 9, "tuner-2": 20}
"""How many times sooner ours is to arrive."""
NEAR: Final = 0.5
NAMED: Final = NAMES | {
    "usual-2": "Optuna, `model.fit`, MLflow each epoch, two plots, in two processes",
    "tuner-2": "Keras Tuner, nothing logged, a chief and two tuners",
}
"""What recipes are called in a table that lacks the one before."""
MOMENTS: Final = (15, 30, 60, 120, 240)
"""Seconds after which the table says what is chosen."""
MOST_UNITS: Final = 128
FOLDS: Final = range(8)
EPOCHS: Final = 40


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    whole_numbers(parser, repeats=(3, "rounds"))
    names_option(parser, "only", TRIALS)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Run every recipe, round by round, and judge what each would have chosen."""
    rounds: list[dict[str, dict[str, Any]]] = []
    with tempfile.TemporaryDirectory(prefix="quality-") as folder:
        data = save_digits(Path(folder))
        for repeat in range(options.repeats):
            rounds.append({})
            for name in options.only:
                asked = Search(TRIALS[name], EPOCHS, repeat, data, "tpe", CORES, "mlp")
                found = run_recipe(name, asked, Path(folder) / f"{name}-{repeat}")
                rounds[-1][name] = {**found, "choices": choices(found["rows"], found["started_at"])}
                print(f"round {repeat + 1}, {name}", file=sys.stderr, flush=True)
    unique = {key_of(one["params"]): one["params"] for runs in rounds for run in runs.values()
              for one in run["choices"]}  # fmt: skip
    worth = dict(zip(unique, judged(unique.values()), strict=True))
    best = max(worth.values())
    for runs in rounds:
        for found in runs.values():
            for one in found["choices"]:
                one["fresh"] = worth[key_of(one["params"])]
            found["arrived"] = arrived(found["choices"], best - NEAR / 100)
            found["lasted"] = max(row["finished"] for row in found["rows"]) - found["started_at"]
    return {"best": best, "judged": len(worth), "folds": len(FOLDS), "repeats": options.repeats,
            "rows": [summed_up(name, rounds) for name in options.only],
            "rounds": [{name: {key: found[key] for key in ("choices", "arrived", "lasted")}
                        for name, found in runs.items()} for runs in rounds]}  # fmt: skip


def choices(rows: Sequence[Mapping[str, Any]], started_at: float) -> list[dict[str, Any]]:
    """Return each configuration that a recipe has chosen, with the seconds after which."""
    best, found = -np.inf, []
    for row in sorted(rows, key=lambda row: row["finished"]):
        if row["value"] > best:
            best = row["value"]
            found.append({"seconds": row["finished"] - started_at, "params": active(row["params"])})
    return found


def active(params: Mapping[str, Value]) -> dict[str, Value]:
    """Return a configuration of the space: Keras Tuner notes layers that a net has not as well.

    Its whole numbers on a log scale go one beyond their range: 129 units count as 128.
    """
    layers = int(str(params["hidden_layers"]))
    kept = {f"units_{number}" for number in range(1, layers + 1)}
    point = {
        k: min(v, MOST_UNITS) if k in kept and isinstance(v, int) else v
        for k, v in params.items()
        if not k.startswith("units_") or k in kept
    }
    return digits20.space().canonical(
        {k: v for k, v in point.items() if not k.startswith("tuner/")}
    )


def arrived(choices: Sequence[Mapping[str, Any]], good: float) -> float | None:
    """Return after how many seconds a recipe chooses a good one and stays with good ones."""
    seconds = None
    for one in choices:
        if one["fresh"] < good:
            seconds = None
        elif seconds is None:
            seconds = float(one["seconds"])
    return seconds


def key_of(params: Mapping[str, Value]) -> str:
    """Return a configuration as text."""
    return json.dumps(params, sort_keys=True)


def judged(configurations: Iterable[dict[str, Value]], folds: range = FOLDS) -> list[float]:
    """Return the accuracy on fresh folds of each configuration."""
    with get_context("spawn").Pool(CORES) as pool:
        return pool.starmap(_judge, ((params, folds) for params in configurations), chunksize=1)


def _judge(params: dict[str, Value], folds: range) -> float:
    experiment, data = _experiment()
    right = []
    for fold in folds:
        config = {**digits20.space().configuration(params), "block": fold}
        spec = TrialSpec("quality", 0, 1, 0, config)  # folds bring their own seeds
        result = experiment.train(spec, data, lambda epoch, values: None)
        right.append(result.arrays["best_val_accuracy_by_sample"] != 0)
    return float(np.concatenate(right).mean())


@cache
def _experiment() -> Any:
    experiment = load_experiment("digitexp.experiment:experiment@folds", None)
    return experiment, experiment.prepare(None, SPLIT_SEED)


def summed_up(name: str, rounds: Sequence[Mapping[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """Return the seconds of a recipe, and how many times as many as ours, over the rounds.

    A recipe that has not arrived counts with the seconds that it lasted, so that its ratio is at
    least the one that is told.
    """
    seconds = [runs[name]["arrived"] or runs[name]["lasted"] for runs in rounds]
    missed = sum(runs[name]["arrived"] is None for runs in rounds)
    row = {"recipe": name, "seconds": seconds, "median": statistics.median(seconds),
           "missed": missed, "asked": ASKED.get(name),
           "last": [runs[name]["choices"][-1]["fresh"] for runs in rounds],
           "at": {moment: mean_at(rounds, name, moment) for moment in MOMENTS}}  # fmt: skip
    if name != "ours" and "ours" in rounds[0]:
        own = [runs["ours"]["arrived"] or runs["ours"]["lasted"] for runs in rounds]
        ratios = [theirs / ours for theirs, ours in zip(seconds, own, strict=True)]
        row |= {"ratios": ratios, "ratio": statistics.median(ratios)}
    return row


def mean_at(
    rounds: Sequence[Mapping[str, Mapping[str, Any]]], name: str, seconds: float
) -> float | None:
    """Return the fresh accuracy of what a recipe chooses after so many seconds, a mean of rounds.

    None if it has nothing to choose from in one of them, or has ended before.
    """
    if any(runs[name]["lasted"] < seconds for runs in rounds):
        return None
    found = [
        next((one["fresh"] for one in reversed(runs[name]["choices"]) if one["seconds"] <= seconds),
             None)
        for runs in rounds
    ]  # fmt: skip
    known = [one for one in found if one is not None]
    return statistics.mean(known) if len(known) == len(found) else None


def table(result: dict[str, Any]) -> str:
    """Return Markdown: a line a recipe."""
    said = (
        f"{result['repeats']} rounds; the best of {result['judged']} configurations that were "
        f"chosen at any time has {100 * result['best']:.2f} % on {result['folds']} fresh folds"
    )
    heads = [
        "recipe", "seconds until it chooses a good one, each round", "did not arrive",
        "ours is sooner by (median)", "asked", "what it chose in the end, fresh %",
    ]  # fmt: skip
    rows = (
        [NAMED[row["recipe"]], ", ".join(f"{one:.0f}" for one in row["seconds"]), row["missed"],
         f"{row['ratio']:.1f} times" if "ratio" in row else "",
         "" if row["asked"] is None else f"{row['asked']} times",
         ", ".join(f"{100 * one:.2f}" for one in row["last"])]
        for row in result["rows"]
    )  # fmt: skip
    moments = markdown(
        ["chosen, fresh %, mean of the rounds", *(f"after {moment} s" for moment in MOMENTS)],
        ([NAMED[row["recipe"]],
          *("" if one is None else f"{100 * one:.2f}" for one in row["at"].values())]
         for row in result["rows"]),
    )  # fmt: skip
    return "\n\n".join([said, markdown(heads, rows), moments])
