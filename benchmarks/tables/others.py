"""Data sets that are neither digits20 nor any other of NIST's digits, for portfolios.

Fashion-MNIST comes with a Debian package, scikit-learn's digits with scikit-learn. The others are
letters and Chinese characters, drawn with free fonts of Debian packages, turned, moved and blurred
at random. All have 20 by 20 pixels and at most 5000 images, as digits20 has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.tables.files import save
from digitexp.data.files import read_idx_folder
from digitexp.data.source import resized

SIDE: Final = 20
IMAGES: Final = 5000
FASHION: Final = Path("/usr/share/datasets/fashion-mnist")
FONTS: Final = Path("/usr/share/fonts/truetype")
_DEJAVU: Final = "dejavu/DejaVu"
_LIBERATION: Final = "liberation/Liberation"
_FACES: Final = (
    *(f"{_DEJAVU}{face}" for face in (
        "Sans", "Sans-Bold", "Sans-Oblique", "SansCondensed", "SansMono", "SansMono-Bold", "Serif",
        "Serif-Bold", "Serif-Italic", "SerifCondensed")),
    *(f"{_LIBERATION}{face}" for face in (
        "Sans-Regular", "Sans-Bold", "Sans-Italic", "SansNarrow-Regular", "Mono-Regular",
        "Mono-BoldItalic", "Serif-Regular", "Serif-Bold", "Serif-Italic", "Serif-BoldItalic")),
)  # fmt: skip
_CHINESE: Final = "wqy/wqy-microhei.ttc"

Drawn = tuple[NDArray[np.float32], NDArray[np.int64]]


def fashion() -> Drawn:
    """Return the first images of each class of Fashion-MNIST's training set.

    Raises:
        RuntimeError: Its Debian package is not installed.
    """
    if not FASHION.is_dir():
        raise RuntimeError(
            f"portfolio: {FASHION} is missing: apt-get install dataset-fashion-mnist"
        )
    found = read_idx_folder(FASHION).train
    labels = np.asarray(found.labels, np.int64)
    first = np.sort(
        np.concatenate([np.flatnonzero(labels == k)[: IMAGES // 10] for k in range(10)])
    )
    images = np.asarray(found.images)[first].astype(np.float32) / 255
    return resized(images, (SIDE, SIDE)), labels[first]


def scans() -> Drawn:
    """Return scikit-learn's digits: 1797 scans of 8 by 8 pixels, made larger."""
    from sklearn.datasets import load_digits

    found = load_digits()
    images = (found.images / found.images.max()).astype(np.float32)
    return resized(images, (SIDE, SIDE)), found.target.astype(np.int64)


def capitals() -> Drawn:
    """Return the letters A to Z in twenty faces, a little turned."""
    return _drawn([chr(ord("A") + k) for k in range(26)], _FACES, turn=8, noise=0.05, seed=1)


def small_letters() -> Drawn:
    """Return the letters a to z in twenty faces, more turned and noisier."""
    return _drawn([chr(ord("a") + k) for k in range(26)], _FACES, turn=15, noise=0.12, seed=2)


def characters() -> Drawn:
    """Return twenty Chinese characters in one face, turned and noisy."""
    signs = "人八大天木本土工千牛王玉田由白目口回门问"
    return _drawn(signs, [_CHINESE], turn=12, noise=0.1, seed=3)


DATA: Final[Mapping[str, Callable[[], Drawn]]] = {
    "fashion-mnist": fashion,
    "sklearn-digits": scans,
    "capitals": capitals,
    "small-letters": small_letters,
    "chinese": characters,
}
"""What each data set is made by."""


ORIGINALS: Final = {
    "fashion-mnist (whole)": str(FASHION),
    "sklearn-digits (8 by 8)": "sklearn-digits",
}
"""Sources of the same pictures in another form, as `--data` takes them: a sweep on them must not
learn from these sets either."""


def written(folder: Path, name: str) -> Path:
    """Return the file of a data set, as a sweep takes it (`--data`); made if it is missing."""
    path = folder / "data" / f"{name}.npz"
    if not path.exists():
        images, labels = DATA[name]()
        save(path, {"images": images, "labels": labels})
    return path


def _drawn(
    signs: Sequence[str], faces: Sequence[str], *, turn: float, noise: float, seed: int
) -> Drawn:
    """Return equally many images of each sign.

    Args:
        signs: The classes.
        faces: Font files below `FONTS`.
        turn: Largest turn, degrees.
        noise: Standard deviation of what is added to each pixel.
        seed: Of the draws.
    """
    from PIL import Image, ImageDraw, ImageFont

    files = [_file(face) for face in faces]
    random = np.random.default_rng(seed)
    big = 4 * SIDE
    images, labels = [], []
    for number in range(IMAGES // len(signs) * len(signs)):
        label = number % len(signs)
        font = ImageFont.truetype(
            str(files[random.integers(len(files))]), int(random.uniform(0.55, 0.85) * big)
        )
        canvas = Image.new("L", (big, big))
        middle = tuple(big / 2 + random.uniform(-0.08, 0.08, 2) * big)
        ImageDraw.Draw(canvas).text(middle, signs[label], fill=255, font=font, anchor="mm")
        canvas = canvas.rotate(random.uniform(-turn, turn), Image.Resampling.BILINEAR)
        small = np.asarray(canvas.resize((SIDE, SIDE), Image.Resampling.BOX), np.float32) / 255
        images.append(np.clip(small + random.normal(0, noise, small.shape), 0, 1))
        labels.append(label)
    return np.stack(images).astype(np.float32), np.array(labels, np.int64)


def _file(face: str) -> Path:
    path = FONTS / face if face.endswith(".ttc") else FONTS / f"{face}.ttf"
    if not path.exists():
        raise RuntimeError(
            f"portfolio: {path} is missing: apt-get install fonts-dejavu fonts-liberation "
            "fonts-wqy-microhei"
        )
    return path
