from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from sweeps.analysis.confusion import class_names, confusion_of, confusion_tags, kept_epoch
from tests.sweeps.factories import make_record


def record_with(counts, metrics=None, info=None):
    result = make_record().result
    assert result is not None
    result = dataclasses.replace(
        result, arrays={"confusion": np.asarray(counts)}, metrics=metrics or {}, info=info or {}
    )
    return make_record(result=result, data={})


def test_the_worst_mistakes_of_the_kept_weights_are_named_worst_first():
    first, second = [[9, 1], [0, 10]], [[7, 3], [4, 6]]
    names = {"class_names": ["cat", "dog"]}
    record = record_with([first, second], {"best_epoch": 2.0}, names)
    expected = {"confusion_1": "dog as cat: 4", "confusion_2": "cat as dog: 3"}
    assert confusion_tags(record) == expected
    record = record_with([first, second], {"best_epoch": 1.0}, names)
    assert confusion_tags(record) == {"confusion_1": "cat as dog: 1"}
    assert confusion_tags(record_with([[[5, 0], [0, 5]]])) == {}
    ties = record_with([np.ones((4, 4), np.uint8)])
    assert list(confusion_tags(ties).values()) == ["0 as 1: 1", "0 as 2: 1", "0 as 3: 1"]


@pytest.mark.parametrize(
    "array",
    [np.zeros((0, 3, 3), np.uint8), np.ones((3, 3), np.uint8), np.ones((2, 3, 4), np.uint8),
     np.ones((2, 3, 3)), np.ones((1, 0, 0), np.uint8)],
)  # fmt: skip
def test_an_array_of_another_form_is_none(array):
    assert confusion_of(record_with(array)) is None
    assert confusion_tags(record_with(array)) == {}


def test_classes_without_fitting_names_are_numbered():
    assert class_names(record_with([[[1]]], info={"classes": ["a", "b"]}), 2) == ["a", "b"]
    assert class_names(record_with([[[1]]], info={"classes": ["a", "b"]}), 3) == ["0", "1", "2"]
    assert class_names(record_with([[[1]]], info={"classes": "abc"}), 3) == ["0", "1", "2"]


@pytest.mark.parametrize(("best", "epoch"), [(2, 2), (0, 5), (9, 5), (5, 5)])
def test_the_kept_epoch_is_one_that_there_was(best, epoch):
    assert kept_epoch(record_with([[[1]]], {"best_epoch": float(best)}), 5) == epoch
