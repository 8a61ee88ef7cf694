"""The page of a trial's images in three dimensions, with the network's answers in that space."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitexp.diagnostics import confused_pairs
from digitexp.metrics import confusion_counts
from digitexp.numpy_functions import softmax
from digitexp.pages.page import evenly, ink_of, pack, render, source_of
from digitexp.trained import ShownTrial

COMPONENTS = 3
AT_ONCE = 2048
"""Vectors that are float64 at one time: all of a large data set would not fit the memory."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PrincipalComponents:
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
    def fit(cls, vectors: NDArray[np.floating]) -> PrincipalComponents:
        """Find the directions by the eigenvectors of the covariance of vectors (n, d), in float64.

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
        """Return the points (n, 3) of vectors (n, d)."""
        return np.asarray((vectors - self.mean) @ self.components.T)

    def restore(self, points: NDArray[np.floating]) -> Floats:
        """Return vectors (n, d) of points (n, 3), the other components at their mean."""
        return np.asarray(self.mean + points @ self.components)


MOST_SHOWN = 1000
"""Images on the page: more dots hide each other, and make the page large."""
MOST_PAIRS = 12
MARGIN = 0.04
"""Space beyond the outermost image, as a share of the way from one side to the other."""


@dataclass(frozen=True)
class Effort:
    """The number of vectors that are fitted on and asked about.

    Attributes:
        most_fitted: Training images that the components are fitted on: three need no more.
        positions: Slices across each axis.
        side: A slice has side x side cells.
    """

    most_fitted: int
    positions: int
    side: int


FINE = Effort(5000, 9, 33)
COARSE = Effort(2000, 7, 21)
"""For convolutions, which take about a hundred times as long as hidden layers."""

Ask = Callable[[NDArray[np.floating]], NDArray[np.floating]]
"""(n, d) vectors of a space -> (n, classes) logits."""


def decision_regions_page(trial: ShownTrial) -> str:
    """Return the page: one HTML file that needs nothing else.

    Args:
        trial: The trial to show; of more than 1000 images the first ones of each class.

    Raises:
        ValueError: The trial has no weights or no images, or they have fewer than 3 pixels.
    """
    from threadpoolctl import threadpool_limits

    # Thousands of small products: threads that wait for each other on a busy machine made them take
    # 20 s, one thread 0.5 s (of 0.2 s on the processor).
    with threadpool_limits(1, "blas"):
        data = _data(trial)
    return render("decision_regions", f"Decision regions: {trial.name}", data, source_of(trial))


def _data(trial: ShownTrial) -> dict[str, Any]:
    network, logits = trial.network, trial.logits
    if not len(logits):
        raise ValueError(f"{trial.name} has no images to show")
    chosen = first_of_each_class(trial.labels, MOST_SHOWN)
    effort = _effort(trial)
    fitted_on = evenly(len(trial.train_images), effort.most_fitted)
    train_images = trial.train_images[fitted_on]
    predicted, sure = logits.argmax(axis=1), softmax(logits, trial.temperature).max(axis=1)
    pixels = _space(
        PrincipalComponents.fit(train_images.reshape(len(train_images), -1)),
        trial.images[chosen].reshape(len(chosen), -1),
        lambda images: network.logits(np.clip(images, 0, 1)),
        trial,
        predicted[chosen],
    )
    spaces = {"pixels": pixels}
    if trial.config.units and trial.config.units[-1] >= COMPONENTS:
        spaces["hidden"] = _space(
            PrincipalComponents.fit(network.hidden(train_images)),
            network.hidden(trial.images[chosen]),
            network.head,
            trial,
            predicted[chosen],
        )
    height, width = trial.image_shape
    return {
        "name": trial.name,
        "part": trial.part,
        "class_names": list(trial.class_names),
        "temperature": trial.temperature,
        "height": height,
        "width": width,
        "n_images": len(trial.images),
        "n_wrong": int((predicted != trial.labels).sum()),
        "n_fitted": len(train_images),
        "n_train": len(trial.train_images),
        "positions": effort.positions,
        "side": effort.side,
        "images": pack(ink_of(trial.images[chosen])),
        "labels": pack(_numbers(trial.labels[chosen], trial)),
        "predicted": pack(_numbers(predicted[chosen], trial)),
        "probabilities": pack(sure[chosen].astype(np.float32)),
        "pairs": [
            {"first": pair.first, "second": pair.second, "there": pair.there, "back": pair.back}
            for pair in confused_pairs(confusion_counts(logits, trial.labels))[:MOST_PAIRS]
        ],
        "spaces": spaces,
        "units": trial.config.units[-1] if trial.config.units else 0,
    }


def first_of_each_class(labels: NDArray[np.integer], most: int) -> NDArray[np.intp]:
    """Return the indices of the first images of each class, as many as `most` in all allows.

    Args:
        labels: (n,) classes.
        most: A class that has fewer leaves room for the others.
    """
    rank = np.empty(len(labels), np.intp)
    for number in np.unique(labels):
        of_class = np.flatnonzero(labels == number)
        rank[of_class] = np.arange(len(of_class))
    quota = max(int(np.sort(rank)[most]), 1) if len(labels) > most else len(labels)
    return np.flatnonzero(rank < quota)


def _effort(trial: ShownTrial) -> Effort:
    return COARSE if trial.config.architecture == "cnn" else FINE


def _space(
    projection: PrincipalComponents,
    vectors: NDArray[np.floating],
    ask: Ask,
    trial: ShownTrial,
    predicted: NDArray[np.integer],
) -> dict[str, Any]:
    """Return one of the two spaces as the page reads it, with the images' (n, d) vectors in it."""
    points = projection.project(vectors)
    low, high = points.min(axis=0), points.max(axis=0)
    margin = np.maximum((high - low) * MARGIN, 1e-3)
    # The page gets them in float32, and computes the grid from them: so does this.
    low, high = ((low - margin).astype(np.float32), (high + margin).astype(np.float32))
    effort = _effort(trial)
    slices = slice_points(low, high, effort)
    shape = slices.shape[:-1]
    # slice by slice: the vectors of all of them might not fit the memory
    by_slice = slices.reshape(-1, effort.side**2, COMPONENTS)
    logits = np.concatenate(
        [ask(projection.restore(cells).astype(np.float32)) for cells in by_slice]
    )
    classes = _numbers(logits.argmax(axis=1), trial)
    sure = softmax(logits, trial.temperature).max(axis=1)
    probabilities = np.round(sure * 255).astype(np.uint8)
    in_slice = ask(projection.restore(points).astype(np.float32)).argmax(axis=1)
    return {
        "shares": projection.shares.tolist(),
        "size": len(projection.mean),
        "mean": pack(projection.mean.astype(np.float32)),
        "components": pack(projection.components.astype(np.float32)),
        "points": pack(points.astype(np.float32)),
        "low": pack(low),
        "high": pack(high),
        "classes": pack(classes.reshape(shape)),
        "probabilities": pack(probabilities.reshape(shape)),
        "agreement": float((in_slice == predicted).mean()),
    }


def slice_points(
    low: NDArray[np.floating], high: NDArray[np.floating], effort: Effort
) -> NDArray[np.float64]:
    """Return the middles of the cells of every slice, (axis, position, row, column, 3).

    The box from low to high is cut into `positions` equal layers across each axis; a slice is the
    middle of a layer, in cells of equal size. Of the two axes along it, the earlier one goes by
    column.

    Args:
        low: (3,) one corner of the box.
        high: (3,) the opposite one.
        effort: How many slices, and cells.
    """
    points = np.empty((COMPONENTS, effort.positions, effort.side, effort.side, COMPONENTS))
    for axis in range(COMPONENTS):
        along = [other for other in range(COMPONENTS) if other != axis]
        points[axis, ..., axis] = _middles(low, high, axis, effort.positions)[:, None, None]
        points[axis, ..., along[0]] = _middles(low, high, along[0], effort.side)
        points[axis, ..., along[1]] = _middles(low, high, along[1], effort.side)[:, None]
    return points


def _middles(
    low: NDArray[np.floating], high: NDArray[np.floating], axis: int, count: int
) -> NDArray[np.float64]:
    start, end = float(low[axis]), float(high[axis])
    return np.asarray(start + (np.arange(count) + 0.5) * ((end - start) / count), np.float64)


def _numbers(classes: NDArray[np.integer], trial: ShownTrial) -> NDArray[np.integer]:
    """Return classes in as few bytes as `pack` knows."""
    return classes.astype(np.uint8 if len(trial.class_names) <= 256 else np.uint16)
