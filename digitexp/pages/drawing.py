"""The part of both adapters that shows: a recorded training -> a `ShownTrial`, and its pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from digitexp.config import TrialConfig
from digitexp.pages.trial_view import ShownTrial
from digitexp.pool import Pool
from digitexp.training.outcome import TrainingData

if TYPE_CHECKING:
    from sweeps.capabilities import Trained
    from sweeps.experiment import PreparedData

__all__ = ["Shown", "WithPages", "show_of_pool", "show_trial"]


class Shown(NamedTuple):
    """Images that a network is shown: what they are, (n, ...) pixels, (n,) classes."""

    part: str
    images: np.ndarray
    labels: np.ndarray


class WithPages:
    """Draws the pages of `digitexp.pages`; see `SupportsPages` in sweeps/capabilities.py."""

    def show(self, data: PreparedData, trained: Trained) -> ShownTrial:
        """Return a recorded training as the tools show it."""
        raise NotImplementedError

    def pages(
        self, data: PreparedData, trained: Trained, beside: Trained | None
    ) -> Mapping[str, bytes]:
        """Return the interactive tools on a training, each a page."""
        from digitexp.pages import interactive_pages

        other = None if beside is None else self.show(data, beside)
        return interactive_pages(self.show(data, trained), other)


def show_trial(
    arrays: TrainingData, trained: Trained, config: TrialConfig, shown: Shown | None = None
) -> ShownTrial:
    """Return a recorded training as it is shown.

    Args:
        arrays: What it was trained on.
        trained: What is recorded of it.
        config: Its configuration.
        shown: Which images; None for those that stopped it early.
    """
    if shown is None:
        shown = Shown("the validation part", arrays.validation_images, arrays.validation_labels)
    result, shape = trained.result, arrays.image_shape
    best = result.metrics.get("best_epoch")
    return ShownTrial(
        name=trained.name,
        config=config,
        history=result.history,
        confusion=result.arrays["confusion"],
        best_epoch=None if best is None else int(best),
        weights=trained.weights,
        temperature=float(result.info.get("temperature", 1.0)),
        class_names=arrays.class_names,
        part=shown.part,
        images=shown.images.reshape(-1, *shape),
        labels=shown.labels,
        train_images=arrays.train_images.reshape(-1, *shape),
        train_labels=arrays.train_labels,
    )


def show_of_pool(
    pool: Pool, trained: Trained, config: TrialConfig, block: int | None, *, is_refit: bool
) -> ShownTrial:
    """Return a training as it is shown that confirms a search.

    Args:
        pool: All images but the test set.
        trained: What is recorded of it.
        config: Its configuration.
        block: Its number, whose own images are shown; None: trained on the search's split.
        is_refit: Whether it was trained on everything: it is shown the search's validation set all
            the same.
    """
    if is_refit:
        arrays = pool.everything()
        part = "the search's validation set, trained on as well"
        shown = Shown(part, arrays.validation_images, arrays.validation_labels)
        return show_trial(arrays, trained, config, shown)
    if block is None:
        return show_trial(pool.arrays(pool.split), trained, config)
    made, source = pool.block(block), pool.source
    own = made.evaluation_indices
    shown = Shown(f"the images of block {block}", source.images[own], source.labels[own])
    return show_trial(pool.arrays(made), trained, config, shown)
