"""Accuracy over the size of an attack, a line for each network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from digitexp.plots import colors
from digitexp.plots.language import ENGLISH, Lettering
from digitexp.plots.sheet import Scale, Sheet, draw_axes

__all__ = ["draw_robustness", "place_names"]

WIDTH, HEIGHT = 860, 481
LEFT, RIGHT, TOP, BOTTOM = 77, 660, 75, 421
HEADING_Y, NAME_Y = 45, 458
LINES = (colors.TRAIN, colors.VALIDATION, "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
"""Of Okabe and Ito's palette; each line has its name at its end as well."""
DASHES = ("solid", (0, (5, 2)), (0, (1, 1.65)))
NEAREST = 15
"""Pixels between two names."""

LOWEST_NAME = BOTTOM - 5
"""Where the last tick of the axis does not touch it."""


def draw_robustness(
    epsilons: Sequence[float],
    accuracies: Mapping[str, Sequence[float]],
    lettering: Lettering = ENGLISH,
) -> bytes:
    """Draw the curves as a PNG.

    Args:
        epsilons: Sizes of the attack, in pixel values, ascending from 0.
        accuracies: Name of a network -> accuracy at each size, from 0 to 1.
        lettering: Language and font of the words.
    """
    sheet = Sheet(WIDTH, HEIGHT, lettering)
    x = Scale(0.0, max(epsilons) + 1e-9, LEFT, RIGHT)  # so that its last tick is drawn
    y = Scale(0.0, 1.05, BOTTOM, TOP)
    _frame(sheet, x, y)
    ends = []
    for number, (name, values) in enumerate(accuracies.items()):
        color, dashes = LINES[number % len(LINES)], DASHES[number // len(LINES) % len(DASHES)]
        sheet.stroke(x.pixels(epsilons), y.pixels(values), color, 1.8, linestyle=dashes)
        ends.append((float(y.pixels(values[-1])), name, color))
    ends.sort()
    for place, (_, name, color) in zip(place_names([e[0] for e in ends]), ends, strict=True):
        sheet.write(RIGHT + 8, place, name, 9, color)
    return sheet.png()


def place_names(heights: Sequence[float]) -> list[float]:
    """Return where names are written, so that none covers another or a tick of the axis.

    Args:
        heights: Of the ends of the lines, in pixels from the top, ascending.
    """
    places: list[float] = []
    for height in heights:
        places.append(max(height, places[-1] + NEAREST) if places else height)
    lowest = float(LOWEST_NAME)
    for i in reversed(range(len(places))):
        places[i] = min(places[i], lowest)
        lowest = places[i] - NEAREST
    return places


def _frame(sheet: Sheet, x: Scale, y: Scale) -> None:
    draw_axes(sheet, x, y)
    say = sheet.lettering.say
    sheet.write(LEFT, HEADING_Y, say("accuracy on attacked images"), 10, bold=True)
    sheet.write(LEFT, NAME_Y, say("size of the attack (FGSM), in pixel values from 0 to 1"), 9)
