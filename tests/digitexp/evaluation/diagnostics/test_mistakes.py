"""Every mistake, image by image."""

import math

import numpy as np
import pytest

from digitexp.evaluation.diagnostics import Answers, find_mistakes
from tests.digitexp.evaluation.diagnostics.answered import answered


def test_the_most_confident_mistake_comes_first_with_its_probabilities():
    answers = answered({3: (7, 2.0), 50: (8, 6.0)}, image_numbers=np.arange(100) + 1000)
    first, second = find_mistakes(answers)
    assert (first.index, first.image_number, first.said) == (50, 1050, 8)
    assert (second.index, second.image_number, second.said) == (3, 1003, 7)
    assert first.true == answers.labels[50]
    assert first.probability == pytest.approx(math.exp(6) / (math.exp(6) + 9))
    assert first.probability_of_true == pytest.approx(1 / (math.exp(6) + 9))


def test_without_a_mistake_there_is_none():
    assert find_mistakes(answered({})) == []


IMAGES, LABELS, LOGITS = np.zeros((2, 4, 4)), np.array([0, 1]), np.eye(2)


@pytest.mark.parametrize(
    ("images", "labels", "logits", "message"),
    [
        (IMAGES[:0], LABELS[:0], LOGITS[:0], "received no image"),
        (IMAGES.reshape(2, 16), LABELS, LOGITS, r"give \(2, height, width\)"),
        (IMAGES[:1], LABELS, LOGITS, r"give \(2, height, width\)"),
        (IMAGES, LABELS, np.zeros((2, 3)), r"logits \(2, 3\): give \(2, 2\)"),
        (IMAGES, LABELS, LOGITS * np.nan, "not finite"),
    ],
)
def test_answers_that_do_not_fit_are_refused(images, labels, logits, message):
    with pytest.raises(ValueError, match=message):
        Answers(images, labels, logits, ("a", "b"))
