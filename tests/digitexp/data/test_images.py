import numpy as np
import pytest

from digitexp.data.checking import convert_images
from digitexp.data.source import DataError


def unit(pixels):
    return pixels.astype(np.float32) / np.float32(255)


def test_bytes_are_divided_by_255(pixels):
    images, policies = convert_images(pixels, "x")
    assert images.dtype == np.float32
    assert images.shape == (300, 20, 20)
    assert np.array_equal(images, unit(pixels))
    assert policies == ["pixels divided by 255"]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_in_the_unit_range_are_kept(pixels, dtype):
    images, policies = convert_images(unit(pixels).astype(dtype), "x")
    assert images.dtype == np.float32
    assert np.array_equal(images, unit(pixels).astype(dtype).astype(np.float32))
    rounded = [] if dtype == np.float32 else [f"pixels rounded from {np.dtype(dtype)} to float32"]
    assert policies == rounded


@pytest.mark.parametrize(
    ("shape", "policy"),
    [
        ((300, 20, 20, 1), "the single channel dropped"),
        ((300, 1, 20, 20), "the single channel dropped"),
        ((300, 400), "flat rows of 400 pixels read row by row as 20x20 images"),
    ],
)
def test_other_shapes_of_the_same_images_give_the_same_images(pixels, shape, policy):
    images, policies = convert_images(pixels.reshape(shape), "x")
    assert np.array_equal(images, unit(pixels))
    assert policies == [policy, "pixels divided by 255"]


def test_flat_rows_of_the_course_are_read_column_by_column(pixels):
    rows = pixels.transpose(0, 2, 1).reshape(300, 400)
    images, policies = convert_images(rows, "x", ng_course=True)
    assert np.array_equal(images, unit(pixels))
    assert "flat rows of 400 pixels read column by column as 20x20 images" in policies


def test_images_need_not_be_square(pixels):
    images, _ = convert_images(pixels[:, :12, :], "x")
    assert images.shape == (300, 12, 20)


def test_overshooting_pixels_of_the_course_are_clipped_and_that_is_stated(pixels):
    wide = unit(pixels).astype(np.float64) * 1.26 - 0.13
    images, policies = convert_images(wide, "x", ng_course=True)
    assert (images.min(), images.max()) == (0, 1)
    assert policies[-1] == "pixels clipped from [-0.13, 1.13] to [0, 1]"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x.astype(np.int64), "pixels of dtype int64; expected uint8 in 0 .. 255"),
        (lambda x: x > 0, "pixels of dtype bool"),
        (lambda x: x[:0], "no pixels"),
        (lambda x: x[:, :0], "no pixels"),
        (lambda x: x.reshape(300, 400)[:, :399], r"images of shape \(300, 399\)"),
        (lambda x: x.reshape(-1), r"images of shape \(120000,\)"),
        (lambda x: np.stack([x] * 3, axis=-1), r"images of shape \(300, 20, 20, 3\)"),
        (lambda x: x[None, None], r"images of shape \(1, 1, 300, 20, 20\)"),
        (lambda x: x.astype(np.float32), r"pixels from 0 to 255; expected floats in \[0, 1\]"),
        (lambda x: x / 255 - 0.01, r"pixels from -0.01 to 0.99"),
        (lambda x: (x > 99).astype(np.uint8), "uint8 pixels from 0 to 1"),
        (lambda x: np.where(x > 254, np.nan, x / 255), r"\d+ pixels that are NaN or infinite"),
        (lambda x: np.where(x > 254, np.inf, x / 255), r"\d+ pixels that are NaN or infinite"),
    ],
)
def test_anything_else_is_refused_with_what_was_found(pixels, change, message):
    with pytest.raises(DataError, match=message):
        convert_images(change(pixels), "x")


@pytest.mark.parametrize("course_pixel", [-0.151, 1.151])
def test_even_the_course_has_limits(pixels, course_pixel):
    images = unit(pixels)
    images[0, 0, 0] = course_pixel
    with pytest.raises(DataError, match=r"expected floats in \[-0.15, 1.15\]"):
        convert_images(images, "x", ng_course=True)
