"""An evaluation in words and tables, as a terminal shows it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from digitexp.diagnostics.answers import Answers
from digitexp.diagnostics.classification import class_accuracies, report_text
from digitexp.diagnostics.pairs import confused_pairs

__all__ = ["summarize"]

MOST_PAIRS = 10


def summarize(answers: Answers) -> str:
    """Return accuracies, classification report, a table of classes and one of pairs as text."""
    report = report_text(answers.labels, answers.predicted, answers.class_names)
    blocks = (_accuracies(answers), [report.rstrip()], _classes(answers), _pairs(answers))
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _accuracies(answers: Answers) -> Iterator[str]:
    total = len(answers.labels)
    right = int(np.trace(answers.confusion))
    part = answers.part.removeprefix("the ")
    part = part[0].upper() + part[1:]
    wrong = _counted(total - right, "error")
    yield f"{part}: {right} of {total} images right ({answers.accuracy:.1%}), {wrong}"
    if answers.train_accuracy is not None:
        points = 100 * (answers.train_accuracy - answers.accuracy)
        which = "more" if points >= 0 else "less"
        yield f"Training part: {answers.train_accuracy:.1%}, {abs(points):.1f} points {which}"


def _classes(answers: Answers) -> Iterator[str]:
    found = class_accuracies(answers.confusion, answers.class_names)
    width = max(5, *(len(one.name) for one in found))
    yield f"{'class':{width}}  right  images  accuracy"
    known = [one.accuracy for one in found if one.accuracy is not None]
    for one in found:
        shown = "-" if one.accuracy is None else f"{one.accuracy:.1%}"
        mark = "  lowest" if one.accuracy == min(known) < max(known) else ""
        yield f"{one.name:{width}}  {one.right:5}  {one.images:6}  {shown:>8}{mark}"


def _pairs(answers: Answers) -> Iterator[str]:
    found, names = confused_pairs(answers.confusion), answers.class_names
    if not found:
        yield "No two classes were confused"
        return
    shown = found[:MOST_PAIRS]
    labels = [f"{names[pair.first]} / {names[pair.second]}" for pair in shown]
    width = max(13, *map(len, labels))
    yield f"{'most confused':{width}}  errors  of all"
    for label, pair in zip(labels, shown, strict=True):
        first, second = names[pair.first], names[pair.second]
        ways = f"{first} as {second}: {pair.there}, {second} as {first}: {pair.back}"
        yield f"{label:{width}}  {pair.count:6}  {pair.share:6.1%}  {ways}"
    if len(found) > len(shown):
        rest = sum(pair.count for pair in found[MOST_PAIRS:])
        others = _counted(len(found) - len(shown), "other pair")
        yield f"{others} with {_counted(rest, 'error')}"


def _counted(count: int, word: str) -> str:
    return f"{count or 'no'} {word}{'' if count == 1 else 's'}"
