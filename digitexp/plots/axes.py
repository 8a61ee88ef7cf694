"""The frame of a chart: grid, values beside it, two axes."""

from __future__ import annotations

from digitexp.plots import colors
from digitexp.plots.scale import Scale
from digitexp.plots.sheet import Sheet

__all__ = ["draw_axes"]

BELOW, BESIDE = 13, 7
"""Pixels from an axis to what is written at it."""


def draw_axes(sheet: Sheet, x: Scale, y: Scale) -> None:
    """Draw a grid at the ticks of both scales, between the pixels they span."""
    left, right = int(x.start), int(x.end)
    bottom, top = int(y.start), int(y.end)
    grid, frame = colors.rgb(colors.GRID), colors.rgb(colors.FRAME)
    for value, label in x.ticks().items():
        place = round(float(x.pixels(value)))
        sheet.fill((place, place + 1), (top, bottom), grid)
        sheet.write(place, bottom + BELOW, label, 8, colors.LABEL, align="center")
    for value, label in y.ticks().items():
        place = round(float(y.pixels(value)))
        sheet.fill((left, right), (place, place + 1), grid)
        sheet.write(left - BESIDE, place, label, 8, colors.LABEL, align="right")
    sheet.fill((left, left + 1), (top, bottom + 1), frame)
    sheet.fill((left, right), (bottom, bottom + 1), frame)
