"""Every image that was taken for something else, the most confident mistake first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from digitexp.diagnostics.answers import Answers
from digitexp.functions import softmax

__all__ = ["Mistake", "find_mistakes"]


@dataclass(frozen=True)
class Mistake:
    """One image that was taken for something else.

    Attributes:
        index: Of the image among those evaluated, from 0.
        image_number: Of the image in its source, from 0; None if that is not known.
        true: Its class.
        said: What it was taken for.
        probability: Of what was said, in (0, 1]: the softmax of the logits, not calibrated.
        probability_of_true: Of its class, by the same.
    """

    index: int
    image_number: int | None
    true: int
    said: int
    probability: float
    probability_of_true: float


def find_mistakes(answers: Answers) -> list[Mistake]:
    """Return all mistakes, the most confident first, equal ones in the order of the images."""
    indices = np.flatnonzero(answers.predicted != answers.labels)
    if not len(indices):
        return []
    found = [
        _mistake(answers, int(index), probabilities)
        for index, probabilities in zip(indices, softmax(answers.logits[indices]), strict=True)
    ]
    return sorted(found, key=lambda mistake: -mistake.probability)


def _mistake(answers: Answers, index: int, probabilities: np.ndarray) -> Mistake:
    true, said = int(answers.labels[index]), int(answers.predicted[index])
    numbers = answers.image_numbers
    number = None if numbers is None else int(numbers[index])
    return Mistake(
        index, number, true, said, float(probabilities[said]), float(probabilities[true])
    )
