"""Effect of usual advice on training, in time and in accuracy: each piece against a base.

The base and the advised configuration take turns under the same seeds, on the digits' own split, so
that a slow moment of the machine hits both. Time is that of an epoch; accuracy is the best epoch's
on the validation set. Targeted augmentation is measured by the class that was recognised worst
before.

With 18 rows one of them would look like an effect by chance alone more often than not. So the
intervals hold for all rows at once (Bonferroni: each at 1 - 0.05 / rows), with 95 %.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.timing import at_least_one
from digitexp.config import TrialConfig
from digitexp.data import load_source, split_source
from digitexp.training.outcome import TrainingData, TrainingOutcome
from digitexp.training.train import train

CNN = {"architecture": "cnn", "units_1": 64, "filters_1": 16, "filters_2": 32, "hidden_layers": 1}
KERAS = {"engine": "keras"}
TURNED = {"rotation": 10.0, "shift": 0.1, "zoom": 0.1}


@dataclass(frozen=True)
class Advice:
    """One piece of advice.

    Attributes:
        name: The advice in words.
        advised: Parameters that it changes.
        base: Parameters in which the base differs from the tutorial.
    """

    name: str
    advised: Mapping[str, Any]
    base: Mapping[str, Any]


ADVICE = (
    Advice("mixed_float16, mlp", {"precision": "mixed_float16"}, KERAS),
    Advice("mixed_bfloat16, mlp", {"precision": "mixed_bfloat16"}, KERAS),
    Advice("mixed_float16, cnn", {"precision": "mixed_float16"}, CNN),
    Advice("mixed_bfloat16, cnn", {"precision": "mixed_bfloat16"}, CNN),
    Advice("tf.data shuffle, batch, prefetch", {"input_pipeline": "tf_data"}, KERAS),
    Advice("batches of 64, not 32", {"batch_size": 64}, {}),
    Advice("He initialisation", {"kernel_initializer": "he_normal"}, {}),
    Advice("clipnorm 1", {"clipnorm": 1.0}, {}),
    Advice("dropout 0.2 on the first layer", {"dropout_1": 0.2, "dropout_2": 0.0}, {}),
    Advice("L2 0.01", {"l2": 0.01}, {}),
    Advice("label smoothing 0.1", {"label_smoothing": 0.1}, {}),
    Advice("cosine decay, not plateau", {"learning_rate_schedule": "cosine"}, {}),
    Advice("a third hidden layer of 10", {"hidden_layers": 3, "units_3": 10}, {}),
    Advice("50-20, not 25-15", {"units_1": 50, "units_2": 20}, {}),
    Advice("augmentation, mlp", TURNED, KERAS),
    Advice("augmentation, cnn", TURNED, CNN),
    Advice("targeted augmentation, mlp", {**TURNED, "augment_worst_classes": 2}, KERAS),
    Advice("targeted augmentation, cnn", {**TURNED, "augment_worst_classes": 2}, CNN),
)
TUTORIAL = {"hidden_layers": 2, "units_1": 25, "units_2": 15}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument("--seeds", type=at_least_one, default=10, help="of each (default 10)")
    parser.add_argument("--epochs", type=at_least_one, default=40, help="at most (default 40)")
    parser.add_argument("--only", default="", metavar="TEXT", help="advice whose name has it")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure every piece of advice."""
    chosen = [advice for advice in ADVICE if options.only in advice.name]
    if not chosen:
        raise RuntimeError(f"advice: nothing is named like {options.only!r}")
    loaded = load_source("digits20")
    split = split_source(loaded, 0)
    data = TrainingData.from_split(
        loaded.images, loaded.labels, split.train_indices, split.validation_indices,
        loaded.class_names,
    )  # fmt: skip
    rows = []
    for advice in chosen:
        rows.append(_measured(advice, data, options))
        print(_line(rows[-1], len(chosen)), file=sys.stderr, flush=True)
    return {"seeds": options.seeds, "epochs": options.epochs, "rows": rows}


def _measured(advice: Advice, data: TrainingData, options: argparse.Namespace) -> dict[str, Any]:
    base = {**TUTORIAL, **advice.base, "epochs": options.epochs}
    if base.get("architecture") == "cnn":
        base.pop("units_2")
    ratios, gains, worst = [], [], []
    for seed in range(-1, options.seeds):
        first, second = (
            train(TrialConfig.from_params({**params, "seed": max(seed, 0)}), data)
            for params in (base, {**base, **advice.advised})
        )
        if seed < 0:  # the first training of a process builds graphs for all
            continue
        ratios.append(_epoch_seconds(second) / _epoch_seconds(first))
        accuracies = [outcome.metrics.get("best_val_accuracy", 0.0) for outcome in (first, second)]
        gains.append(100 * (accuracies[1] - accuracies[0]))
        if targeted := second.info.get("targeted"):
            worst.append(_worst_class(targeted))
    return {
        "advice": advice.name,
        "epoch_time": statistics.median(ratios),
        "epoch_time_range": [min(ratios), max(ratios)],
        "base": base,
        "advised": dict(advice.advised),
        "gains": gains,
        "worst_class_gains": worst,
    }


def _worst_class(table: Mapping[str, Any]) -> float:
    """Return the gain in recall of the class that was worst before, in points."""
    images, before = np.array(table["images"]), np.array(table["right_before"])
    label = int(np.argmin(before / images))
    return float(100 * (table["right_after"][label] - before[label]) / images[label])


def _epoch_seconds(outcome: TrainingOutcome) -> float:
    return outcome.timings["train_seconds"] / len(outcome.history["loss"])


def mean_and_half_width(values: list[float], rows: int) -> tuple[float, float]:
    """Return the mean and half of its interval, which holds for all rows at once with 95 %."""
    from scipy.stats import t

    if len(values) < 2:
        return statistics.fmean(values), float("inf")
    error = statistics.stdev(values) / len(values) ** 0.5
    return statistics.fmean(values), float(t.ppf(1 - 0.025 / rows, len(values) - 1)) * error


def table(result: Mapping[str, Any]) -> str:
    """Return a Markdown table: time of an epoch as a multiple of the base's, gain in points."""
    rows = result["rows"]
    head = (
        f"| advice ({result['seeds']} seeds) | an epoch takes | accuracy, points | an effect? "
        "| worst class, points |"
    )
    return "\n".join([head, "|---|---|---|---|---|", *(_line(row, len(rows)) for row in rows)])


def _line(row: Mapping[str, Any], rows: int) -> str:
    low, high = row["epoch_time_range"]
    gain, half = mean_and_half_width(row["gains"], rows)
    word = "better" if gain > half else "worse" if gain < -half else "not to be told"
    points = ""
    if row["worst_class_gains"]:
        points = "{:+.2f} ± {:.2f}".format(*mean_and_half_width(row["worst_class_gains"], rows))
    return (
        f"| {row['advice']} | {row['epoch_time']:.2f} times ({low:.2f} to {high:.2f}) | "
        f"{gain:+.2f} ± {half:.2f} | {word} | {points} |"
    )
