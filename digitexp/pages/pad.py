"""The page where digits are drawn, and recorded networks answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from digitexp.data.framing import Framing
from digitexp.pages.page import pack, render, source_of
from digitexp.trained import NORM_EPSILON, ShownTrial

MOST_NETWORKS: Final = 4
MOST_EXAMPLES: Final = 20


def pad_page(trials: Sequence[ShownTrial]) -> str:
    """Return the page, self-contained HTML.

    Args:
        trials: Those whose networks answer, the first one first; its images are there to be chosen.

    Raises:
        ValueError: There are none, more than `MOST_NETWORKS`, or one has no weights.
    """
    if not 1 <= len(trials) <= MOST_NETWORKS:
        raise ValueError(
            f"{len(trials)} networks: give 1 to {MOST_NETWORKS}, which answer together"
        )
    first = trials[0]
    data = {"networks": [_network(trial) for trial in trials], "examples": _examples(first)}
    names = " and ".join(trial.name for trial in trials)
    return render("pad", f"Draw a digit: {names}", data, source_of(first))


def _network(trial: ShownTrial) -> dict[str, Any]:
    framing = Framing.of(trial.train_images)
    return {
        "name": trial.name,
        "description": trial.config.describe(),
        "classes": list(trial.class_names),
        "temperature": float(trial.temperature),
        "framing": {"shape": framing.shape, "side": framing.side, "by_mass": framing.by_mass},
        "net": {
            "shape": list(trial.image_shape),
            "activation": trial.config.activation,
            "layers": _layers(trial),
        },
    }


def _layers(trial: ShownTrial) -> list[dict[str, Any]]:
    """Return the layers as `net.js` computes them, batch normalisation within the convolutions."""
    config = trial.config
    layers = []
    if config.architecture == "cnn":
        for block in range(1, len(config.filters) + 1):
            for turn in range(1, config.convs_per_block + 1):
                layers.append(_layer(trial, "conv", f"conv_{block}_{turn}", f"norm_{block}_{turn}"))
            layers.append({"kind": "pool"})
    names = [f"hidden_{number}" for number in range(1, len(config.units) + 1)]
    return layers + [_layer(trial, "dense", name) for name in (*names, "output")]


def _layer(trial: ShownTrial, kind: str, name: str, norm: str = "") -> dict[str, Any]:
    weights = trial.network.weights
    kernel, bias = (weights[f"{name}/{part}"].astype(np.float64) for part in ("kernel", "bias"))
    if norm and trial.config.batch_norm:
        gamma, beta, mean, variance = (
            weights[f"{norm}/{part}"].astype(np.float64)
            for part in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        scale = gamma / np.sqrt(variance + NORM_EPSILON)
        kernel, bias = kernel * scale, (bias - mean) * scale + beta
    return {
        "kind": kind,
        "kernel": pack(kernel.astype(np.float32)),
        "bias": pack(bias.astype(np.float32)),
    }


def _examples(trial: ShownTrial) -> dict[str, Any] | None:
    """Return the first image of each class, for those who do not draw; None without images."""
    labels = trial.labels
    present = np.unique(labels)[:MOST_EXAMPLES]
    if not len(present):
        return None
    chosen = np.array([int(np.argmax(labels == label)) for label in present])
    ink = np.rint(trial.images[chosen].clip(0, 1) * 255).astype(np.uint8)
    return {
        "ink": pack(ink),
        "labels": [int(label) for label in present],
        "numbers": [int(number) for number in chosen],
        "part": trial.part,
    }
