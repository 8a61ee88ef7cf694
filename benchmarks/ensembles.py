"""An ensemble of a search's trials beside the best of them, on a test set that neither has seen.

Searches of random trials: the spaces `mlp` and `cnn` on the digits, whose test set has 5000 images,
and dense Keras models on two tables of scikit-learn, of which 797 and 5000 rows are held out. Of
each search `sweeps best --ensemble` selects members, weights and the best trial by the validation
samples that trials kept; both are scored on the test set. The lead has the crossed interval for new
searches and new samples. Each search is kept in the cache, so that it goes on if interrupted.
"""

from __future__ import annotations

import argparse
import hashlib
import inspect
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.markdown import markdown
from benchmarks.options import cache_folder, names_option, whole_numbers
from benchmarks.untouched import Values, digits8_rows, pixel_rows
from digitexp.experiments.keras_experiment import KerasExperiment
from sweeps.capabilities import PREDICTIONS
from sweeps.confirm import ensemble
from sweeps.confirm.comparison import MARGIN_SHARE
from sweeps.confirm.ensemble import select_ensemble
from sweeps.confirm.intervals import Outcomes, crossed_difference
from sweeps.workspace.files import write_atomically

TRIALS: Final = 25
LOWER: Final = 0.08
"""The share by which the error is to be lower, on average over the data."""
CACHE: Final = Path(__file__).parent / "results" / "ensembles"
Params = Mapping[str, Any]
Table = tuple[NDArray[np.float32], NDArray[np.int64]]


def _dense(inputs: int, classes: int, params: Params) -> Any:
    import keras

    layers = keras.layers
    model = keras.Sequential([layers.Input((inputs,)), layers.BatchNormalization()])
    for _ in range(params["hidden_layers"]):
        model.add(layers.Dense(params["units"], "relu"))
        model.add(layers.Dropout(params["dropout"]))
    model.add(layers.Dense(classes))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(params["learning_rate"]), loss, metrics=["accuracy"])
    return model


def _table(load: Callable[[], tuple[Values, Values]], *, train: int, of_test: bool) -> Table:
    """Return so many rows to train on, or up to 5000 of the others."""
    x, y = load()
    order = np.random.default_rng(0).permutation(len(x))
    chosen = order[train : train + 5000] if of_test else order[:train]
    return x[chosen].astype(np.float32), y[chosen].astype(np.int64)


_PARAMETERS: Final = {"hidden_layers": 1, "units": 32, "dropout": 0.0, "learning_rate": 1e-3}


def _experiment(
    name: str, load: Callable[[], tuple[Values, Values]], inputs: int, classes: int, train: int
) -> KerasExperiment:
    return KerasExperiment(
        lambda params: _dense(inputs, classes, params),
        lambda: _table(load, train=train, of_test=False),
        _PARAMETERS,
        test=lambda: _table(load, train=train, of_test=True),
        name=name,
    )


digits8 = _experiment("digits8", digits8_rows, inputs=64, classes=10, train=1000)
pixels = _experiment("pixels", pixel_rows, inputs=27, classes=2, train=1500)
_SPACE: Final = """
experiment: benchmarks.ensembles:{name}
objective: {{metric: best_val_accuracy, direction: maximize}}
parameters:
  hidden_layers: {{type: int, low: 1, high: 3}}
  units: {{type: int, low: 8, high: 128, log: true}}
  dropout: {{type: float, low: 0.0, high: 0.5}}
  learning_rate: {{type: float, low: 1e-4, high: 1e-2, log: true}}
  batch_size: {{type: categorical, choices: [16, 32, 64]}}
fixed: {{epochs: 60}}
"""
SEARCHES: Final = {"mlp": 8, "cnn": 4, "digits8": 8, "pixels": 8}
"""Searches of each at most; those of convolutions take minutes."""
FIRST_SEED: Final = {"cnn": 0}
"""Searches of the others with the seeds 0 to 7 have chosen how members are selected: not these."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    names_option(parser, "data", SEARCHES)
    whole_numbers(parser, seeds=(8, f"searches of each; at most {SEARCHES}"))
    cache_folder(parser, CACHE)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Search, or take what was found before, and compare on the test set."""
    if options.seeds < 2:
        raise RuntimeError("ensembles: --seeds 1: two searches or more say what chance does")
    rows = [_compared(name, options) for name in options.data]
    return {"trials": TRIALS, "rows": rows}


def _compared(name: str, options: argparse.Namespace) -> dict[str, Any]:
    found, seeds = [], min(options.seeds, SEARCHES[name])
    for seed in range(first := FIRST_SEED.get(name, 8), first + seeds):
        path = options.cache / f"{name}-{seed}-{_digest()}.json"
        if not path.exists():
            one = searched(name, seed, options.cache / f"{name}-{seed}")
            write_atomically(path, json.dumps(one).encode(), "benchmark")
        found.append(json.loads(path.read_text()))
        print(f"{name}, search {seed}: {found[-1]['members']} members", file=sys.stderr)
    right = np.array([[one[who] for one in found] for who in ("ensemble", "best")], float)
    numbers = np.tile(np.arange(right.shape[2]), (seeds, 1))
    lead = crossed_difference(Outcomes(right, numbers), 0, 1).interval()
    errors = 1 - right.mean(axis=(1, 2))
    return {
        "data": name,
        "searches": seeds,
        "test samples": right.shape[2],
        "best": float(errors[1]),
        "ensemble": float(errors[0]),
        "lower": float(1 - errors[0] / errors[1]),
        "difference": -lead.value,
        "low": -lead.high,
        "high": -lead.low,
        "margin": float(MARGIN_SHARE * errors[1]),
        "cross-fitted": -fmean(one["ahead"] for one in found),
        "members": fmean(one["members"] for one in found),
        "times": fmean(one["times"] for one in found),
    }


def _digest() -> str:
    """Return a name that changes with the code that selects and judges; a search stays as it is."""
    sources = map(inspect.getsource, (ensemble, sys.modules[__name__]))
    return hashlib.sha256("".join(sources).encode()).hexdigest()[:12]


def searched(name: str, seed: int, folder: Path) -> dict[str, Any]:
    """Search, select, and score on the test set: right answers, a list of 0 and 1."""
    import sweeps
    from sweeps.experiments.loading import recorded_experiment

    folder.mkdir(parents=True, exist_ok=True)
    space = name
    if name in {"digits8", "pixels"}:
        space = str(folder / f"{name}.yaml")
        Path(space).write_text(_SPACE.format(name=name))
    sweep = sweeps.run(
        space, name=name, trials=TRIALS, sampler="random", seed=seed, home=folder / "home",
        progress="quiet",
    )  # fmt: skip
    experiment: Any = recorded_experiment(sweep.info, sweep.home.sweeps_folder)
    experiment.warm_up()
    test, store = experiment.test_set(None), sweep.home.store(sweep.info.id)
    chosen = select_ensemble(sweep.home, sweep.info)

    def predicted(key: str) -> NDArray[np.float64]:
        record = store.read(key)
        model = experiment.load_model(record.config, store.weights(record), record.model_info)
        return np.asarray(experiment.evaluate(model, test).arrays[PREDICTIONS], float)

    conclusion = chosen.conclusion
    keys = {record.trial: record.key for record in store.read_all() if record.ends_trial}
    weights = [member.weight for member in conclusion.members]
    whole = np.tensordot(weights, [predicted(one.key) for one in chosen.records], 1)
    best = predicted(keys[conclusion.best.trial])
    return {
        "ensemble": (whole.argmax(axis=1) == test.labels).astype(int).tolist(),
        "best": (best.argmax(axis=1) == test.labels).astype(int).tolist(),
        "members": len(weights),
        "times": conclusion.times,
        "ahead": conclusion.ahead_by.value,
    }


def table(result: dict[str, Any]) -> str:
    """Return Markdown."""
    rows = [
        [row["data"], row["searches"], row["test samples"], f"{100 * row['best']:.2f}",
         f"{100 * row['ensemble']:.2f}", f"{100 * row['lower']:.1f} %",
         f"{100 * row['difference']:+.2f} ({100 * row['low']:+.2f} to {100 * row['high']:+.2f})",
         f"{100 * row['cross-fitted']:+.2f}", f"{100 * row['margin']:.2f}",
         f"{row['members']:.1f}", f"{row['times']:.1f}"]
        for row in result["rows"]
    ]  # fmt: skip
    said = (
        f"searches of {result['trials']} random trials each; errors on the test set in %, "
        "differences in points with 95 % intervals"
    )
    heads = ["data", "searches", "test samples", "best trial", "ensemble", "lower by", "difference",
             "cross-fitted", "margin", "members", "times the size"]  # fmt: skip
    return f"{said}\n\n{markdown(heads, rows)}"


def failures(result: dict[str, Any]) -> list[str]:
    """Return where the ensemble is worse than promised, beyond chance."""
    lower = fmean(row["lower"] for row in result["rows"])
    return [
        *([f"error lower by {lower:.3f} on average"] if lower < LOWER else []),
        *(
            f"{row['data']}: {row['high']} worse"
            for row in result["rows"]
            if row["high"] > row["margin"]
        ),
    ]
