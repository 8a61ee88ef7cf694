"""Small real data for training tests: 8x8 digits, 600 to train on and 200 to validate."""

from functools import lru_cache

import numpy as np

from digitexp.training.outcome import TrainingData


@lru_cache(maxsize=1)
def small_digits() -> TrainingData:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return TrainingData.from_split(
        images.reshape(-1, 8, 8) / 16.0,
        labels,
        np.arange(600),
        np.arange(600, 800),
        [str(digit) for digit in range(10)],
    )
