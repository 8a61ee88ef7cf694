"""Seconds a trial takes: ours with everything logged against its peers, same digits and space.

Each recipe is a command in a folder of its own (`benchmarks/recipes/`):

- `ours`: `sweeps run`, everything logged, its default number of workers;
- `expert`: the fastest plain Keras known here, a process per core, one `log_batch` a trial;
- `usual`: Optuna, `model.fit`, per-epoch MLflow metrics, scikit-learn and matplotlib plots;
- `tuner`: Keras Tuner, nothing logged;
- `usual-2`, `tuner-2`: the same in two processes, by the means of their documentation.

With `random`, all but the tuners try the same configurations, trial by trial. With `tpe` each
recipe's own sampler chooses (Keras Tuner's Gaussian process), so the nets differ as well. The
recipes take turns, so that a slow moment of the machine hits them all. A trial is finished when it
is trained and logged as far as its recipe logs. CPU time and peak memory are those of all processes
of the recipe; shared pages count once.

Two times are told. `whole` is the time from the start of the command to the last finished trial,
divided by the trials: it has the start, and all that comes before the first trial. `steady` leaves
out the first quarter of the trials, and at least two a process: the time from the last trial left
out to the last trial, divided by the trials in between.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.machine import need
from benchmarks.markdown import markdown
from benchmarks.options import names_option, whole_numbers
from benchmarks.process_tree import run_tree
from benchmarks.recipes import ours
from benchmarks.recipes.command import DIGITS, SAMPLERS, TRIALS, Search

SPACE = Path(__file__).parent / "recipes" / "digits.yaml"
CORES = len(os.sched_getaffinity(0))
RECIPES = {"ours": CORES, "expert": CORES, "usual": 1, "usual-2": 2, "tuner": 1, "tuner-2": 2}
"""How many processes of a recipe train side by side."""
NAMES = {
    "ours": "`sweeps run`: everything logged",
    "expert": "an expert's script: resident data, an epoch a call, a process per core",
    "usual": "Optuna, `model.fit`, MLflow each epoch, two plots",
    "usual-2": "Optuna as usual (`model.fit`, MLflow each epoch, two plots), two processes",
    "tuner": "Keras Tuner, nothing logged",
    "tuner-2": "Keras Tuner, nothing logged, a chief and two tuners",
}
KINDS = ("steady", "whole")
SECONDS_PER_TRIAL = 120
"""Time a trial, start included, after which a recipe is stopped."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    whole_numbers(parser, trials=(80, "of each recipe"), repeats=(3, "rounds of all recipes"),
                  epochs=(40, "at most"))  # fmt: skip
    names_option(parser, "only", RECIPES)
    names_option(parser, "samplers", SAMPLERS)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Run every recipe with every sampler, round by round."""
    if {"tuner", "tuner-2"} & set(options.only):
        need("keras_tuner", "bench", "or leave it out with --only ours expert usual")
    found: dict[str, dict[str, list[dict[str, Any]]]] = {
        sampler: {name: [] for name in options.only} for sampler in options.samplers
    }
    with tempfile.TemporaryDirectory(prefix="throughput-") as folder:
        data = save_digits(Path(folder))
        for repeat in range(options.repeats):
            for sampler, runs in found.items():
                for name in options.only:
                    processes = RECIPES[name]
                    asked = Search(options.trials, options.epochs, repeat, data, sampler, processes)
                    place = Path(folder) / f"{sampler}-{name}-{repeat}"
                    runs[name].append(run_recipe(name, asked, place))
                    told = _line(runs[name][-1])
                    print(f"round {repeat + 1}, {sampler}, {name}: {told}", file=sys.stderr)
    settings = {"trials": options.trials, "repeats": options.repeats, "epochs": options.epochs}
    samplers = {name: {"runs": runs, "ratios": ratios(runs)} for name, runs in found.items()}
    return {**settings, "samplers": samplers}


def summarized(result: dict[str, Any]) -> dict[str, Any]:
    """Return what is published: every run without its single trials."""
    samplers = {
        sampler: {
            **found,
            "runs": {
                name: [{key: run[key] for key in run if key != "rows"} for run in runs]
                for name, runs in found["runs"].items()
            },
        }
        for sampler, found in result["samplers"].items()
    }
    return {**result, "samplers": samplers}


def run_recipe(name: str, search: Search, folder: Path) -> dict[str, Any]:
    """Run one recipe in a new folder; return its time, memory and quality."""
    folder.mkdir()
    used = run_tree(_command(name, search), folder=folder,
                    timeout_seconds=SECONDS_PER_TRIAL * (search.trials + 2))  # fmt: skip
    if name == "ours":
        run_tree([sys.executable, "-m", ours.__name__], folder=folder, timeout_seconds=120)
    rows = [json.loads(line) for line in (folder / TRIALS).read_text().splitlines()]
    return {**asdict(used), **summary(rows, search.processes, used.started_at), "rows": rows}


def summary(rows: list[dict[str, Any]], processes: int, started_at: float) -> dict[str, Any]:
    """Return steady state, cold start and quality of one run.

    Args:
        rows: One row a trial: `finished` (seconds since the epoch), `epochs`, `accuracy`.
        processes: Number of processes that train side by side.
        started_at: When the command was started, seconds since the epoch.
    """
    finished = sorted(row["finished"] for row in rows)
    left_out = max(-(-len(rows) // 4), 2 * processes)
    steady = len(rows) - left_out
    seconds = (finished[-1] - finished[left_out - 1]) / steady if steady > 0 else None
    return {
        "trials": len(rows),
        "whole": (finished[-1] - started_at) / len(rows),
        "steady": seconds,
        "steady_trials": max(steady, 0),
        "cold_start_seconds": finished[0] - started_at,
        "epochs_per_trial": statistics.mean(row["epochs"] for row in rows),
        "best_val_accuracy": max(row["accuracy"] for row in rows),
    }


def ratios(runs: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, dict[str, float]]]:
    """Return the ratio of a peer's time a trial to ours over the rounds, steady and whole."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name, kind in product(runs, KINDS):
        pairs = list(zip(runs[name], runs.get("ours", []), strict=False))
        known = all(peer[kind] and our[kind] for peer, our in pairs)
        if name != "ours" and pairs and known:
            values = [peer[kind] / our[kind] for peer, our in pairs]
            found.setdefault(name, {})[kind] = {
                "min": min(values),
                "median": statistics.median(values),
                "max": max(values),
            }
    return found


def table(result: dict[str, Any]) -> str:
    """Return the table of each sampler."""
    heading = (
        f"{result['repeats']} rounds, {result['trials']} trials of up to {result['epochs']} "
        "epochs; medians, and the smallest ratio of theirs to ours"
    )
    return "\n\n".join([heading, *(page_table(result, sampler) for sampler in result["samplers"])])


def page_table(result: dict[str, Any], sampler: str) -> str:
    """Return a line a recipe: time a trial, ratios, first trial, CPU, memory, epochs, best."""
    if (found := result["samplers"].get(sampler)) is None:
        return f"`{sampler}` was left out of this measurement."
    heads = [sampler, "s a trial, steady", "with the start", "ours is faster by, steady",
             "with the start", "first trial after, s", "CPU s a trial", "peak MB", "epochs",
             "best"]  # fmt: skip
    rows = []
    for name, runs in found["runs"].items():
        own = found["ratios"].get(name, {})
        least = [f"{own[kind]['min']:.1f} times" if kind in own else "" for kind in KINDS]
        cpu = statistics.median(run["cpu_seconds"] / run["trials"] for run in runs)
        memory = statistics.median(run["peak_bytes"] for run in runs) / 1e6
        cells = [NAMES[name], *(_median(runs, kind, ".2f") for kind in KINDS), *least]
        cells += [_median(runs, "cold_start_seconds", ".1f"), f"{cpu:.2f}", f"{memory:.0f}"]
        rows.append([*cells, _median(runs, "epochs_per_trial", ".1f"),
                     _median(runs, "best_val_accuracy", ".4f")])  # fmt: skip
    return markdown(heads, rows)


def save_digits(folder: Path) -> str:
    """Save the arrays that our trials train on, for the peers; return the file."""
    import numpy as np

    from sweeps.config.sweep import SPLIT_SEED
    from sweeps.experiments.loading import load_experiment

    experiment = load_experiment("digitexp.experiment:experiment", None)
    payload = experiment.prepare(None, SPLIT_SEED).payload
    path = folder / "digits.npz"
    np.savez(path, **{name: getattr(payload.arrays, name) for name in DIGITS})
    return str(path)


def _command(name: str, search: Search) -> list[str]:
    if name != "ours":
        module = f"benchmarks.recipes.{name.partition('-')[0]}"
        return [sys.executable, "-m", module, json.dumps(asdict(search))]
    space, words = str(SPACE), ["--sampler", search.sampler]
    if search.space != "digits":
        space, words = search.space, ["--no-confirm"]  # else as it ships
    elif search.sampler == "random":
        words = ["--sampler", "benchmarks.recipes.search.NumberedRandom"]
        words += ["--sampler-option", f"search_seed={search.seed}"]
    return [
        *(sys.executable, "-m", "sweeps", "run", space, "--name", ours.SWEEP),
        *("--home", ours.HOME, "--trials", str(search.trials), "--seed", str(search.seed)),
        *("--set", f"epochs={search.epochs}", "--quiet", "--strict", *words),
    ]


def _line(run: dict[str, Any]) -> str:
    steady = "no steady state" if run["steady"] is None else f"{run['steady']:.2f} s/trial"
    return f"{steady}, {run['whole']:.2f} with the start, best {run['best_val_accuracy']:.4f}"


def _median(runs: list[dict[str, Any]], key: str, form: str) -> str:
    values = [run[key] for run in runs]
    return "" if None in values else f"{statistics.median(values):{form}}"
