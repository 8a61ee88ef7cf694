"""Rules on data as the files have it."""

import numpy as np
import pytest

from digitexp.checklist import check_data
from digitexp.data.loading import find_source
from digitexp.data.source import Found, Pair


def images(n=200, seed=0):
    return np.random.default_rng(seed).random((n, 4, 4)).astype("float32")


def labels(n=200):
    return np.arange(n) % 2


def verdicts(train, test=None, **expected):
    findings = check_data(Found("own", "own.npz", Pair(*train), test), **expected)
    return {finding.name: finding for finding in findings}


def test_sound_data_has_nothing_to_look_at():
    found = verdicts((images(), labels()), Pair(images(20, seed=1), labels(20)))
    assert {finding.verdict for finding in found.values()} == {"ok"}
    assert list(found) == [
        "features", "pixels", "labels", "class balance", "duplicates",
    ]  # fmt: skip


def test_the_embedded_digits_have_nothing_to_look_at():
    findings = check_data(find_source("digits20"), n_features=400, n_classes=10)
    assert {finding.verdict for finding in findings} == {"ok"}
    assert findings[0].seen == "5000 images of 20x20 = 400 features"


def test_pixels_that_are_not_normalised_fail_and_labels_are_judged_all_the_same():
    found = verdicts((images() * 255, labels()))
    assert found["pixels"].verdict == "fail"
    assert "pixels from" in found["pixels"].seen
    assert "images / 255" in found["pixels"].seen
    assert found["labels"].verdict == "ok"


def test_pixels_that_were_divided_twice_are_a_warning():
    assert verdicts((images() / 255, labels()))["pixels"].verdict == "warn"


@pytest.mark.parametrize("wrong", [labels() + 1, labels() * 2, labels() - 1, labels()[:-1]])
def test_labels_out_of_range_or_missing_fail_and_pixels_are_judged_all_the_same(wrong):
    found = verdicts((images(), wrong))
    assert found["labels"].verdict == "fail"
    assert found["pixels"].verdict == "ok"
    assert "class balance" not in found


@pytest.mark.parametrize(
    ("features", "classes", "failed"), [(17, 2, "features"), (16, 3, "labels")]
)
def test_other_numbers_than_expected_fail(features, classes, failed):
    found = verdicts((images(), labels()), n_features=features, n_classes=classes)
    assert [name for name, finding in found.items() if finding.verdict == "fail"] == [failed]


@pytest.mark.parametrize(
    ("many", "few", "verdict"),
    [(200, 100, "ok"), (200, 50, "warn"), (60, 49, "warn"), (60, 50, "ok"), (200, 2, "warn"),
     (200, 1, "fail")],
)  # fmt: skip
def test_a_class_with_few_images_is_named(many, few, verdict):
    found = verdicts((images(many + few), np.repeat([0, 1], [many, few])))["class balance"]
    assert found.verdict == verdict
    assert found.seen.startswith(f"{few} to {many} images a class; class 1 has ")


@pytest.mark.parametrize(("copied_from", "verdict"), [(1, "warn"), (2, "fail")])
def test_a_copy_is_a_warning_and_one_with_another_label_a_failure(copied_from, verdict):
    twice = images()
    twice[3] = twice[copied_from]  # image 3 has label 1, as image 1 has
    assert verdicts((twice, labels()))["duplicates"].verdict == verdict


def test_a_test_image_that_was_trained_on_fails():
    test = Pair(images(20, seed=1), labels(20))
    test.images[4] = images()[9]
    found = verdicts((images(), labels()), test)["test set"]
    assert found.verdict == "fail"
    assert "1 test image(s) that are training images too (test 4 = training 9)" in found.seen


def test_a_test_label_that_no_training_image_has_fails():
    assert (
        verdicts((images(), labels()), Pair(images(9, 1), labels(9) + 1))["test set"].verdict
        == "fail"
    )
