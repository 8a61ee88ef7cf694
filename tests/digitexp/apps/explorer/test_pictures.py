import io

import numpy as np
import pytest
from PIL import Image

from digitexp.apps.explorer import session
from digitexp.apps.explorer.session import PictureError, read_ink


def file_of(array, kind="PNG", **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, kind, **options)
    return file.getvalue()


def stroke(side: int, paper: int, ink: int) -> np.ndarray:
    array = np.full((side, side), paper, np.uint8)
    array[side // 4 : 3 * side // 4, side // 2 : side // 2 + max(side // 10, 1)] = ink
    return array


def test_a_small_picture_is_taken_pixel_for_pixel():
    image = np.arange(28 * 28, dtype=np.uint32).reshape(28, 28) % 256
    image[[0, -1]], image[:, [0, -1]] = 0, 0
    expected = image.astype(np.float32) / 255
    np.testing.assert_array_equal(read_ink(file_of(image.astype(np.uint8))), expected)
    negative = (255 - image).astype(np.uint8)
    np.testing.assert_array_equal(read_ink(file_of(negative)), expected)


@pytest.mark.parametrize("side", [40, 400])
@pytest.mark.parametrize(("paper", "ink"), [(0, 255), (255, 0), (240, 90), (20, 140)])
def test_whatever_lies_along_the_border_is_paper(side, paper, ink):
    found = read_ink(file_of(stroke(side, paper, ink)))
    is_ink = stroke(side, 0, 1) == 1
    assert found[~is_ink].max() == 0
    assert found[is_ink].min() > 0.4
    if side == 400:  # as a photograph: pale ink is ink
        assert found[is_ink].min() == 1


def test_uneven_paper_of_a_photograph_is_paper():
    noise = np.random.default_rng(0).normal(0, 6, (500, 500))
    photo = np.clip(stroke(500, 200, 60) + noise, 0, 255).astype(np.uint8)
    found = read_ink(file_of(photo, "JPEG", quality=90))
    is_ink = stroke(500, 0, 1) == 1
    assert (found[~is_ink] > 0.05).mean() < 0.01
    assert np.median(found[is_ink]) > 0.7


def test_colours_transparency_depth_and_orientation_are_understood():
    colours = np.stack([stroke(40, 255, 20)] * 3, axis=2)
    assert read_ink(file_of(colours)).max() > 0.9
    layers = np.zeros((40, 40, 4), np.uint8)
    layers[10:30, 20:24] = (0, 0, 0, 255)
    dark = read_ink(file_of(layers))
    assert (dark[15, 21], dark[0, 0]) == (1, 0)
    layers[10:30, 20:24] = (255, 255, 255, 255)
    light = read_ink(file_of(layers))
    assert (light[15, 21], light[0, 0]) == (1, 0)
    deep = read_ink(file_of(stroke(40, 0, 255).astype(np.uint16) * 257))
    assert (deep[20, 21], deep[0, 0]) == (1, 0)
    turned = Image.Exif()
    turned[0x0112] = 6  # turn by 90 degrees
    lying = read_ink(file_of(stroke(40, 255, 0), "JPEG", exif=turned, quality=95))
    assert (lying > 0.5).any(axis=1).sum() < (lying > 0.5).any(axis=0).sum()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no picture: PNG and JPEG are read"),
        (b"just words", "no picture: PNG and JPEG are read"),
        (file_of(stroke(40, 255, 0), "GIF"), "no picture: PNG and JPEG are read"),
        (file_of(stroke(200, 255, 0))[:120], "damaged"),
        (file_of(stroke(200, 255, 0), "JPEG")[:400], "damaged"),
    ],
)
def test_what_is_no_picture_is_said_in_words(content, said):
    with pytest.raises(PictureError, match=said):
        read_ink(content)


def test_pixels_are_limited_before_any_is_decoded(monkeypatch):
    large = file_of(np.zeros((5000, 6000), np.uint8))
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(PictureError, match="6000x5000 pixels: at most 25 million"):
        read_ink(large)
    assert session.MOST_PIXELS == 25_000_000
