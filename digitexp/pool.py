"""The pool that fresh folds are made of, and the arrays a training on one gets."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from digitexp.data.blocks import Block, Indices, make_block
from digitexp.data.source import Source
from digitexp.data.splits import Split
from digitexp.training.outcome import TrainingData

__all__ = ["Pool"]


@dataclass(frozen=True)
class Pool:
    """Everything blocks are made of: the images of a source, and which scored the search."""

    source: Source = field(repr=False)
    split: Split

    def block(self, number: int) -> Block:
        """Return a block of it."""
        return make_block(self.source.labels, self.split, number)

    def arrays(self, part: Block | Split) -> TrainingData:
        """Return the arrays of a block, or of the search's own split."""
        stopping = part.inner_indices if isinstance(part, Block) else part.validation_indices
        return self._arrays(part.train_indices, stopping)

    def everything(self) -> TrainingData:
        """Return all images to train on.

        The search's validation set, which is among them, is looked at every epoch.
        """
        return self._arrays(np.arange(len(self.source.labels)), self.split.validation_indices)

    def _arrays(self, train: Indices, validation: Indices) -> TrainingData:
        source = self.source
        return TrainingData.from_split(
            source.images, source.labels, train, validation, source.class_names
        )
