"""Search and confirmation as a whole, on data that had no part in any choice of this project.

Pools are drawn from three data sets that the pinned packages contain, and from two generators. Of
each pool a search samples 25 of 60 configurations, and scores them on a validation set; the best
five distinct ones and a baseline are confirmed on folds of the other samples. What a configuration
is worth is the mean, over all pools, of what one training of it scores on samples of no pool: at
least a thousand that are held out, or four thousand drawn anew. All designs judge the same
trainings: the default, `--quick`, `--all`, and the search's best as it is.

Configurations are random features with a ridge regression, whose seed matters, and neighbours,
which have none. Each data set is kept in a file of the cache, so that it goes on with the next one
where it was interrupted, if nothing of the method has changed.
"""

from __future__ import annotations

import argparse
import hashlib
import inspect
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.finalists import FOLDS_A_REPEAT, limits, share_with_limits
from benchmarks.intervals import verdict_of
from benchmarks.markdown import markdown
from benchmarks.options import cache_folder, names_option, whole_numbers
from sweeps import by_sample, interval
from sweeps.confirm import best, comparison, intervals
from sweeps.confirm import finalists as scoring
from sweeps.confirm.best import LOOKS
from sweeps.confirm.comparison import FIRST, FIRST_IF_QUICK, best_of
from sweeps.confirm.finalists import Finalist, Scored
from sweeps.confirm.intervals import NO_SAMPLE, Outcomes, stacked
from sweeps.records.conclusions import LeftAfter
from sweeps.workspace.files import write_atomically

Numbers = NDArray[np.int64]
Values = NDArray[np.float64]

FOLDS: Final = LOOKS[0]
CONFIGURATIONS: Final = 60
TRIALS: Final = 25
FINALISTS: Final = 5
DESIGNS: Final = {"default": FIRST, "--quick": FIRST_IF_QUICK, "--all": FOLDS}
"""Number of folds that all finalists are trained on at first, by the design."""
FLOOR: Final = 0.055
"""No false claim may be more frequent."""
COVERS: Final = 0.93
"""What the interval to quote covers at least."""
CACHE: Final = Path(__file__).parent / "results" / "untouched"
_DECIDES: Final = (
    best, by_sample, comparison, scoring, interval, intervals, sys.modules[__name__],
)  # fmt: skip


@dataclass(frozen=True)
class Task:
    """Samples to draw pools from.

    Attributes:
        scored: The metric.
        pool: Size of a pool; a quarter of it is the validation set of the search.
        held_out: Number of samples of no pool.
        draw: Returns inputs (n, d) and targets (n,) of pool and held-out samples, in this order:
            classes from 0, or values.
    """

    scored: Scored
    pool: int
    held_out: int
    draw: Callable[[np.random.Generator, int], tuple[Values, Values]]


def _subset(load: Callable[[], tuple[Values, Values]]) -> Callable[..., tuple[Values, Values]]:
    """Return what draws samples, without replacement, from data that are loaded once."""
    loaded: list[tuple[Values, Values]] = []

    def draw(random: np.random.Generator, n: int) -> tuple[Values, Values]:
        if not loaded:
            x, y = load()
            spread = x.std(axis=0)
            loaded.append(((x - x.mean(axis=0)) / np.where(spread > 0, spread, 1.0), y))
        x, y = loaded[0]
        chosen = random.choice(len(x), n, replace=False)
        return x[chosen], y[chosen]

    return draw


def digits8_rows() -> tuple[Values, Values]:
    """Return the 1797 digits of 8 x 8 pixels of scikit-learn."""
    from sklearn.datasets import load_digits

    found = load_digits()
    return found.data.astype(float), found.target.astype(float)


def _countries() -> tuple[Values, Values]:
    """Return year, size, wealth and continent of 142 countries in 12 years; the life expectancy."""
    found = import_module("plotly.data").gapminder()
    continents = np.unique(found["continent"])
    columns = [found["year"], np.log(found["pop"]), np.log(found["gdpPercap"])]
    columns += [3 * (found["continent"] == one) for one in continents]
    return np.column_stack(columns).astype(float), np.asarray(found["lifeExp"], float)


def pixel_rows() -> tuple[Values, Values]:
    """Return patches of 3 x 3 pixels of two photographs, and which of the two it is."""
    from sklearn.datasets import load_sample_images

    patches = [
        np.lib.stride_tricks.sliding_window_view(image, (3, 3), axis=(0, 1))[::3, ::3]
        for image in load_sample_images().images
    ]
    rows = [patch.reshape(-1, 27).astype(float) for patch in patches]
    return np.concatenate(rows), np.repeat([0.0, 1.0], [len(one) for one in rows])


def _classes(random: np.random.Generator, n: int) -> tuple[Values, Values]:
    """Draw samples of three classes, whose borders are not straight."""
    x = random.normal(size=(n, 8))
    signals = np.stack([
        1.5 * np.sin(1.5 * x[:, 0]) + x[:, 1],
        x[:, 2] * x[:, 3] + 0.5 * x[:, 0],
        1.2 * np.tanh(x[:, 4]) - 0.6 * x[:, 1] + 0.4,
    ])  # fmt: skip
    return x, (1.5 * signals + random.gumbel(size=signals.shape)).argmax(axis=0).astype(float)


def _surface(random: np.random.Generator, n: int) -> tuple[Values, Values]:
    """Draw values of the function of Friedman (1991), with noise."""
    x = random.random((n, 10))
    values = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2
    values += 10 * x[:, 3] + 5 * x[:, 4] + 2 * random.normal(size=n)
    return (x - 0.5) * np.sqrt(12), values


_ACCURACY: Final = Scored.by("best_val_accuracy", "maximize")
_ERROR: Final = Scored.by("best_val_mae", "minimize")
TASKS: Final[dict[str, Task]] = {
    "digits, 8x8": Task(_ACCURACY, 600, 1197, _subset(digits8_rows)),
    "pixels": Task(Scored.by("best_val_auc", "maximize"), 600, 2000, _subset(pixel_rows)),
    "countries": Task(_ERROR, 600, 1104, _subset(_countries)),
    "drawn classes": Task(_ACCURACY, 800, 4000, _classes),
    "drawn values": Task(_ERROR, 800, 4000, _surface),
}

Fit = Callable[[Numbers, Numbers, int], Values]
"""Learns from some samples, by their numbers and with a seed, and answers to others."""


def configurations() -> list[dict[str, Any]]:
    """Return the configurations of every search; the first is the baseline."""
    random = np.random.default_rng(60)
    found: list[dict[str, Any]] = [{"kind": "relu", "width": 60, "scale": 0.5, "ridge": 1.0}]
    while len(found) < CONFIGURATIONS:
        if random.random() < 0.25:
            found.append({"kind": "neighbours", "k": int(random.integers(1, 26))})
        else:
            found.append({
                "kind": str(random.choice(["relu", "cos", "tanh"])),
                "width": int(np.exp(random.uniform(np.log(30), np.log(300)))),
                "scale": float(np.exp(random.uniform(np.log(0.1), np.log(2)))),
                "ridge": float(np.exp(random.uniform(np.log(0.01), np.log(30)))),
            })  # fmt: skip
    return found


_ACTIVATIONS: Final[dict[str, Callable[[Values], Values]]] = {
    "relu": lambda z: np.maximum(z, 0.0),
    "cos": np.cos,
    "tanh": np.tanh,
}


def learner(config: dict[str, Any], x: Values, targets: Values) -> Fit:
    """Return what learns targets (n, outputs) from inputs (n, d), and answers (m, outputs)."""
    if config["kind"] == "neighbours":
        squares = (x**2).sum(axis=1)

        def nearest(rest: Numbers, own: Numbers, seed: int) -> Values:
            apart = squares[rest] - 2 * x[own] @ x[rest].T
            near = np.argpartition(apart, config["k"] - 1, axis=1)[:, : config["k"]]
            answers: Values = targets[rest][near].mean(axis=1)
            return answers

        return nearest

    def features(rest: Numbers, own: Numbers, seed: int) -> Values:
        random = np.random.default_rng(seed)
        weights = random.normal(size=(x.shape[1], config["width"]))
        weights *= config["scale"] / np.sqrt(x.shape[1])
        offsets = random.uniform(-np.pi, np.pi, config["width"])
        act = _ACTIVATIONS[config["kind"]]
        known, asked = (
            np.column_stack([np.ones(len(one)), act(x[one] @ weights + offsets)])
            for one in (rest, own)
        )
        gram = known.T @ known + config["ridge"] * np.eye(known.shape[1])
        answers: Values = asked @ np.linalg.solve(gram, known.T @ targets[rest])
        return answers

    return features


def values_of(task: Task, y: Values, answers: Values) -> Values:
    """Return (n,) the oriented metric of each sample; its mean is that of all."""
    if task.scored.metric.endswith("mae"):
        return -np.abs(answers[:, 0] - y)
    if task.scored.metric.endswith("auc"):
        return by_sample.roc_auc(y == 1, answers[:, 1] - answers[:, 0])
    is_right: Values = (answers.argmax(axis=1) == y).astype(float)
    return is_right


@dataclass(frozen=True)
class Drawn:
    """A pool with a search, and what its finalists score on fresh folds.

    Attributes:
        sampled: The configurations that the search sampled.
        finalists: The finalists; the number of each trial is that of its configuration.
        outcomes: What they score.
        worth: (configurations,) what one training of each scores on samples of no pool; oriented.
    """

    sampled: Sequence[int]
    finalists: Sequence[Finalist]
    outcomes: Outcomes
    worth: Values


def drawn(task: Task, random: np.random.Generator, repetition: int) -> Drawn:
    """Draw a pool, search in it, and train the finalists on fresh folds."""
    x, y = task.draw(random, task.pool + task.held_out)
    is_value = task.scored.metric.endswith("mae")
    targets = y[:, None] if is_value else np.eye(int(y.max()) + 1)[y.astype(np.int64)]
    targets = targets - (middle := targets[: task.pool].mean(axis=0))
    fits = [learner(config, x, targets) for config in configurations()]
    pool, held_out = np.arange(task.pool), np.arange(task.pool, len(x))
    validation, others = pool[: task.pool // 4], pool[task.pool // 4 :]

    def score(number: int, own: Numbers) -> Values:
        rest = np.setdiff1d(pool, own)
        answers = fits[number](rest, own, int(random.integers(2**31))) + middle
        return values_of(task, y[own], answers)

    sampled = [0, *(1 + random.choice(CONFIGURATIONS - 1, TRIALS - 1, replace=False))]
    sampled = [int(number) for number in sampled]
    searched = {number: float(score(number, validation).mean()) for number in sampled}
    ranked = sorted(sampled, key=lambda number: -searched[number])
    going = [number for number in ranked if number][:FINALISTS]
    sign = task.scored.sign
    finalists = [
        Finalist(f"trial-{n}" if n else "baseline-first", n, {}, sign * searched[n],
                 1 + ranked.index(n))
        for n in [*going, 0]
    ]  # fmt: skip
    folds = [
        np.sort(part)
        for _ in range(FOLDS // FOLDS_A_REPEAT)
        for part in np.array_split(random.permutation(others), FOLDS_A_REPEAT)
    ]
    scores = np.array([stacked([score(n.trial, own) for own in folds], float) for n in finalists])
    outcomes = Outcomes(scores, stacked(folds, np.int64, NO_SAMPLE))
    rest = np.setdiff1d(pool, folds[repetition % FOLDS_A_REPEAT])
    worth = [
        values_of(task, y[held_out], fit(rest, held_out, int(random.integers(2**31))) + middle)
        for fit in fits
    ]
    return Drawn(sampled, finalists, outcomes, np.array([one.mean() for one in worth]))


def judged(task: Task, one: Drawn, first: int, worth: Values) -> dict[str, float]:
    """Return what a design says of a pool, and whether it is true; see `table`."""
    outcomes, finalists, left_after = one.outcomes, list(one.finalists), list[LeftAfter]()
    if first < FOLDS:
        means = outcomes.by_fold[:, :first].mean(axis=1)
        by_label = {f.label: float(mean) for f, mean in zip(finalists, means, strict=True)}
        going = best_of(finalists, by_label)
        left_after = [
            LeftAfter(f.label, f.trial, first, task.scored.sign * by_label[f.label], f.searched)
            for f in finalists
            if f not in going
        ]
        places = [finalists.index(f) for f in going]
        finalists, outcomes = going, replace(outcomes, scores=outcomes.scores[places])
    verdict = verdict_of(finalists, outcomes, left_after, task.scored)
    leader, *others = verdict.standings
    taken = next(f for f in finalists if f.label == verdict.champion)
    figure, true = verdict.quotable, task.scored.sign * worth[taken.trial]
    best_left = max(worth[one.trial] for one in verdict.standings)
    baseline = next(one for one in verdict.standings if one.is_baseline)
    return {
        "trainings": outcomes.folds * len(finalists) + first * len(left_after),
        "settled": verdict.settled,
        "false": verdict.settled and worth[leader.trial] < max(worth[o.trial] for o in others),
        "beats": baseline.verdict == "worse",
        "false beats": baseline.verdict == "worse" and worth[leader.trial] <= worth[0],
        "missed": any(not o.may_be_best and worth[o.trial] >= best_left for o in others),
        "covered": figure.low <= true <= figure.high,
        "width": figure.high - figure.low,
        "regret": float(max(worth[number] for number in one.sampled) - worth[taken.trial]),
        "too good": task.scored.sign * (figure.value - true),
    }


def taken_as_it_is(task: Task, one: Drawn, worth: Values) -> dict[str, float]:
    """Return the same of the search's best, with the score that the search gave it."""
    best_found = next(finalist for finalist in one.finalists if finalist.place == 1)
    assert best_found.searched is not None
    true = task.scored.sign * worth[best_found.trial]
    return {
        "trainings": 0,
        "beats": True,
        "false beats": best_found.trial != 0 and worth[best_found.trial] <= worth[0],
        "regret": float(max(worth[number] for number in one.sampled) - worth[best_found.trial]),
        "too good": task.scored.sign * (best_found.searched - true),
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    whole_numbers(parser, repetitions=(200, "pools of each data set"))
    names_option(parser, "data", TASKS)
    cache_folder(parser, CACHE)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Draw pools of each data set, or take what was made of it before."""
    rows = [row for name in options.data for row in _kept(options, name)]
    return {"repetitions": options.repetitions, "folds": FOLDS, "rows": rows}


def _kept(options: argparse.Namespace, name: str) -> list[dict[str, Any]]:
    whole = f"{name} {options.repetitions}" + "".join(map(inspect.getsource, _DECIDES))
    path = options.cache / f"{hashlib.sha256(whole.encode()).hexdigest()[:24]}.json"
    if path.exists():
        known: list[dict[str, Any]] = json.loads(path.read_text())
        return known
    task = TASKS[name]
    random = np.random.default_rng([2026, list(TASKS).index(name)])
    found = [drawn(task, random, repetition) for repetition in range(options.repetitions)]
    worth = np.mean([one.worth for one in found], axis=0)
    rows = [
        {"data": name, "design": design}
        | _means([judged(task, one, first, worth) for one in found])
        for design, first in DESIGNS.items()
    ]
    as_it_is = _means([taken_as_it_is(task, one, worth) for one in found])
    rows.append({"data": name, "design": "search's best"} | as_it_is)
    options.cache.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(rows).encode(), "benchmark")
    return rows


def _means(found: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([one[name] for one in found])) for name in found[0]}


def table(result: dict[str, Any]) -> str:
    """Return Markdown: a row for each data set and design."""
    n = result["repetitions"]
    rows = []
    for row in result["rows"]:
        is_error = TASKS[row["data"]].scored is _ERROR
        scale, digits = (1, 3) if is_error else (100, 2)

        def share(name: str, row: dict[str, Any] = row) -> str:
            return share_with_limits(row[name], n) if name in row else ""

        numbers = [f"{scale * row[name]:.{digits}f}" if name in row else ""
                   for name in ("width", "regret", "too good")]  # fmt: skip
        rows.append([
            row["data"], row["design"], f"{row['trainings']:.0f}",
            *(share(name) for name in ("settled", "false", "beats", "false beats", "missed",
                                       "covered")),
            *numbers,
        ])  # fmt: skip
    said = (
        f"{n} pools of each; shares of 100 with 95 % limits in brackets; widths and distances in "
        "points, of values (countries, drawn values) in their unit"
    )
    heads = ["data", "design", "trainings", "settled", 'false "better"', "beats the baseline",
             "falsely", "best missed", "quoted interval holds", "its width", "behind the best",
             "figure too good by"]  # fmt: skip
    return f"{said}\n\n{markdown(heads, rows)}"


def failures(result: dict[str, Any]) -> list[str]:
    """Return what is more frequent than its floor, or covers less, beyond chance."""
    n = result["repetitions"]
    said = [(f"{row['data']}, {row['design']}", row) for row in result["rows"] if "false" in row]
    return [
        f"{what}: {name} {row[name]}"
        for what, row in said
        for name in ("false", "false beats", "missed")
        if limits(row[name], n)[0] > FLOOR
    ] + [
        f"{what}: covered {row['covered']}"
        for what, row in said
        if limits(row["covered"], n)[1] < COVERS
    ]
