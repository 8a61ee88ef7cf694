"""Principal components: what three numbers say of an image, and which image they stand for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["COMPONENTS", "Projection"]

COMPONENTS = 3
AT_ONCE = 2048
"""Vectors that are float64 at one time: all of a large data set would not fit the memory."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Projection:
    """The three orthogonal directions in which vectors differ most, the first one first.

    Attributes:
        mean: (d,) of the vectors it was fitted on.
        components: (3, d), of length 1. The largest entry of each is positive: else its sign would
            be up to the library that computes it.
        shares: (3,) parts of the variance, in [0, 1]; 0 if the vectors are all alike.
    """

    mean: Floats
    components: Floats
    shares: Floats

    @classmethod
    def fit(cls, vectors: NDArray[np.floating]) -> Projection:
        """Find them by the eigenvectors of the covariance of vectors (n, d), in float64.

        Raises:
            ValueError: There is no vector, or d is below 3.
        """
        count, size = vectors.shape
        if not count or size < COMPONENTS:
            raise ValueError(f"vectors of shape {vectors.shape}: give (1 or more, 3 or more)")
        mean = vectors.mean(axis=0, dtype=np.float64)
        scatter = np.zeros((size, size))
        for start in range(0, count, AT_ONCE):
            centred = vectors[start : start + AT_ONCE] - mean
            scatter += centred.T @ centred
        values, found = np.linalg.eigh(scatter)  # the smallest first
        values, components = values[::-1][:COMPONENTS], found.T[::-1][:COMPONENTS]
        largest = np.abs(components).argmax(axis=1)[:, None]
        components = components * np.sign(np.take_along_axis(components, largest, axis=1))
        total = np.trace(scatter)
        shares = np.maximum(values, 0) / total if total > 0 else np.zeros(COMPONENTS)
        return cls(mean, components, shares)

    def project(self, vectors: NDArray[np.floating]) -> Floats:
        """Return (n, 3), where vectors (n, d) lie."""
        return np.asarray((vectors - self.mean) @ self.components.T)

    def restore(self, points: NDArray[np.floating]) -> Floats:
        """Return vectors (n, d) of points (n, 3), the other components at their mean."""
        return np.asarray(self.mean + points @ self.components)
