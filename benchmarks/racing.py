"""Would racing find a better champion at equal trainings? All on few folds, the better on more.

Confirming six of the best trials on 20 folds takes 120 trainings. A race takes 108: twelve on 4
folds, the better six on 8, the better three on 20. What configurations are worth is drawn from
digits20-tabular, as a random search of that space finds them; a search scores each on one training.
Scores come from finalists.py, where a sample may be easy for one finalist and hard for another. The
folds of a race divide the same samples again and again, so that its choices use what its verdict
rests on: `false` is how often one of twelve equals is called better by the verdict on three.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.finalists import ACCURACY, simulated
from benchmarks.intervals import verdict_of
from benchmarks.tables.bank import HEADLINES
from benchmarks.tables.digits20 import PUBLISHED
from benchmarks.timing import at_least_one
from sweeps.confirm.intervals import Outcomes
from sweeps.interval import Interval, wilson

FOLDS, CONFIRMED = 20, 6
_DENSITY = stats.norm.pdf(stats.norm.ppf(ACCURACY))
RACE = ((12, 4), (6, 8), (3, FOLDS))
"""So many take part in a stage, which ends after so many folds."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument("--seeds", type=at_least_one, default=60, help="searches (default 60)")
    parser.add_argument("--trials", type=at_least_one, nargs="*", default=[20, 60])
    parser.add_argument("--equals", type=at_least_one, default=300, help="draws (default 300)")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Confirm the searches in both ways."""
    rows = [_compared(trials, options.seeds) for trials in options.trials]
    random, false = np.random.default_rng(1), 0
    for _ in range(options.equals):
        outcomes = simulated(random, 0, RACE[0][0], FOLDS)
        left = raced(outcomes)
        false += verdict_of(Outcomes(outcomes.scores[left], outcomes.samples)).is_settled
    return {"seeds": options.seeds, "rows": rows, "equals": options.equals,
            "false": false / options.equals}  # fmt: skip


def worth() -> NDArray[np.float64]:
    """Return the accuracies of all configurations of the table, the mean of their trainings."""
    with np.load(PUBLISHED) as table:
        accuracies = table["headlines"][:, :, HEADLINES.index("best_val_accuracy")]
    found: NDArray[np.float64] = accuracies[np.isfinite(accuracies).all(axis=1)].mean(axis=1)
    return found.astype(float)


def raced(outcomes: Outcomes) -> list[int]:
    """Return who is left at the end of a race, the best first."""
    left, known = list(range(outcomes.finalists)), 0
    for count, folds in RACE:
        if known:
            left = _ranked(outcomes.first(known), left)[:count]
        known = folds
    return _ranked(outcomes, left)


def _ranked(outcomes: Outcomes, finalists: Sequence[int]) -> list[int]:
    means = outcomes.by_fold.mean(axis=1)
    return sorted(finalists, key=lambda k: -means[k])


def _compared(trials: int, seeds: int) -> dict[str, Any]:
    random, known = np.random.default_rng(trials), worth()
    found: list[tuple[float, float, float]] = []
    for _ in range(seeds):
        truths = random.choice(known, trials, replace=False)
        leads = list(100 * (truths - ACCURACY))
        truths = stats.norm.cdf(stats.norm.ppf(ACCURACY) + (truths - ACCURACY) / _DENSITY)
        searched = simulated(random, leads, trials, 4).by_fold[:, 0]
        order = np.argsort(-searched)[: RACE[0][0]]
        outcomes = simulated(random, [leads[k] for k in order], len(order), FOLDS)
        six = outcomes.by_fold[:CONFIRMED].mean(axis=1).argmax()
        found.append((truths.max(), truths[order[six]], truths[order[raced(outcomes)[0]]]))
    best, confirmed, by_race = np.array(found).T
    gained = by_race - confirmed
    half = 1.96 * gained.std(ddof=1) / np.sqrt(seeds)
    return {
        "trials": trials,
        "confirmed": float((best - confirmed).mean()),
        "raced": float((best - by_race).mean()),
        "gain": [float(gained.mean()), float(gained.mean() - half), float(gained.mean() + half)],
        "another": float((gained != 0).mean()),
    }


def table(result: dict[str, Any]) -> str:
    """Return Markdown."""
    lines = [
        f"{result['seeds']} searches; points of accuracy behind the best trial, 95 % limits",
        "",
        "| trials | six on 20 folds | race | the race's is better by | another champion |",
        "|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        gain = Interval(*row["gain"])
        lines.append(
            f"| {row['trials']} | {100 * row['confirmed']:.2f} | {100 * row['raced']:.2f} | "
            f"{100 * gain.value:+.2f} ({100 * gain.low:+.2f} to {100 * gain.high:+.2f}) | "
            f"{100 * row['another']:.0f} of 100 |"
        )
    low, high = wilson(round(result["false"] * result["equals"]), result["equals"]).ends
    share = f"{100 * result['false']:.1f} of 100 ({100 * low:.1f}-{100 * high:.1f})"
    lines += ["", f"Of twelve equals the verdict on three calls one better in {share}."]
    return "\n".join(lines)
