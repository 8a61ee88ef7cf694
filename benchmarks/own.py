"""Seconds a trial of one's own Keras model takes: by our engines, and by `model.fit`.

Four models (`benchmarks/own_models.py`), each with the same configurations in every way:

- `auto`: `sweeps run`, the engine that it takes by itself;
- `epochs`: `sweeps run` with `engine: keras`, all steps of an epoch in one call;
- `fit`: plain `model.fit` in a loop, nothing logged.

One worker with one thread each. A trial's time is that of its attempt, from its start to its end,
traces and judging included, start of TensorFlow not; of `fit`, building, training and predicting.
The ways take turns.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.markdown import kept, markdown
from benchmarks.options import names_option, whole_numbers
from benchmarks.own_models import EXPERIMENTS, MODELS
from benchmarks.process_tree import records_of, run_part, run_sweeps

WAYS = ("auto", "epochs", "fit")
ENGINES = {"dense": "compiled", "table": "compiled", "mixed": "graph", "image": "graph"}
FLOORS = {"dense": 2.3, "table": 2.3, "mixed": 1.8, "image": 1.0}
"""Lowest allowed ratio of `epochs` to `auto`."""
TO_FIT = {"dense": 30.0, "table": 40.0, "mixed": 0.97, "image": 0.97}
"""Lowest allowed ratio of `fit` to `auto`."""
MOST_SECONDS = 120
"""Time a trial, start included, after which a way is stopped."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    whole_numbers(parser, trials=(20, "of each"), epochs=(20, "at most"))
    names_option(parser, "only", MODELS)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Train every configuration in every way."""
    found: dict[str, dict[str, list[float]]] = {}
    for model in options.only:
        configurations = _configurations(options.trials)
        found[model] = {way: _timed(way, model, configurations, options.epochs) for way in WAYS}
    return {
        "trials": options.trials,
        "epochs": options.epochs,
        "seconds": found,
    }


def _configurations(count: int) -> list[dict[str, Any]]:
    generator = np.random.default_rng(1)
    return [
        {
            "units_1": int(generator.integers(16, 129)),
            "units_2": int(generator.integers(16, 129)),
            "learning_rate": float(10 ** generator.uniform(-3.5, -2)),
            "dropout": float(generator.uniform(0.05, 0.5)),
            "l2": float(10 ** generator.uniform(-6, -3)),
            "batch_size": int(generator.choice([16, 32, 64, 128])),
        }
        for _ in range(count)
    ]


def _timed(way: str, model: str, configurations: list[dict[str, Any]], epochs: int) -> list[float]:
    with tempfile.TemporaryDirectory() as folder:
        if way != "fit":
            return _swept(way, model, configurations, epochs, Path(folder))
        seconds: list[float] = run_part(
            "benchmarks.recipes.own_fit", Path(folder), MOST_SECONDS * len(configurations),
            model=model, configurations=configurations, epochs=epochs,
        )  # fmt: skip
        return seconds


def _swept(
    way: str, model: str, configurations: list[dict[str, Any]], epochs: int, folder: Path
) -> list[float]:
    name = "best_val_loss" if model == "table" else "best_val_accuracy"
    goal = "minimize" if model == "table" else "maximize"
    choices = {key: sorted({c[key] for c in configurations}) for key in configurations[0]}
    fixed = {"epochs": epochs, "early_stopping_patience_epochs": 5, "plateau_patience_epochs": 3}
    space = {
        "description": f"{model} by {way}",
        "experiment": f"benchmarks.own_models:{EXPERIMENTS[model]}",
        "objective": {"metric": name, "direction": goal},
        "parameters": {
            key: {"type": "categorical", "choices": values} for key, values in choices.items()
        },
        "fixed": fixed | ({"engine": "keras"} if way == "epochs" else {}),
        "baselines": {f"c{number}": each for number, each in enumerate(configurations)},
        "defaults": {"trials": len(configurations), "pruner": "none"},
    }
    (folder / "space.yaml").write_text(yaml.safe_dump(space), "utf-8")
    run_sweeps("run", "space.yaml", "--name", "own", "--workers", "1", "--no-confirm", "--quiet",
               folder=folder, timeout_seconds=MOST_SECONDS * len(configurations))  # fmt: skip
    records = records_of(folder / "home", "own")
    engines = {record.result.engine for record in records if record.result}
    if engines != {"keras" if way == "epochs" else ENGINES[model]}:
        raise RuntimeError(f"own: {model} by {way} was trained by {', '.join(sorted(engines))}")
    return [(record.finished_at - record.started_at) / 1000 for record in records]


def table(result: dict[str, Any]) -> str:
    """Return seconds and ratios of each model, and whether they keep their floors."""
    rows = []
    for model, seconds in result["seconds"].items():
        total = {way: sum(values) for way, values in seconds.items()}
        median = [f"{statistics.median(seconds[way]):.2f}" for way in WAYS]
        to_epochs, to_fit = total["epochs"] / total["auto"], total["fit"] / total["auto"]
        is_kept = to_epochs >= FLOORS[model] and to_fit >= TO_FIT[model]
        rows.append([model, ENGINES[model], *median, f"{to_epochs:.1f}", f"{to_fit:.1f}",
                     f"{TO_FIT[model]:g}: {kept(is_kept)}"])  # fmt: skip
    heads = ["model", "auto takes", *(f"{way} s" for way in WAYS), "epochs / auto", "fit / auto",
             "floor"]  # fmt: skip
    said = f"{result['trials']} trials of at most {result['epochs']} epochs"
    return "\n\n".join([said, markdown(heads, rows),
                        "Seconds are medians, ratios those of the sums."])  # fmt: skip
