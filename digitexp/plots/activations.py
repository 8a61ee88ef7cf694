"""ReLU and sigmoid beside each other: what becomes of a value, and of a gradient."""

from __future__ import annotations

import numpy as np

from digitexp.numpy_functions import relu, sigmoid
from digitexp.plots import colors
from digitexp.plots.language import ENGLISH, Lettering
from digitexp.plots.sheet import Scale, Sheet, draw_axes

__all__ = ["draw_activations"]

WIDTH, HEIGHT = 1248, 481
PANELS = ((77, 617), (691, 1231))
TOP, BOTTOM, HEADING_Y, LEGEND_Y = 75, 421, 45, 458
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
    draw_axes(sheet, x, y)
    left = int(x.start)
    sheet.write(left, HEADING_Y, heading, 10, bold=True)
