"""A recorded trial as the interactive tools show it: its course, its network and its images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from digitexp.config import TrialConfig
from digitexp.network import Network

__all__ = ["ShownTrial"]


@dataclass(frozen=True, eq=False)
class ShownTrial:
    """A trial, and the images its network is shown.

    Attributes:
        name: What people call it, such as `mlp, trial 12`.
        config: Its configuration.
        history: `digitexp.training.outcome.EPOCH_METRICS`, one value per epoch.
        confusion: (epochs, classes, classes) counts, [true, predicted], of the images that stop a
            training early.
        best_epoch: The epoch, from 1, whose weights were kept.
        weights: Of its network by name; None if it diverged.
        temperature: What its logits are divided by; fitted on validation images.
        class_names: In the order of the labels.
        part: What `images` are, such as `the validation part`.
        images: (n, h, w), float32 in [0, 1]: images it was not trained on.
        labels: (n,) their classes.
        train_images: (n_train, h, w), what it was trained on.
        train_labels: (n_train,) their classes.
    """

    name: str
    config: TrialConfig
    history: Mapping[str, Sequence[float]] = field(repr=False)
    confusion: NDArray[np.integer] = field(repr=False)
    best_epoch: int | None
    weights: Mapping[str, np.ndarray] | None = field(repr=False)
    temperature: float
    class_names: tuple[str, ...]
    part: str
    images: NDArray[np.float32] = field(repr=False)
    labels: NDArray[np.integer] = field(repr=False)
    train_images: NDArray[np.float32] = field(repr=False)
    train_labels: NDArray[np.integer] = field(repr=False)

    @property
    def image_shape(self) -> tuple[int, int]:
        """Height and width of an image."""
        height, width = self.images.shape[1:]
        return int(height), int(width)

    @cached_property
    def network(self) -> Network:
        """The trained network.

        Raises:
            ValueError: It diverged, so that there is none.
        """
        if self.weights is None:
            raise ValueError(f"{self.name} has no weights: it diverged, or they were freed")
        return Network(self.config, self.image_shape, self.weights)

    @cached_property
    def logits(self) -> NDArray[np.float32]:
        """(n, classes), what the network says of `images`."""
        return self.network.logits(self.images)
