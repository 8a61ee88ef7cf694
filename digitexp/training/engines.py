"""Chooses the engine of a configuration, says why, and estimates how long it takes.

Neither needs TensorFlow; the time that TensorFlow takes to start is not counted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from digitexp.config import TrialConfig, only_keras
from digitexp.models import count_parameters


def _seconds(
    engine: str, config: TrialConfig, n_train: int, image_shape: tuple[int, ...], n_classes: int
) -> float:
    if config.architecture == "cnn":
        seconds = _cnn_seconds(config, n_train, image_shape, n_classes)
    else:
        seconds = _dense_seconds(engine, config, n_train, image_shape, n_classes)
    if config.adversarial_epsilon:  # a pass for the attack, and batches of twice the length
        seconds *= 3
    if config.is_augmented:
        seconds += config.epochs * n_train * 1.0e-7 * math.prod(image_shape)
    return seconds * (1 if config.augment_worst_classes is None else 2)


def _dense_seconds(
    engine: str, config: TrialConfig, n_train: int, image_shape: tuple[int, ...], n_classes: int
) -> float:
    """Return seconds for all epochs, TensorFlow's start not included.

    compiled: least-squares fit of the relative error to 80 nets of ReLU units (4000 images of 400
    pixels; 1 to 3 layers of 10 to 128 units, batch 16 to 128, with and without dropout), in
    processor time of one core: half are within 4 %, nine of ten within 14 %, all within 18 % (Numba
    0.68, OpenBLAS 0.3.31, x86 with AVX-512).

    keras: shape by a fit to 24 such nets of 15 units and more, scale by 5 of them timed on an
    otherwise idle core, where the estimate is within 15 % (TensorFlow 2.21, Keras 3.15, x86).
    """
    dropped = [u for u, rate in zip(config.units, config.dropout_rates, strict=True) if rate > 0]
    weights = count_parameters(config, image_shape, n_classes)
    steps = -(-n_train // config.batch_size)
    if engine == "compiled":
        step = 1.9e-6 * config.hidden_layers + 4.1e-10 * weights
        image = 4.6e-11 * weights + 1.6e-9 * sum(dropped)
        return 0.005 + config.epochs * (0.0017 + steps * step + n_train * image)
    layers = config.hidden_layers + 1
    step = 51e-6 + 41e-6 * layers + 33e-6 * len(dropped) + 2.0e-9 * weights
    epoch = 0.022 + steps * step + 1.18e-10 * weights * n_train
    return 0.5 + 0.12 * layers + config.epochs * epoch


def _cnn_seconds(
    config: TrialConfig, n_train: int, image_shape: tuple[int, ...], n_classes: int
) -> float:
    """Return seconds for all epochs, TensorFlow's start not included.

    Least-squares fit of the relative error to the 31 nets of a sweep of `cnn` (4000 images of 400
    pixels), two at a time on two cores: half are within 6 %, all within 19 % (TensorFlow 2.21 with
    oneDNN, Keras 3.15, x86 with AVX-512). Batch normalisation was timed with one net. Products and
    sums are counted, and numbers that the convolutions write: with few channels these take longer.
    """
    pixels, channels, products, written = list(image_shape), 1, 0, 0
    for filters in config.filters:
        for _ in range(config.convs_per_block):
            products += math.prod(pixels) * config.kernel_size**2 * channels * filters
            written += math.prod(pixels) * filters
            channels = filters
        pixels = [-(-side // 2) for side in pixels]
    widths = (channels * math.prod(pixels), *config.units, n_classes)
    products += sum(a * b for a, b in pairwise(widths))
    steps = -(-n_train // config.batch_size)
    image = 8.9e-11 * products + (1.0e-8 if config.batch_norm else 4.0e-9) * written
    return 2.0 + config.epochs * (2.3e-3 * steps + n_train * image)


@dataclass(frozen=True)
class TrainingPlan:
    """The engine of a configuration, and its estimate.

    Attributes:
        engine: Name of the engine.
        reason: Why this engine, in a few words.
        seconds: Estimate for all epochs on one core; early stopping makes it less.
    """

    engine: str
    reason: str
    seconds: float


def engine_of(config: TrialConfig) -> tuple[str, str]:
    """Return the engine that trains a configuration, and why, in a few words."""
    if config.engine != "auto":
        return config.engine, "asked for"
    if reason := only_keras(config):
        return "keras", reason
    return "compiled", "a multilayer perceptron: an epoch is one call, without TensorFlow"


def plan_training(
    config: TrialConfig, n_train: int, image_shape: tuple[int, ...], n_classes: int
) -> TrainingPlan:
    """Choose the engine and estimate the time.

    Args:
        config: The configuration to train; its `engine` may be `auto`.
        n_train: Number of training images.
        image_shape: Height and width of the images.
        n_classes: Outputs of the network.
    """
    engine, reason = engine_of(config)
    if config.precision != "float32":
        reason += "; on CPUs it was no faster (docs/networks.md)"
    seconds = _seconds(engine, config, n_train, image_shape, n_classes)
    return TrainingPlan(engine, reason, seconds)
