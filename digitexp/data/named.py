"""Sources that other packages bring: scikit-learn's 8x8 digits; Keras's MNIST, Fashion-MNIST."""

from __future__ import annotations

import contextlib
import io
from typing import Any

from digitexp.data.errors import DataError
from digitexp.data.found import Found, Pair

FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
"""The classes of Fashion-MNIST in the order of its documentation."""


def read_sklearn_digits() -> Found:
    """Read the 1797 images, 8x8 with 17 shades, that scikit-learn carries (no test part)."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    pair = Pair((digits.images / 16).astype("float32"), digits.target)
    return Found("sklearn-digits", "sklearn-digits", pair, policies=("pixels divided by 16",))


def read_mnist() -> Found:
    """Read MNIST, 60000 and 10000 images of 28x28, through Keras."""
    return _read_keras("mnist")


def read_fashion_mnist() -> Found:
    """Read Fashion-MNIST, 60000 and 10000 images of 28x28, through Keras."""
    return _read_keras("fashion_mnist", FASHION_CLASSES)


def _read_keras(name: str, class_names: tuple[str, ...] | None = None) -> Found:
    """Read a data set of `keras.datasets`, which downloads it once and keeps it.

    Raises:
        DataError: If it can neither be found nor downloaded.
    """
    from digitexp.training.tensorflow_setup import set_up_tensorflow

    set_up_tensorflow()  # before Keras: TensorFlow reads its settings only once
    from keras import datasets

    module: Any = getattr(datasets, name)
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # Keras's progress bar
            (images, labels), (test_images, test_labels) = module.load_data()
    except Exception as error:  # Keras raises a bare Exception when a download fails
        raise DataError.about(
            name,
            found=f"no data, because Keras could not load it ({error})",
            expected="a download, or one kept from an earlier time",
            fix="Without a network, name a folder with the four IDX files instead: "
            "train-images-idx3-ubyte(.gz), train-labels-idx1-ubyte(.gz) and the same two of t10k.",
        ) from error
    train, test = Pair(images, labels), Pair(test_images, test_labels)
    return Found(name, name, train, test, class_names=class_names)
