"""Which images each finalist got right, fold by fold.

Folds may judge different numbers of images. Arrays are as wide as the largest fold; where a
smaller one has no image, the image's number is `NO_IMAGE`, and the place counts for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

NO_IMAGE: Final = -1


def stacked(arrays: Sequence[ArrayLike], dtype: DTypeLike, filled: Any = 0) -> NDArray[Any]:
    """Return arrays of folds as one, (folds, n, ...); what is missing at their ends is filled."""
    folds = [np.asarray(array) for array in arrays]
    widest = max(len(fold) for fold in folds)
    whole = np.full((len(folds), widest, *folds[0].shape[1:]), filled, dtype)
    for place, fold in zip(whole, folds, strict=True):
        place[: len(fold)] = fold
    return whole


def sizes_of(images: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (folds,) how many images each judges."""
    sizes: NDArray[np.int64] = (images != NO_IMAGE).sum(axis=1)
    return sizes


def effective(weights: NDArray[np.int64]) -> float:
    """Return how many equal weights say as much as these: (sum w)^2 / sum w^2 (Kish 1965)."""
    whole = [int(weight) for weight in weights]  # exact, however many images there are
    return sum(whole) ** 2 / sum(weight**2 for weight in whole)


@dataclass(frozen=True)
class Outcomes:
    """Finalists trained on the same folds, and judged on the same images of each.

    Attributes:
        correct: (finalists, folds, n) whether an image was recognised; not where there is none.
        images: (folds, n) which image stands at each place, as its number in the pool, or
            `NO_IMAGE`.
    """

    correct: NDArray[np.bool_] = field(repr=False)
    images: NDArray[np.int64] = field(repr=False)

    def __post_init__(self) -> None:
        if self.correct.ndim != 3 or self.correct.shape[1:] != self.images.shape:
            raise ValueError(
                f"correct {self.correct.shape}, images {self.images.shape}: needed are "
                "(finalists, folds, n) and (folds, n)"
            )
        if self.correct[:, self.images == NO_IMAGE].any():
            raise ValueError("no image, and recognised")

    @property
    def finalists(self) -> int:
        """Number of finalists."""
        return int(self.correct.shape[0])

    @property
    def folds(self) -> int:
        """Number of folds."""
        return int(self.correct.shape[1])

    @property
    def accuracies(self) -> NDArray[np.float64]:
        """(finalists, folds) share of each fold's images that were recognised."""
        shares: NDArray[np.float64] = self.correct.sum(axis=2) / self.sizes
        return shares

    @property
    def sizes(self) -> NDArray[np.int64]:
        """(folds,) how many images each judges."""
        return sizes_of(self.images)

    @property
    def means(self) -> NDArray[np.float64]:
        """(finalists,) mean accuracy over images of folds: all of them count alike."""
        return mean_over_folds(self.accuracies, self.sizes)

    @property
    def leader(self) -> int:
        """The finalist with the best mean; the first of equal ones."""
        return int(self.means.argmax())


def mean_over_folds(shares: NDArray[np.float64], sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the means of (..., folds) shares of images, each fold as heavy as it has images."""
    means: NDArray[np.float64] = np.average(shares, axis=-1, weights=sizes / sizes.mean())
    return means
