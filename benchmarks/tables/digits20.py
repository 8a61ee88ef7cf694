"""digits20-tabular: 3000 configurations of the space `mlp`, each trained three times, published.

The first n configurations are the same however many are drawn. What trained them, and simulated
sweeps on them, is at commit 0ed29b6f.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.tables import files
from search_spaces.loading import load_space
from search_spaces.parameters import Value
from search_spaces.space import Component, Space
from sweeps.study.proposals import Proposer
from sweeps.study.samplers import sampler_factory

PUBLISHED = Path(__file__).with_name("digits20-tabular.npz")
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
        sampler=sampler_factory(Component("random")),
        directions=["maximize"],
        admissible=lambda *_: True,
    )
    return [dict(proposer.propose().params) for _ in range(count)]


@cache
def published(headline: str) -> NDArray[np.float64]:
    """Return (rows, trainings) a headline metric of the published table."""
    headlines = files.load(PUBLISHED)["headlines"]
    return headlines[..., HEADLINES.index(headline)].astype(np.float64)
