"""The files of an evaluation, of a recorded trial or of answers: tables, text and pictures."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from digitexp.data.source import Source
from digitexp.evaluation.diagnostics import (
    Answers,
    Mistake,
    confused_pairs,
    find_mistakes,
    report_dict,
    report_text,
)
from digitexp.plots.images import draw_errors, draw_predictions
from digitexp.plots.language import say
from digitexp.training.outcome import TrainingData

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


def evaluate_trial(
    data: TrainingData,
    image_shape: Sequence[int],
    kept: Mapping[str, np.ndarray],
    metrics: Mapping[str, float],
) -> dict[str, bytes]:
    """Return the files of `evaluation_files` for the validation part of a trial.

    Args:
        data: Data of the trial.
        image_shape: Height and width of an image.
        kept: Arrays of the trial; `validation_logits` (n_validation, classes) is looked for.
        metrics: Metrics of the trial; `train_accuracy` is shown if it is there.

    Raises:
        ValueError: No such logits are kept.
    """
    answers = Answers(
        images=data.validation_images.reshape(-1, *image_shape),
        labels=data.validation_labels,
        logits=_known(kept.get("validation_logits")),
        class_names=data.class_names,
        train_accuracy=metrics.get("train_accuracy"),
    )
    return evaluation_files(answers)


def evaluate_fold(
    source: Source,
    numbers: np.ndarray | None,
    logits: np.ndarray | None,
    part: str,
    metrics: Mapping[str, float],
) -> dict[str, bytes]:
    """Return the files of `evaluation_files` for images of a source that judged a training.

    Args:
        source: Source of the images.
        numbers: (n,) numbers of the images in the source; None if they were not kept.
        logits: (n, classes) logits of the images; None if they were not kept.
        part: Name of the images, such as `fold 3`.
        metrics: See `evaluate_trial`.

    Raises:
        ValueError: Numbers or logits were not kept.
    """
    images = _known(numbers)
    answers = Answers(
        images=source.images[images],
        labels=source.labels[images],
        logits=_known(logits),
        class_names=source.class_names,
        part=part,
        train_accuracy=metrics.get("train_accuracy"),
        image_numbers=images,
    )
    return evaluation_files(answers)


def _known(array: np.ndarray | None) -> np.ndarray:
    if array is None:
        raise ValueError(
            "it kept no logits of images it was not trained on, as one that diverged or was "
            "trained on everything; take another one"
        )
    return array
