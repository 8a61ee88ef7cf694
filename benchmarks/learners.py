"""Error rates of the verdict on two equal finalists that truly learn, with few and many samples.

A target is the sum of two signals of one distribution, with noise. Each finalist sees the inputs of
one of them, so that both are equally good by symmetry. A pool is drawn for each draw, and is
divided into repeats of four folds, of which each is scored by what the others train. What the pool
trains is alike in all folds: an error that does not allow for it is too small, see `pool_factor`.
Because nothing that the two learn is in common, they need the factor more than two configurations
of one network do.

The factor was chosen by looking at draws of these learners, of bags of neighbours and of small
nets; the draws made here are others.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.finalists import FOLDS_A_REPEAT, limits, share_with_limits
from benchmarks.intervals import verdict_of
from benchmarks.markdown import markdown
from benchmarks.options import names_option, whole_numbers
from sweeps.by_sample import average_precision, by_sample, r2, rmse, roc_auc
from sweeps.confirm.best import LOOKS
from sweeps.confirm.finalists import Finalist
from sweeps.confirm.intervals import NO_SAMPLE, Outcomes, crossed_difference, pool_factor, stacked

FOLDS: Final = LOOKS[0]
SAMPLES: Final = (200, 600, 1000, 4000)
INPUTS: Final = 6
METRICS: Final = {
    "classes": ("accuracy", "auc", "average_precision", "f1"),
    "values": ("mae", "rmse", "r2"),
}
FLOOR: Final = 0.055
"""No false "better" may be more frequent."""


Fit = Callable[[NDArray[np.int64], NDArray[np.int64], int], NDArray[np.float64]]
"""Learns from some samples, by their numbers and with a seed, and answers to others."""


def _neighbours(x: NDArray[np.float64], target: NDArray[np.float64]) -> Fit:
    """Return the mean of the five nearest."""
    squares = (x**2).sum(axis=1)
    nearest = np.argsort(squares[:, None] + squares - 2 * x @ x.T, axis=1)[:, :70]

    def fit(rest: NDArray[np.int64], own: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
        trains = np.zeros(len(x), bool)
        trains[rest] = True
        counts = trains[nearest[own]]
        counts &= counts.cumsum(axis=1) <= NEAREST
        answers: NDArray[np.float64] = (target[nearest[own]] * counts).sum(axis=1) / NEAREST
        return answers

    return fit


def _linear(x: NDArray[np.float64], target: NDArray[np.float64]) -> Fit:
    """Return a ridge regression."""
    return lambda rest, own, seed: _ridge(x, target, rest, own)


def _features(x: NDArray[np.float64], target: NDArray[np.float64]) -> Fit:
    """Return a ridge regression of random features, others with each seed."""

    def fit(rest: NDArray[np.int64], own: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
        random = np.random.default_rng(seed)
        weights, offsets = random.normal(size=(x.shape[1], 40)), random.normal(size=40)
        return _ridge(np.maximum(x @ weights + offsets, 0), target, rest, own)

    return fit


def _ridge(
    x: NDArray[np.float64],
    target: NDArray[np.float64],
    rest: NDArray[np.int64],
    own: NDArray[np.int64],
) -> NDArray[np.float64]:
    columns = np.column_stack([np.ones(len(x)), x])
    known = columns[rest]
    weights = np.linalg.solve(known.T @ known + 3 * np.eye(known.shape[1]), known.T @ target[rest])
    answers: NDArray[np.float64] = columns[own] @ weights
    return answers


NEAREST: Final = 5
LEARNERS: Final[dict[str, Callable[[NDArray[np.float64], NDArray[np.float64]], Fit]]] = {
    "neighbours": _neighbours,
    "features": _features,
    "linear": _linear,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    whole_numbers(parser, draws=(2000, "with 200 samples; fewer where there are more"))
    names_option(parser, "learners", LEARNERS)
    parser.add_argument("--samples", type=int, nargs="+", default=SAMPLES, help="(default all)")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Draw pools of every size for every learner, and compare by every metric."""
    rows = []
    for learner in options.learners:
        for samples in options.samples:
            draws = max(round(options.draws * min(1.0, SAMPLES[0] / samples)), 4)
            for task, metrics in METRICS.items():
                random = np.random.default_rng([samples, list(LEARNERS).index(learner)])
                found = [_compared(random, learner, samples, task) for _ in range(draws)]
                rows += [
                    {"learner": learner, "samples": samples, "metric": metric, "draws": draws}
                    | _summary(np.array([one[metric] for one in found]))
                    for metric in metrics
                ]
    return {"folds": FOLDS, "rows": rows}


def _summary(found: NDArray[np.float64]) -> dict[str, float]:
    """Return how often one was called better, and how much farther apart they were than said."""
    better, lead, variance = found.T
    return {"false": float(better.mean()), "spread": float(lead.std() / math.sqrt(variance.mean()))}


def _compared(
    random: np.random.Generator, learner: str, samples: int, task: str
) -> dict[str, tuple[bool, float, float]]:
    """Return, by the metric, whether one is called better, the lead, and its crossed variance."""
    inputs, target = drawn(random, samples, task)
    folds = [
        np.sort(part)
        for _ in range(FOLDS // FOLDS_A_REPEAT)
        for part in np.array_split(random.permutation(samples), FOLDS_A_REPEAT)
    ]
    values: dict[str, list[list[NDArray[np.float64]]]] = {
        metric: [[] for _ in inputs] for metric in METRICS[task]
    }
    fits = [LEARNERS[learner](x, target) for x in inputs]
    for own in folds:
        rest = np.setdiff1d(np.arange(samples), own)
        for finalist, fit in enumerate(fits):
            answers = fit(rest, own, int(random.integers(2**31)))
            for metric in METRICS[task]:
                values[metric][finalist].append(_values(metric, target[own], answers))
    numbers = stacked(folds, np.int64, NO_SAMPLE)
    found = {}
    for metric, scores in values.items():
        outcomes = Outcomes(np.array([stacked(one, float) for one in scores]), numbers)
        finalists = [Finalist(f"trial-{n}", n, {}, 0.5, n + 1) for n in range(len(inputs))]
        verdict = verdict_of(finalists, outcomes, [])
        lead = crossed_difference(outcomes, 0, 1)
        error = lead.error * pool_factor(samples)
        found[metric] = (verdict.settled, lead.value, error**2)
    return found


def drawn(
    random: np.random.Generator, samples: int, task: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return inputs (2, samples, inputs) of each finalist, and the target: a class, or a value."""
    x = random.normal(size=(2, samples, INPUTS))
    signals = np.tanh(1.5 * x[..., 0]) + 0.5 * x[..., 1] * x[..., 2] + 0.4 * x[..., 3]
    target = signals.sum(axis=0) + random.normal(size=samples)
    return x, (target > 0).astype(float) if task == "classes" else target


def _values(
    metric: str, target: NDArray[np.float64], answers: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return (n,) the metric of each sample; larger is better."""
    columns, is_positive = (target[:, None], (answers - target)[:, None]), target == 1
    predicted = answers > 0.5
    if metric == "f1":
        value = 2 * (predicted & is_positive).sum() / max(predicted.sum() + is_positive.sum(), 1)
        values = by_sample(metric, target, predicted.astype(float), float(value))
        assert values is not None
        return values
    values_of: dict[str, Callable[[], NDArray[np.float64]]] = {
        "accuracy": lambda: (predicted == is_positive).astype(float),
        "auc": lambda: roc_auc(is_positive, answers),
        "average_precision": lambda: average_precision(is_positive, answers),
        "mae": lambda: -np.abs(answers - target),
        "rmse": lambda: -rmse(*columns),
        "r2": lambda: r2(*columns),
    }
    return values_of[metric]()


def table(result: dict[str, Any]) -> str:
    """Return Markdown: a row for each learner and number of samples, a column for each metric."""
    metrics = [metric for own in METRICS.values() for metric in own]
    cells = {(row["learner"], row["samples"], row["metric"]): row for row in result["rows"]}
    kinds = dict.fromkeys((row["learner"], row["samples"]) for row in result["rows"])
    rows = [
        [
            learner,
            samples,
            cells[learner, samples, metrics[0]]["draws"],
            *(_cell(cells[learner, samples, metric]) for metric in metrics),
        ]
        for learner, samples in kinds
    ]
    said = (
        f'False "better" of two equal finalists, {result["folds"]} folds, with 95 % limits; behind '
        "it the spread of leads over pools, as a multiple of their error"
    )
    return f"{said}\n\n{markdown(['learner', 'samples', 'draws', *metrics], rows)}"


def _cell(row: dict[str, Any]) -> str:
    return f"{share_with_limits(row['false'], row['draws'])} {row['spread']:.2f}"


def failures(result: dict[str, Any]) -> list[str]:
    """Return the errors that are more frequent than their floor, beyond chance."""
    return [
        f"{row['learner']}, {row['samples']} samples, {row['metric']}: {row['false']}"
        for row in result["rows"]
        if limits(row["false"], row["draws"])[0] > FLOOR
    ]
