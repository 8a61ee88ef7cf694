"""Gives each sample its value of a metric, so that trainings are compared sample by sample.

A metric that is a mean over samples has a value of each. Of another one (AUC, R2, RMSE, F1) the
value is the metric plus the influence of the sample on it: the slope of the metric in the sample's
weight (Hampel 1974, "The influence curve and its role in robust estimation"). Influences sum to 0,
so that the mean of the values is the metric, and their variance gives the metric's error to first
order. Those of an AUC are its placements (DeLong, DeLong & Clarke-Pearson 1988). A quantile has
none without the density of its values, which is not known.

NumPy only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

Values = NDArray[np.float64]
_Measure = TypeVar("_Measure", bound=Callable[..., Any])


def by_sample(metric: str, truth: ArrayLike, predictions: ArrayLike, value: float) -> Values | None:
    """Return (n,) the value of each sample, whose mean is the metric.

    Which metric it is follows from its name, as scikit-learn or Keras has it, and from its value: a
    share or a hundred times as much, or with the other sign (`neg_root_mean_squared_error`). Means
    of right or wrong answers, of absolute and squared errors, and log losses need no name.

    Args:
        metric: Its name, such as `best_val_auc` or `f1_macro`.
        truth: (n,) the true class or value of each sample, or (n, outputs) values.
        predictions: Of the same samples: (n,) classes, values, or scores of class 1; (n, classes)
            scores; or (n, outputs) values.
        value: The metric, as it was computed.

    Returns:
        The values; None if no metric of that name has this value for these samples.
    """
    true, given = np.asarray(truth), np.atleast_1d(predictions)
    if given.ndim == true.ndim + 1 and given.shape[-1] == 1:
        given = given[..., 0]
    if not (true.ndim and true.size and given.size) or len(given) != len(true):
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        found = [
            (abs(scale * values.mean() - value), scale * values)
            for values, tolerance in _candidates(_words(metric), true, given)
            for scale in (1.0, 100.0, -1.0)
            if np.isclose(scale * values.mean(), value, rtol=tolerance, atol=1e-6)
        ]
    if not found:
        return None
    away, values = min(found, key=lambda one: one[0])
    return values if away < 1e-6 else values + (value - values.mean())


def over_groups(values: ArrayLike, groups: NDArray[np.int64]) -> tuple[Values, NDArray[np.int64]]:
    """Return the value of each group of samples that are alike, and the groups' numbers.

    A group of many samples counts for more, so that the mean over groups is that over samples
    (Cochran 1977, "Sampling techniques", ratio estimator).

    Args:
        values: (n,) the value of each sample.
        groups: (n,) the number of its group.
    """
    found = np.asarray(values, float)
    mean, (numbers, places) = found.mean(), np.unique(groups, return_inverse=True)
    sums = np.bincount(places, weights=found - mean)
    return mean + sums * len(numbers) / len(found), numbers


def _words(metric: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", metric).lower())


_EXACT: Final = 1e-3
_ON_GRID: Final = 1e-2
"""Relative difference from our value; areas are often taken on a grid of thresholds."""
_THRESHOLDS: Final = 199
"""Steps from 0 to 1 of the grid that `keras.metrics.AUC` has unless it is given another one."""


def _candidates(
    name: str, true: NDArray[Any], given: NDArray[Any]
) -> Iterator[tuple[Values, float]]:
    """Yield the values of the metrics that a name may mean, each with its tolerance."""
    are_numbers = all(array.dtype.kind in "iufb" for array in (true, given))
    if true.ndim == 1 and given.ndim <= 2:
        predicted = _classes(true, given)
        right = (true == predicted).astype(float)
        yield from ((right, _EXACT), (1 - right, _EXACT))
        for measure in _named(_OF_COUNTS, name):
            yield _of_counts(measure, true, predicted), _EXACT
        if (shares := _probabilities(true, given)) is not None:
            yield -np.log(np.clip(shares, np.finfo(np.float64).eps, 1)), _EXACT
        for area in _named(_AREAS, name) if are_numbers else ():
            for scores in (given.astype(float), np.ceil(given * _THRESHOLDS)):
                yield from ((values, _ON_GRID) for values in _over_classes(area, true, scores))
    if true.shape == given.shape and are_numbers:
        wanted, error = true.astype(float), given - true.astype(float)
        for of_error in (*_named(_OF_ERRORS, name), _absolute, _squared):
            yield of_error(*(one.reshape(len(true), -1) for one in (wanted, error))), _EXACT


def _named(measures: Sequence[tuple[str, Sequence[_Measure]]], name: str) -> Sequence[_Measure]:
    """Return the measures whose pattern is the first that a name has."""
    return next((found for pattern, found in measures if re.search(pattern, name)), ())


def _classes(true: NDArray[Any], given: NDArray[Any]) -> NDArray[Any]:
    """Return (n,) predicted classes: those of the highest scores, or from a probability of 0.5."""
    if given.ndim == 2:
        highest: NDArray[Any] = given.argmax(axis=1)
        return highest
    is_binary = given.dtype.kind == "f" and np.isin(true, (0, 1)).all()
    is_share = is_binary and given.min() >= 0 and given.max() <= 1
    return (given > 0.5).astype(int) if is_share else given


def _probabilities(true: NDArray[Any], given: NDArray[Any]) -> Values | None:
    """Return (n,) the probability that was given to each true class; None without."""
    if given.dtype.kind != "f" or true.dtype.kind not in "iub" or given.min() < 0:
        return None
    whole = given if given.ndim == 2 else np.stack([1 - given, given], axis=1)
    if true.min() < 0 or true.max() >= whole.shape[1] or given.max() > 1:
        return None
    shares: Values = whole[np.arange(len(true)), true.astype(int)].astype(float)
    return shares


def _over_classes(
    area: Callable[[NDArray[np.bool_], Values], Values], true: NDArray[Any], scores: Values
) -> Iterator[Values]:
    """Yield the area of two classes, or the means over the areas of each class against the rest."""
    if scores.ndim == 1 or scores.shape[1] == 2:
        classes = np.unique(true)
        if len(classes) == 2:
            yield area(true == classes[1], scores if scores.ndim == 1 else scores[:, 1])
        return
    are = true[:, None] == np.arange(scores.shape[1])
    shares = are.mean(axis=0)
    if not shares.all():
        return  # a class without a sample has no area
    areas = np.array([area(own, of) for own, of in zip(are.T, scores.T, strict=True)])
    yield areas.mean(axis=0)
    means = areas.mean(axis=1)  # weighted by shares, which vary as well
    yield shares @ areas + are @ means - shares @ means


def roc_auc(is_positive: NDArray[np.bool_], scores: Values) -> Values:
    """Return the AUC of each sample: placements, weighted by the classes' shares."""
    positive, negative = scores[is_positive], scores[~is_positive]
    placements = np.empty(len(scores))
    placements[is_positive] = _share_below(negative, positive)
    placements[~is_positive] = 1 - _share_below(positive, negative)
    auc = placements[is_positive].mean()
    weights = np.where(
        is_positive, len(scores) / len(positive), len(scores) / max(len(negative), 1)
    )
    values: Values = auc + weights * (placements - auc)
    return values


def _share_below(of: Values, than: Values) -> Values:
    """Return for each value the share of others below it; equal ones count half."""
    ordered = np.sort(of)
    below, until = (np.searchsorted(ordered, than, side) for side in ("left", "right"))
    shares: Values = (below + until) / (2 * len(ordered))
    return shares


def average_precision(is_positive: NDArray[np.bool_], scores: Values) -> Values:
    """Return the average precision of each sample.

    It is the mean over positive samples of the precision from their score on, p = TP / (TP + FP). A
    sample changes p of all scores at or below its own by (1 - p) or -p over TP + FP.
    """
    _, places = np.unique(-scores, return_inverse=True)  # from the highest score on
    positives = np.bincount(places, weights=is_positive)
    reached = np.cumsum(np.bincount(places))
    precision = np.cumsum(positives) / reached
    count = max(int(is_positive.sum()), 1)
    mean = float(positives @ precision) / count
    slopes = [
        np.cumsum((positives * part / reached)[::-1])[::-1][places]
        for part in (1 - precision, -precision)
    ]
    own = is_positive * (precision[places] - mean) + np.where(is_positive, *slopes)
    values: Values = mean + own * len(scores) / count
    return values


def _absolute(_: Values, error: Values) -> Values:
    values: Values = np.abs(error).mean(axis=1)
    return values


def _squared(_: Values, error: Values) -> Values:
    values: Values = (error**2).mean(axis=1)
    return values


def rmse(_: Values, error: Values) -> Values:
    """Return the root mean squared error of each sample, from errors (n, outputs)."""
    squares = (error**2).mean(axis=1)
    root = np.sqrt(squares.mean())
    values: Values = root + (squares - squares.mean()) / (2 * root) if root else squares
    return values


def r2(true: Values, error: Values) -> Values:
    """Return R2 of each sample, of 1 minus the squared error over the variance."""
    squares, spread = (error**2).sum(axis=1), ((true - true.mean()) ** 2).sum(axis=1)
    left = squares.mean() / spread.mean()
    values: Values = 1 - left - (squares - left * spread) / spread.mean()
    return values


def _of_counts(
    measure: Callable[[Values], float], true: NDArray[Any], predicted: NDArray[Any]
) -> Values:
    """Return a metric of the confusion matrix of each sample, from its slope in each count."""
    classes, places = np.unique(np.concatenate([true, predicted]), return_inverse=True)
    cells = places[: len(true)] * len(classes) + places[len(true) :]
    shares = np.bincount(cells, minlength=len(classes) ** 2) / len(true)
    slopes = np.zeros(len(shares))
    for cell in np.unique(cells):
        step = np.zeros(len(shares))
        step[cell] = shares[cell] * 1e-4
        ahead, back = (
            measure(moved.reshape(len(classes), -1)) for moved in (shares + step, shares - step)
        )
        slopes[cell] = (ahead - back) / (2 * step[cell])
    values: Values = measure(shares.reshape(len(classes), -1)) + slopes[cells] - shares @ slopes
    return values


def _share(part: Values, whole: Values) -> Values:
    """Return part / whole; 0 of nothing, as scikit-learn has it."""
    return np.divide(part, whole, out=np.zeros_like(whole), where=whole > 0)


def _precision(counts: Values) -> Values:
    return _share(counts.diagonal(), counts.sum(axis=0))


def _recall(counts: Values) -> Values:
    return _share(counts.diagonal(), counts.sum(axis=1))


def _f1(counts: Values) -> Values:
    return _share(2 * counts.diagonal(), counts.sum(axis=0) + counts.sum(axis=1))


def _jaccard(counts: Values) -> Values:
    both = counts.diagonal()
    return _share(both, counts.sum(axis=0) + counts.sum(axis=1) - both)


def _averages(
    of_each: Callable[[Values], Values],
) -> tuple[Callable[[Values], float], ...]:
    """Return the metric of class 1 of two, its mean over classes, and that by their samples."""
    return (
        lambda counts: float(of_each(counts)[-1]) if len(counts) == 2 else float("nan"),
        lambda counts: float(of_each(counts).mean()),
        lambda counts: float(of_each(counts) @ counts.sum(axis=1) / counts.sum()),
    )


def _balanced_accuracy(counts: Values) -> float:
    return float(_recall(counts)[counts.sum(axis=1) > 0].mean())


def _kappa(counts: Values) -> float:
    """Return the kappa of Cohen (1960)."""
    by_chance = counts.sum(axis=0) @ counts.sum(axis=1) / counts.sum()
    return float((counts.trace() - by_chance) / (counts.sum() - by_chance))


def _matthews(counts: Values) -> float:
    """Return the correlation of Matthews (1975), of many classes as Gorodkin (2004) has it."""
    given, true, whole = counts.sum(axis=0), counts.sum(axis=1), counts.sum()
    spread = np.sqrt((whole**2 - given @ given) * (whole**2 - true @ true))
    return float((counts.trace() * whole - given @ true) / spread)


_AREAS: Final = (
    (r"average_precision|auprc|pr_?auc|auc_?pr|prc|(^|_)ap(_|$)", (average_precision,)),
    (r"auc|auroc", (roc_auc,)),
)
_OF_ERRORS: Final = (
    (r"rmse|root_mean_squared", (rmse,)),
    (r"(^|_)r2|r_squared", (r2,)),
)
_OF_COUNTS: Final = (
    (r"balanced_acc", (_balanced_accuracy,)),
    (r"kappa", (_kappa,)),
    (r"mcc|matthews", (_matthews,)),
    (r"f1", _averages(_f1)),
    (r"jaccard|iou", _averages(_jaccard)),
    (r"precision", _averages(_precision)),
    (r"recall|sensitivity", _averages(_recall)),
)
"""The metrics by their names, as scikit-learn, Keras and people have them."""
