"""Reliability diagrams before and after: how often answers are right, by how sure they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from digitexp.evaluation.calibration import CrossFitted, Reliability
from digitexp.plots import colors
from digitexp.plots.language import ENGLISH, Lettering
from digitexp.plots.sheet import Scale, Sheet, draw_axes

__all__ = ["draw_reliability"]

WIDTH, HEIGHT = 1248, 731
PANELS = ((77, 617), (691, 1231))
TITLE_Y, HEADING_Y, FIGURES_Y, TOP, BOTTOM = 20, 55, 79, 98, 598
COUNT_Y, NAME_Y, LEGEND_Y = 634, 664, 706
Z = 1.959964
"""Of a 95 % interval."""


def draw_reliability(found: CrossFitted, title: str = "", lettering: Lettering = ENGLISH) -> bytes:
    """Draw both diagrams as a PNG, with the errors and how many images each bin holds.

    Bars are 95 % intervals of the share right (Wilson 1927).

    Args:
        found: Of one network.
        title: Line above both.
        lettering: Language and font of the words.
    """
    sheet, say = Sheet(WIDTH, HEIGHT, lettering), lettering.say
    sheet.write(PANELS[0][0], TITLE_Y, lettering.say_parts(title), 9, colors.MUTED)
    lowest, highest = min(found.temperatures), max(found.temperatures)
    spread = f"{lowest:.2f}"
    if highest > lowest:
        spread = say("{low} to {high}", low=spread, high=f"{highest:.2f}")
    panels = (
        (say("As the network says it, T = 1"), found.before, "before"),
        (say("Fitted on other images, T = {spread}", spread=spread), found.after, "after"),
    )
    for (left, right), (heading, shown, when) in zip(PANELS, panels, strict=True):
        x, y = Scale(0.0, 1.0, left, right), Scale(0.0, 1.0, BOTTOM, TOP)
        _frame(sheet, x, y, heading)
        ece, nll = (getattr(found.measures[name], when) for name in ("ece", "nll"))
        shares = say("{low} to {high}", low=f"{ece.low:.2%}", high=f"{ece.high:.2%}")
        nats = say("{low} to {high}", low=f"{nll.low:.3f}", high=f"{nll.high:.3f}")
        figures = f"ECE {ece.value:.2%} ({shares})  ·  NLL {nll.value:.3f} nats ({nats})"
        sheet.write(left, FIGURES_Y, figures, 8, colors.LABEL)
        _bins(sheet, x, y, shown)
    _legend(sheet)
    return sheet.png()


def _frame(sheet: Sheet, x: Scale, y: Scale, heading: str) -> None:
    draw_axes(sheet, x, y)
    left, right = int(x.start), int(x.end)
    sheet.stroke(x.pixels([0, 1]), y.pixels([0, 1]), colors.BEST, 0.9, alpha=0.55)
    sheet.write(left, HEADING_Y, heading, 10, bold=True)
    name = sheet.lettering.say("confidence of the answer")
    sheet.write((left + right) / 2, NAME_Y, name, 9, colors.LABEL, align="center")


def _bins(sheet: Sheet, x: Scale, y: Scale, shown: Reliability) -> None:
    """Draw share right by mean confidence, the gap to the diagonal, and the bins' counts."""
    low, high = wilson(shown.accuracy, shown.counts)
    for number, count in enumerate(shown.counts.tolist()):
        middle = float(x.pixels(shown.edges[number : number + 2].mean()))
        text = str(count) if count else "·"
        sheet.write(middle, COUNT_Y, text, 6.5, colors.MUTED, align="center")
        if count:
            at = float(x.pixels(shown.confidence[number]))
            gap = y.pixels([shown.confidence[number], shown.accuracy[number]])
            sheet.stroke([at, at], gap, colors.WRONG, 5.0, alpha=0.45, solid_capstyle="butt")
            ends = y.pixels([low[number], high[number]])
            sheet.stroke([at, at], ends, colors.TRAIN, 1.2)
    sheet.stroke(x.pixels(shown.confidence), y.pixels(shown.accuracy), colors.TRAIN, 0,
                 marker="o", markersize=5)  # fmt: skip


def wilson(
    shares: NDArray[np.float64], counts: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the 95 % interval of each share of `counts`, by score (Wilson 1927); NaN for none."""
    n = np.where(counts > 0, counts, np.nan)
    middle = (shares + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * np.sqrt(shares * (1 - shares) / n + Z**2 / (4 * n**2))
    return middle - half, middle + half


def _legend(sheet: Sheet) -> None:
    x, say = PANELS[0][0], sheet.lettering.say
    sheet.stroke([x, x + 30], [LEGEND_Y] * 2, colors.TRAIN, 1.2)
    sheet.stroke([x + 15], [LEGEND_Y], colors.TRAIN, 0, marker="o", markersize=5)
    sheet.write(x + 38, LEGEND_Y, say("share right, 95 % interval"))
    sheet.stroke([x + 290, x + 320], [LEGEND_Y] * 2, colors.WRONG, 5.0, alpha=0.45,
                 solid_capstyle="butt")  # fmt: skip
    sheet.write(x + 328, LEGEND_Y, say("its distance from the confidence"))
    sheet.stroke([x + 640, x + 670], [LEGEND_Y] * 2, colors.BEST, 0.9, alpha=0.55)
    sheet.write(x + 678, LEGEND_Y, say("as often right as sure"))
    sheet.write(x + 890, LEGEND_Y, say("small numbers: images in each bin"), color=colors.MUTED)
