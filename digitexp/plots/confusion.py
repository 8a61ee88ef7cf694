"""Which class was taken for which, with counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from digitexp.plots import colors
from digitexp.plots.style import new_figure, png, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_confusion"]

MOST_CLASSES_WITH_COUNTS = 30


def draw_confusion(counts: np.ndarray, class_names: Sequence[str], title: str = "") -> bytes:
    """Draw a confusion matrix with its counts as a PNG.

    Right answers are blue, by the class's recall; mistakes are orange, by their share of the
    worst mistake, so that they stand out however few they are.

    Args:
        counts: (classes, classes), unsigned, [true, predicted].
        class_names: Names in the order of the labels.
        title: Line above the matrix.
    """
    classes = len(class_names)
    side = min(max(0.46 * classes, 3.2), 14.0)
    margin = 0.5 + 0.075 * max(len(name) for name in class_names)
    width, height = side + margin + 0.75, side + margin + 0.75
    with styled():
        figure = new_figure(width, height)
        axes = figure.add_axes((margin / width, margin / height, side / width, side / height))
        axes.imshow(_cell_colors(counts), aspect="equal", interpolation="nearest")
        _label(axes, class_names)
        if classes <= MOST_CLASSES_WITH_COUNTS:
            _write_counts(axes, counts)
        _write_recalls(axes, counts)
        figure.text(
            margin / width, 1 - 0.2 / height, title, va="top", fontsize=9.5, fontweight="bold"
        )
        return png(figure)


def _cell_colors(counts: np.ndarray) -> np.ndarray:
    """Return (classes, classes, 3) colours between white and the colour of right or wrong."""
    from matplotlib.colors import to_rgb

    wrong = counts.astype(float)
    np.fill_diagonal(wrong, 0)
    strength = 0.8 * (wrong / max(wrong.max(), 5)) ** 0.7
    picture: np.ndarray = 1 - strength[..., np.newaxis] * (1 - np.array(to_rgb(colors.WRONG)))
    recall = np.nan_to_num(_recalls(counts))[:, np.newaxis]
    diagonal = np.arange(len(counts))
    picture[diagonal, diagonal] = 1 - recall * (1 - np.array(to_rgb(colors.RIGHT)))
    return picture


def _recalls(counts: np.ndarray) -> np.ndarray:
    """Return the recall of each class, NaN where a class has no images."""
    totals = counts.sum(axis=1).astype(float)
    totals[totals == 0] = np.nan
    return np.asarray(np.diagonal(counts) / totals)


def _label(axes: Axes, class_names: Sequence[str]) -> None:
    places = range(len(class_names))
    long = max(len(name) for name in class_names) > 2
    axes.set_xticks(places, class_names, rotation=90 if long else 0)
    axes.set_yticks(places, class_names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.grid(visible=False)
    axes.spines[:].set_visible(True)
    edges = np.arange(len(class_names) + 1) - 0.5
    axes.hlines(edges, -0.5, len(class_names) - 0.5, color="#E8E8E8", linewidth=0.6)
    axes.vlines(edges, -0.5, len(class_names) - 0.5, color="#E8E8E8", linewidth=0.6)


def _write_counts(axes: Axes, counts: np.ndarray) -> None:
    recall = _recalls(counts)
    for true, said in zip(*np.nonzero(counts), strict=True):
        right = true == said
        axes.text(
            said,
            true,
            str(counts[true, said]),
            ha="center",
            va="center",
            fontsize=8,
            fontweight="bold" if right else "normal",
            color="white" if right and recall[true] > 0.55 else "#262626",
        )


def _write_recalls(axes: Axes, counts: np.ndarray) -> None:
    right = len(counts) - 0.3
    axes.text(right, -0.75, "recall", fontsize=7.5, color=colors.MUTED)
    for true, recall in enumerate(_recalls(counts)):
        words = "-" if np.isnan(recall) else f"{recall:.1%}"
        axes.text(right, true, words, va="center", fontsize=7.5, color=colors.MUTED)
