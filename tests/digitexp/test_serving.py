"""What a served model accepts, and that its answers are probabilities."""

import numpy as np
import pytest

from digitexp.experiments.digits import checked_images


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.uint8])
def test_images_of_any_numbers_from_0_to_1_become_float32(dtype):
    images = checked_images(np.array([[0, 1, 1], [1, 0, 0]], dtype), 3)
    assert images.dtype == np.float32
    assert images.tolist() == [[0, 1, 1], [1, 0, 0]]


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (np.zeros((1, 4)), r"shape \(1, 4\); give \(n, 3\)"),
        (np.zeros(3), r"shape \(3,\)"),
        (np.zeros((1, 1, 3)), r"shape \(1, 1, 3\)"),
        (np.array([["0", "0", "1"]]), "dtype <U1; give numbers"),
        (np.array([[None, 0, 1]]), "dtype object"),
        (np.array([[True, False, True]]), "dtype bool"),
        (np.array([[0, 0, 0], [0, np.nan, 0]]), "pixel 1 of image 1 is nan"),
        (np.array([[0, 0, np.inf]]), "pixel 2 of image 0 is inf"),
        (np.array([[0, 0, 1e300]]), "pixel 2 of image 0 is 1e\\+300"),
        (np.array([[-0.01, 0, 0]]), "pixel 0 of image 0 is -0.01"),
        (np.array([[0, 1.01, 0]]), "give values from 0 .* to 1"),
        (np.array([[0, 255, 0]]), "pixel 1 of image 0 is 255"),
    ],
)
def test_what_is_no_image_is_refused_with_the_reason(images, said):
    with pytest.raises(ValueError, match=said):
        checked_images(images, 3)


def test_no_image_at_all_is_answered_by_nothing():
    assert checked_images(np.zeros((0, 3)), 3).shape == (0, 3)
