"""False verdicts on real trainings: how often one configuration under five names differs.

A bank is trained first: each of two configurations on 20 fresh folds with 15 seeds each. Then five
"finalists" are drawn from one configuration's trainings, five different ones for each fold, and
compared as `sweeps confirm` compares. Every difference that is found is a mistake.

Such finalists find the same images hard. Others that are as good on average, but not on each image,
are `mixed`: which of the two configurations answers an image is drawn for each finalist once, for
all folds. Draws from one bank depend on each other, so that limits are a little wider than said.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from functools import cache
from multiprocessing import get_context
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.finalists import limits, share_with_limits
from benchmarks.markdown import markdown
from benchmarks.options import whole_numbers
from benchmarks.throughput import CORES

FOLDS, FINALISTS, MIXED = 20, 5, "mixed"
ERRORS = ("better_than_all", "best_missed")
FLOOR = 0.055
"""No error may be more frequent."""
NETS = {
    "tutorial": {"hidden_layers": 2, "units_1": 25, "units_2": 15, "learning_rate": 0.001},
    "wide": {"hidden_layers": 1, "units_1": 96, "learning_rate": 0.003},
}
ALIKE = {
    "batch_size": 32,
    "epochs": 40,
    "early_stopping_patience_epochs": 5,
    "plateau_patience_epochs": 3,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    whole_numbers(parser, seeds=(15, "a fold"), draws=(1000, ""))


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Train the bank and draw from it."""
    bank = train(options.seeds)
    rows = [{"net": net, **draw([right], at, options.draws)} for net, (right, at) in bank.items()]
    both, at = [right for right, _ in bank.values()], next(iter(bank.values()))[1]
    rows.append({"net": MIXED, **draw(both, at, options.draws)})
    return {"folds": FOLDS, "seeds": options.seeds, "draws": options.draws, "rows": rows}


def train(seeds: int) -> dict[str, tuple[NDArray[np.bool_], NDArray[np.int64]]]:
    """Return for each net (seeds, folds, n) correctness, and (folds, n) numbers of the samples."""
    asked = list(itertools.product(NETS, range(seeds), range(FOLDS)))
    with get_context("spawn").Pool(CORES) as pool:
        found = dict(zip(asked, pool.starmap(_train, asked, chunksize=1), strict=True))
    return {
        net: (
            np.array([[found[net, s, b][0] for b in range(FOLDS)] for s in range(seeds)]),
            np.array([found[net, 0, b][1] for b in range(FOLDS)], np.int64),
        )
        for net in NETS
    }


def _train(net: str, seed: int, fold: int) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    from sweeps.experiment import TrialSpec

    experiment, data = _experiment()
    divided = experiment.divided({"block": fold}, data)
    spec = TrialSpec("same", 0, 1, seed * FOLDS + fold, {**ALIKE, **NETS[net]})
    result = experiment.searched.train(spec, divided.data, lambda epoch, values: None)
    return result.arrays["best_val_accuracy_by_sample"] != 0, divided.samples


@cache
def _experiment() -> Any:
    from sweeps.config.sweep import SPLIT_SEED
    from sweeps.experiments.loading import load_experiment

    experiment = load_experiment("digitexp.experiment:experiment@folds", None)
    return experiment, experiment.prepare(None, SPLIT_SEED)


def draw(
    correct: Sequence[NDArray[np.bool_]], samples: NDArray[np.int64], draws: int
) -> dict[str, float]:
    """Return how often one of five is called better than all others, and the first not the best.

    Args:
        correct: Of each configuration (seeds, folds, n). Of several, each finalist has one for each
            image, drawn once.
        samples: (folds, n) numbers of the images.
        draws: Number of comparisons.
    """
    from sweeps.confirm.comparison import decide
    from sweeps.confirm.finalists import Finalist
    from sweeps.confirm.intervals import Outcomes

    random = np.random.default_rng(0)
    nets, (seeds, folds, _) = np.array(correct), correct[0].shape
    names = [Finalist(f"name-{n}", n, {}, 0.0, n + 1) for n in range(FINALISTS)]
    than_all = missed = 0
    for _ in range(draws):
        chosen = np.array([random.permutation(seeds)[:FINALISTS] for _ in range(folds)]).T
        answering = random.integers(0, len(nets), (FINALISTS, samples.max() + 1))
        places = np.arange(folds)[:, None], np.arange(samples.shape[1])
        scores = [
            nets[own[samples], seed[:, None], *places]
            for own, seed in zip(answering, chosen, strict=True)
        ]
        outcomes = Outcomes(np.array(scores), samples)
        verdict = decide(outcomes, names, {})
        than_all += verdict.settled
        missed += any(s.trial == 0 and not s.may_be_best for s in verdict.standings)
    return {
        "accuracy": float(nets.mean()),
        "better_than_all": than_all / draws,
        "best_missed": missed / draws,
    }


def table(result: dict[str, Any]) -> str:
    """Return Markdown."""
    rows = (
        [row["net"], f"{100 * row['accuracy']:.1f} %",
         *(share_with_limits(row[error], result["draws"]) for error in ERRORS)]
        for row in result["rows"]
    )  # fmt: skip
    heads = ["net", "mean accuracy", "one is called better than all others", "the best is missed"]
    said = f"{result['folds']} folds, {result['seeds']} seeds each, {result['draws']} draws of five"
    return f"{said}\n\n{markdown(heads, rows)}"


def failures(result: dict[str, Any]) -> list[str]:
    """Return the errors that are more frequent than `FLOOR`, beyond chance."""
    draws = result["draws"]
    return [
        f"{row['net']}: {error} {row[error]}"
        for row in result["rows"]
        for error in ERRORS
        if limits(row[error], draws)[0] > FLOOR
    ]
