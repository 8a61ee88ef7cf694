"""digits20-tabular: 3000 configurations of the space `mlp`, each trained three times, published.

The first n configurations are the same however many are drawn. What trained them, and simulated
sweeps on them, is at commit 0ed29b6f.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.tables import files
from search_spaces.loading import load_space
from search_spaces.parameters import Value
from search_spaces.space import Space
from sweeps.study.proposals import Proposer
from sweeps.study.samplers import Choice, sampler_factory

PUBLISHED = Path(__file__).with_name("digits20-tabular.npz")
SHA256 = "453823446f76d931f0f7332d6045f1617f7a58558456accca210816c3d10901e"
"""Of the published arrays, see `digest`; zlib may pack the same arrays differently."""
SPACE = "mlp"
ON_THE_SPLIT = 2
"""A row's trainings on the split that every sweep has, under two seeds; one more has its own."""
HEADLINES = ("best_val_accuracy", "best_val_loss", "best_val_cross_entropy", "best_epoch",
             "epochs", "parameters", "train_seconds")  # fmt: skip
"""Headline metrics kept of each training; NaN if it diverged in its first epoch."""


@cache
def space(name: str = SPACE) -> Space:
    """Return the space the configurations are drawn from."""
    return load_space(name)


def draw(count: int, name: str = SPACE) -> list[dict[str, Value]]:
    """Return the first `count` configurations: the baselines, then uniformly random ones."""
    proposer = Proposer(
        space(name),
        seed=0,
        sampler=sampler_factory(Choice("random")),
        directions=["maximize"],
        admissible=lambda *_: True,
    )
    return [dict(proposer.propose().params) for _ in range(count)]


@cache
def published(headline: str) -> NDArray[np.float64]:
    """Return (rows, trainings) a headline metric of the published table.

    Raises:
        RuntimeError: Its arrays are not those that were published.
    """
    arrays = files.load(PUBLISHED)
    if (found := digest(arrays)) != SHA256:
        raise RuntimeError(f"{PUBLISHED}: SHA-256 of its arrays is {found}, expected {SHA256}")
    return arrays["headlines"][..., HEADLINES.index(headline)].astype(np.float64)


def digest(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Return the SHA-256 (hex) of named arrays: names, types, shapes and values."""
    found = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        found.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        found.update(array.tobytes())
    return found.hexdigest()
