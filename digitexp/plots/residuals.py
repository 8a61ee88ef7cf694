"""Predictions beside the truth, and how far they are from it."""

from __future__ import annotations

import numpy as np

from digitexp.plots import colors
from digitexp.plots.sheet import Sheet, draw_axes, value_scale

__all__ = ["draw_residuals"]

WIDTH, HEIGHT, TOP, BOTTOM = 1248, 560, 89, 480
PANELS = ((90, 600), (720, 1231))
MOST_POINTS = 5000
"""More would be a blot: of more, so many are drawn, evenly chosen."""


def draw_residuals(true: np.ndarray, predicted: np.ndarray, title: str = "") -> bytes:
    """Draw a regression's validation part as a PNG: predicted by true, and residual by predicted.

    Args:
        true: (n,) targets.
        predicted: (n,) what the model said.
        title: Line above both; the mean absolute error follows.
    """
    sheet = Sheet(WIDTH, HEIGHT)
    error = float(np.abs(predicted - true).mean())
    sheet.write(PANELS[0][0], 20, f"{title}: mean absolute error {error:.4g}", 9, colors.MUTED)
    chosen = np.unique(np.linspace(0, len(true) - 1, MOST_POINTS).astype(int))
    true, predicted = true[chosen].astype(float), predicted[chosen].astype(float)
    both = [*true, *predicted]
    _draw(sheet, PANELS[0], (true, predicted), ("true", "predicted"), both, both, (0.0, 1.0))
    residuals = predicted - true
    around = [*residuals, *-residuals]
    names = ("predicted", "predicted minus true")
    _draw(sheet, PANELS[1], (predicted, residuals), names, predicted, around, (0.0, 0.0))
    return sheet.png()


def _draw(
    sheet: Sheet,
    place: tuple[int, int],
    points: tuple[np.ndarray, np.ndarray],
    names: tuple[str, str],
    xs: object,
    ys: object,
    line: tuple[float, float],
) -> None:
    """Draw points on axes that show `xs` and `ys`, and the line where a right answer lies."""
    x = value_scale(xs, *place, may_be_logarithmic=False)  # type: ignore[arg-type]
    y = value_scale(ys, BOTTOM, TOP, may_be_logarithmic=False)  # type: ignore[arg-type]
    draw_axes(sheet, x, y)
    sheet.write(place[0], 55, f"{names[1].capitalize()}, by {names[0]}", 10, bold=True)
    ends = np.array([x.low, x.high])
    sheet.stroke(x.pixels(ends), y.pixels(line[0] + line[1] * ends), colors.BEST, 1.0, alpha=0.6)
    sheet.stroke(
        x.pixels(points[0]), y.pixels(points[1]), colors.VALIDATION, 0,
        marker="o", markersize=3, markeredgewidth=0, alpha=0.6,
    )  # fmt: skip
    sheet.write(sum(place) / 2, HEIGHT - 30, names[0], 9, colors.LABEL, align="center")
