"""Which class was taken for which, with counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitexp.plots import colors
from digitexp.plots.lettering import ENGLISH, Lettering
from digitexp.plots.sheet import Sheet, text_width

__all__ = ["draw_confusion"]

MOST_CLASSES_WITH_COUNTS = 30
CELL, SMALLEST_SIDE, LARGEST_SIDE = 60, 416, 1820
"""Pixels of a cell, and of the whole matrix at least and at most."""

UPPER = RIGHT_OF = 97
"""Pixels above the matrix for the title, and right of it for the recalls."""

COUNT_SIZE = 8.0


def draw_confusion(
    counts: np.ndarray,
    class_names: Sequence[str],
    title: str = "",
    lettering: Lettering = ENGLISH,
) -> bytes:
    """Draw a confusion matrix with its counts as a PNG.

    Right answers are blue, by the class's recall; mistakes are orange, by their share of the
    worst mistake, so that they stand out however few they are.

    Args:
        counts: (classes, classes), unsigned, [true, predicted].
        class_names: Names in the order of the labels.
        title: Line above the matrix.
        lettering: Language and font of the words.
    """
    matrix = _Matrix.of(class_names, lettering)
    size = matrix.left + matrix.side + RIGHT_OF
    sheet = Sheet(size, size, lettering)
    _fill_cells(sheet, matrix, counts)
    if len(class_names) <= MOST_CLASSES_WITH_COUNTS:
        _write_counts(sheet, matrix, counts)
    _write_names(sheet, matrix, class_names)
    _write_recalls(sheet, matrix, counts)
    sheet.write(matrix.left, 33, title, 9.5, bold=True)
    return sheet.png()


@dataclass(frozen=True)
class _Matrix:
    """Where things are, in pixels."""

    classes: int
    cell: int
    widest_name: int
    left: int

    @classmethod
    def of(cls, class_names: Sequence[str], lettering: Lettering) -> _Matrix:
        classes = len(class_names)
        side = min(max(CELL * classes, SMALLEST_SIDE), LARGEST_SIDE)
        widest = max(text_width(name, 8, lettering=lettering) for name in class_names)
        return cls(classes, side // classes, widest, widest + 60)

    @property
    def side(self) -> int:
        return self.classes * self.cell

    def x(self, column: float) -> int:
        """Return the left edge of a column."""
        return self.left + round(column * self.cell)

    def y(self, row: float) -> int:
        """Return the upper edge of a row."""
        return UPPER + round(row * self.cell)


def _fill_cells(sheet: Sheet, matrix: _Matrix, counts: np.ndarray) -> None:
    """Colour the cells; what stays between them is the grid, and around them the frame."""
    (left, right), (top, bottom) = [
        (edge(0), edge(matrix.classes)) for edge in (matrix.x, matrix.y)
    ]
    sheet.fill((left - 1, right + 2), (top - 1, bottom + 2), colors.rgb(colors.FRAME))
    sheet.fill((left + 1, right), (top + 1, bottom), colors.rgb(colors.GRID))
    for (true, said), color in zip(np.ndindex(counts.shape), _cell_colors(counts), strict=True):
        x, y = matrix.x(said), matrix.y(true)
        sheet.fill((x + 1, x + matrix.cell), (y + 1, y + matrix.cell), color)


def _cell_colors(counts: np.ndarray) -> list[tuple[int, int, int]]:
    """Return classes x classes colours between white and the colour of right or wrong."""
    wrong = counts.astype(float)
    np.fill_diagonal(wrong, 0)
    strength = 0.8 * (wrong / max(wrong.max(), 5)) ** 0.7
    picture = 255 - strength[..., np.newaxis] * (255 - np.array(colors.rgb(colors.WRONG)))
    recall = np.nan_to_num(_recalls(counts))[:, np.newaxis]
    diagonal = np.arange(len(counts))
    picture[diagonal, diagonal] = 255 - recall * (255 - np.array(colors.rgb(colors.RIGHT)))
    return [(red, green, blue) for red, green, blue in picture.round().astype(int).reshape(-1, 3)]


def _recalls(counts: np.ndarray) -> NDArray[np.float64]:
    """Return the recall of each class, NaN where a class has no images."""
    totals = counts.sum(axis=1).astype(float)
    totals[totals == 0] = np.nan
    return np.asarray(np.diagonal(counts) / totals)


def _write_counts(sheet: Sheet, matrix: _Matrix, counts: np.ndarray) -> None:
    widest = text_width(str(counts.max()), COUNT_SIZE, bold=True)
    size = COUNT_SIZE * min(1.0, (matrix.cell - 6) / widest)
    recall = _recalls(counts)
    for true, said in np.argwhere(counts).tolist():
        right = true == said
        sheet.write(
            matrix.x(said + 0.5),
            matrix.y(true + 0.5),
            str(counts[true, said]),
            size,
            colors.PAPER if right and recall[true] > 0.55 else colors.INK,
            align="center",
            bold=right,
        )


def _write_names(sheet: Sheet, matrix: _Matrix, class_names: Sequence[str]) -> None:
    """Write the classes left of the matrix and below it, upward where they are too wide."""
    bottom, upward = matrix.y(matrix.classes), matrix.widest_name > matrix.cell - 8
    for index, name in enumerate(class_names):
        x, y = matrix.x(index + 0.5), matrix.y(index + 0.5)
        sheet.write(matrix.left - 8, y, name, 8, colors.LABEL, align="right")
        if upward:
            sheet.write(x, bottom + 8, name, 8, colors.LABEL, align="right", upward=True)
        else:
            sheet.write(x, bottom + 14, name, 8, colors.LABEL, align="center")
    middle = matrix.classes / 2
    below = bottom + (matrix.widest_name + 22 if upward else 38)
    say = sheet.lettering.say
    sheet.write(matrix.x(middle), below, say("predicted"), 9, colors.LABEL, align="center")
    beside = matrix.left - matrix.widest_name - 26
    words = say("true")
    sheet.write(beside, matrix.y(middle), words, 9, colors.LABEL, align="center", upward=True)


def _write_recalls(sheet: Sheet, matrix: _Matrix, counts: np.ndarray) -> None:
    x = matrix.x(matrix.classes) + 12
    sheet.write(x, matrix.y(0) - 19, sheet.lettering.say("recall"), 7.5, colors.MUTED)
    for true, recall in enumerate(_recalls(counts).tolist()):
        words = "-" if np.isnan(recall) else f"{recall:.1%}"
        sheet.write(x, matrix.y(true + 0.5), words, 7.5, colors.MUTED)
