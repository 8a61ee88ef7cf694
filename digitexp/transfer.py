"""Pretrain on one source, then train on few images of another, with that start and without."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from digitexp.config import ConfigError, TrialConfig
from digitexp.data import DataError, Source, Split, split_source
from digitexp.data.source import resized
from digitexp.data.splits import draw
from digitexp.training.outcome import TrainingData, TrainingOutcome

Verdict = Literal["gain", "none", "harm"]


@dataclass(frozen=True)
class Gain:
    """The rise of accuracy, as a share (0.01 = one point).

    Attributes:
        mean: Mean difference over the pairs.
        low: Lower end of its 95 % interval.
        high: Upper end.
    """

    mean: float
    low: float
    high: float

    @property
    def verdict(self) -> Verdict:
        """`none` where the interval contains 0: no gain is shown, nor that there is none."""
        if self.low > 0:
            return "gain"
        return "harm" if self.high < 0 else "none"


Say = Callable[[str], None]

_NET: Final = {
    "architecture": "cnn",
    "filters_1": 8,
    "filters_2": 16,
    "units_1": 32,
    "learning_rate": 0.003,
}
"""The default: a small convolutional net."""

_BUDGET: Final = {"epochs": 100, "early_stopping_patience_epochs": 8}
"""Few images make short epochs: training must not end because there were too few steps."""

_OPTIONS: Final = {"initial_weights": "--from", "frozen_layers": "--freeze", "seed": "--seeds"}


@dataclass(frozen=True)
class PairedAccuracies:
    """The accuracies for one number of images and one number of frozen layers.

    Attributes:
        images_per_class: Training images of each class.
        frozen_layers: Layers of the start that did not train.
        alone: Validation accuracy from nothing, by seed; two or more.
        started: Validation accuracy from the start, by seed.
    """

    images_per_class: int
    frozen_layers: int
    alone: tuple[float, ...]
    started: tuple[float, ...]

    @property
    def gain(self) -> Gain:
        """The gain of the start over training from nothing (paired t-interval; Student, 1908).

        The interval is over what the seeds decide: weights at the start, order, and which images
        are trained on. The validation images are the same throughout, and so is the start.
        """
        from scipy.stats import t

        differences = np.subtract(self.started, self.alone)
        mean, pairs = float(differences.mean()), len(differences)
        half = float(t.ppf(0.975, pairs - 1)) * float(differences.std(ddof=1)) / sqrt(pairs)
        return Gain(mean, mean - half, mean + half)


def transfer_config(given: Mapping[str, Any]) -> TrialConfig:
    """Return the net and its training; the default is a small convolutional net.

    Args:
        given: Parameters by flat name.

    Raises:
        ConfigError: A parameter is wrong, or an option of the comparison decides it.
    """
    for name, option in _OPTIONS.items():
        if name in given:
            raise ConfigError(f"{name} is given by --set; the comparison has {option} for it.")
    defaults: dict[str, Any] = dict(_BUDGET)
    if given.get("architecture", "cnn") == "cnn":
        defaults |= _NET
    for series, count in (("filters_", "conv_blocks"), ("units_", "hidden_layers")):
        if any(name == count or name.startswith(series) for name in given):
            defaults = {k: v for k, v in defaults.items() if not k.startswith(series)}
    return TrialConfig.from_params({**defaults, **given})


def pretraining_data(
    source: Source, shape: tuple[int, int], images: int | None, split_seed: int
) -> TrainingData:
    """Return the source's own training and validation part, in the target's size.

    Args:
        source: The source to learn first; its test set is not looked at.
        shape: Height and width of the target's images.
        images: Number of images to train on, as many of each class; a quarter of that number
            validates; None = all.
        split_seed: Decides the split, and which images are drawn.
    """
    split = split_source(source, split_seed)
    train, validation = split.train_indices, split.validation_indices
    if images is not None:
        per_class = max(images // len(source.class_names), 1)
        train = draw(source.labels, per_class, split_seed, train)
        validation = draw(source.labels, max(per_class // 4, 1), split_seed, validation)
    kept = np.concatenate([train, validation])
    numbers = np.arange(len(kept))
    return TrainingData.from_split(
        resized(source.images[kept], shape),
        source.labels[kept],
        numbers[: len(train)],
        numbers[len(train) :],
        source.class_names,
    )


def pretrain(config: TrialConfig, data: TrainingData, folder: Path, say: Say) -> Path:
    """Train the net on the source and write its best weights to `folder/weights.npz`.

    Raises:
        ValueError: Training diverged.
    """
    outcome = _train(config, data)
    assert outcome.weights is not None
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "weights.npz", allow_pickle=False, **outcome.weights)
    metrics = outcome.metrics
    say(
        f"pretrained on {len(data.train_labels)} images: validation accuracy "
        f"{metrics['best_val_accuracy']:.1%} after {metrics['best_epoch']:.0f} epochs"
    )
    return folder / "weights.npz"


def compare(
    config: TrialConfig,
    target: Source,
    weights: str,
    *,
    images_per_class: Sequence[int],
    frozen: Sequence[int],
    seeds: int,
    split_seed: int,
    say: Say,
) -> list[PairedAccuracies]:
    """Train on few images of the target, from nothing and from weights, and compare by pairs.

    A pair has the same seed, images, validation part and settings. The validation part stops the
    training early and scores it, for both alike; the test set is not looked at.

    Args:
        config: Net and training.
        target: The source to learn.
        weights: File of weights from which the other half starts.
        images_per_class: Training images of each class, one comparison each.
        frozen: Numbers of frozen layers, one comparison each.
        seeds: Number of pairs, each with images and seed of its own.
        split_seed: Decides the target's validation part.
        say: Called with a line on every training.

    Raises:
        ValueError: A class has too few images, the weights do not fit, or a training diverged.
    """
    split = split_source(target, split_seed)
    _check_enough(target, split, max(images_per_class))
    starts = [replace(config, initial_weights=weights, frozen_layers=count) for count in frozen]
    trainings = [*starts, config]  # the starts first: weights that do not fit are refused at once
    done, total = 0, len(images_per_class) * seeds * len(trainings)
    comparisons = []
    for count in images_per_class:
        scores: list[list[float]] = [[] for _ in trainings]
        for seed in range(seeds):
            drawn = draw(target.labels, count, seed, split.train_indices)
            data = TrainingData.of_split(target, replace(split, train_indices=drawn))
            for one, so_far in zip(trainings, scores, strict=True):
                metrics = _train(replace(one, seed=seed), data).metrics
                so_far.append(metrics["best_val_accuracy"])
                done += 1
                say(f"{done}/{total}  {count} a class, seed {seed}, {_told(one)}: {so_far[-1]:.1%}")
        comparisons += [
            PairedAccuracies(count, start.frozen_layers, tuple(scores[-1]), tuple(started))
            for start, started in zip(starts, scores, strict=False)
        ]
    return comparisons


def _train(config: TrialConfig, data: TrainingData) -> TrainingOutcome:
    from digitexp.training.train import train

    outcome = train(config, data)
    if outcome.weights is None or outcome.outcome == "diverged":
        raise ValueError(
            f"training diverged ({config.describe()}); a smaller --set learning_rate=... may help"
        )
    return outcome


def _check_enough(target: Source, split: Split, wanted: int) -> None:
    counts = np.bincount(target.labels[split.train_indices], minlength=len(target.class_names))
    if counts.min() < wanted:
        raise DataError.about(
            f"{target.name}, class {target.class_names[int(counts.argmin())]}",
            found=f"{counts.min()} training images",
            expected=f"{wanted} at least, as --images-per-class asks",
        )


def _told(config: TrialConfig) -> str:
    if config.initial_weights is None:
        return "from nothing"
    frozen = f", {config.frozen_layers} frozen" if config.frozen_layers else ""
    return f"transferred{frozen}"
