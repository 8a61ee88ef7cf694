"""What a user may give as data, and what is said where it is wrong."""

import numpy as np
import pytest

from digitexp.experiments.keras_experiment.data import read_parts
from digitexp.experiments.keras_experiment.judging import judge, values_by_sample
from digitexp.keras_experiment import KerasExperiment

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


def test_targets_with_several_labels_have_no_classes():
    y = np.eye(3, dtype=int)[Y]
    y[0] = 0, 0, 0
    assert read_parts((X, y), "classification", split_seed=0).classes is None


@pytest.mark.parametrize(
    ("predictions", "right"),
    [
        ([[0.9, 0.2, 0.7], [0.1, 0.4, 0.2], [0.6, 0.6, 0.4]], [1, 1, 1 / 3]),  # shares
        ([[2.0, -1, 0.5], [-3, -0.1, -1], [1.0, 1.0, -1.0]], [1, 1, 1 / 3]),  # logits
    ],
)
def test_several_labels_are_judged_one_by_one_without_a_matrix(predictions, right):
    found, y = np.array(predictions), np.array([[1, 0, 1], [0, 0, 0], [0, 1, 1]])
    metrics, arrays = judge(found, y, "classification", None)
    assert metrics == {"best_val_accuracy": pytest.approx(7 / 9)}
    assert [*arrays] == ["predicted"]
    scores = values_by_sample(metrics, found, y, "classification", None)
    assert scores["best_val_accuracy_by_sample"].tolist() == pytest.approx(right)


def test_a_plan_names_the_metrics_that_a_model_needs():
    def planned(y, **options):
        experiment = KerasExperiment(lambda params: None, (X, y), {}, **options)
        return experiment.plan({}, experiment.prepare(None, 0)).reason

    f1 = {"metrics": {"f1": "maximize"}}
    assert "compile it with: accuracy, f1" in planned(Y, **f1)
    several = planned(np.eye(3, dtype=int)[Y] * (np.arange(20) > 3)[:, None], **f1)
    assert "compile it with: f1; its examples have several labels" in several
    assert "compile it with" not in planned(Y, task="regression")


@pytest.mark.parametrize(
    ("data", "task", "said"),
    [
        (X, "classification", "received ndarray; give \\(x, y\\)"),
        ((X, Y, Y, Y), "classification", "received tuple"),
        ((X, Y, Y[:-1]), "classification", "weights \\(19,\\) for 20 examples"),
        ((X, Y, -1.0 - Y), "classification", "a finite number from 0 for each"),
        ((X, Y[:-1]), "classification", "20 inputs and 19 targets"),
        ((X[:0], Y[:0]), "classification", "0 inputs and 0 targets"),
        ((X, Y * 1.0), "classification", "targets of type float64 in a classification"),
        ((X, Y - 1), "classification", "class -1"),
        ((X + np.nan, Y), "classification", "NaN or infinite"),
        ((X, np.full(20, np.inf)), "regression", "NaN or infinite"),
        ((X, np.array(["a"] * 20, object)), "classification", "arrays of numbers"),
        (((X, Y, Y, Y), (X, Y)), "classification", "a part has 4 members"),
    ],
)
def test_what_is_no_data_is_refused_with_the_way_out(data, task, said):
    with pytest.raises(ValueError, match=said):
        read_parts(data, task, split_seed=0)
