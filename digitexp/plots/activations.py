"""ReLU and sigmoid beside each other: what becomes of a value, and of a gradient."""

from __future__ import annotations

import numpy as np

from digitexp.functions import relu, sigmoid
from digitexp.plots import colors
from digitexp.plots.lettering import ENGLISH, Lettering
from digitexp.plots.scale import Scale
from digitexp.plots.sheet import Sheet

__all__ = ["draw_activations"]

WIDTH, HEIGHT = 1248, 481
PANELS = ((77, 617), (691, 1231))
TOP, BOTTOM, HEADING_Y, TICK_Y, LEGEND_Y = 75, 421, 45, 434, 458
REACH = 10.0
LINES = (("ReLU", colors.TRAIN), ("sigmoid", colors.VALIDATION))


def draw_activations(lettering: Lettering = ENGLISH) -> bytes:
    """Draw both functions from -10 to 10, and their slopes, as a PNG.

    Args:
        lettering: Language and font of the words.
    """
    z = np.linspace(-REACH, REACH, 401)
    small = sigmoid(z)
    sheet, say = Sheet(WIDTH, HEIGHT, lettering), lettering.say
    values = ((relu(z), small), ((z > 0).astype(float), small * (1 - small)))
    panels = ((say("value"), REACH), (say("slope: what a gradient is multiplied by"), 1.0))
    for (left, right), (heading, top), lines in zip(PANELS, panels, values, strict=True):
        x, y = Scale(-REACH, REACH, left, right), Scale(0.0, 1.05 * top, BOTTOM, TOP)
        _frame(sheet, x, y, heading)
        for line, (_, color) in zip(lines, LINES, strict=True):
            sheet.stroke(x.pixels(z), y.pixels(line), color, 1.8)
    for number, (name, color) in enumerate(LINES):
        place = 560 + 90 * number
        sheet.stroke([place, place + 26], [LEGEND_Y] * 2, color, 1.8)
        sheet.write(place + 32, LEGEND_Y, name)
    return sheet.png()


def _frame(sheet: Sheet, x: Scale, y: Scale, heading: str) -> None:
    left, right = int(x.start), int(x.end)
    for value, label in x.ticks().items():
        place = round(float(x.pixels(value)))
        sheet.fill((place, place + 1), (TOP, BOTTOM), colors.rgb(colors.GRID))
        sheet.write(place, TICK_Y, label, 8, colors.LABEL, align="center")
    for value, label in y.ticks().items():
        place = round(float(y.pixels(value)))
        sheet.fill((left, right), (place, place + 1), colors.rgb(colors.GRID))
        sheet.write(left - 7, place, label, 8, colors.LABEL, align="right")
    sheet.fill((left, left + 1), (TOP, BOTTOM + 1), colors.rgb(colors.FRAME))
    sheet.fill((left, right), (BOTTOM, BOTTOM + 1), colors.rgb(colors.FRAME))
    sheet.write(left, HEADING_Y, heading, 10, bold=True)
