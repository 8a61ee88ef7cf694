"""What a user may give as data, and what is said where it is wrong."""

import numpy as np
import pytest

from digitexp.experiments.keras_experiment.data import read_parts

X = np.arange(40, dtype=np.float32).reshape(20, 2)
Y = np.arange(20) % 2


def test_one_part_is_split_by_class_and_seed():
    parts = read_parts((X, Y), "classification", split_seed=0)
    assert (parts.n_train, parts.n_validation, parts.classes) == (16, 4, 2)
    assert sorted(parts.validation[1]) == [0, 0, 1, 1]
    again = read_parts((X, Y), "classification", split_seed=0)
    other = read_parts((X, Y), "classification", split_seed=1)
    assert again.split_digest == parts.split_digest != other.split_digest
    assert other.digest != read_parts((X + 1, Y), "classification", 1).digest


def test_two_parts_stay_what_they_are():
    parts = read_parts(((X, Y), (X[:5], Y[:5])), "classification", split_seed=0)
    assert (parts.n_train, parts.n_validation) == (20, 5)
    np.testing.assert_array_equal(parts.validation[0], X[:5])


def test_targets_of_a_regression_become_floats():
    parts = read_parts((X, Y), "regression", split_seed=0)
    assert parts.classes is None
    assert parts.train[1].dtype == np.float32


def test_one_hot_targets_are_classes():
    parts = read_parts((X, np.eye(2)[Y]), "classification", split_seed=0)
    assert (parts.classes, parts.validation[1].argmax(axis=1).sum()) == (2, 2)


@pytest.mark.parametrize(
    ("data", "task", "said"),
    [
        (X, "classification", "received ndarray; give \\(x, y\\)"),
        ((X, Y, Y), "classification", "received tuple"),
        ((X, Y[:-1]), "classification", "20 inputs and 19 targets"),
        ((X[:0], Y[:0]), "classification", "0 inputs and 0 targets"),
        ((X, Y * 1.0), "classification", "targets of type float64 in a classification"),
        ((X, Y - 1), "classification", "class -1"),
        ((X + np.nan, Y), "classification", "NaN or infinite"),
        ((X, np.full(20, np.inf)), "regression", "NaN or infinite"),
        ((X, np.array(["a"] * 20, object)), "classification", "arrays of numbers"),
        (((X, Y, Y), (X, Y)), "classification", "a part has 3 members"),
    ],
)
def test_what_is_no_data_is_refused_with_the_way_out(data, task, said):
    with pytest.raises(ValueError, match=said):
        read_parts(data, task, split_seed=0)
