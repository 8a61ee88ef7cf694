"""The pictures of one training: curves, residuals of a regression."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from digitexp.plots import colors
from digitexp.plots.language import say
from digitexp.plots.sheet import Scale, Sheet, draw_axes, epoch_scale, text_width, value_scale

WIDTH, HEIGHT = 1248, 481
PANELS = ((77, 617), (691, 1231))
"""Left and right pixels of the loss, and of the metric beside it."""

TITLE_Y, HEADING_Y, RATE_Y, TOP, BOTTOM, LEGEND_Y = 20, 55, 80, 89, 421, 458
CURVE, MARKER = 1.8, 4.0
"""Width of a curve, and diameter of the dot at each epoch, in points."""
MOST_EPOCHS_WITH_MARKERS = 50


def rate_drops(learning_rate: Sequence[float]) -> list[int]:
    """Return the epochs (from 1) that were the first to use a lower learning rate."""
    return [
        epoch
        for epoch, (before, now) in enumerate(pairwise(learning_rate), start=2)
        if now < before
    ]


def draw_curves(
    history: Mapping[str, Sequence[float]],
    best_epoch: int | None,
    title: str = "",
    *,
    beside: str | None = "accuracy",
) -> bytes:
    """Draw the curves of the loss, and of one metric, of one training as a PNG.

    Args:
        history: `loss`, `val_loss`, the metric, `val_` and the metric, and `learning_rate` per
            epoch; NaN leaves a gap.
        best_epoch: Epoch (from 1) whose weights were kept, marked in both; None = none was.
        title: Line above both.
        beside: The metric drawn beside the loss; None leaves its place empty.
    """
    sheet = Sheet(WIDTH, HEIGHT)
    sheet.write(PANELS[0][0], TITLE_Y, title, 9, colors.MUTED)
    names = ["loss", *([beside] if beside else [])]
    for name, (left, right) in zip(names, PANELS, strict=False):
        train, validation = history[name], history[f"val_{name}"]
        x = epoch_scale(len(train), left, right)
        y = value_scale([*train, *validation], BOTTOM, TOP, may_be_logarithmic=name == "loss")
        panel = _Panel(sheet, x, y)
        panel.frame(name)
        panel.mark_drops(history["learning_rate"])
        if best_epoch is not None:
            panel.draw_best_line(best_epoch)
        panel.curve(train, colors.TRAIN)
        panel.curve(validation, colors.VALIDATION)
        if best_epoch is not None:
            panel.mark_best(best_epoch, validation[best_epoch - 1])
    _write_legend(sheet, with_drops=bool(rate_drops(history["learning_rate"])))
    return sheet.png()


@dataclass(frozen=True)
class _Panel:
    """One pair of axes on the sheet."""

    sheet: Sheet
    x: Scale
    y: Scale

    def frame(self, name: str) -> None:
        """Draw grid, axes, their numbers and the heading."""
        draw_axes(self.sheet, self.x, self.y)
        left, right = self.x.start, self.x.end
        heading = say(name).capitalize()
        if self.y.logarithmic:
            heading = say("{name} (logarithmic)", name=heading)
        self.sheet.write(left, HEADING_Y, heading, 10, bold=True)
        self.sheet.write(
            (left + right) / 2, LEGEND_Y, say("epoch"), 9, colors.LABEL, align="center"
        )

    def curve(self, values: Sequence[float], color: str) -> None:
        """Draw one value per epoch."""
        xs, ys = self.x.pixels(range(1, len(values) + 1)), self.y.pixels(values)
        dot = MARKER if len(values) <= MOST_EPOCHS_WITH_MARKERS else 0.0
        self.sheet.line(xs, ys, color, CURVE, dot)

    def mark_drops(self, learning_rate: Sequence[float]) -> None:
        """Draw a dotted line before each epoch with a lower rate, the rate above it."""
        free_from = 0.0
        for epoch in rate_drops(learning_rate):
            place = float(self.x.pixels(epoch - 0.5))
            left = round(place - 1)
            drop = colors.rgb(colors.RATE_DROP)
            self.sheet.fill((left, left + 2), (TOP, BOTTOM), drop, dotted=True)
            rate = f"{learning_rate[epoch - 1]:.2g}"
            width = text_width(rate, 6.5)
            if place - width / 2 >= free_from:  # else two numbers would run into each other
                self.sheet.write(place, RATE_Y, rate, 6.5, colors.MUTED, align="center")
                free_from = place + width / 2 + 6

    def draw_best_line(self, epoch: int) -> None:
        """Draw a line at the epoch whose weights were kept."""
        left = round(float(self.x.pixels(epoch)) - 1)
        self.sheet.fill((left, left + 2), (TOP, BOTTOM), colors.rgb(colors.BEST_LINE))

    def mark_best(self, epoch: int, value: float) -> None:
        """Draw a ring at the epoch whose weights were kept; write its value beside another."""
        text = say("best epoch {epoch}: {value}", epoch=epoch, value=f"{value:.4g}")
        self.sheet.write(self.x.end, HEADING_Y, text, align="right")
        xs = float(self.x.pixels(epoch)), self.x.end - text_width(text, 8) - 12
        ys = float(self.y.pixels(value)), HEADING_Y
        self.sheet.dots(xs, ys, colors.BEST, 7.9)
        self.sheet.dots(xs, ys, colors.PAPER, 5.1)


def _write_legend(sheet: Sheet, *, with_drops: bool) -> None:
    """Write the legend of the lines, between the names of the two x axes."""
    entries = [(say("training"), colors.TRAIN), (say("validation"), colors.VALIDATION)]
    if with_drops:
        entries.append((say("learning rate falls"), colors.RATE_DROP))
    handle, gap = 38, 24
    total = sum(handle + text_width(text, 8) + gap for text, _ in entries) - gap
    x = sum(map(sum, PANELS)) / 4 - total / 2
    for text, color in entries:
        if color == colors.RATE_DROP:
            rows = LEGEND_Y - 1, LEGEND_Y + 1
            sheet.fill((round(x), round(x) + 30), rows, colors.rgb(color), dotted=True)
        else:
            sheet.line([x, x + 15, x + 30], [LEGEND_Y] * 3, color, CURVE)
            sheet.dots([x + 15], [LEGEND_Y], color, MARKER)
        sheet.write(x + handle, LEGEND_Y, text)
        x += handle + text_width(text, 8) + gap


RESIDUAL_HEIGHT, RESIDUAL_BOTTOM, RESIDUAL_PANELS = 560, 480, ((90, 600), (720, 1231))
MOST_POINTS = 5000
"""Most points that are drawn, evenly chosen: more would be a blot."""


def draw_residuals(true: np.ndarray, predicted: np.ndarray, title: str = "") -> bytes:
    """Draw a regression's validation part as a PNG: predicted by true, and residual by predicted.

    Args:
        true: (n,) targets.
        predicted: (n,) predictions of the model.
        title: Line above both; the mean absolute error follows.
    """
    sheet = Sheet(WIDTH, RESIDUAL_HEIGHT)
    error = float(np.abs(predicted - true).mean())
    title = f"{title}: mean absolute error {error:.4g}"
    sheet.write(RESIDUAL_PANELS[0][0], TITLE_Y, title, 9, colors.MUTED)
    chosen = np.unique(np.linspace(0, len(true) - 1, MOST_POINTS).astype(int))
    true, predicted = true[chosen].astype(float), predicted[chosen].astype(float)
    residuals = predicted - true
    both, around = [*true, *predicted], [*residuals, *-residuals]
    ranges = (both, both), (predicted.tolist(), around)
    points = (
        ("true", true, "predicted", predicted, 1.0),
        ("predicted", predicted, "predicted minus true", residuals, 0.0),
    )
    for (left, right), (of_x, xs, of_y, ys, slope), (shown_x, shown_y) in zip(
        RESIDUAL_PANELS, points, ranges, strict=True
    ):
        x = value_scale(shown_x, left, right, may_be_logarithmic=False)
        y = value_scale(shown_y, RESIDUAL_BOTTOM, TOP, may_be_logarithmic=False)
        draw_axes(sheet, x, y)
        sheet.write(left, HEADING_Y, f"{of_y.capitalize()}, by {of_x}", 10, bold=True)
        ends = np.array([x.low, x.high])
        sheet.line(x.pixels(ends), y.pixels(slope * ends), colors.BEST_LINE, 1.0)
        sheet.dots(x.pixels(xs), y.pixels(ys), colors.VALIDATION, 3, 0.6)
        middle = (left + right) / 2
        sheet.write(middle, RESIDUAL_HEIGHT - 30, of_x, 9, colors.LABEL, align="center")
    return sheet.png()
