"""The files of an evaluation: tables, text and pictures."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from digitexp.diagnostics import (
    Answers,
    Mistake,
    confused_pairs,
    find_mistakes,
    report_dict,
    report_text,
)
from digitexp.plots.images import draw_errors, draw_predictions
from digitexp.plots.language import say

MOST_PAIRS = 10


def summarize(answers: Answers) -> str:
    """Return accuracies, classification report and a table of confused pairs as text."""
    report = report_text(answers.labels, answers.predicted, answers.class_names)
    parts = (_accuracies(answers), [report.rstrip()], _pairs(answers))
    return "\n\n".join("\n".join(lines) for lines in parts) + "\n"


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


def evaluation_files(answers: Answers) -> dict[str, bytes]:
    """Return the files of an evaluation by name; the same bytes for the same answers.

    `summary.txt` (what a terminal shows), `diagnostics.json` (all numbers, every mistake),
    `predictions.png` (64 images at random), `errors.png` (the most confident mistakes).

    Args:
        answers: Answers of one network.
    """
    mistakes = find_mistakes(answers)
    names = answers.class_names
    document = json.dumps(_document(answers, mistakes), indent=1, ensure_ascii=False) + "\n"
    worst = [mistake.index for mistake in mistakes]
    return {
        "summary.txt": summarize(answers).encode(),
        "diagnostics.json": document.encode(),
        "predictions.png": draw_predictions(
            answers.images, answers.labels, answers.predicted, names, answers.part
        ),
        "errors.png": draw_errors(
            answers.images[worst],
            [(names[mistake.true], names[mistake.said]) for mistake in mistakes],
            [mistake.probability for mistake in mistakes],
            say(
                "{count} images of {part}",
                count=len(answers.labels),
                part=say(answers.part),
            ),
        ),
    }


def _document(answers: Answers, mistakes: Sequence[Mistake]) -> dict[str, Any]:
    names, known = answers.class_names, answers.train_accuracy
    return {
        "part": answers.part,
        "images": len(answers.labels),
        "errors": len(mistakes),
        "accuracy": answers.accuracy,
        "train_accuracy": known,
        "accuracy_gap": None if known is None else known - answers.accuracy,
        "confusion": np.asarray(answers.confusion).tolist(),
        "report": report_dict(answers.labels, answers.predicted, names),
        "pairs": [
            {
                "first": names[pair.first],
                "second": names[pair.second],
                "errors": pair.count,
                "first_as_second": pair.there,
                "second_as_first": pair.back,
                "share": pair.share,
            }
            for pair in confused_pairs(answers.confusion)
        ],
        "mistakes": [
            {**asdict(mistake), "true": names[mistake.true], "said": names[mistake.said]}
            for mistake in mistakes
        ],
    }
