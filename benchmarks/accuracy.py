"""Accuracy of some nets on fresh folds and on the test set: one training alone, and several voting.

The nets are those that sweeps of the embedded digits once chose (seed 0: 40 trials of `mlp_wide`,
20 each of `augment` and `adversarial`), the tutorial's, and a baseline of `cnn`. They are written
down here, so that nothing is chosen by this benchmark: each is trained on the fresh folds that
confirmations use, evaluated on its fold, then on the 5000 images of the test set. Means have 95 %
intervals for new images and new seeds; a vote exists once, so its interval is for new images.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.markdown import markdown
from benchmarks.options import names_option, whole_numbers

TUTORIAL = {
    "hidden_layers": 2, "units_1": 25, "units_2": 15, "dropout_1": 0.2, "dropout_2": 0.0,
    "learning_rate": 0.001, "batch_size": 32, "epochs": 40,
    "early_stopping_patience_epochs": None, "plateau_patience_epochs": None,
}  # fmt: skip
WIDE = {
    "hidden_layers": 2, "units_1": 365, "units_2": 263, "learning_rate": 0.0014536839234074754,
    "batch_size": 64, "dropout": 0.3331923884926788, "l2": 3.561728334754913e-05,
    "label_smoothing": 0.03183346367062114, "epochs": 60, "early_stopping_patience_epochs": 8,
    "plateau_patience_epochs": 3,
}  # fmt: skip
ATTACKED = {
    "hidden_layers": 2, "units_1": 105, "units_2": 176, "learning_rate": 0.0022594250500532105,
    "batch_size": 64, "dropout": 0.05352352602252808, "adversarial_epsilon": 0.07209322495002894,
    "epochs": 60, "early_stopping_patience_epochs": 8, "plateau_patience_epochs": 3,
}  # fmt: skip
AUGMENTED = {
    "architecture": "cnn", "conv_blocks": 2, "filters_1": 32, "filters_2": 64, "kernel_size": 3,
    "hidden_layers": 1, "units_1": 128, "learning_rate": 0.003827987226831979, "batch_size": 64,
    "learning_rate_schedule": "cosine", "rotation": 1.344003159059537, "shift": 0.0931773140209407,
    "zoom": 0.18720986600088368, "conv_dropout": 0.04773064959313729,
    "dropout": 0.43183804993150515, "label_smoothing": 0.06925199628616656, "epochs": 40,
    "early_stopping_patience_epochs": None,
}  # fmt: skip
CNN = {
    "architecture": "cnn", "conv_blocks": 3, "filters_1": 24, "filters_2": 48, "filters_3": 64,
    "kernel_size": 3, "hidden_layers": 1, "units_1": 128, "learning_rate": 0.004, "batch_size": 64,
    "learning_rate_schedule": "cosine", "rotation": 8, "shift": 0.08, "zoom": 0.12,
    "conv_dropout": 0.05, "dropout": 0.3, "label_smoothing": 0.05, "epochs": 30,
    "early_stopping_patience_epochs": None,
}  # fmt: skip
NETS: Mapping[str, Mapping[str, Any]] = {
    "tutorial": TUTORIAL, "wide": WIDE, "attacked": ATTACKED, "augmented": AUGMENTED, "cnn": CNN
}  # fmt: skip
USUAL = ("tutorial", "wide", "attacked", "augmented")
"""The nets of the first table."""
NAMES = {
    "tutorial": "the tutorial's net, 400-25-15-10, dropout 0.2",
    "wide": "best dense net, 365-263, label smoothing",
    "attacked": "dense net trained on attacked images, 105-176",
    "augmented": "convolutions, augmented",
    "cnn": "convolutions, the baseline `augmented` of `cnn`",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    names_option(parser, "nets", NETS, USUAL)
    whole_numbers(parser, folds=(20, "a multiple of 4, from 8"))


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Train and evaluate every net."""
    if options.folds < 8 or options.folds % 4:
        raise RuntimeError(f"accuracy: --folds {options.folds}: a multiple of 4, from 8, is needed")
    from sweeps.config.sweep import SPLIT_SEED
    from sweeps.experiments.loading import load_experiment

    experiment: Any = load_experiment("digitexp.experiment:experiment@folds", None)
    experiment.warm_up()
    data, test = experiment.prepare(None, SPLIT_SEED), experiment.test_set(None)
    folds = range(options.folds)
    nets = {}
    for name in options.nets:
        nets[name] = measure(experiment, NETS[name], folds, data, test)
        print(f"{name}: {nets[name]['folds']['mean']:.4f} on fresh folds", file=sys.stderr)
    usual = (*options.nets,) == USUAL
    return {
        "name": "accuracy" if usual else f"accuracy-{'-'.join(options.nets)}",
        "folds": options.folds,
        "nets": nets,
        "test_images": len(test.labels),
    }


def measure(
    experiment: Any, config: Mapping[str, Any], folds: Sequence[int], data: Any, test: Any
) -> dict[str, Any]:
    """Train a net on every fold; return its definition, and shares of right answers."""
    from digitexp.numpy_functions import softmax
    from sweeps.capabilities import PREDICTIONS, SAMPLES
    from sweeps.confirm.intervals import (
        NO_SAMPLE,
        Estimate,
        Outcomes,
        crossed_estimate,
        crossed_mean,
        stacked,
    )  # fmt: skip
    from sweeps.experiment import TrialSpec

    results, predictions = [], []
    for block in folds:
        spec = TrialSpec("accuracy", block, 1, 0, {**config, "block": block})
        results.append(experiment.train(spec, data, lambda epoch, values: None))
        model = experiment.load_model(config, results[-1].weights or {}, data.info)
        predictions.append(experiment.evaluate(model, test).arrays[PREDICTIONS])
        print(f"fold {block}: {results[-1].metrics['best_val_accuracy']:.4f}", file=sys.stderr)
    right_or_not = [result.arrays["best_val_accuracy_by_sample"] for result in results]
    correct = stacked(right_or_not, bool)
    samples = stacked([result.arrays[SAMPLES] for result in results], np.int64, NO_SAMPLE)
    right = np.array(predictions).argmax(axis=2) == test.labels
    everywhere = np.tile(np.arange(len(test.labels), dtype=np.int64), (len(folds), 1))
    temperatures = [float(result.info["temperature"]) for result in results]
    logs = np.log(np.maximum(predictions, np.finfo(np.float32).tiny))
    heated = [softmax(own, one) for own, one in zip(logs, temperatures, strict=True)]
    voted = np.mean(heated, axis=0)
    vote = (voted.argmax(axis=1) == test.labels).astype(float)
    estimates = {
        "folds": crossed_mean(Outcomes(correct[np.newaxis], samples), 0),
        "test": crossed_estimate(right.astype(float), everywhere),
        "vote": Estimate(
            float(vote.mean()), float(vote.var(ddof=1)) / len(vote), 0.0, len(vote) - 1
        ),
    }
    accuracies = [float(result.metrics["best_val_accuracy"]) for result in results]
    return {
        "config": dict(config),
        "accuracies": accuracies,
        "deviation": float(np.std(accuracies, ddof=1)),
        **{
            name: {"mean": found.value, "half": found.interval().high - found.value}
            for name, found in estimates.items()
        },
    }


def table(result: Mapping[str, Any]) -> str:
    """Return a line a net, in per cent."""
    rows = (
        [NAMES[name], _share(net["folds"]), f"{100 * net['deviation']:.2f}", _share(net["test"]),
         _share(net["vote"])]
        for name, net in result["nets"].items()
    )  # fmt: skip
    heads = ["", "fresh folds, %", "a training strays by, points", "test set, %",
             f"{result['folds']} vote, test set, %"]  # fmt: skip
    return markdown(heads, rows)


def _share(found: Mapping[str, float]) -> str:
    return f"{100 * found['mean']:.1f} ± {100 * found['half']:.1f}"
