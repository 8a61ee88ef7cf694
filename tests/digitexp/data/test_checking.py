import numpy as np
import pytest

from digitexp.data.checking import make_source
from digitexp.data.source import DataError, Found, Pair


def test_everything_a_source_promises_holds(pixels, digits, test_pixels, test_digits):
    found = Found("x", "x", Pair(pixels, digits), Pair(test_pixels, test_digits))
    source = make_source(found)
    assert source.test is not None
    for part in (source, source.test):
        assert part.images.dtype == np.float32
        assert part.labels.dtype == np.int64
        assert part.images.flags.c_contiguous
        assert not part.images.flags.writeable
        assert not part.labels.flags.writeable
    assert source.policies == ("pixels divided by 255",)
    assert source.class_names == tuple("0123456789")
    assert source.digest != source.test.digest


def test_equal_images_have_equal_digests_whatever_they_came_as(pixels, digits):
    floats = pixels.astype(np.float32) / np.float32(255)
    first = make_source(Found("a", "a", Pair(pixels, digits)))
    second = make_source(Found("b", "b", Pair(floats, digits[:, None].astype(int))))
    assert first.digest == second.digest


@pytest.mark.parametrize("changed", ["image", "label", "order"])
def test_a_change_anywhere_changes_the_digest(pixels, digits, changed):
    before = make_source(Found("a", "a", Pair(pixels, digits))).digest
    images, labels = pixels.copy(), digits.copy()
    if changed == "image":
        images[7, 3, 3] ^= 1
    elif changed == "label":
        labels[7] = (labels[7] + 1) % 10
    else:
        images, labels = images[::-1], labels[::-1]
    assert make_source(Found("a", "a", Pair(images, labels))).digest != before


def test_a_test_image_that_is_a_training_image_is_refused(pixels, digits, test_pixels, test_digits):
    leaked = test_pixels.copy()
    leaked[[5, 9]] = pixels[[17, 3]]
    found = Found("x", "x", Pair(pixels, digits), Pair(leaked, test_digits))
    with pytest.raises(DataError, match=r"found 2 test image\(s\) .*\(test 5 = training 17\)"):
        make_source(found)


def test_parts_of_different_shape_are_refused(pixels, digits, test_pixels, test_digits):
    found = Found("x", "x", Pair(pixels, digits), Pair(test_pixels[:, :19], test_digits))
    with pytest.raises(DataError, match=r"training images \(20, 20\) and test images \(19, 20\)"):
        make_source(found)


def test_a_message_names_the_part_it_is_about(pixels, digits, test_pixels, test_digits):
    train = Pair(pixels, digits)
    with pytest.raises(DataError, match=r"x \(test labels\): found 99 labels for 100 images"):
        make_source(Found("x", "x", train, Pair(test_pixels, test_digits[:99])))
    with pytest.raises(DataError, match=r"x \(test labels\): found test label\(s\) 10"):
        make_source(Found("x", "x", train, Pair(test_pixels, test_digits + 1)))
    with pytest.raises(DataError, match=r"x \(training labels\): found the 10 label\(s\) 1, 2"):
        make_source(Found("x", "x", Pair(pixels, digits + 1)))
