"""Seconds a trial takes: ours with everything logged against three peers, same digits and space.

There are four recipes, each a command in a folder of its own (`benchmarks/recipes/`):

- `ours`: `sweeps run`, everything logged, its default number of workers;
- `usual`: Optuna, `model.fit`, per-epoch MLflow metrics, scikit-learn and matplotlib plots;
- `expert`: a process per core, one thread each, whole epochs per call, one `log_batch` a trial;
- `tuner`: Keras Tuner's RandomSearch, nothing logged.

All but `tuner` try the same configurations, trial by trial. The recipes take turns, so that a slow
moment of the machine hits them all. A trial is finished when it is trained and logged as far as its
recipe logs. Cold start is the time from the start of the command to its first finished trial.
CPU time and peak memory are those of all processes of the recipe; shared pages count once.

Steady state leaves out the first quarter of the trials, and at least two a process. Seconds per
trial are the time from the last trial left out to the last trial, divided by the trials in between.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.process_tree import plain_environment, run_tree
from benchmarks.recipes import ours
from benchmarks.recipes.command import DIGITS, TRIALS, Search
from benchmarks.timing import at_least_one

SPACE = Path(__file__).parent / "recipes" / "digits.yaml"
RECIPES = ("ours", "usual", "expert", "tuner")
FLOORS = {"usual": 14, "expert": 5, "tuner": 12}
"""Lowest allowed ratio of a peer's time to ours."""
SECONDS_PER_TRIAL = 120
"""Time a trial, start included, after which a recipe is stopped."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument(
        "--trials", type=at_least_one, default=40, help="trials of ours (default 40)"
    )
    parser.add_argument(
        "--peer-trials",
        type=at_least_one,
        help="trials of each peer (default: as ours); fewer are the first of the same",
    )
    parser.add_argument(
        "--repeats", type=at_least_one, default=3, help="rounds of all recipes (default 3)"
    )
    parser.add_argument("--epochs", type=at_least_one, default=40, help="most epochs (default 40)")
    parser.add_argument("--only", nargs="+", choices=RECIPES, default=RECIPES, metavar="NAME",
                        help=f"of {', '.join(RECIPES)} (default all)")  # fmt: skip


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Run every recipe, round by round."""
    if "tuner" in options.only and find_spec("keras_tuner") is None:
        raise RuntimeError(
            "throughput: keras-tuner is not installed: pip install -e '.[bench]' -c "
            "constraints.txt, or leave it out with --only ours usual expert"
        )
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in options.only}
    with tempfile.TemporaryDirectory(prefix="throughput-") as folder:
        data = save_digits(Path(folder))
        for repeat in range(options.repeats):
            for name in options.only:
                trials = options.trials if name == "ours" else options.peer_trials or options.trials
                search = Search(trials, options.epochs, repeat, data)
                runs[name].append(run_recipe(name, search, Path(folder) / f"{name}-{repeat}"))
                print(f"round {repeat + 1}, {name}: {_line(runs[name][-1])}", file=sys.stderr)
    settings = {"trials": options.trials, "repeats": options.repeats, "epochs": options.epochs}
    return {**settings, "runs": runs, "ratios": ratios(runs)}


def run_recipe(name: str, search: Search, folder: Path) -> dict[str, Any]:
    """Run one recipe in a new folder; return its time, memory and quality."""
    folder.mkdir()
    used = run_tree(
        _command(name, search),
        folder=folder,
        environment=plain_environment(),
        timeout_seconds=SECONDS_PER_TRIAL * (search.trials + 2),
    )
    if name == "ours":
        run_tree(
            [sys.executable, "-m", ours.__name__],
            folder=folder,
            environment=plain_environment(),
            timeout_seconds=120,
        )
    rows = [json.loads(line) for line in (folder / TRIALS).read_text().splitlines()]
    processes = len(os.sched_getaffinity(0)) if name in {"ours", "expert"} else 1
    return {**asdict(used), **summary(rows, processes, used.started_at), "rows": rows}


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
        "steady_seconds_per_trial": seconds,
        "steady_trials": max(steady, 0),
        "cold_start_seconds": finished[0] - started_at,
        "epochs_per_trial": statistics.mean(row["epochs"] for row in rows),
        "best_val_accuracy": max(row["accuracy"] for row in rows),
    }


def ratios(runs: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, float]]:
    """Return the ratio of a peer's time a trial to ours, over the rounds."""
    own = [run["steady_seconds_per_trial"] for run in runs.get("ours", [])]
    found = {}
    for name, measured in runs.items():
        theirs = [run["steady_seconds_per_trial"] for run in measured]
        if name == "ours" or not own or None in own or None in theirs:
            continue
        values = [peer / our for peer, our in zip(theirs, own, strict=True)]
        found[name] = {
            "min": min(values),
            "median": statistics.median(values),
            "max": max(values),
        }
    return found


def table(result: dict[str, Any]) -> str:
    """Return the medians of each recipe, and the ratios with their floors."""
    lines = [
        f"{result['repeats']} rounds, {result['trials']} trials of up to {result['epochs']} epochs"
        " (peers may run fewer), medians of the rounds",
        "",
        "| recipe | trials | s/trial | cold s | wall s | CPU s/trial | peak MB | epochs | best   |",
        "|--------|-------:|--------:|-------:|-------:|------------:|--------:|-------:|-------:|",
    ]
    for name, runs in result["runs"].items():
        lines.append(f"| {name:6} | {_cells(runs)} |")
    lines += ["", "theirs / ours, steady state: min, median, max over the rounds (floor)"]
    for name, ratio in result["ratios"].items():
        verdict = "kept" if ratio["min"] >= FLOORS[name] else "missed"
        lines.append(
            f"{name:6} {ratio['min']:6.1f} {ratio['median']:6.1f} {ratio['max']:6.1f}"
            f"  ({FLOORS[name]}: {verdict})"
        )
    return "\n".join([*lines, "", readme_line(result)])


def readme_line(result: dict[str, Any]) -> str:
    """Return the sentence for the README; it leads with the smallest ratio measured."""
    if not result["ratios"]:
        return "no ratio: it takes ours, a peer, and more trials than the start leaves out"
    names = {
        "usual": "Optuna with `model.fit` and MLflow",
        "expert": "the same by an expert, a process per core",
        "tuner": "Keras Tuner, which logs nothing",
    }
    lowest = sorted((ratio["min"], name) for name, ratio in result["ratios"].items())
    parts = [f"{ratio:.1f} times faster than {names[name]}" for ratio, name in lowest]
    return "In the worst of the rounds, a trial is " + "; ".join(parts) + "."


def save_digits(folder: Path) -> Path:
    """Save the arrays that our trials train on, for the peers."""
    import numpy as np

    from sweeps.config.sweep import SPLIT_SEED
    from sweeps.experiments.loading import load_experiment

    experiment = load_experiment("digitexp.experiment:experiment", None)
    payload = experiment.prepare(None, SPLIT_SEED).payload
    path = folder / "digits.npz"
    np.savez(path, **{name: getattr(payload, name) for name in DIGITS})
    return path


def _command(name: str, search: Search) -> list[str]:
    if name != "ours":
        return [sys.executable, "-m", f"benchmarks.recipes.{name}", *search.arguments()]
    sampler = ["--sampler", "benchmarks.recipes.search.NumberedRandom"]
    return [
        *(sys.executable, "-m", "sweeps", "run", str(SPACE), "--name", ours.SWEEP),
        *("--home", ours.HOME, "--trials", str(search.trials), "--seed", str(search.seed)),
        *("--set", f"epochs={search.epochs}", "--quiet", "--strict"),
        *(*sampler, "--sampler-option", f"search_seed={search.seed}"),
    ]


def _line(run: dict[str, Any]) -> str:
    seconds = run["steady_seconds_per_trial"]
    steady = "no steady state" if seconds is None else f"{seconds:.2f} s/trial"
    return f"{steady}, {run['wall_seconds']:.0f} s in all, best {run['best_val_accuracy']:.4f}"


def _cells(runs: list[dict[str, Any]]) -> str:
    def median(key: str) -> float:
        return statistics.median(float(run[key]) for run in runs)

    steady = [run["steady_seconds_per_trial"] for run in runs]
    seconds = "-" if None in steady else f"{statistics.median(steady):.2f}"
    cpu = statistics.median(run["cpu_seconds"] / run["trials"] for run in runs)
    return (
        f"{median('trials'):6.0f} | {seconds:>7} | {median('cold_start_seconds'):6.1f} "
        f"| {median('wall_seconds'):6.1f} | {cpu:11.2f} | {median('peak_bytes') / 1e6:7.0f} "
        f"| {median('epochs_per_trial'):6.1f} | {median('best_val_accuracy'):.4f}"
    )
