"""200 digits that no network here has seen, on the pad as pictures and as strokes."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import sweeps
from digitexp.apps.explorer.session import Asked, read_ink
from digitexp.data.framing import Framing, cut_and_centre
from digitexp.data.loading import read_digits20
from digitexp.experiments.recorded import CHAMPION, Recorded
from tests.digitexp.apps.explorer.build_outside import FILE
from tests.digitexp.apps.explorer.tracing import traced

pytestmark = pytest.mark.nightly

OUTSIDE = np.load(FILE)
IMAGES, LABELS = OUTSIDE["images"], OUTSIDE["labels"]
LOADED = np.stack([cut_and_centre(one, (20, 20)) for one in IMAGES]).astype(np.float32) / 255
SMALLER = ("epochs=10", "filters_1=16", "filters_2=32", "units_1=64")


@pytest.fixture(scope="module")
def framing() -> Framing:
    return Framing.of(read_digits20().train.images[:500].astype(np.float32) / 255)


@pytest.fixture(scope="module")
def strokes(framing) -> np.ndarray:
    return np.stack([framing.strokes(traced(one)) for one in IMAGES])


def on_the_pad(image: np.ndarray) -> bytes:
    """Return a picture of 280x280 pixels, as one that is dropped onto the pad."""
    file = io.BytesIO()
    Image.fromarray(np.kron(image, np.ones((10, 10), np.uint8))).save(file, "PNG")
    return file.getvalue()


def champion_of(home: Path, space: str, trials: int, overrides) -> Asked:
    options = {"home": home, "workers": 0, "progress": "quiet", "overrides": overrides}
    sweeps.run(space, trials=trials, **options)
    return Asked(Recorded(home, None, None).shown(space, CHAMPION))


def classes(asked: Asked, images: np.ndarray) -> np.ndarray:
    return asked.trial.network.logits(images).argmax(axis=1)


def test_there_are_twenty_of_each_class_and_none_in_digits20():
    assert np.bincount(LABELS).tolist() == [20] * 10
    digits = read_digits20()
    known = {one.tobytes() for one in (*digits.train.images, *digits.test.images)}
    assert not known & {cut_and_centre(one, (20, 20)).tobytes() for one in IMAGES}


def test_pictures_ten_times_as_large_end_up_as_the_loader_has_them(framing):
    pictures = np.stack([framing.picture(read_ink(on_the_pad(one))) for one in IMAGES])
    np.testing.assert_allclose(pictures, LOADED, atol=0.06)


def test_strokes_have_as_much_ink_as_the_digits_they_trace(strokes):
    assert strokes.mean() == pytest.approx(LOADED.mean(), rel=0.1)
    apart = np.linalg.norm((strokes - LOADED).reshape(200, -1), axis=1)
    others = np.linalg.norm((strokes - np.roll(LOADED, 1, axis=0)).reshape(200, -1), axis=1)
    assert np.median(apart) < 0.5 * np.median(others)


@pytest.mark.tensorflow
def test_pictures_get_the_class_of_the_loaders_images(framing, tmp_path):
    asked = champion_of(tmp_path, "mlp", 3, ())
    expected = classes(asked, LOADED)
    assert (expected == LABELS).mean() > 0.9
    pictures = np.stack([framing.picture(read_ink(on_the_pad(one))) for one in IMAGES])
    assert (classes(asked, pictures) == expected).sum() >= 198
    small = np.stack([framing.picture(np.float32(one) / 255) for one in IMAGES])
    np.testing.assert_array_equal(small, LOADED)


@pytest.mark.tensorflow
def test_strokes_get_the_class_of_the_digits_they_trace(strokes, tmp_path):
    asked = champion_of(tmp_path, "augment", 1, SMALLER)
    expected = classes(asked, LOADED)
    assert (expected == LABELS).mean() > 0.93
    assert (classes(asked, strokes) == expected).sum() >= 190
