"""Loss and accuracy over the epochs, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from digitexp.plots import colors
from digitexp.plots.style import new_figure, png, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_curves", "rate_drops"]


def rate_drops(learning_rate: Sequence[float]) -> list[int]:
    """Return the epochs (from 1) that were the first to use a lower learning rate."""
    return [
        epoch
        for epoch, (before, now) in enumerate(pairwise(learning_rate), start=2)
        if now < before
    ]


def draw_curves(
    history: Mapping[str, Sequence[float]], best_epoch: int | None, title: str = ""
) -> bytes:
    """Draw the loss and accuracy curves of one training as a PNG.

    Args:
        history: `loss`, `val_loss`, `accuracy`, `val_accuracy` and `learning_rate` per epoch;
            NaN leaves a gap.
        best_epoch: Epoch (from 1) whose weights were kept, marked in both; None = none was.
        title: Line above both.
    """
    with styled():
        figure = new_figure(9.6, 3.7)
        axes = figure.subplots(1, 2)
        figure.subplots_adjust(left=0.062, right=0.985, bottom=0.125, top=0.815, wspace=0.14)
        figure.text(0.062, 0.955, title, va="center", fontsize=9, color=colors.MUTED)
        for place, (name, heading) in zip(
            axes, {"loss": "Loss", "accuracy": "Accuracy"}.items(), strict=True
        ):
            place.set_title(heading)
            _draw_pair(place, history[name], history[f"val_{name}"])
            _mark_drops(place, history["learning_rate"])
            if best_epoch is not None:
                _mark_best(place, best_epoch, history[f"val_{name}"][best_epoch - 1])
        _scale_loss(axes[0], [*history["loss"], *history["val_loss"]])
        axes[1].legend(loc="lower right")
        return png(figure)


def _draw_pair(axes: Axes, train: Sequence[float], validation: Sequence[float]) -> None:
    from matplotlib.ticker import MaxNLocator

    epochs = range(1, len(train) + 1)
    marker = "o" if len(train) <= 50 else None
    axes.plot(epochs, train, color=colors.TRAIN, marker=marker, label="training")
    axes.plot(epochs, validation, color=colors.VALIDATION, marker=marker, label="validation")
    axes.set_xlabel("epoch")
    axes.set_xlim(0.5, len(train) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def _mark_drops(axes: Axes, learning_rate: Sequence[float]) -> None:
    label: str | None = "learning rate falls"
    written = -np.inf
    for epoch in rate_drops(learning_rate):
        axes.axvline(epoch - 0.5, color=colors.RATE_DROP, linewidth=1, linestyle=":", label=label)
        label = None
        if epoch - written < 0.09 * len(learning_rate):
            continue  # two numbers would run into each other
        written = epoch
        axes.text(
            epoch - 0.5,
            1.005,
            f"{learning_rate[epoch - 1]:.2g}",
            transform=axes.get_xaxis_transform(),
            ha="center",
            va="bottom",
            fontsize=6.5,
            color=colors.MUTED,
        )


def _mark_best(axes: Axes, best_epoch: int, value: float) -> None:
    axes.axvline(best_epoch, color=colors.BEST, linewidth=0.9, alpha=0.55)
    axes.plot(
        [best_epoch],
        [value],
        marker="o",
        markersize=6.5,
        markerfacecolor="white",
        markeredgecolor=colors.BEST,
        markeredgewidth=1.4,
        linestyle="none",
        label=f"best epoch {best_epoch}: {value:.4g}",
    )


def _scale_loss(axes: Axes, losses: Sequence[float]) -> None:
    """Use a logarithmic axis where a linear one would hide the end of the training."""
    values = np.array(losses)
    values = values[np.isfinite(values)]
    if len(values) and values.min() > 0 and values.max() > 30 * values.min():
        axes.set_yscale("log")
    if len(values):
        axes.legend(loc="upper right")
