import json

import numpy as np

from digitexp.experiments.pictures import draw_matrix, draw_trial
from tests.digitexp.plots.test_curves import HISTORY

CONFUSION = np.stack([np.array([[epoch, 1], [2, 9]], np.uint32) for epoch in range(1, 6)])


def test_the_files_show_the_best_epoch():
    files = draw_trial(HISTORY, CONFUSION, ["no", "yes"], 4, "title")
    assert list(files) == ["loss_curves.png", "confusion_matrix.png", "confusion_matrix.json"]
    assert all(content.startswith(b"\x89PNG") for content in list(files.values())[:2])
    assert json.loads(files["confusion_matrix.json"]) == {
        "labels": ["no", "yes"],
        "counts": [[4, 1], [2, 9]],
        "best_epoch": 4,
    }


def test_without_a_best_epoch_only_the_curves_are_drawn():
    assert list(draw_trial(HISTORY, CONFUSION, ["no", "yes"], None, "")) == ["loss_curves.png"]


def test_of_several_outputs_each_has_files_of_its_own():
    files = draw_matrix(CONFUSION[0], ["no", "yes"], 1, "digit")
    assert list(files) == ["confusion_matrix_digit.png", "confusion_matrix_digit.json"]
    assert (
        files["confusion_matrix_digit.png"]
        != draw_trial(HISTORY, CONFUSION, ["no", "yes"], 1, "")["confusion_matrix.png"]
    ), "its title names the output"
