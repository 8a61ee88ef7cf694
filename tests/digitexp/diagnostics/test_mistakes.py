"""Every mistake, image by image."""

import math

import numpy as np
import pytest

from digitexp.diagnostics import find_mistakes
from tests.digitexp.diagnostics.answered import answered


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
