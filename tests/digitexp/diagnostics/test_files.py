"""An evaluation as files."""

import json

import numpy as np

from digitexp.plots.evaluation import evaluation_files
from tests.digitexp.diagnostics.answered import answered

NAMES = {
    "summary.txt", "diagnostics.json", "predictions.png", "errors.png",
}  # fmt: skip
WRONG = {3: (7, 2.0), 50: (8, 6.0), 51: (8, 4.0)}


def test_the_data_hold_every_number_and_every_mistake():
    answers = answered(WRONG, train_accuracy=0.99)
    files = evaluation_files(answers)
    assert set(files) == NAMES
    found = json.loads(files["diagnostics.json"])
    assert (found["images"], found["errors"], found["accuracy"]) == (100, 3, 0.97)
    assert (found["train_accuracy"], round(found["accuracy_gap"], 6)) == (0.99, 0.02)
    assert np.trace(found["confusion"]) == 97
    assert [mistake["index"] for mistake in found["mistakes"]] == [50, 51, 3]
    assert found["mistakes"][0]["image_number"] is None
    most = found["pairs"][0]
    assert (most["first"], most["second"], most["errors"]) == ("5", "8", 2)
    assert found["report"]["accuracy"] == 0.97


def test_the_summary_tells_training_from_validation_and_the_most_confused():
    text = evaluation_files(answered(WRONG, train_accuracy=0.99))["summary.txt"].decode()
    assert text.startswith("Validation part: 97 of 100 images right (97.0%), 3 errors\n")
    assert "Training part: 99.0%, 2.0 points more\n" in text
    assert "5 as 8: 2, 8 as 5: 0" in text
    assert "5     1.0000    0.8000" in text  # precision and recall


def test_where_training_accuracy_is_unknown_nothing_is_said_of_it():
    files = evaluation_files(answered(WRONG))
    assert "Training" not in files["summary.txt"].decode()
    assert json.loads(files["diagnostics.json"])["accuracy_gap"] is None


def test_a_classifier_without_error_has_all_files_too():
    files = evaluation_files(answered({}, part="block 0"))
    assert set(files) == NAMES
    text = files["summary.txt"].decode()
    assert text.startswith("Block 0: 100 of 100 images right (100.0%), no error")
    assert "No two classes were confused" in text
    assert json.loads(files["diagnostics.json"])["mistakes"] == []


def test_the_same_answers_give_the_same_bytes():
    assert evaluation_files(answered(WRONG)) == evaluation_files(answered(WRONG))
