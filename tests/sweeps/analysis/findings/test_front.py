"""Intervals along a Pareto front: of what is a share of samples, and of nothing else."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from search_spaces.objectives import Objective
from sweeps.analysis.findings import interval_of
from sweeps.interval import wilson
from tests.sweeps.factories import altered, make_record

COUNTS = np.array([[[40, 10], [5, 45]]], np.uint16)


def with_counts(counts):
    made = make_record()
    arrays = {} if counts is None else {"confusion": counts}
    result = dataclasses.replace(made.result, arrays=arrays, info={"classes": ["cat", "dog"]})
    return altered(made, result=result, data={})


@pytest.mark.parametrize(
    ("metric", "value", "expected"),
    [
        ("best_val_accuracy", 0.85, wilson(85, 100)),
        ("recall_cat", 0.8, wilson(40, 50)),
        ("best_val_accuracy", 0.86, None),  # an accuracy on other samples
        ("train_accuracy", 0.99, None),
        ("recall_cow", 0.8, None),
        ("parameters", 0.85, None),
    ],
)
def test_only_a_share_of_the_counted_samples_has_an_interval(metric, value, expected):
    objective = Objective(metric, "maximize")
    assert interval_of(with_counts(COUNTS), objective, value) == expected


def test_without_counts_there_is_none():
    assert interval_of(with_counts(None), Objective("accuracy", "maximize"), 0.85) is None
