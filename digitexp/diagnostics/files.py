"""An evaluation as files: data to read by a program, text and pictures to look at."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from digitexp.diagnostics.answers import Answers
from digitexp.diagnostics.classification import class_accuracies, report_dict, report_text
from digitexp.diagnostics.mistakes import Mistake, find_mistakes
from digitexp.diagnostics.pairs import confused_pairs
from digitexp.diagnostics.summary import summarize
from digitexp.plots.gallery import draw_errors, draw_predictions
from digitexp.plots.lettering import ENGLISH, Lettering
from digitexp.plots.pairs import draw_pairs

__all__ = ["evaluation_files"]


def evaluation_files(answers: Answers, lettering: Lettering = ENGLISH) -> dict[str, bytes]:
    """Return the files of an evaluation by name; the same bytes for the same answers.

    `summary.txt` (what a terminal shows), `classification_report.txt` (scikit-learn's),
    `diagnostics.json` (all numbers, every mistake), `predictions.png` (64 images at random),
    `errors.png` (the most confident mistakes), `confused_pairs.png`.

    Args:
        answers: Of one network.
        lettering: Language and font of the words in pictures.
    """
    mistakes = find_mistakes(answers)
    pairs = confused_pairs(answers.confusion)
    names = answers.class_names
    document = json.dumps(_document(answers, mistakes), indent=1, ensure_ascii=False) + "\n"
    worst = [mistake.index for mistake in mistakes]
    report = report_text(answers.labels, answers.predicted, names)
    return {
        "summary.txt": summarize(answers).encode(),
        "classification_report.txt": report.encode(),
        "diagnostics.json": document.encode(),
        "predictions.png": draw_predictions(
            answers.images, answers.labels, answers.predicted, names, answers.part, lettering
        ),
        "errors.png": draw_errors(
            answers.images[worst],
            [(names[mistake.true], names[mistake.said]) for mistake in mistakes],
            [mistake.probability for mistake in mistakes],
            lettering.say(
                "{count} images of {part}",
                count=len(answers.labels),
                part=lettering.say(answers.part),
            ),
            lettering,
        ),
        "confused_pairs.png": draw_pairs(
            [(names[pair.first], names[pair.second]) for pair in pairs],
            [(pair.there, pair.back) for pair in pairs],
            lettering,
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
        "classes": [
            {**asdict(one), "accuracy": one.accuracy}
            for one in class_accuracies(answers.confusion, names)
        ],
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
