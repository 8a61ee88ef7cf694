"""Coverage of the parts of the selection bias, and of calibration changes, whose truth is known.

The intervals come from `measure_selection_bias` and `calibration`, as `sweeps confirm` calls them.

Selection bias: 20 trials of one configuration are scored on one validation set, each at the best of
its epochs, and the best of them is confirmed: its fresh score is known, so is what its seed, its
epoch and its samples have added. Calibration: networks of two classes are too sure by a factor,
which each of them estimates; answers depend on samples and on seeds.
"""

from __future__ import annotations

import argparse
from collections import Counter
from types import SimpleNamespace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.finalists import ACCURACY, FOLDS_A_REPEAT
from benchmarks.same import _cell
from benchmarks.timing import at_least_one
from digitexp.evaluation.calibration import measured_terms
from sweeps.capabilities import CalibrationTerms
from sweeps.confirm.calibration import calibration
from sweeps.confirm.finalists import BLOCK_ACCURACY, SCORE, Finalist
from sweeps.confirm.intervals import Outcomes, crossed_mean
from sweeps.confirm.selection_bias import measure_selection_bias
from sweeps.interval import Interval, wilson

FLOOR: Final = 0.925
"""No interval may cover less often."""
FOLDS, POOL, INNER, TRIALS, EPOCHS = 20, 2000, 200, 20, 5
SAMPLE, SEED, NOISE = 2.2, 0.15, 0.9
"""Spreads of samples, of trainings and of single answers, as in finalists.py."""
TOO_SURE: Final = 1.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument("--draws", type=at_least_one, default=400, help="(default 400)")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Return how often each interval holds the truth."""
    random, covered = np.random.default_rng(0), Counter[str]()
    by_epoch = _gained_by_epoch(np.random.default_rng(1))
    changes = _true_changes(np.random.default_rng(2))
    for _ in range(options.draws):
        covered.update(name for name, holds in _bias(random, by_epoch).items() if holds)
        covered.update(name for name, holds in _calibrated(random, changes).items() if holds)
    names = ("total", "seed", "epoch", "samples", "nll", "ece")
    rows = [{"interval": name, "covers": covered[name] / options.draws} for name in names]
    return {"draws": options.draws, "folds": FOLDS, "samples": POOL, "rows": rows}


def _training(random: np.random.Generator, samples: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return (EPOCHS, n) which samples of these easinesses a training has right after each."""
    total = np.sqrt(SAMPLE**2 + SEED**2 + NOISE**2)
    level = stats.norm.ppf(ACCURACY) * total + random.normal(0, SEED)
    right: NDArray[np.bool_] = level + samples + random.normal(0, NOISE, (EPOCHS, len(samples))) > 0
    return right


def _gained_by_epoch(random: np.random.Generator, draws: int = 1500) -> float:
    """Return by how much the score of the best epoch is too high, on average."""
    best = [
        _training(random, random.normal(0, SAMPLE, INNER)).mean(axis=1).max() for _ in range(draws)
    ]
    return float(np.mean(best)) - ACCURACY


def _bias(random: np.random.Generator, by_epoch: float) -> dict[str, bool]:
    """Return which intervals of the selection bias hold the truth, in one draw."""
    searched_on = random.normal(0, SAMPLE, INNER)

    def score() -> float:
        return float(_training(random, searched_on).mean(axis=1).max())

    searched = max(score() for _ in range(TRIALS))
    expected = float(np.mean([score() for _ in range(400)]))
    pool, label = random.normal(0, SAMPLE, POOL), "trial-0"
    right, samples, records = [], [], {}
    for fold in range(FOLDS):
        if not fold % FOLDS_A_REPEAT:
            order = random.permutation(POOL).reshape(FOLDS_A_REPEAT, -1)
        own = order[fold % FOLDS_A_REPEAT]
        inner = random.choice(np.setdiff1d(np.arange(POOL), own), INNER, replace=False)
        answers = _training(random, pool[np.concatenate([inner, own])])
        inner_scores = answers[:, :INNER].mean(axis=1)
        right.append(answers[inner_scores.argmax(), INNER:])
        samples.append(own)
        metrics = {SCORE: inner_scores.max(), "block_accuracy": right[-1].mean()}
        records[fold, label] = _record(metrics)
    mean = crossed_mean(Outcomes(np.array([right]), np.array(samples)), 0)
    finalist = Finalist(label, 0, {}, searched, 1)
    comparison: Any = SimpleNamespace(
        folds=range(FOLDS),
        trainings=SimpleNamespace(found=records),
        verdict=SimpleNamespace(
            standings=[SimpleNamespace(finalist=finalist, mean=mean)], scored=BLOCK_ACCURACY
        ),
    )
    again: Any = [_record({SCORE: score()}) for _ in range(FOLDS)]
    found = measure_selection_bias(comparison, again)
    assert found is not None
    truths = {
        "seed": searched - expected,
        "epoch": by_epoch,
        "samples": expected - ACCURACY - by_epoch,
    }
    held: dict[str, bool] = {name: _holds(part, truths[name]) for name, part in found.parts.items()}
    return {"total": _holds(found.total, searched - ACCURACY), **held}


def _record(metrics: dict[str, float]) -> Any:
    return SimpleNamespace(result=SimpleNamespace(metrics=metrics))


def _holds(interval: Interval, truth: float) -> bool:
    return bool(interval.low <= truth <= interval.high)


def _true_changes(random: np.random.Generator, networks: int = 100) -> dict[str, float]:
    """Return by how much temperatures change the measures, on average over networks."""
    pool = random.normal(0, 2, (networks, POOL))
    terms = _terms(random, pool, _labels(random, pool))
    return {name: float((terms.after[name] - terms.before[name]).mean()) for name in terms.after}


def _labels(random: np.random.Generator, pool: NDArray[np.float64]) -> NDArray[np.int64]:
    return (random.random(pool.shape) < 1 / (1 + np.exp(-pool))).astype(np.int64)


def _terms(
    random: np.random.Generator, samples: NDArray[np.float64], labels: NDArray[np.int64]
) -> CalibrationTerms:
    """Return the terms of networks of two classes, each for a row of (networks, n) samples."""
    networks = len(samples)
    sure = samples + random.normal(0, 0.5, samples.shape)
    sure += random.normal(0, 0.3, (networks, 1))
    logits = np.stack([np.zeros(samples.shape), TOO_SURE * sure], axis=2)
    temperatures = TOO_SURE * np.exp(random.normal(0, 0.05, networks))
    before, after = measured_terms(logits, labels, temperatures[:, None])
    return CalibrationTerms(temperatures.tolist(), before, after)


def _calibrated(random: np.random.Generator, truths: dict[str, float]) -> dict[str, bool]:
    """Return which intervals of calibration changes hold the truth, in one draw."""
    pool = random.normal(0, 2, POOL)
    labels, repeats = _labels(random, pool), FOLDS // FOLDS_A_REPEAT
    orders = [random.permutation(POOL).reshape(FOLDS_A_REPEAT, -1) for _ in range(repeats)]
    samples = np.concatenate(orders)
    found = calibration(_terms(random, pool[samples], labels[samples]), samples)
    return {name: _holds(one.change, truths[name]) for name, one in found.measures.items()}


def table(result: dict[str, Any]) -> str:
    """Return Markdown."""
    lines = [
        f"{result['draws']} draws, {result['samples']} samples, {result['folds']} folds",
        "",
        "| interval | covers, of 100 |",
        "|---|---|",
    ]
    for row in result["rows"]:
        lines.append(f"| {row['interval']} | {_cell(row['covers'], result['draws'])} |")
    return "\n".join(lines)


def failures(result: dict[str, Any]) -> list[str]:
    """Return the intervals that cover less often than `FLOOR`, beyond chance."""
    draws = result["draws"]
    return [
        f"{row['interval']} covers {row['covers']}"
        for row in result["rows"]
        if wilson(round(row["covers"] * draws), draws).high < FLOOR
    ]
