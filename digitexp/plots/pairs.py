"""Which classes are taken for each other most, as bars."""

from __future__ import annotations

from collections.abc import Sequence

from digitexp.plots import colors
from digitexp.plots.language import ENGLISH, Lettering
from digitexp.plots.sheet import Sheet, text_width

__all__ = ["MOST_PAIRS", "draw_pairs"]

MOST_PAIRS = 12
MARGIN, HEADER, ROW, BAR, LONGEST = 26, 84, 34, 20, 420
"""Pixels around, above, from bar to bar, of a bar's height, and of the longest bar."""

THERE = colors.rgb(colors.WRONG)
BACK = (THERE[0] // 2 + 128, THERE[1] // 2 + 128, THERE[2] // 2 + 128)
"""A lighter colour for the rarer direction."""


def draw_pairs(
    names: Sequence[tuple[str, str]],
    counts: Sequence[tuple[int, int]],
    lettering: Lettering = ENGLISH,
) -> bytes:
    """Draw how often classes were taken for each other, a bar a pair, as a PNG.

    Args:
        names: Of every pair that was confused, the most confused first: a class, and what it was
            taken for more often than the other way round.
        counts: How often each pair was confused so, and the other way round.
        lettering: Language and font of the words.
    """
    errors = sum(map(sum, counts))
    rows = list(zip(names, counts, strict=True))[:MOST_PAIRS]
    notes = [_note(pair, count, errors, lettering) for pair, count in rows]
    labels = [f"{first} / {second}" for first, second in names[:MOST_PAIRS]]
    left = MARGIN + max((text_width(label, 9, bold=True) for label in labels), default=0) + 14
    longest = max((sum(count) for _, count in rows), default=1)
    drawn = sum(sum(count) for _, count in rows)
    title, legend = _title(len(rows), len(counts), drawn, errors, lettering)
    widest = max((text_width(note, 8, lettering=lettering) for note in notes), default=0)
    heading = text_width(title, 9.5, bold=True, lettering=lettering)
    width = max(left + LONGEST + 14 + widest, MARGIN + heading) + MARGIN
    sheet = Sheet(width, HEADER + ROW * len(rows) + (MARGIN - ROW + BAR), lettering)
    sheet.write(MARGIN, 30, title, 9.5, bold=True)
    sheet.write(MARGIN, 57, legend, 8, colors.MUTED)
    for number, ((_, (there, back)), label, note) in enumerate(
        zip(rows, labels, notes, strict=True)
    ):
        top = HEADER + number * ROW
        ends = [left, *(left + round(n / longest * LONGEST) for n in (there, there + back))]
        sheet.write(left - 14, top + BAR / 2, label, 9, align="right", bold=True)
        sheet.fill((ends[0], ends[1]), (top, top + BAR), THERE)
        sheet.fill((min(ends[1] + 2, ends[2]), ends[2]), (top, top + BAR), BACK)
        sheet.write(ends[2] + 12, top + BAR / 2, note, 8, colors.LABEL)
    return sheet.png()


def _title(
    shown: int, pairs: int, shown_errors: int, errors: int, lettering: Lettering
) -> tuple[str, str]:
    if not pairs:
        return lettering.say("No two classes were confused"), ""
    title = lettering.say(
        "Most confused: {shown} of {pairs} pairs, {drawn} of {errors} errors",
        shown=shown, pairs=pairs, drawn=shown_errors, errors=errors,
    )  # fmt: skip
    legend = "a pair is counted both ways: the more frequent one first, then the other, paler"
    return title, lettering.say(legend)


def _note(pair: tuple[str, str], count: tuple[int, int], errors: int, lettering: Lettering) -> str:
    (first, second), (there, back) = pair, count
    return lettering.say(
        "{first} as {second}: {there},  {second} as {first}: {back}   ({share} of all errors)",
        first=first, second=second, there=there, back=back, share=f"{sum(count) / errors:.1%}",
    )  # fmt: skip
