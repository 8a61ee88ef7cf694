"""Which images each finalist got right, block by block."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Outcomes:
    """Finalists trained on the same blocks, and judged on the same images of each.

    Attributes:
        correct: (finalists, blocks, n) whether an image was recognised.
        images: (blocks, n) which image stands at each place, as its number in the pool.
    """

    correct: NDArray[np.bool_] = field(repr=False)
    images: NDArray[np.int64] = field(repr=False)

    def __post_init__(self) -> None:
        if self.correct.ndim != 3 or self.correct.shape[1:] != self.images.shape:
            raise ValueError(
                f"correct {self.correct.shape}, images {self.images.shape}: needed are "
                "(finalists, blocks, n) and (blocks, n)"
            )

    @property
    def finalists(self) -> int:
        """Number of finalists."""
        return int(self.correct.shape[0])

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return int(self.correct.shape[1])

    @property
    def accuracies(self) -> NDArray[np.float64]:
        """(finalists, blocks) share of each block's images that were recognised."""
        shares: NDArray[np.float64] = self.correct.mean(axis=2)
        return shares

    @property
    def means(self) -> NDArray[np.float64]:
        """(finalists,) mean accuracy over blocks."""
        means: NDArray[np.float64] = self.accuracies.mean(axis=1)
        return means

    @property
    def leader(self) -> int:
        """The finalist with the best mean; the first of equal ones."""
        return int(self.means.argmax())
