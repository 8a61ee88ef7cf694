"""Class by class."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score

from digitexp.diagnostics import report_dict, report_text

LABELS = np.array([0, 0, 0, 1, 1, 2])
SAID = np.array([0, 0, 1, 1, 2, 2])
NAMES = ("cat", "dog", "cow")


def test_text_and_dictionary_say_the_same():
    report = report_dict(LABELS, SAID, NAMES)
    assert report["cat"]["precision"] == 1.0
    assert report["dog"]["recall"] == 0.5
    assert report["accuracy"] == accuracy_score(LABELS, SAID)
    lines = {line.split()[0]: line.split() for line in report_text(LABELS, SAID, NAMES).split("\n")
             if line.strip()}  # fmt: skip
    assert lines["cow"] == ["cow", "0.5000", "1.0000", "0.6667", "1"]


def test_every_class_has_its_row_also_without_images_or_answers():
    report = report_dict(np.array([0, 0]), np.array([0, 0]), NAMES)
    assert [report[name]["support"] for name in NAMES] == [2, 0, 0]
    assert report["cow"]["recall"] == 0.0


@pytest.mark.parametrize("names", [("a", "a", "b"), ("a", "accuracy", "b")])
def test_names_that_collide_are_replaced_by_numbers(names):
    report = report_dict(LABELS, SAID, names)
    assert [report[number]["support"] for number in "012"] == [3, 2, 1]
    assert report["accuracy"] == accuracy_score(LABELS, SAID)
