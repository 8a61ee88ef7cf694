"""How training images fill their frame is measured; the pad's tests place drawings by it."""

import numpy as np
import pytest

from digitexp.data.loading import read_digits20
from digitexp.pages.page import Framing


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    return read_digits20().train.images


@pytest.fixture(scope="module")
def framing(digits) -> Framing:
    return Framing.of(digits[:500].astype(np.float32) / 255)


def test_it_finds_out_how_digits20_fill_their_frame(framing):
    assert framing == Framing((20, 20), 20, by_mass=False)


def test_images_placed_by_their_mass_are_noticed(digits):
    placed = []
    for image in digits[:200]:
        wide = np.zeros((28, 28), np.float32)
        wide[4:24, 4:24] = image / 255
        rows, columns = np.indices(wide.shape)
        off = [round(13.5 - (wide * axis).sum() / wide.sum()) for axis in (rows, columns)]
        placed.append(np.roll(wide, off, (0, 1)))
    found = Framing.of(np.array(placed))
    assert (found.shape, found.side, found.by_mass) == ((28, 28), 20, True)
