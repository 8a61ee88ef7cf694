"""One number that logits are divided by, fitted on images the network was not trained on.

Temperature scaling (Guo, Pleiss, Sun & Weinberger 2017, "On calibration of modern neural
networks"): probabilities are softmax(logits / T) for the T that minimises the negative
log-likelihood. The most likely class stays what it is, and so does the accuracy. NumPy only.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from digitexp.functions import softmax, sparse_cross_entropy

__all__ = [
    "HIGHEST",
    "LOWEST",
    "checked_logits",
    "cross_fitted_temperatures",
    "fit_temperature",
    "temperature_to_serve",
]

LOWEST, HIGHEST = 0.05, 20.0
"""Where a temperature is looked for; one that lies at an end is no minimum, but a limit."""

HALVINGS: Final = 36
"""Of the interval of log T: it is then narrower than 1e-10."""


def fit_temperature(logits: ArrayLike, labels: ArrayLike) -> float:
    """Return the temperature with the smallest mean negative log-likelihood.

    In 1/T the likelihood is convex and its slope is the mean of (expected logit - logit of the
    label), so that halving an interval of log T by the sign of that slope finds the only minimum.
    The same logits give the same number to the bit.

    Args:
        logits: (n, classes), finite, of images that trained nothing.
        labels: (n,), integers from 0 to classes - 1.

    Returns:
        Between `LOWEST` and `HIGHEST`. Where every image is right the likelihood grows for ever as
        T falls: then `LOWEST`. Where the logits know nothing of the labels: `HIGHEST`.

    Raises:
        ValueError: There is no image, a logit is no finite number, or a label is no class.
    """
    wide, numbers = checked_logits(logits, labels)
    wanted = wide[np.arange(len(numbers)), numbers]

    def is_too_hot(temperature: float) -> bool:
        expected = (softmax(wide, temperature) * wide).sum(axis=1)
        return bool(np.mean(expected - wanted) < 0)  # a larger 1/T would be likelier

    low, high = math.log(LOWEST), math.log(HIGHEST)
    if is_too_hot(LOWEST) or _all_right(wide, numbers):
        return LOWEST
    if not is_too_hot(HIGHEST):
        return HIGHEST
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if is_too_hot(math.exp(middle)) else (middle, high)
    return math.exp((low + high) / 2)


def temperature_to_serve(logits: ArrayLike, labels: ArrayLike) -> float:
    """Return the fitted temperature, or 1 where every image is right.

    Images without a mistake say nothing about how often to expect one: the limit that
    `fit_temperature` then returns would have a model answer 1.0 to everything.

    Args:
        logits: See `fit_temperature`.
        labels: See `fit_temperature`.

    Raises:
        ValueError: See `fit_temperature`.
    """
    wide, numbers = checked_logits(logits, labels)
    return 1.0 if _all_right(wide, numbers) else fit_temperature(wide, numbers)


def cross_fitted_temperatures(
    logits: ArrayLike, labels: ArrayLike, folds: int = 5
) -> NDArray[np.float64]:
    """Return for each image the temperature that the other folds' images give.

    So the images that a temperature is judged on did not fit it. Folds are stratified: of each
    class, every fold has as many images, give or take one; which, a fixed draw decides.

    Args:
        logits: See `fit_temperature`.
        labels: See `fit_temperature`.
        folds: How many, 2 or more; no more than images.

    Returns:
        (n,), by `temperature_to_serve`.

    Raises:
        ValueError: See `fit_temperature`; or there are fewer than 2 folds, or more than images.
    """
    wide, numbers = checked_logits(logits, labels)
    if not 2 <= folds <= len(numbers):
        raise ValueError(f"folds {folds}: give 2 to {len(numbers)}, the number of images")
    keys = np.random.PCG64(0).random_raw(len(numbers))
    order = np.lexsort((keys, numbers))  # class by class, drawn within each
    fold = np.empty(len(numbers), np.int64)
    fold[order] = np.arange(len(numbers)) % folds
    temperatures = np.empty(len(numbers))
    for number in range(folds):
        judged = fold == number
        temperatures[judged] = temperature_to_serve(wide[~judged], numbers[~judged])
    return temperatures


def checked_logits(
    logits: ArrayLike, labels: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return logits as float64 and labels as int64.

    Raises:
        ValueError: There is no image, a logit is no finite number, or a label is no class.
    """
    wide, numbers = np.asarray(logits, np.float64), np.asarray(labels)
    if wide.ndim != 2 or 0 in wide.shape:
        raise ValueError(f"logits of shape {wide.shape}: give (n, classes), one image or more")
    if not np.isfinite(wide).all():
        row = int(np.argwhere(~np.isfinite(wide))[0, 0])
        raise ValueError(f"logits of image {row} are {wide[row]}: give finite numbers")
    sparse_cross_entropy(wide, numbers)  # refuses labels that do not fit
    return wide, numbers.astype(np.int64)


def _all_right(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> bool:
    return bool((logits[np.arange(len(labels)), labels] >= logits.max(axis=1)).all())
