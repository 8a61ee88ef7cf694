import numpy as np
import pytest

from digitexp.data.checking import check_classes, check_test_classes, convert_labels
from digitexp.data.source import DataError


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64, np.uint64])
@pytest.mark.parametrize("shape", [(300,), (300, 1)])
def test_integers_of_any_kind_become_flat_int64(digits, dtype, shape):
    labels, policies = convert_labels(digits.astype(dtype).reshape(shape), "y", images=300)
    assert labels.dtype == np.int64
    assert np.array_equal(labels, digits)
    assert policies == []


def test_ten_means_zero_in_the_course(digits):
    ng_course = np.where(digits == 0, 10, digits)[:, None]
    labels, policies = convert_labels(ng_course, "y", images=300, ng_course=True)
    assert np.array_equal(labels, digits)
    assert policies == ["label 10 read as the digit 0"]


def test_labels_of_the_course_from_zero_stay_as_they_are(digits):
    labels, policies = convert_labels(digits, "y", images=300, ng_course=True)
    assert np.array_equal(labels, digits)
    assert policies == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda y: y.astype(float), "labels of dtype float64; expected whole numbers"),
        (lambda y: y.astype(str), "labels of dtype <U"),
        (lambda y: y > 4, "labels of dtype bool"),
        (lambda y: np.eye(10, dtype=int)[y], r"labels of shape \(300, 10\).*argmax"),
        (lambda y: y[:, None, None], r"labels of shape \(300, 1, 1\)"),
        (lambda y: y[0], r"labels of shape \(\)"),
        (lambda y: y[:-1], "299 labels for 300 images"),
        (lambda y: y[:0], "0 labels for 300 images"),
    ],
)
def test_other_labels_are_refused_with_what_was_found(digits, change, message):
    with pytest.raises(DataError, match=message):
        convert_labels(change(digits), "y", images=300)


def test_classes_are_counted():
    assert check_classes(np.array([2, 0, 1, 1]), "y") == 3


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        ([1, 2, 3], r"3 label\(s\) 1, 2, 3"),
        ([0, 1, 3], "0, 1, 3"),
        ([-1, 0, 1], "-1, 0, 1"),
        ([0, 0], r"1 label\(s\) 0"),
        (list(range(1, 30)), "10, 11, 12, ..."),
    ],
)
def test_classes_with_a_gap_or_another_start_are_refused(labels, found):
    with pytest.raises(DataError, match=f"{found}; expected at least two classes"):
        check_classes(np.array(labels), "y")


@pytest.mark.parametrize("strange", [-1, 3])
def test_a_test_label_outside_the_classes_is_refused(strange):
    with pytest.raises(DataError, match=rf"test label\(s\) {strange}; expected .* 0 .. 2"):
        check_test_classes(np.array([0, 1, strange]), "y", classes=3)


def test_a_test_part_may_lack_a_class():
    check_test_classes(np.array([0, 2]), "y", classes=3)
